"""The frame of every request: its id, its record in the log, its figures, safe headers."""

from __future__ import annotations

import logging
import re
import socket
import time
import uuid

from flask import Flask, Response, g, request

from ..logs import fields, request_id
from .body import CONNECTION
from .deadlines import Deadlines
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


def register(app: Flask, metrics: Metrics, deadlines: Deadlines) -> None:
    """Make an application identify, log, count, bound and protect its requests."""

    @app.before_request
    def begin() -> None:
        g.start = time.perf_counter()
        given = request.headers.get(HEADER, "")
        g.request_id = request_id.set(given if _ID.fullmatch(given) else uuid.uuid4().hex)
        metrics.in_progress.inc()
        if CONNECTION in request.environ:
            deadlines.forget(request.environ[CONNECTION])

    @app.after_request
    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - g.start
        # The rule of the path, not the path itself, which a client may have put a text into.
        rule = request.url_rule.rule if request.url_rule else None
        metrics.answered(request.method, rule, response.status_code, seconds)
        record = fields(
            method=request.method if rule else None,
            endpoint=rule,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 3),
            bytes=request.content_length,
            **g.get("sizes", {}),
        )
        logger.info("Request", extra=record)
        response.headers.extend({HEADER: request_id.get(), **_SECURITY})
        response.headers.setdefault("Cache-Control", "no-store")
        _bound_sending(response, deadlines)
        return response

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        # Last and always, also where the client has gone: the thread's next record is another's.
        metrics.in_progress.dec()
        request_id.reset(g.request_id)


def _bound_sending(response: Response, deadlines: Deadlines) -> None:
    """Cut off a connection whose client does not take its answer in time."""
    connection = request.environ.get(CONNECTION)
    if connection is not None:
        # Else a file would be sent without its response being closed.
        response.direct_passthrough = False
        deadlines.watch(connection, socket.SHUT_RDWR)
        response.call_on_close(lambda: deadlines.forget(connection))
