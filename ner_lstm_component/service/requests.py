"""Hooks for every request: its id, log record, metrics, deadline and security headers."""

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

logger = logging.getLogger(__name__)


def register(app: Flask, metrics: Metrics, deadlines: Deadlines) -> None:
    """Register the hooks before and after each request of an application."""

    @app.before_request
    def begin() -> None:
        g.start = time.perf_counter()
        given = re.fullmatch(r"[A-Za-z0-9._-]{1,64}", request.headers.get(HEADER, ""))
        g.request_id = request_id.set(given[0] if given else uuid.uuid4().hex)
        metrics.in_progress.inc()
        deadlines.forget(request.environ.get(CONNECTION))

    @app.after_request
    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - g.start
        # A client may have put a text into the path, but not into the rule that matches it.
        rule = request.url_rule.rule if request.url_rule else None
        metrics.count_request(request.method, rule, response.status_code, seconds)
        record = {
            "method": request.method if rule else None,
            "endpoint": rule,
            "status": response.status_code,
            "milliseconds": round(seconds * 1000, 3),
            "bytes": request.content_length,
        }
        logger.info("Request", extra=fields(**record, **g.get("sizes", {})))
        response.headers.extend({HEADER: request_id.get(), **_SECURITY})
        response.headers.setdefault("Cache-Control", "no-store")
        connection = request.environ.get(CONNECTION)
        deadlines.watch(connection, socket.SHUT_RDWR)
        response.call_on_close(lambda: deadlines.forget(connection))
        response.direct_passthrough = False  # a file would be sent without closing the response
        return response

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        # This runs even if the client has disconnected. The thread then serves another request.
        metrics.in_progress.dec()
        request_id.reset(g.request_id)
