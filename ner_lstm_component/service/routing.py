"""Which handler a request goes to: what was found for one holds for the next like it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flask import Flask, Request
from werkzeug.routing import MapAdapter

# Kinds of requests that are remembered.
KINDS = 256
# All that werkzeug looks at to find a handler.
_KIND = (
    "REQUEST_METHOD",
    "PATH_INFO",
    "SCRIPT_NAME",
    "QUERY_STRING",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "wsgi.url_scheme",
    "HTTP_CONNECTION",
    "HTTP_UPGRADE",
)


class RoutedFlask(Flask):
    """Flask, which does not look up again what it has for a request of the same kind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adapters: dict[tuple[str | None, ...], MapAdapter] = {}

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What finds the handler of a request.

        :raises werkzeug.exceptions.SecurityError: if there can be no such host.
        """
        if request is None:
            return super().create_url_adapter(None)
        kind = tuple(map(request.environ.get, _KIND))
        adapter = self._adapters.get(kind)
        if adapter is None:
            adapter = super().create_url_adapter(request)
            assert adapter is not None
            # Errors are not kept.
            adapter.match = lru_cache(adapter.match)  # type: ignore[method-assign]
            if len(self._adapters) >= KINDS:
                self._adapters.clear()
            self._adapters[kind] = adapter
        return adapter
