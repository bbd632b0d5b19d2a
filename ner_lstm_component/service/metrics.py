"""Figures for Prometheus. Labels have few values, whatever clients send.

With several workers each writes to files of its own in the folder that the environment
variable ``PROMETHEUS_MULTIPROC_DIR`` names, and any of them answers for all.
"""

from __future__ import annotations

import os
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from . import METRICS_VARIABLE
from .tagger import Tagged

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
OTHER = "other"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        requests = Counter(
            "ner_lstm_requests",
            "Requests answered.",
            ["method", "endpoint", "status"],
            registry=registry,
        )
        seconds = Histogram(
            "ner_lstm_request_seconds",
            "Time from a request's arrival at the application to its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_progress = Gauge(
            "ner_lstm_requests_in_progress",
            "Requests being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._texts = Counter("ner_lstm_texts", "Texts and sentences tagged.", registry=registry)
        self._tokens = Counter("ner_lstm_tokens", "Tokens tagged.", registry=registry)
        entities = Counter("ner_lstm_entities", "Entities found.", ["label"], registry=registry)
        # A metric looks for its labels under a lock, and makes text of them, each time.
        self._requests_of = lru_cache(requests.labels)
        self._seconds_of = lru_cache(seconds.labels)
        self._entities_of = lru_cache(entities.labels)
        if METRICS_VARIABLE not in os.environ:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)

    def begin(self) -> None:
        """A request has come."""
        self._in_progress.inc()

    def end(self, method: str, endpoint: str | None, status: str, seconds: float) -> None:
        """A request is answered.

        :param endpoint: the rule that matched it, if any.
        """
        endpoint = endpoint or OTHER
        method = method if method in METHODS else OTHER
        self._in_progress.dec()
        self._requests_of(method, endpoint, status).inc()
        self._seconds_of(endpoint).observe(seconds)

    def tagged(self, tagged: Tagged) -> None:
        """Texts were tagged."""
        self._texts.inc(len(tagged.predictions))
        self._tokens.inc(tagged.n_tokens)
        found: dict[str, int] = {}
        for one in tagged.predictions:
            for ent in one["ents"]:
                found[ent["label"]] = found.get(ent["label"], 0) + 1
        for label, number in found.items():
            self._entities_of(label).inc(number)

    def exposition(self) -> bytes:
        """All figures in Prometheus' text format."""
        registry = self._registry
        if METRICS_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)
