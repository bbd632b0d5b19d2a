"""Reading the body of a request: its encoding, its length, and the time it takes to arrive."""

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

# The WSGI variable that contains gunicorn's connection.
CONNECTION = "gunicorn.socket"


def read_request(limits: Limits, deadlines: Deadlines) -> PredictRequest:
    """Read and validate the body of ``POST /predict``, or raise a 400, 408, 413 or 415."""
    _check_headers()
    body = _check_encoding(_read(limits, deadlines))
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
    # codecs.lookup() would cache every name that clients send.
    if charset.lower() not in ("", "utf-8", "utf8", "us-ascii", "ascii"):
        raise InvalidBody(f"expected UTF-8. Received: charset={charset[:100]}")


def _read(limits: Limits, deadlines: Deadlines) -> bytes:
    length = request.content_length
    if length is not None and length > limits.body_bytes:
        raise TooLarge("body", limits.body_bytes, "bytes", length)
    connection = request.environ.get(CONNECTION)
    deadlines.watch(connection, socket.SHUT_RD)
    problem = ""
    try:
        body = request.get_data(cache=False)
    # Each server raises its own exceptions if a body is cut off or malformed.
    except Exception:
        body, problem = b"", "it is malformed, or was cut off"
    in_time = deadlines.forget(connection)
    if len(body) > limits.body_bytes:
        raise TooLarge("body", limits.body_bytes, "bytes")
    if length is not None and len(body) < length:
        problem = problem or f"expected {length:,} bytes. Received: {len(body):,}"
    if problem and not in_time:
        raise RequestTimeout(f"body: expected within {deadlines.seconds:g} seconds")
    if problem:
        raise InvalidBody(problem)
    return body


def _check_encoding(body: bytes) -> bytes:
    """Return the body without a byte order mark, or raise a 400 if it is not UTF-8."""
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
