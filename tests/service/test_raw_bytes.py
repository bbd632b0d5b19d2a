"""Unusual requests, as bytes to a real server."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import httpx
import pytest
from serving import Server

BODY = json.dumps({"text": "Anna Berg lives in Oslo."}).encode()
SECRET = b"Confidential-Berg"


class Answer(NamedTuple):
    """The first status (0 for none), all bytes received, and the time that it took."""

    status: int
    content: bytes
    seconds: float


def head(
    length: int | None = None, *, method: str = "POST", path: str = "/predict", **headers: str
) -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    fields = {"content_type": "application/json"} | headers
    if length is not None:
        fields["content_length"] = str(length)
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def send(server: Server, *pieces: bytes, pause: float = 0.0, seconds: float = 15) -> Answer:
    """Send pieces, and wait for an answer without closing the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        start = time.monotonic()
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        except OSError:
            pass  # the server has answered already
        return receive(connection, start)


def receive(connection: socket.socket, start: float) -> Answer:
    content = b""
    try:
        while not is_whole(content) and (received := connection.recv(65_536)):
            content += received
    except OSError:
        pass
    match = re.match(rb"HTTP/1\.1 (\d+)", content)
    return Answer(int(match[1]) if match else 0, content, time.monotonic() - start)


def is_whole(content: bytes) -> bool:
    """Whether a response has arrived with its whole body."""
    top, separator, body = content.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", top)
    return bool(separator and length and len(body) >= int(length[1]))


def detail(answer: Answer) -> str:
    """The detail of a problem."""
    return json.loads(answer.content.partition(b"\r\n\r\n")[2])["detail"]


def check_unharmed(server: Server) -> None:
    """Check that the server answers, has no request in progress, and logged no error."""
    for _ in range(200):
        assert httpx.post(f"{server.url}/predict", content=BODY, headers=JSON).status_code == 200
        if "\nner_lstm_requests_in_progress 1.0\n" in httpx.get(f"{server.url}/metrics").text:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("requests are still counted as in progress")
    records = [json.loads(line) for line in server.log.splitlines()]
    assert [r for r in records if r["level"] in ("error", "critical") or "exception" in r] == []
    assert SECRET.decode() not in server.log


JSON = {"Content-Type": "application/json"}


# --- a refusal does not wait for the body ------------------------------------------------


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head(100, method="GET", path="/healthz"), 200),
        (head(100, path="/nowhere"), 404),
        (head(100, path="/healthz"), 405),
        (head(100, content_type="text/plain"), 415),
        (head(100, content_encoding="gzip"), 415),
        (head(100, content_type="application/json; charset=utf-16"), 400),
        (head(2_000_000), 413),
        (head(path="/nowhere", transfer_encoding="chunked"), 404),
    ],
)
def test_refused_at_once(server, request_head, status):
    answer = send(server, request_head)
    assert answer.status == status
    # The client's deadline is thirty seconds, and gunicorn's own five.
    assert answer.seconds < 4
    check_unharmed(server)


# --- slow clients ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_head", [head(100), head(transfer_encoding="chunked") + b"64\r\n"], ids=str
)
@pytest.mark.parametrize("pause", [None, 0.3])
def test_slow_senders_are_cut_off(impatient, request_head, pause):
    pieces = [b"{"] * (20 if pause else 1)
    answer = send(impatient, request_head, *pieces, pause=pause or 0.0)
    assert answer.status == 408
    assert "within 1 seconds" in detail(answer)
    check_unharmed(impatient)


@contextmanager
def stalled(server: Server, request_bytes: bytes, number: int, buffer: int = 0) -> Iterator[None]:
    """Connections whose clients send bytes, and then do nothing.

    :param buffer: size of the clients' receive buffer; 0 for the default.
    """
    with ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(socket.socket())
            if buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(request_bytes)
        time.sleep(0.2)
        yield


LONG_BODY = json.dumps({"text": "Anna " * 9_000, "probabilities": True}).encode()
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
FILE = GET.replace(b"/healthz", b"/docs/swagger-ui/swagger-ui-bundle.js")
CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "number", "buffer"),
    [
        (head(100) + b"{", 6, 0),
        (head(len(LONG_BODY)) + LONG_BODY, 3, 2048),
        (FILE * 3, 3, 2048),
        # In the thread that accepts connections, gunicorn would wait two seconds for each.
        (CLOSE, 10, 0),
        (b"nonsense\r\n\r\n", 10, 0),
    ],
    ids=["sends slowly", "receives slowly", "receives a file slowly", "stays", "stays refused"],
)
def test_slow_clients_do_not_block_others(impatient, request_bytes, number, buffer):
    with stalled(impatient, request_bytes, number, buffer):
        assert send(impatient, head(len(BODY)), BODY).status == 200
    check_unharmed(impatient)


def test_pipelined_requests(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(GET * 2 + CLOSE)
        content = b""
        while received := connection.recv(65_536):
            content += received
    assert content.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    ("forged", "path"),
    [("X-Forwarded-Proto: https", "/docs/swagger-ui"), ("SCRIPT_NAME: /evil", "/healthz")],
)
def test_forged_headers_change_nothing(server, forged, path):
    get = GET.replace(b"/healthz", path.encode())
    plain = send(server, get)
    answer = send(server, get.removesuffix(b"\r\n") + forged.encode() + b"\r\n\r\n")
    assert answer.status == plain.status
    assert b"https://" not in answer.content
    assert answer.content.rpartition(b"\r\n\r\n")[2] == plain.content.rpartition(b"\r\n\r\n")[2]


def test_deadlines_of_earlier_requests_are_cancelled(impatient):
    with httpx.Client(base_url=impatient.url) as client:
        for _ in range(4):
            assert client.post("/predict", content=BODY, headers=JSON).status_code == 200
            assert client.get("/page/page.css").status_code == 200
            time.sleep(0.5)


# --- malformed and incomplete bodies -----------------------------------------------------


CHUNKED = head(transfer_encoding="chunked")


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello\r\n",
        b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_malformed_chunks(server, chunks):
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        start = time.monotonic()
        connection.sendall(CHUNKED + chunks)
        connection.shutdown(socket.SHUT_WR)
        assert receive(connection, start).status == 400
    check_unharmed(server)


@pytest.mark.parametrize("request_head", [head(1_000), CHUNKED + b"3e8\r\n"], ids=str)
@pytest.mark.parametrize("resets", [False, True])
def test_clients_that_go_away(server, request_head, resets):
    for _ in range(5):
        connection = socket.create_connection(("127.0.0.1", server.port))
        if resets:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.sendall(request_head + b'{"text": "' + SECRET)
        time.sleep(0.02)
        connection.close()
    check_unharmed(server)


def test_bytes_after_a_body_are_not_logged(server):
    for length in (1, 5, len(BODY) - 4):
        rest = b'{"text": "' + SECRET + b'"}\r\n\r\n'
        assert send(server, head(length), BODY + rest).status == 400
    time.sleep(0.2)
    check_unharmed(server)


def test_log_of_a_malformed_request(impatient):
    """It has neither the bytes of the request, nor the id of an earlier one in its thread."""
    headers = JSON | {"X-Request-ID": "earlier-one"}
    for _ in range(6):
        httpx.post(f"{impatient.url}/predict", content=BODY, headers=headers).raise_for_status()
        assert send(impatient, SECRET + b"\r\n\r\n").status == 400
    check_unharmed(impatient)
    records = [json.loads(line) for line in impatient.log.splitlines()]
    invalid = [record for record in records if "Invalid request" in record["message"]]
    assert len(invalid) >= 6
    assert not any("request_id" in record for record in invalid)


# --- encodings ---------------------------------------------------------------------------


def encoded(encoding: str) -> bytes:
    return '{"text": "Zoë lives in Malmö."}'.encode(encoding)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json; charset=us-ascii",
    ],
)
def test_utf_8(server, content_type):
    for body in (encoded("utf-8"), encoded("utf-8-sig")):
        answer = send(server, head(len(body), content_type=content_type), body)
        assert answer.status == 200
        assert "Malmö" in answer.content.decode()


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("utf-32-le", "UTF-32"),
        ("utf-32-be", "UTF-32"),
        ("latin-1", "Latin-1"),
        ("cp1252", "Latin-1"),
    ],
)
def test_other_encodings(server, encoding, named):
    body = encoded(encoding)
    answer = send(server, head(len(body)), body)
    assert answer.status == 400
    assert named in detail(answer)
    declared = send(server, head(len(body), content_type=f"application/json; charset={encoding}"))
    assert declared.status == 400
    assert encoding in detail(declared)


def test_compressed(server):
    for coding in ("gzip", "br", "deflate", "gzip, identity"):
        answer = send(server, head(len(BODY), content_encoding=coding), BODY)
        assert answer.status == 415
        assert coding in detail(answer)
    assert send(server, head(len(BODY), content_encoding="identity"), BODY).status == 200
