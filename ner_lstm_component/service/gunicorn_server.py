"""gunicorn with its ``gthread`` worker: settings, hooks, logging, and shutdown."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import Application
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client.multiprocess import mark_process_dead

from . import KEEP_ALIVE, METRICS_VARIABLE, STOP_TIMEOUT, THREADS, TIMEOUT, WORKERS
from .server import ServerSettings, address


class GunicornServer(Application):
    """gunicorn with the defaults of this package.

    Options of ``ner-lstm serve`` override ``GUNICORN_CMD_ARGS``, which overrides gunicorn's
    configuration file.

    :param create: a function that creates a worker's application from ``is_stopping``.
    """

    def __init__(self, create: Callable[..., Flask], settings: ServerSettings) -> None:
        self._create = create
        self._settings = settings
        # Whether SIGTERM has arrived, stored in memory that the forked workers share.
        self._is_stopping = mmap.mmap(-1, 1)
        super().__init__("ner-lstm", prog="ner-lstm serve")

    def load_config(self) -> None:
        level = logging.getLogger("gunicorn.error").getEffectiveLevel()
        self._set(
            bind=address(),
            workers=WORKERS,
            threads=THREADS,
            worker_class=_Worker,
            timeout=TIMEOUT,
            graceful_timeout=STOP_TIMEOUT,
            keepalive=KEEP_ALIVE,
            logger_class=_Logger,
            loglevel=logging.getLevelName(level).lower(),
            control_socket_disable=True,
            # Forwarded headers are used only with --proxies.
            secure_scheme_headers={},
            forwarder_headers="",
        )
        environment = vars(self.cfg.parser().parse_args(self.cfg.get_cmd_args_from_env()))
        file = self._settings.gunicorn_conf or environment.get("config")
        if file is not None:
            self.load_config_from_file(str(file))
        del environment["args"]
        self._set(**environment)
        self._set(**self._settings.gunicorn)
        if not self.cfg.max_requests_jitter:  # so that workers are not all replaced at once
            self._set(max_requests_jitter=self.cfg.max_requests // 10)
        os.chdir(self.cfg.chdir)
        # The user's hooks are called after this package's.
        user_when_ready, user_child_exit = self.cfg.when_ready, self.cfg.child_exit

        def when_ready(server: Any) -> None:
            self._delay_shutdown()
            user_when_ready(server)

        def child_exit(server: Any, worker: Any) -> None:
            if METRICS_VARIABLE in os.environ:
                mark_process_dead(worker.pid)
            user_child_exit(server, worker)

        self._set(when_ready=when_ready, child_exit=child_exit)

    def _set(self, **settings: Any) -> None:
        for name, value in settings.items():
            if value is not None:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._create(lambda: bool(self._is_stopping[0]))

    def _delay_shutdown(self) -> None:
        """Delay the first SIGTERM in the master process; a second SIGTERM ends the delay."""
        process, seconds = os.getpid(), self._settings.drain_seconds
        handler: Any = signal.getsignal(signal.SIGTERM)

        def stop(*_: Any) -> None:
            handler(signal.SIGTERM, None)

        def terminate(*_: Any) -> None:
            # A worker inherits this handler, and uses it until it sets its own.
            if os.getpid() != process or self._is_stopping[0] or seconds == 0:
                stop()
            else:
                # A system timer, because threads and fork() do not mix safely.
                signal.setitimer(signal.ITIMER_REAL, seconds)
            self._is_stopping[0] |= os.getpid() == process

        signal.signal(signal.SIGALRM, stop)
        signal.signal(signal.SIGTERM, terminate)


class _Worker(ThreadWorker):
    """gunicorn's threaded worker, whose main thread does not wait for clients.

    The main thread of gunicorn's own worker accepts connections, but may wait up to two seconds
    until a client closes another.
    """

    def accept(self, listener: Any) -> None:
        # Less busy workers come first.
        time.sleep(min(self.nr_conns * 0.00005, 0.001))
        super().accept(listener)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:  # At shutdown, refuse connections instead of resetting them later.
            for listener in self.sockets:
                listener.close()

    def handle(self, conn: Any) -> Any:
        """Answer a request, and wait for the client to close a connection that is not kept."""
        kept = super().handle(conn)
        if kept is False:
            end = time.monotonic() + 1
            with contextlib.suppress(OSError):
                # Under TLS too, call the methods of the raw connection.
                socket.socket.shutdown(conn.sock, socket.SHUT_WR)
                while (seconds := end - time.monotonic()) > 0:
                    conn.sock.settimeout(seconds)
                    if not socket.socket.recv(conn.sock, 65_536):
                        break
                socket.socket.shutdown(conn.sock, socket.SHUT_RD)
        return kept


class _Logger(Logger):
    """A logger that sends gunicorn's messages, except its access log, to this package's log."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if cfg.errorlog == "-":  # the default: this package's handlers are used instead
            self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.addFilter(_remove_request_bytes)


def _remove_request_bytes(record: logging.LogRecord) -> bool:
    """Remove the bytes of a malformed request, which may contain a text, from the log."""
    message = record.getMessage()
    if message.startswith("Invalid request from"):
        record.msg, record.args = message.partition(": ")[0], ()
    return True
