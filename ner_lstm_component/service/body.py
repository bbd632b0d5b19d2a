"""Reading the body of a request: its encoding, its length, and how long it may take."""

from __future__ import annotations

import codecs
import socket

from flask import request
from pydantic import ValidationError
from werkzeug.exceptions import RequestTimeout, UnsupportedMediaType

from .deadlines import Deadlines
from .limits import Limits, TooLarge
from .problems import InvalidBody, InvalidRequest
from .schema import PredictRequest

# Where gunicorn keeps the connection of a request. Other servers that buffer bodies, such as
# waitress, have no need of a deadline here.
CONNECTION = "gunicorn.socket"

_UTF_8 = {"", "utf-8", "utf8", "us-ascii", "ascii"}
# The longer ones first: UTF-32's begins like UTF-16's.
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_request(limits: Limits, deadlines: Deadlines) -> PredictRequest:
    """Read and validate the body of `POST /predict`.

    :raises werkzeug.exceptions.UnsupportedMediaType: for another type than JSON, or a body
        that is compressed.
    :raises .limits.TooLarge: for a body beyond the limit.
    :raises werkzeug.exceptions.RequestTimeout: if it does not come in time.
    :raises .problems.InvalidBody: if it breaks off, or is not in UTF-8.
    :raises .problems.InvalidRequest: if the schema does not allow it.
    """
    _check_headers()
    body = _decoded(_read(limits, deadlines))
    try:
        return PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequest(error, body) from None


def _check_headers() -> None:
    if not request.is_json:
        raise UnsupportedMediaType(
            f"Content-Type: expected application/json. Received: {request.mimetype or 'none'}"
        )
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"Content-Encoding: expected a body that is not compressed. Received: {coding[:100]}"
        )
    charset = request.mimetype_params.get("charset", "")
    # Not by codecs.lookup(), which remembers every name that it is asked for.
    if charset.lower() not in _UTF_8:
        raise InvalidBody(f"expected UTF-8. Received: charset={charset[:100]}")


def _read(limits: Limits, deadlines: Deadlines) -> bytes:
    length = request.content_length
    if length is not None and length > limits.body_bytes:
        raise TooLarge("body", limits.body_bytes, "bytes", length)
    connection = request.environ.get(CONNECTION)
    if connection is not None:
        deadlines.watch(connection, socket.SHUT_RD)
    try:
        body = request.get_data(cache=False)
    # Each server has errors of its own for a body that breaks off or is malformed.
    except Exception as error:
        _check_time(connection, deadlines)
        raise InvalidBody("it is malformed, or broke off") from error
    if len(body) > limits.body_bytes:
        raise TooLarge("body", limits.body_bytes, "bytes")
    if length is not None and len(body) < length:
        _check_time(connection, deadlines)
        raise InvalidBody(f"expected {length:,} bytes. Received: {len(body):,}")
    if connection is not None:
        deadlines.forget(connection)
    return body


def _check_time(connection: socket.socket | None, deadlines: Deadlines) -> None:
    """Tell a body that was cut off at its deadline from one that the client broke off."""
    if connection is not None and not deadlines.forget(connection):
        raise RequestTimeout(f"body: expected within {deadlines.seconds:g} seconds")


def _decoded(body: bytes) -> bytes:
    """The body in UTF-8, without a byte order mark."""
    if body.startswith(codecs.BOM_UTF8):
        return body[len(codecs.BOM_UTF8) :]
    for mark, name in _OTHER_MARKS.items():
        if body.startswith(mark):
            raise InvalidBody(f"expected UTF-8. Received: {name}")
    # JSON begins with two characters of ASCII, or with one (RFC 4627, section 3).
    if b"\0" in body[:2]:
        name = "UTF-32" if body[:4].count(0) == 3 else "UTF-16"
        raise InvalidBody(f"expected UTF-8. Received: what seems to be {name}")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        # Surrogates that were encoded one by one are told by the parser.
        raise InvalidBody(
            "expected UTF-8. Received: another encoding, such as Latin-1 or Windows-1252 "
            f"(byte 0x{body[error.start]:02x} at {error.start:,})"
        ) from None
    return body
