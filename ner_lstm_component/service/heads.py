"""Reading a connection's requests: a head that has been met before is not parsed again.

A client's requests differ in their bodies, and in nothing else but their lengths. What gunicorn
makes of the bytes of a head from one address is always the same.
"""

from __future__ import annotations

import io
import socket
import struct
from functools import lru_cache
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import IterUnreader, SocketUnreader

# Heads that a worker remembers, and how long one may be: 7 MB with all that is made of them.
HEADS = 1024
LONGEST_HEAD = 1024
_END = b"\r\n\r\n"
# What of a WSGI environment belongs to one request alone.
_OWN = ("wsgi.input", "gunicorn.socket", "REMOTE_PORT")


class Head:
    """A head as gunicorn has parsed it.

    :param request: gunicorn's request, without its body.
    :param environ: its WSGI environment, without what belongs to one request alone.
    :param length: how many bytes its body has.
    """

    def __init__(self, request: Any, environ: dict[str, Any], length: int) -> None:
        self._request = vars(request)
        self._environ = environ
        self.length = length

    def request(self, parser: Parser, body: Any) -> Any:
        """The request with this head that has come on a connection."""
        request = Request.__new__(Request)
        vars(request).update(
            self._request,
            unreader=parser.unreader,
            peer_addr=parser.source_addr,
            remote_addr=parser.source_addr,
            req_number=parser.req_count,
            body=body,
            environ=self._environ,
        )
        return request


class Heads:
    """The heads that a worker has met.

    :param cfg: gunicorn's settings.
    """

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg
        # Not what raises an error.
        self.parsed = lru_cache(HEADS)(self._parse)

    def _parse(self, head: bytes, host: str, server: Any) -> Head | None:
        """Parse a head; None if there is more to its request than the head and a known length.

        :param head: from the request's first byte to the empty line.
        :param host: the client's address, by which gunicorn trusts it or not.
        :param server: the address that it has connected to.
        """
        request = Request(self.cfg, IterUnreader([head]), (host, 0))
        reader = request.body.reader
        if request._expected_100_continue or not isinstance(reader, LengthReader):
            return None
        environ = _parsed_environ(request, None, (host, 0), server, self.cfg)
        for name in _OWN:
            del environ[name]
        return Head(request, environ, reader.length)


def environ_of(request: Any, conn: Any, cfg: Any) -> dict[str, Any]:
    """The WSGI environment of a request that a :class:`Parser` has read."""
    known = getattr(request, "environ", None)
    if known is None:
        return _parsed_environ(request, conn.sock, conn.client, conn.server, cfg)
    environ = known.copy()
    environ["wsgi.input"] = request.body
    environ["gunicorn.socket"] = conn.sock
    environ["REMOTE_PORT"] = str(conn.client[1])
    return environ


def _parsed_environ(request: Any, sock: Any, client: Any, server: Any, cfg: Any) -> dict[str, Any]:
    _, environ = wsgi.create(request, sock, client, server, cfg)
    del environ["wsgi.early_hints"]  # which nobody here gives
    environ["wsgi.multithread"] = True
    return environ


class _Unreader(SocketUnreader):
    """gunicorn's reader of a socket whose reads end after a while, whatever comes."""

    def chunk(self, size_hint: int | None = None) -> bytes:
        while True:
            try:
                return super().chunk(size_hint)
            except BlockingIOError:
                continue


class Parser(RequestParser):
    """gunicorn's parser of a connection's requests, which knows heads.

    What is not simply a head and a body of a known length, gunicorn parses.

    :param heads: those that the worker has met.
    :param conn: gunicorn's connection.
    :param patience: seconds that :meth:`comes_again` waits.
    """

    mesg: Any

    def __init__(self, heads: Heads, conn: Any, patience: float) -> None:
        super().__init__(heads.cfg, conn.sock, conn.client)
        self.unreader = _Unreader(conn.sock)
        self._heads = heads
        # By the kernel: Python's own timeout takes another system call for each read.
        seconds, rest = divmod(patience, 1)
        timeval = struct.pack("ll", int(seconds), int(rest * 1e6))
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        # Of a Unix socket there is no address to tell one client from another.
        self._ends = (conn.client[0], conn.server) if isinstance(conn.client, tuple) else None

    def comes_again(self) -> bool:
        """Whether the client's next request, or its end, comes while this waits."""
        if not self.unreader.buf.getvalue():
            try:
                self.unreader.unread(self.unreader.sock.recv(self.unreader.mxchunk))
            except BlockingIOError:
                return False
        return True

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Read what is left of the last request; whether another can follow."""
        has_come_whole = isinstance(getattr(self.mesg, "body", None), io.BytesIO)
        return has_come_whole or super().finish_body(deadline, max_bytes)

    def __next__(self) -> Any:
        """Read the next request.

        :raises StopIteration: if there is none.
        """
        if self.mesg and (self.mesg.should_close() or not self.finish_body()):
            raise StopIteration
        came = self.unreader.read()
        end = came.find(_END) + len(_END)
        head = None
        if self._ends and len(_END) <= end <= LONGEST_HEAD:
            head = self._heads.parsed(came[:end], *self._ends)
        if head is None:
            self.unreader.unread(came)
            return super().__next__()
        rest = came[end:]
        body: Any
        if len(rest) >= head.length:
            body, rest = io.BytesIO(rest[: head.length]), rest[head.length :]
        else:
            body = Body(LengthReader(self.unreader, head.length))
        if rest:
            self.unreader.unread(rest)
        self.req_count += 1
        self.mesg = head.request(self, body)
        return self.mesg
