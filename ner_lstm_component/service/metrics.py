"""Figures for Prometheus. Labels have few values, whatever clients send.

To write a figure takes longer than to count, and a request has nine: they are written when the
last request under way is answered, and as long as others come and go ten times a second.

With several workers each writes to files of its own in the folder that the environment
variable ``PROMETHEUS_MULTIPROC_DIR`` names, and any of them answers for all.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import defaultdict
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from . import METRICS_VARIABLE
from .tagger import Tagged

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
OTHER = "other"
_WRITE_SECONDS = 0.1
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class _Counted:
    """What was counted, and not written yet."""

    def __init__(self) -> None:
        # By method, endpoint and status.
        self.requests: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.seconds: list[tuple[str, float]] = []
        self.n_texts = self.n_tokens = 0
        self.entities: defaultdict[str, int] = defaultdict(int)


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "ner_lstm_requests",
            "Requests answered.",
            ["method", "endpoint", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
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
        self._entities = Counter(
            "ner_lstm_entities", "Entities found.", ["label"], registry=registry
        )
        # A metric looks for its labels under a lock, and makes text of them, each time.
        self._labels = lru_cache(lambda metric, *labels: metric.labels(*labels))
        self._lock = threading.Lock()
        self._n_in_progress = 0
        self._written_at = -math.inf
        self._counted = _Counted()
        if METRICS_VARIABLE not in os.environ:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)

    def begin(self) -> None:
        """A request has come."""
        with self._lock:
            self._n_in_progress += 1
        self._write_if_due()

    def end(self, method: str, endpoint: str | None, status: str, seconds: float) -> None:
        """A request is answered.

        :param endpoint: the rule that matched it, if any.
        """
        endpoint = endpoint or OTHER
        method = method if method in METHODS else OTHER
        with self._lock:
            self._n_in_progress -= 1
            self._counted.requests[method, endpoint, status] += 1
            self._counted.seconds.append((endpoint, seconds))
            is_last = self._n_in_progress == 0
        if is_last:
            self._write()
        else:
            self._write_if_due()

    def tagged(self, tagged: Tagged) -> None:
        """Texts were tagged."""
        with self._lock:
            self._counted.n_texts += len(tagged.predictions)
            self._counted.n_tokens += tagged.n_tokens
            for one in tagged.predictions:
                for ent in one["ents"]:
                    self._counted.entities[ent["label"]] += 1

    def _write_if_due(self) -> None:
        if time.monotonic() - self._written_at >= _WRITE_SECONDS:
            self._write()

    def _write(self) -> None:
        """Make figures of what was counted since this was done last."""
        with self._lock:
            counted, self._counted = self._counted, _Counted()
            self._written_at = time.monotonic()
            self._in_progress.set(self._n_in_progress)
        for labels, number in counted.requests.items():
            self._labels(self._requests, *labels).inc(number)
        for endpoint, seconds in counted.seconds:
            self._labels(self._seconds, endpoint).observe(seconds)
        if counted.n_texts:
            self._texts.inc(counted.n_texts)
            self._tokens.inc(counted.n_tokens)
        for label, number in counted.entities.items():
            self._labels(self._entities, label).inc(number)

    def exposition(self) -> bytes:
        """All figures in Prometheus' text format."""
        self._write()
        registry = self._registry
        if METRICS_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)
