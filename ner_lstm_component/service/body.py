"""Reading the body of a request: its encoding, its length, and how long it may take."""

from __future__ import annotations

import codecs
import json
import socket

from flask import request
from pydantic import ValidationError
from werkzeug.exceptions import RequestTimeout, UnsupportedMediaType

from .deadlines import Deadlines
from .limits import Limits, TooLarge
from .problems import InvalidBody
from .schema import PredictRequest

# Where gunicorn keeps the connection of a request. Servers that buffer bodies need no deadline.
CONNECTION = "gunicorn.socket"

_UTF_8 = {"", "utf-8", "utf8", "us-ascii", "ascii"}


def read_request(limits: Limits, deadlines: Deadlines) -> PredictRequest:
    """Read and validate the body of `POST /predict`.

    :raises werkzeug.exceptions.HTTPException: 400, 408, 413 or 415, which say why.
    """
    _check_headers()
    body = _decoded(_read(limits, deadlines))
    try:
        return PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise InvalidBody(error) from None


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
    encoding = json.detect_encoding(body)
    if encoding == "utf-8-sig":
        return body.removeprefix(codecs.BOM_UTF8)
    if encoding != "utf-8":
        raise InvalidBody(f"expected UTF-8. Received: what seems to be {encoding.upper()}")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise InvalidBody(
            "expected UTF-8. Received: another encoding, such as Latin-1 or Windows-1252 "
            f"(byte 0x{body[error.start]:02x} at {error.start:,})"
        ) from None
    return body
