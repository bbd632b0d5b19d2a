"""Answers to requests that fail: problems as JSON (RFC 9457) that name the field."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

from flask import Flask, Response
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError

from ..logs import fields, request_id
from .schema import FieldError, Problem

MEDIA_TYPE = "application/problem+json"
# How much of what a client sent is repeated in the answer.
_MAX_ERRORS = 10
_MAX_NAME = 100

logger = logging.getLogger(__name__)


class InvalidBody(BadRequest):
    """A body that cannot be read as JSON.

    :param message: what is wrong with it.
    """

    def __init__(self, message: str) -> None:
        self.errors = [{"field": "body", "message": message}]
        super().__init__(f"body: {message}")


class InvalidRequest(BadRequest):
    """A body that the schema does not allow.

    :param error: what the schema says of it.
    :param body: the body.
    """

    def __init__(self, error: ValidationError, body: bytes) -> None:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        self.errors = [_field_error(details) for details in found[:_MAX_ERRORS]]
        if found[0]["type"] == "json_invalid":
            self.errors = [_surrogate_error(body) or self.errors[0]]
        super().__init__("; ".join(f"{e['field']}: {e['message']}" for e in self.errors))


def _field_error(details: ErrorDetails) -> dict[str, str]:
    # The first part of a location is the kind of request, which is the name of its input.
    field = _field_name(details["loc"][1:])
    return {"field": field, "message": details["msg"]}


def _field_name(location: tuple[int | str, ...]) -> str:
    """A field as ``sentence[2]``; ``body`` is the request as a whole."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return _printable("".join(parts).removeprefix("."))[:_MAX_NAME] or "body"


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _surrogate_error(body: bytes) -> dict[str, str] | None:
    """Find half of a surrogate pair, which the JSON parser refuses without naming the field."""
    try:
        pending: list[tuple[tuple[int | str, ...], Any]] = [((), json.loads(body))]
    except (ValueError, RecursionError):
        return None
    while pending:
        location, value = pending.pop()
        if isinstance(value, str):
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                message = f"expected text. Received: a lone surrogate, at character {error.start}"
                return {"field": _field_name(location), "message": message}
        elif isinstance(value, dict):
            for key, part in value.items():
                pending += [((*location, key), part), ((*location, key), key)]
        elif isinstance(value, list):
            pending += [((*location, index), part) for index, part in enumerate(value)]
    return None


def register(app: Flask) -> None:
    """Make an application answer failed requests with problems."""
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(Exception, _unexpected)


def _problem(error: HTTPException) -> Response:
    problem = Problem(
        title=error.name,
        status=error.code or 500,
        detail=error.description or error.name,
        request_id=request_id.get(),
        errors=[FieldError(**one) for one in getattr(error, "errors", [])] or None,
    )
    response = Response(problem.model_dump_json(), problem.status, content_type=MEDIA_TYPE)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    # Without the exception's message, which may hold the user's text.
    logger.error(
        "Failed: %s",
        type(error).__name__,
        extra=fields(stack=traceback.format_tb(error.__traceback__)),
    )
    logger.debug("The message of this error", exc_info=error)
    return _problem(
        InternalServerError("The server has failed; its log tells more under this request id.")
    )
