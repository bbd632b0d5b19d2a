"""Requests are read as gunicorn reads them, the first time and when their heads are known."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine
from gunicorn.http.parser import RequestParser

from ner_lstm_component.service.heads import LONGEST_HEAD, Heads, Parser, environ_of

HEAD = b"POST /predict?a=b HTTP/1.1\r\nHost: here:80\r\nX-Request-ID: one\r\n"
SERVER = ("127.0.0.1", 5000)
PATIENCE = 0.01


def posted(body: bytes, *fields: bytes) -> bytes:
    lines = [b"Content-Length: %d" % len(body), *fields]
    return HEAD + b"\r\n".join(lines) + b"\r\n\r\n" + body


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


@pytest.fixture
def heads() -> Heads:
    return Heads(Config())


@pytest.fixture
def connect(heads) -> Iterator[Any]:
    """Makes connections: the client's end, and gunicorn's with a parser."""
    sockets = []

    def connect(host: str = "127.0.0.1") -> tuple[socket.socket, Any]:
        client, server = socket.socketpair()
        sockets.extend([client, server])
        conn = SimpleNamespace(sock=server, client=(host, 4321), server=SERVER)
        conn.parser = Parser(heads, conn, PATIENCE)
        return client, conn

    yield connect
    for one in sockets:
        one.close()


def read(conn: Any, cfg: Any) -> tuple[dict[str, Any], bytes]:
    """The next request's environment, and its body."""
    environ = environ_of(next(conn.parser), conn, cfg)
    body = environ.pop("wsgi.input").read()
    assert environ.pop("gunicorn.socket") is conn.sock
    assert environ.pop("wsgi.errors")
    return environ, body


def by_gunicorn(data: bytes, host: str = "127.0.0.1") -> tuple[dict[str, Any], bytes]:
    request = next(RequestParser(Config(), [data], (host, 4321)))
    _, environ = wsgi.create(request, None, (host, 4321), SERVER, Config())
    for name in ("gunicorn.socket", "wsgi.errors", "wsgi.early_hints"):
        del environ[name]
    body = environ.pop("wsgi.input").read()
    return environ | {"wsgi.multithread": True}, body


@pytest.mark.parametrize(
    "data",
    [
        posted(b"abc"),
        posted(b""),
        posted(b"abc", b"Connection: close"),
        posted(b"abc", b"X-Long: " + b"x" * LONGEST_HEAD),
        CHUNKED,
        b"GET / HTTP/1.0\r\n\r\n",
        b"\r\nGET /metrics HTTP/1.1\r\n\r\n",
    ],
)
def test_a_request_is_read_as_gunicorn_reads_it(heads, connect, data):
    wanted = by_gunicorn(data)
    for _ in range(2):  # the second time its head is known
        client, conn = connect()
        client.sendall(data)
        environ, body = read(conn, heads.cfg)
        assert (environ, body) == wanted
        assert conn.parser.mesg.should_close() == (b"close" in data or b"/1.0" in data)


def test_short_heads_are_remembered(heads, connect):
    client, conn = connect()
    for data in (CHUNKED, posted(b"a", b"X-Long: " + b"x" * LONGEST_HEAD), posted(b"a")):
        client.sendall(data)
        read(conn, heads.cfg)
    client.sendall(posted(b"b"))
    read(conn, heads.cfg)
    known = heads.parsed.cache_info()
    assert (known.hits, known.misses) == (1, 2)


def test_requests_that_come_together_are_read_one_by_one(heads, connect):
    client, conn = connect()
    client.sendall(posted(b"first") + CHUNKED + posted(b"") + posted(b"last"))
    for body in (b"first", b"abc", b"", b"last"):
        assert conn.parser.comes_again()
        assert read(conn, heads.cfg)[1] == body
    assert not conn.parser.comes_again()


def test_a_request_that_comes_in_pieces(heads, connect):
    client, conn = connect()
    data = posted(b"a body")
    for cut in (5, len(HEAD), len(data) - 6, len(data) - 3):
        client.sendall(data[:cut])
        assert conn.parser.comes_again()
        client.sendall(data[cut:])
        assert read(conn, heads.cfg)[1] == b"a body"


def test_a_body_that_comes_late_is_waited_for(heads, connect):
    client, conn = connect()
    client.sendall(posted(b"a body")[:-6])
    request = next(conn.parser)
    client.settimeout(10 * PATIENCE)
    with pytest.raises(TimeoutError):  # time passes
        client.recv(1)
    client.sendall(b"a body")
    assert request.body.read() == b"a body"


def test_what_is_left_unread_is_no_request(heads, connect):
    client, conn = connect()
    client.sendall(posted(b"unread"))
    next(conn.parser)
    assert conn.parser.finish_body()
    client.sendall(posted(b"another"))
    assert read(conn, heads.cfg)[1] == b"another"


def test_the_end_of_a_connection(connect):
    client, conn = connect()
    client.close()
    assert conn.parser.comes_again()
    with pytest.raises(StopIteration):
        next(conn.parser)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (posted(b"", b"No colon"), InvalidHeader),
        (posted(b"", b"Content-Length: 1"), InvalidHeader),
        (b"GET\r\n\r\n", InvalidRequestLine),
    ],
)
def test_a_wrong_head_is_wrong_each_time(connect, data, error):
    for _ in range(2):
        client, conn = connect()
        client.sendall(data)
        with pytest.raises(error):
            next(conn.parser)


def test_what_a_proxy_may_say_no_one_else_may(heads, connect):
    data = posted(b"", b"X-Forwarded-Proto: https")
    schemes = {}
    for host in ("127.0.0.1", "192.0.2.1", "127.0.0.1", "192.0.2.1"):
        client, conn = connect(host)
        client.sendall(data)
        environ, _ = read(conn, heads.cfg)
        assert environ["REMOTE_ADDR"] == host
        assert schemes.setdefault(host, environ["wsgi.url_scheme"]) == environ["wsgi.url_scheme"]
    assert schemes == {"127.0.0.1": "https", "192.0.2.1": "http"}
