"""The command ``ner-lstm serve``: the service under gunicorn, or on Windows under waitress.

The pipeline is loaded before the workers are forked. Errors are therefore reported before the
server starts, and a worker that replaces another worker reads no files.
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

_M_ARENA_MAX = -8  # from glibc's malloc.h


@dataclass(frozen=True)
class ServerSettings:
    """The settings of the server.

    :param gunicorn: gunicorn's settings by name, such as ``bind``, except values of None. They
        override ``GUNICORN_CMD_ARGS`` and the configuration file.
    :param gunicorn_conf: the path of gunicorn's configuration file, or None.
    :param drain_seconds: the seconds for which the server continues after SIGTERM.
    :param app: arguments for `application.create_app`.
    """

    gunicorn: Mapping[str, Any] = field(default_factory=dict)
    gunicorn_conf: Path | None = None
    drain_seconds: float = 0.0
    app: Mapping[str, Any] = field(default_factory=dict)


def address(host: str | None = None, port: int | None = None) -> str:
    """Return the address ``host:port``, with an IPv6 address in brackets."""
    host, port = HOST if host is None else host, PORT if port is None else port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def serve(model: str | Path, limits: Limits, settings: ServerSettings) -> None:
    """Serve a pipeline until a signal stops it, or raise a `ModelError`."""
    logger.info("Start", extra=logs.fields(model=str(model), **vars(settings), **vars(limits)))
    # The folder must be set before a component of the pipeline may import prometheus_client.
    with _shared_metrics():
        nlp = load_pipeline(model)
        if "tensorflow" in sys.modules:
            raise ModelError(
                f"The pipeline {str(model)!r} loads TensorFlow, which does not survive the fork "
                'into workers. Save it with runtime = "auto", or serve it with flask run.'
            )

        def create(is_stopping: Callable[[], bool] | None = None) -> Flask:
            # This imports prometheus_client, which must find the folder for metrics.
            from .application import create_app

            return create_app(nlp, limits=limits, is_stopping=is_stopping, **settings.app)

        if sys.platform == "win32":  # Windows has no fork()
            import waitress

            given = settings.gunicorn
            waitress.serve(
                create(),
                listen=given.get("bind") or address(),
                threads=given.get("threads") or THREADS,
                channel_timeout=given.get("keepalive") or KEEP_ALIVE,
                max_request_body_size=limits.body_bytes + 1,
            )
        else:
            from .gunicorn_server import GunicornServer

            gc.freeze()  # keeps the collector from writing to memory that workers share
            if hasattr(libc := ctypes.CDLL(None), "mallopt"):
                # If threads had their own arenas, each would grow to the largest request's size.
                libc.mallopt(_M_ARENA_MAX, 1)
            GunicornServer(create, settings).run()


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """Create a temporary folder for the workers' metrics, unless the user has set one."""
    if os.environ.get(METRICS_VARIABLE) or sys.platform == "win32":
        yield
    elif "prometheus_client" in sys.modules:
        logger.warning(
            f"prometheus_client was imported before {METRICS_VARIABLE} could be set: /metrics "
            "shows one worker at a time. Set it to an empty folder before Python starts."
        )
        yield
    else:
        # tempfile.TemporaryDirectory would delete the folder when the first worker ends.
        folder, process = tempfile.mkdtemp(prefix="ner-lstm-metrics-"), os.getpid()
        os.environ[METRICS_VARIABLE] = folder
        try:
            yield
        finally:
            if os.getpid() == process:
                shutil.rmtree(folder, ignore_errors=True)
