"""Origins whose pages may use the service (CORS)."""

from __future__ import annotations

from collections.abc import Sequence


def check_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """Refuse what is no origin, and would never match one.

    :raises ValueError: unless each is a scheme, a host and perhaps a port, or ``*``.
    """
    for origin in origins:
        scheme, separator, host = origin.partition("://")
        is_origin = (
            scheme in ("http", "https") and separator and host and not set(host) & set("/*?")
        )
        if origin != "*" and not is_origin:
            raise ValueError(
                "An origin is a scheme, a host and perhaps a port, such as https://example.com, "
                f"or * for all. Received: {origin!r}"
            )
    return tuple(origins)
