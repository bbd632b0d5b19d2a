"""What goes around every request: its id, its line in the log, its figures, safe headers."""

from __future__ import annotations

import logging
import re
import time
import uuid

from flask import Flask, Response, g, request

from ..logs import fields, request_id
from .metrics import Metrics

HEADER = "X-Request-ID"
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

logger = logging.getLogger(__name__)


def register(app: Flask, metrics: Metrics) -> None:
    """Have an application identify, log, count and protect its requests."""

    @app.before_request
    def begin() -> None:
        g.start = time.perf_counter()
        given = request.headers.get(HEADER, "")
        request_id.set(given if _ID.fullmatch(given) else uuid.uuid4().hex)
        metrics.begin()

    @app.after_request
    def end(response: Response) -> Response:
        _read_rest()
        seconds = time.perf_counter() - g.start
        rule = request.url_rule.rule if request.url_rule else None
        response.headers[HEADER] = request_id.get()
        for name, value in _SECURITY.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        metrics.end(request.method, rule, response.status_code, seconds)
        if logger.isEnabledFor(logging.INFO):
            # The rule, not the path, which a client may have put a text into.
            of_request = fields(
                method=request.method if rule else None,
                endpoint=rule,
                status=response.status_code,
                milliseconds=round(seconds * 1000, 3),
                bytes=request.content_length,
                **g.get("sizes", {}),
            )
            logger.info("Request", extra=of_request)
        return response


# What is left unread of a refused body, at most, before its connection is given up.
_MAX_REST = 16_777_216
_CHUNK = 65_536


def _read_rest() -> None:
    """Read what was refused unread: the server would close the connection on it unannounced.

    The client's next request on that connection would then be lost. Only where the server
    says that its input ends with the body.
    """
    if request.environ.get("wsgi.input_terminated"):
        stream = request.environ["wsgi.input"]
        for _ in range(_MAX_REST // _CHUNK):
            if not stream.read(_CHUNK):
                break
