"""Metrics for Prometheus, summed over workers. No label takes its values from clients."""

from __future__ import annotations

import os
from collections import Counter as Counts

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector

from . import METRICS_VARIABLE
from .tagger import Tagged

_METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
_OTHER = "other"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        labels = ["method", "endpoint", "status"]
        self._requests = Counter(
            "ner_lstm_requests", "Requests answered.", labels, registry=registry
        )
        self._seconds = Histogram(
            "ner_lstm_request_seconds",
            "Time from a request's arrival at the application to its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_progress = Gauge(
            "ner_lstm_requests_in_progress",
            "Requests being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._texts = Counter("ner_lstm_texts", "Texts and sentences tagged.", registry=registry)
        self._tokens = Counter("ner_lstm_tokens", "Tokens tagged.", registry=registry)
        self._entities = Counter(
            "ner_lstm_entities", "Entities found.", ["label"], registry=registry
        )
        if METRICS_VARIABLE not in os.environ:
            ProcessCollector(registry=registry)

    def count_request(self, method: str, rule: str | None, status: int, seconds: float) -> None:
        """Count an answered request; ``rule`` is the route that matched, if any."""
        endpoint = rule or _OTHER
        method = method if method in _METHODS else _OTHER
        self._requests.labels(method, endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def count_tagged(self, tagged: Tagged) -> None:
        """Count the texts of a request, with their tokens and entities."""
        self._texts.inc(tagged.sizes["texts"])
        self._tokens.inc(tagged.sizes["tokens"])
        found = Counts(ent["label"] for one in tagged.predictions for ent in one["ents"])
        for label, number in found.items():
            self._entities.labels(label).inc(number)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        registry = self._registry
        if METRICS_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)
