"""gunicorn with its own ``gthread`` worker: settings, hooks, log, and the way it stops."""

from __future__ import annotations

import logging
import mmap
import os
import signal
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import Application
from gunicorn.glogging import Logger

from . import GRACEFUL_TIMEOUT, KEEP_ALIVE, METRICS_VARIABLE, THREADS, TIMEOUT, WORKERS
from .server import ServerSettings, address

LOGGER = "gunicorn.error"


def serve_by_gunicorn(create: Callable[..., Flask], settings: ServerSettings) -> None:
    """Serve until a signal ends it.

    :param create: makes the application in a worker; its argument ``is_stopping`` tells whether
        the server has begun to stop.
    """
    _Application(create, settings).run()


class _Application(Application):
    """What gunicorn runs.

    Of its settings, those given by options of ``ner-lstm serve`` come first, then those of
    ``GUNICORN_CMD_ARGS``, of the configuration file, and the defaults below.
    """

    def __init__(self, create: Callable[..., Flask], settings: ServerSettings) -> None:
        self._create = create
        self._settings = settings
        self._drain = _Drain(settings.drain_seconds)
        super().__init__("ner-lstm", prog="ner-lstm serve")

    def load_config(self) -> None:
        """Set gunicorn's settings."""
        self._set(
            bind=address(None, None),
            workers=WORKERS,
            threads=THREADS,
            worker_class="gthread",
            timeout=TIMEOUT,
            graceful_timeout=GRACEFUL_TIMEOUT,
            keepalive=KEEP_ALIVE,
            logger_class=_Logger,
            loglevel=logging.getLevelName(logging.getLogger(LOGGER).getEffectiveLevel()).lower(),
            proc_name="ner-lstm",
            control_socket_disable=True,
        )
        of_environment = vars(self.cfg.parser().parse_args(self.cfg.get_cmd_args_from_env()))
        file = self._settings.gunicorn_conf or of_environment.get("config")
        if file is not None:
            self.load_config_from_file(str(file))
        del of_environment["args"]
        self._set(**of_environment)
        self._set(**self._settings.gunicorn)
        if not self.cfg.max_requests_jitter:  # Not all workers at once.
            self._set(max_requests_jitter=self.cfg.max_requests // 10)
        self._chain_hooks()
        os.chdir(self.cfg.chdir)

    def _chain_hooks(self) -> None:
        """Call hooks of ours before the user's."""
        users_when_ready, users_child_exit = self.cfg.when_ready, self.cfg.child_exit

        def when_ready(server: Any) -> None:
            self._drain.install()
            users_when_ready(server)

        def child_exit(server: Any, worker: Any) -> None:
            if METRICS_VARIABLE in os.environ:
                _forget_figures(worker.pid)
            users_child_exit(server, worker)

        self._set(when_ready=when_ready, child_exit=child_exit)

    def _set(self, **settings: Any) -> None:
        for name, value in settings.items():
            if value is not None:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Create the application, in a worker."""
        return self._create(self._drain.has_begun)


class _Drain:
    """The time from SIGTERM until the server stops, in which it serves but is not ready.

    :param seconds: how long it is. A second SIGTERM ends it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # Anonymous memory that forked workers share.
        self._flag = mmap.mmap(-1, 1)

    def has_begun(self) -> bool:
        """Whether the server has been told to stop."""
        return self._flag[0] != 0

    def install(self) -> None:
        """Come before gunicorn's own handler of SIGTERM, in the process over the workers."""
        process = os.getpid()
        handler: Any = signal.getsignal(signal.SIGTERM)

        def stop(*_: Any) -> None:
            handler(signal.SIGTERM, None)

        def terminate(*_: Any) -> None:
            # A worker that has just been forked has this handler, too.
            if os.getpid() != process or self.has_begun() or self._seconds == 0:
                stop()
            else:
                # A timer of the system's: a thread would not be safe beside fork().
                signal.setitimer(signal.ITIMER_REAL, self._seconds)
            self._flag[0] |= os.getpid() == process

        signal.signal(signal.SIGALRM, stop)
        signal.signal(signal.SIGTERM, terminate)


class _Logger(Logger):
    """gunicorn's messages in this package's log, its access log where the user sets it."""

    def setup(self, cfg: Any) -> None:
        """Set the logs up, also after a reload."""
        super().setup(cfg)
        if cfg.errorlog == "-":  # The default: what this package's configuration says.
            self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.addFilter(_without_clients_bytes)


def _without_clients_bytes(record: logging.LogRecord) -> bool:
    """Cut from a record what a client has sent, which may be a text.

    After a body whose length is wrong, gunicorn takes the rest of it for the next request, and
    repeats that.
    """
    message = record.getMessage()
    is_debug = logging.getLogger(LOGGER).isEnabledFor(logging.DEBUG)
    if message.startswith("Invalid request from") and not is_debug:
        record.msg, record.args = message.partition(": ")[0], ()
    return True


def _forget_figures(process: int) -> None:
    """Leave out of the figures what holds for living processes only."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(process)
