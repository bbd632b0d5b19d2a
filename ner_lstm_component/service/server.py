"""The service behind gunicorn: workers, threads, graceful stop, recycling.

The pipeline is loaded before workers are forked: what is wrong with it is found out before
there is a server, and a worker that replaces another needs no files and hardly any time.
The network's runtime, whose threads do not survive a fork, each worker starts by itself.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger as GunicornLogger
from spacy.language import Language

from .. import logs
from . import METRICS_VARIABLE
from .limits import Limits
from .listening import ignore_new_connections
from .models import ModelError, load_pipeline
from .worker import Worker

logger = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # of glibc's malloc.h
# What a connection that has begun has to be complete, when the server stops: some round trips.
_HANDSHAKE_SECONDS = 0.5


@dataclass(frozen=True)
class ServerSettings:
    """How to serve.

    :param host: address to listen at.
    :param port: port to listen at; 0 takes a free one, which is logged.
    :param workers: processes.
    :param threads: threads of a process: so many requests are read, and tagged together, at a time.
    :param timeout: seconds after which a worker that hangs is killed and replaced.
    :param graceful_timeout: seconds that requests have to finish when the server stops.
    :param keep_alive: seconds that an idle connection is kept.
    :param max_requests: requests after which a worker is replaced; 0 for never.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 2
    threads: int = 16
    timeout: int = 60
    graceful_timeout: int = 30
    keep_alive: int = 15
    max_requests: int = 0

    def gunicorn(self) -> dict[str, Any]:
        """The same as gunicorn's settings."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return {
            "bind": f"{host}:{self.port}",
            "workers": self.workers,
            "threads": self.threads,
            "worker_class": Worker,
            "timeout": self.timeout,
            "graceful_timeout": self.graceful_timeout,
            "keepalive": self.keep_alive,
            "max_requests": self.max_requests,
            # Not all workers at once.
            "max_requests_jitter": self.max_requests // 10,
            "logger_class": _Logger,
            "proc_name": "ner-lstm",
            "child_exit": _forget_worker,
            "control_socket_disable": True,
        }


class _Arbiter(Arbiter):
    """gunicorn's process over the workers, which stops them when no connection is on its way."""

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers."""
        # Others have the same listeners after USR2, and where systemd has opened them.
        is_last = self.reexec_pid == self.master_pid == 0 and not self.systemd
        if graceful and is_last and ignore_new_connections(self.LISTENERS):
            time.sleep(_HANDSHAKE_SECONDS)
        super().stop(graceful)


class _Logger(GunicornLogger):
    """gunicorn's messages, by this package's configuration of logging."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True


class _Application(BaseApplication):
    def __init__(self, nlp: Language, limits: Limits, settings: ServerSettings) -> None:
        self._nlp = nlp
        self._limits = limits
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.gunicorn().items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        # Not at the head: prometheus_client must find where figures go when it is imported.
        from ..app import create_app

        return create_app(self._nlp, limits=self._limits)

    def run(self) -> None:
        _Arbiter(self).run()


def serve(model: str | Path, limits: Limits, settings: ServerSettings) -> None:
    """Serve a pipeline until a signal ends it.

    :param model: the folder of a pipeline, or the name of an installed one.
    :raises .models.ModelError: if it cannot be served.
    """
    logger.info("Start", extra=logs.fields(model=str(model), **vars(settings), **vars(limits)))
    nlp = load_pipeline(model)
    if "tensorflow" in sys.modules:
        raise ModelError(
            f"The pipeline {str(model)!r} needs TensorFlow to be loaded, which does not survive "
            'the fork into workers. Save it with runtime = "auto" and load that one, or serve '
            "it with flask run."
        )
    # What is loaded stays: collections of garbage need not look at it, and pause for it, again.
    gc.collect()
    gc.freeze()
    _use_one_heap()
    figures = tempfile.mkdtemp(prefix="ner-lstm-metrics-")
    os.environ[METRICS_VARIABLE] = figures
    parent = os.getpid()
    try:
        _Application(nlp, limits, settings).run()
    finally:
        if os.getpid() == parent:
            shutil.rmtree(figures, ignore_errors=True)


def _use_one_heap() -> None:
    """Have glibc take memory from one heap, where it has one for each few threads by default.

    Whichever thread comes first tags for all: each heap would grow to what the largest batch
    needs, and keep it. There is nothing to gain from them under Python's global lock.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)


def _forget_worker(server: Any, worker: Any) -> None:
    """Leave out of the figures what holds for living processes only."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)
