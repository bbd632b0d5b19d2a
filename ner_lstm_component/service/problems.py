"""Answers to failed requests: problems in JSON (RFC 9457) that name the field."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError
from werkzeug.wrappers import Response

from ..logs import fields, request_id

_MAX_ERRORS, _MAX_NAME = 10, 100  # limit how much of a body the answer repeats

logger = logging.getLogger(__name__)


class InvalidBody(BadRequest):
    """A body that cannot be read, or that the schema does not allow."""

    def __init__(self, error: str | ValidationError) -> None:
        self.errors = [{"field": "body", "message": str(error)}]
        if isinstance(error, ValidationError):
            found = error.errors(include_url=False, include_input=False, include_context=False)
            self.errors = [
                {"field": _field_name(details["loc"]), "message": details["msg"]}
                for details in found[:_MAX_ERRORS]
            ]
        super().__init__("; ".join(f"{e['field']}: {e['message']}" for e in self.errors))


def _field_name(location: tuple[int | str, ...]) -> str:
    """Return the name of a field, such as ``sentence[2]``, or ``body`` for the whole request."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")[:_MAX_NAME] or "body"


def answer(error: HTTPException) -> Response:
    """Answer a failed request with a problem."""
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": error.name,
        "status": error.code,
        "detail": error.description or error.name,
        "request_id": request_id.get(),
    }
    if hasattr(error, "errors"):
        problem["errors"] = error.errors
    response = error.get_response()
    response.data, response.content_type = to_json(problem), "application/problem+json"
    return response


def answer_unexpected(error: Exception) -> Response:
    """Log an error, without its message at most levels, and answer with a 500."""
    # The exception's message may contain the user's text.
    stack = traceback.format_tb(error.__traceback__)
    logger.error("Failed: %s", type(error).__name__, extra=fields(stack=stack))
    logger.debug("The message of this error", exc_info=error)
    return answer(
        InternalServerError("The server has failed; its log tells more under this request id.")
    )
