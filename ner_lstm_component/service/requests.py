"""What goes around every request: its id, its line in the log, its figures, safe headers.

It is around Flask, not within: what Flask does for each header that is set, and each time that
the request is looked up, took as long as all else of it.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from ..logs import fields, request_id
from .metrics import Metrics

HEADER = "X-Request-ID"
# Where in a request's WSGI environment its handler puts the figures that are logged.
SIZES = "ner_lstm.sizes"
_SECURITY = [
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]
_NO_STORE = ("Cache-Control", "no-store")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

logger = logging.getLogger(__name__)


def register(app: Flask, metrics: Metrics) -> None:
    """Have an application identify, log, count and protect its requests."""
    answer = app.wsgi_app
    # Of the operating system's, ids would take a system call each.
    numbers = random.Random()

    def around(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID", "")
        own = given if _ID.fullmatch(given) else f"{numbers.getrandbits(128):032x}"
        request_id.set(own)
        metrics.begin()

        def end(status: str, headers: Headers, *error: Any) -> Any:
            _read_rest(environ)
            seconds = time.perf_counter() - start
            rule = _rule(environ)
            metrics.end(environ["REQUEST_METHOD"], rule, status[:3], seconds)
            if logger.isEnabledFor(logging.INFO):
                _log(environ, rule, int(status[:3]), seconds)
            added = [*headers, (HEADER, own), *_SECURITY]
            if all(name != _NO_STORE[0] for name, _ in headers):
                added.append(_NO_STORE)
            return start_response(status, added, *error)

        return answer(environ, end)

    app.wsgi_app = around  # type: ignore[method-assign]


def _rule(environ: Environ) -> str | None:
    """The rule of the path, not the path itself, which a client may have put a text into."""
    rule = environ["werkzeug.request"].url_rule
    return rule.rule if rule else None


def _log(environ: Environ, rule: str | None, status: int, seconds: float) -> None:
    of_request = fields(
        method=environ["REQUEST_METHOD"] if rule else None,
        endpoint=rule,
        status=status,
        milliseconds=round(seconds * 1000, 3),
        bytes=environ["werkzeug.request"].content_length,
        **environ.get(SIZES, {}),
    )
    logger.info("Request", extra=of_request)


# What is left unread of a refused body, at most, before its connection is given up.
_MAX_REST = 16_777_216
_CHUNK = 65_536


def _read_rest(environ: Environ) -> None:
    """Read what was refused unread: the server would close the connection on it unannounced.

    The client's next request on that connection would then be lost. Only where the server
    says that its input ends with the body.
    """
    if environ.get("wsgi.input_terminated"):
        stream = environ["wsgi.input"]
        for _ in range(_MAX_REST // _CHUNK):
            if not stream.read(_CHUNK):
                break
