"""Metrics for Prometheus, summed over workers. Clients cannot add values of labels."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector

from . import METRICS_VARIABLE


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        common: dict[str, Any] = {"namespace": "ner_lstm", "registry": registry}
        self._requests = Counter(
            "requests", "Requests answered.", ["method", "endpoint", "status"], **common
        )
        self._seconds = Histogram(
            "request_seconds",
            "Time from a request's arrival at the application to its answer.",
            ["endpoint"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            **common,
        )
        self.in_progress = Gauge(
            "requests_in_progress",
            "Requests being answered.",
            multiprocess_mode="livesum",
            **common,
        )
        self._texts = Counter("texts", "Texts and sentences tagged.", **common)
        self._tokens = Counter("tokens", "Tokens tagged.", **common)
        self._entities = Counter("entities", "Entities found.", ["label"], **common)
        if METRICS_VARIABLE not in os.environ:
            ProcessCollector(registry=registry)

    def count_request(self, method: str, rule: str | None, status: int, seconds: float) -> None:
        """Count an answered request; ``rule`` is the matching route, or None."""
        endpoint = rule or "other"
        method = method if method in ("GET", "HEAD", "POST", "OPTIONS") else "other"
        self._requests.labels(method, endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def count_predictions(self, predictions: list[dict[str, Any]], n_tokens: int) -> None:
        """Count the texts of a request, with their tokens and entities."""
        self._texts.inc(len(predictions))
        self._tokens.inc(n_tokens)
        for one in predictions:
            for ent in one["ents"]:
                self._entities.labels(ent["label"]).inc()

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        if METRICS_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        MultiProcessCollector(shared := CollectorRegistry())
        return generate_latest(shared)
