"""The command ``ner-lstm serve``: the service behind gunicorn, or on Windows behind waitress.

The pipeline is loaded before workers are forked: what is wrong with it is found out before
there is a server, and a worker that replaces another needs no files.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask

from .. import logs
from . import HOST, KEEP_ALIVE, METRICS_VARIABLE, PORT, THREADS
from .limits import Limits
from .models import ModelError, load_pipeline

logger = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # of glibc's malloc.h


@dataclass(frozen=True)
class ServerSettings:
    """How to serve.

    :param gunicorn: settings of gunicorn's by their names, such as ``bind`` and ``workers``.
        They go before those of ``GUNICORN_CMD_ARGS`` and the configuration file.
    :param gunicorn_conf: a configuration file of gunicorn's.
    :param drain_seconds: seconds for which the server goes on after SIGTERM.
    :param app: arguments of `application.create_app`.
    """

    gunicorn: Mapping[str, Any] = field(default_factory=dict)
    gunicorn_conf: Path | None = None
    drain_seconds: float = 0.0
    app: Mapping[str, Any] = field(default_factory=dict)


def address(host: str | None, port: int | None) -> str:
    """Host and port as one, an IPv6 address in brackets."""
    host, port = HOST if host is None else host, PORT if port is None else port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def serve(model: str | Path, limits: Limits, settings: ServerSettings) -> None:
    """Serve a pipeline until a signal ends it.

    :raises .models.ModelError: if it cannot be served.
    """
    logger.info("Start", extra=logs.fields(model=str(model), **vars(settings), **vars(limits)))
    # Before the pipeline is loaded, part of which may import prometheus_client.
    with _shared_figures():
        nlp = load_pipeline(model)
        if "tensorflow" in sys.modules:
            raise ModelError(
                f"The pipeline {str(model)!r} loads TensorFlow, which does not survive the fork "
                'into workers. Save it with runtime = "auto", or serve it with flask run.'
            )

        def create(is_stopping: Callable[[], bool] | None = None) -> Flask:
            # Not at the head: prometheus_client must find where figures go.
            from .application import create_app

            return create_app(nlp, limits=limits, is_stopping=is_stopping, **settings.app)

        if sys.platform == "win32":
            serve_by_waitress(create(), settings, limits)
        else:
            from .gunicorn_server import GunicornServer

            gc.freeze()  # What is loaded stays, and need not be looked at again.
            if hasattr(libc := ctypes.CDLL(None), "mallopt"):
                # One heap: each thread's would grow to what the largest request needs.
                libc.mallopt(_M_ARENA_MAX, 1)
            GunicornServer(create, settings).run()


def serve_by_waitress(app: Flask, settings: ServerSettings, limits: Limits) -> None:
    """Serve in one process, by threads; where there is no fork."""
    import waitress

    given = settings.gunicorn
    waitress.serve(
        app,
        listen=given.get("bind", address(None, None)),
        threads=given.get("threads", THREADS),
        channel_timeout=given.get("keepalive", KEEP_ALIVE),
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
