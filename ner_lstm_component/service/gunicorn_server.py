"""gunicorn with its own ``gthread`` worker: settings, hooks, log, and the way it stops."""

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

from . import GRACEFUL_TIMEOUT, KEEP_ALIVE, METRICS_VARIABLE, THREADS, TIMEOUT, WORKERS
from .server import ServerSettings, address

LOGGER = "gunicorn.error"
_LINGER_SECONDS = 1.0


class GunicornServer(Application):
    """gunicorn with our defaults; its ``run()`` serves until a signal ends it.

    Options of ``ner-lstm serve`` go before ``GUNICORN_CMD_ARGS``, and that before the file.

    :param create: makes the application in a worker; its argument tells whether to stop.
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
            worker_class=_Worker,
            timeout=TIMEOUT,
            graceful_timeout=GRACEFUL_TIMEOUT,
            keepalive=KEEP_ALIVE,
            logger_class=_Logger,
            loglevel=logging.getLevelName(logging.getLogger(LOGGER).getEffectiveLevel()).lower(),
            control_socket_disable=True,
            # Nobody's headers tell what only a proxy knows; see --proxies.
            secure_scheme_headers={},
            forwarder_headers="",
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
                from prometheus_client.multiprocess import mark_process_dead

                mark_process_dead(worker.pid)
            users_child_exit(server, worker)

        self._set(when_ready=when_ready, child_exit=child_exit)

    def _set(self, **settings: Any) -> None:
        for name, value in settings.items():
            if value is not None:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Create the application, in a worker."""
        return self._create(self._drain.has_begun)


class _Worker(ThreadWorker):
    """gunicorn's worker with threads, whose main thread does not wait for clients.

    Before gunicorn closes a connection it waits up to two seconds for the client's end, in the
    thread that also accepts connections. Here the thread of the request waits.
    """

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless another worker that has fewer comes first."""
        time.sleep(min(self.nr_conns * 0.00005, 0.001))
        super().accept(listener)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept or not; when stopping, let clients be refused at once, not reset later."""
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                listener.close()

    def handle(self, conn: Any) -> Any:
        """Answer a request, and wait for the client's end of a connection that is not kept."""
        kept = super().handle(conn)
        if kept is False:
            end = time.monotonic() + _LINGER_SECONDS
            with contextlib.suppress(OSError):
                # Below TLS, if there is any.
                socket.socket.shutdown(conn.sock, socket.SHUT_WR)
                while (seconds := end - time.monotonic()) > 0:
                    conn.sock.settimeout(seconds)
                    if not socket.socket.recv(conn.sock, 65_536):
                        break
                socket.socket.shutdown(conn.sock, socket.SHUT_RD)
        return kept


class _Drain:
    """The seconds from SIGTERM until the server stops; a second SIGTERM ends them."""

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
    """Cut what gunicorn repeats of a malformed request, which may be a text."""
    message = record.getMessage()
    if message.startswith("Invalid request from"):
        record.msg, record.args = message.partition(": ")[0], ()
    return True
