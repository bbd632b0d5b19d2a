"""gunicorn's worker, which does less around a request than gunicorn."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker

from .heads import Heads, Parser, environ_of

# So long a thread waits for the next request of a connection, if no other connection needs it.
_NEXT_REQUEST_SECONDS = 0.02
# So much later a worker takes a connection for each that it has, and at most.
_LATER_SECONDS = 0.00005
_LATEST_SECONDS = 0.001


class Response(wsgi.Response):
    """gunicorn's response, which goes out by one system call if it is in one piece."""

    headers_sent: bool
    response_length: int | None
    upgrade: bool

    def process_headers(self, headers: Any) -> None:
        """Check the application's headers, most of which are the same in all its answers."""
        for name, value in headers:
            kept, length, upgrade = _checked(name, value)
            self.headers += kept
            self.response_length = self.response_length if length is None else length
            self.upgrade = self.upgrade or upgrade

    def write(self, arg: bytes) -> None:
        """Send a part of the body, before the first one the head."""
        if self.headers_sent or self._omits_body or len(arg) != self.response_length:
            super().write(arg)
            return
        major, minor = self.req.version
        head = [
            f"HTTP/{major}.{minor} {self.status}",
            f"Server: {self.version}",
            f"Date: {_date(int(time.time()))}",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in self.headers),
            "\r\n",
        ]
        self.headers_sent = True
        self.sent = len(arg)
        self.sock.sendall("\r\n".join(head).encode("latin-1") + arg)


@lru_cache(maxsize=512)
def _checked(name: str, value: str) -> tuple[list[tuple[str, str]], int | None, bool]:
    """What gunicorn makes of a header: what is sent of it, the length and the upgrade it tells.

    :raises gunicorn.http.errors.InvalidResponseHeader: if it may not be sent.
    """
    response = wsgi.Response(None, None, None)
    response.process_headers([(name, value)])
    return response.headers, response.response_length, response.upgrade


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return util.http_date(second)


class Worker(ThreadWorker):
    """gunicorn's worker with threads, which does less around a request than gunicorn.

    It leaves no connection in the queue when it stops. gunicorn stops taking connections as soon
    as it is told to, and resets those that the kernel has already accepted for it. Where other
    workers go on, they take what comes later; where all stop, the arbiter has seen to it
    that nothing does.
    """

    alive: bool

    def init_process(self) -> None:
        """Start to work, which ends when the worker does."""
        # gunicorn looks some twenty of them up at each request, by two functions each.
        self.cfg.__dict__.update({name: own.get() for name, own in self.cfg.settings.items()})
        self._heads = Heads(self.cfg)
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Answer a connection's requests, as long as one comes upon the other."""
        if conn.parser is None:
            conn.parser = Parser(self._heads, conn, _NEXT_REQUEST_SECONDS)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer a request, and those that come upon it.

        :return: whether the connection may be kept.
        """
        keeps = self._keepalive_after(conn, self._answer(req, conn))
        while keeps and self._comes_again(conn):
            keeps = self._keepalive_after(conn, self._answer(next(conn.parser), conn))
        return keeps

    def _answer(self, req: Any, conn: Any) -> bool:
        """Answer a request: as gunicorn does, without its hooks and its log of accesses."""
        response = Response(req, conn.sock, self.cfg)
        environ = environ_of(req, conn, self.cfg)
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        is_full = len(self.keepalived_conns) >= self.max_keepalived
        if not self.alive or not self.cfg.keepalive or is_full:
            response.force_close()
        try:
            self._respond(response, self.wsgi(environ, response.start_response))
        except OSError:
            raise
        except (Exception, SystemExit):
            if not response.headers_sent:
                raise
            # What was begun cannot be taken back.
            self.log.exception("Error handling request")
            util.close_graceful(conn.sock)
            return False
        return not response.should_close()

    def _respond(self, response: wsgi.Response, body: Any) -> None:
        try:
            if isinstance(body, wsgi.FileWrapper):
                response.write_file(body)
            else:
                for part in body:
                    response.write(part)
            response.close()
        finally:
            if hasattr(body, "close"):
                body.close()

    def _comes_again(self, conn: Any) -> bool:
        """Whether a client's next request comes at once.

        It is read by the same thread then, if no other connection needs it. Otherwise gunicorn's
        main thread waits for it, which takes two changes of threads and as many system calls.
        """
        has_thread = self.nr_conns <= self.cfg.threads
        return self.alive and has_thread and conn.parser.comes_again()

    def accept(self, listener: Any) -> None:
        """Take a connection, unless another worker, which has fewer, comes first."""
        if self.alive and self.cfg.workers > 1:
            time.sleep(min(self.nr_conns * _LATER_SECONDS, _LATEST_SECONDS))
        super().accept(listener)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Take connections or not; on stopping, first those that wait."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                self._accept_all(listener)
                listener.close()

    def _accept_all(self, listener: Any) -> None:
        before = -1
        while before != self.nr_conns:
            before = self.nr_conns
            self.accept(listener)
