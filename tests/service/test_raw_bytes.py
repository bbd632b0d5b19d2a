"""Unusual requests, as bytes to a real server."""

from __future__ import annotations

import json
import socket
import struct
import time
from contextlib import ExitStack, suppress
from http.client import HTTPResponse
from typing import NamedTuple

import httpx
import pytest
from serving import Server

JSON = {"Content-Type": "application/json"}
BODY = json.dumps({"text": "Anna Berg lives in Oslo."}).encode()
SECRET = b"Confidential-Berg"


class Answer(NamedTuple):
    status: int
    headers: str
    body: bytes

    @property
    def detail(self) -> str:
        return json.loads(self.body)["detail"]


def head(
    length: int | None = None, *, method: str = "POST", path: str = "/predict", **headers: str
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    fields = {"content_type": "application/json"} | headers
    if length is not None:
        fields["content_length"] = str(length)
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def send(
    server: Server, *pieces: bytes, pause: float = 0.0, timeout: float = 15, ends: bool = False
) -> Answer:
    """Send pieces, perhaps say that there are no more, and wait for an answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        with suppress(OSError):  # the server may answer, and close the connection, earlier
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection)
        response.begin()
        return Answer(response.status, str(response.headers), response.read())


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


@pytest.mark.parametrize(
    ("request_head", "status", "message"),
    [
        (head(100, method="GET", path="/healthz"), 200, "ok"),
        (head(100, path="/nowhere"), 404, "not found"),
        (head(100, path="/healthz"), 405, "not allowed"),
        (head(100, content_type="text/plain"), 415, "application/json"),
        *((head(100, content_encoding=c), 415, c) for c in ("gzip", "br", "gzip, identity")),
        (head(100, content_type="application/json; charset=utf-16"), 400, "utf-16"),
        (head(2_000_000), 413, "1,048,576"),
        (head(path="/nowhere", transfer_encoding="chunked"), 404, "not found"),
    ],
)
def test_refused_at_once(server, request_head, status, message):
    # The client's deadline is thirty seconds, and gunicorn's own five.
    answer = send(server, request_head, timeout=4)
    assert answer.status == status
    assert message in answer.body.decode()
    check_unharmed(server)


@pytest.mark.parametrize(
    "request_head", [head(100), head(transfer_encoding="chunked") + b"64\r\n"], ids=str
)
@pytest.mark.parametrize(("number", "pause"), [(1, 0), (20, 0.3)])
def test_slow_senders_are_cut_off(impatient, request_head, number, pause):
    answer = send(impatient, request_head, *[b"{"] * number, pause=pause)
    assert answer.status == 408
    assert "within 1 seconds" in answer.detail
    check_unharmed(impatient)


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
    """Clients send bytes, and then do nothing; ``buffer`` is the size of their receive buffers."""
    with ExitStack() as stack:
        for _ in range(number):
            connection = stack.enter_context(socket.socket())
            if buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            connection.connect(("127.0.0.1", impatient.port))
            connection.sendall(request_bytes)
        time.sleep(0.2)
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
    assert "https://" not in answer.headers
    assert answer.body == plain.body


def test_deadlines_of_earlier_requests_are_cancelled(impatient):
    with httpx.Client(base_url=impatient.url) as client:
        for _ in range(4):
            assert client.post("/predict", content=BODY, headers=JSON).status_code == 200
            assert client.get("/page/page.css").status_code == 200
            time.sleep(0.5)


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
    assert send(server, CHUNKED + chunks, ends=True).status == 400
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


def encoded(encoding: str) -> bytes:
    return '{"text": "Zoë lives in Malmö."}'.encode(encoding)


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", ";charset=UTF-8", "; charset=us-ascii"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8(server, charset, encoding):
    body = encoded(encoding)
    fields = {"content_type": f"application/json{charset}", "content_encoding": "identity"}
    answer = send(server, head(len(body), **fields), body)
    assert answer.status == 200
    assert "Malmö" in answer.body.decode()


@pytest.mark.parametrize(
    ("named", "encoding"),
    [
        *(("UTF-16", one) for one in ("utf-16", "utf-16-le", "utf-16-be")),
        *(("UTF-32", one) for one in ("utf-32", "utf-32-le", "utf-32-be")),
        ("Latin-1", "latin-1"),
    ],
)
def test_other_encodings(server, named, encoding):
    body = encoded(encoding)
    answer = send(server, head(len(body)), body)
    assert answer.status == 400
    assert named in answer.detail
    declared = send(server, head(len(body), content_type=f"application/json; charset={encoding}"))
    assert declared.status == 400
    assert encoding in declared.detail
