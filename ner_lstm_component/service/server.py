"""The command ``ner-lstm serve``: the service behind gunicorn, or on Windows behind waitress.

The pipeline is loaded before workers are forked: what is wrong with it is found out before
there is a server, and a worker that replaces another needs no files and hardly any time.
The network's runtime, whose threads do not survive a fork, each worker starts by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from spacy.language import Language

from .. import logs
from . import CLIENT_TIMEOUT, HOST, KEEP_ALIVE, METRICS_VARIABLE, PORT, THREADS
from .limits import Limits
from .models import ModelError, load_pipeline

logger = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # of glibc's malloc.h


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How to serve. What is None is left to gunicorn's own settings, then to the default.

    :param host: address to listen at.
    :param port: port to listen at; 0 takes a free one, which is logged.
    :param bind: where to listen in gunicorn's notation, such as ``unix:/run/ner.sock``, in
        place of host and port.
    :param workers: processes.
    :param threads: threads of a process: so many requests are read and answered at a time.
    :param timeout: seconds after which a worker whose main thread does not run is replaced.
    :param graceful_timeout: seconds that requests have to finish when the server stops.
    :param keep_alive: seconds that an idle connection is kept.
    :param max_requests: requests after which a worker is replaced; 0 for never.
    :param gunicorn_conf: a configuration file of gunicorn's.
    :param drain_seconds: seconds for which the server goes on after SIGTERM.
    :param client_timeout: seconds that a client may take to send a body or receive an answer.
    :param proxies: proxies in front of the service whose ``X-Forwarded-`` headers count.
    :param cors_origins: origins whose pages may use the service.
    """

    host: str | None = None
    port: int | None = None
    bind: str | None = None
    workers: int | None = None
    threads: int | None = None
    timeout: int | None = None
    graceful_timeout: int | None = None
    keep_alive: int | None = None
    max_requests: int | None = None
    gunicorn_conf: Path | None = None
    drain_seconds: float = 0.0
    client_timeout: float = CLIENT_TIMEOUT
    proxies: int = 0
    cors_origins: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Host and port as one."""
        host = HOST if self.host is None else self.host
        port = PORT if self.port is None else self.port
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def serve(model: str | Path, limits: Limits, settings: ServerSettings) -> None:
    """Serve a pipeline until a signal ends it.

    :param model: the folder of a pipeline, or the name of an installed one.
    :raises .models.ModelError: if it cannot be served.
    """
    given = {name: value for name, value in vars(settings).items() if value is not None}
    logger.info("Start", extra=logs.fields(model=str(model), **given, **vars(limits)))
    # Before the pipeline is loaded, part of which may import prometheus_client.
    with _shared_figures():
        nlp = load_pipeline(model)
        if "tensorflow" in sys.modules:
            raise ModelError(
                f"The pipeline {str(model)!r} needs TensorFlow to be loaded, which does not "
                'survive the fork into workers. Save it with runtime = "auto" and load that one, '
                "or serve it with flask run."
            )

        def create(is_stopping: Callable[[], bool] | None = None) -> Flask:
            # Not at the head: prometheus_client must find where figures go.
            from .application import create_app

            return create_app(
                nlp,
                limits=limits,
                client_timeout=settings.client_timeout,
                proxies=settings.proxies,
                cors_origins=settings.cors_origins,
                is_stopping=is_stopping,
            )

        if sys.platform == "win32":
            serve_by_waitress(create(), settings, limits)
        else:
            from .gunicorn_server import serve_by_gunicorn

            # What is loaded stays: collections of garbage need not look at it again.
            gc.collect()
            gc.freeze()
            _use_one_heap()
            serve_by_gunicorn(create, settings)


def serve_by_waitress(app: Flask, settings: ServerSettings, limits: Limits) -> None:
    """Serve in one process, by threads; where there is no fork."""
    import waitress

    logger.info("Listening at: http://%s", settings.address)
    waitress.serve(
        app,
        listen=settings.address,
        threads=settings.threads or THREADS,
        channel_timeout=settings.keep_alive or KEEP_ALIVE,
        max_request_body_size=limits.body_bytes + 1,
    )


@contextlib.contextmanager
def _shared_figures() -> Iterator[None]:
    """Give workers a folder for their figures, unless the user has named one."""
    if os.environ.get(METRICS_VARIABLE) or sys.platform == "win32":
        yield
    elif "prometheus_client" in sys.modules:
        logger.warning(
            "prometheus_client was imported before %s could be set: /metrics has the figures of "
            "one worker at a time. Set it to an empty folder before Python starts.",
            METRICS_VARIABLE,
        )
        yield
    else:
        # tempfile.TemporaryDirectory would be removed by the first worker that ends.
        folder, process = tempfile.mkdtemp(prefix="ner-lstm-metrics-"), os.getpid()
        os.environ[METRICS_VARIABLE] = folder
        try:
            yield
        finally:
            if os.getpid() == process:
                shutil.rmtree(folder, ignore_errors=True)


def _use_one_heap() -> None:
    """Have glibc take memory from one heap, where it has one for each few threads by default.

    Each would grow to what the largest request needs, and keep it, with nothing to gain under
    Python's lock.
    """
    libc: Any = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
