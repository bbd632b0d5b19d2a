"""The HTTP service as a Flask application, for ``wsgi.py`` and WSGI servers."""

from __future__ import annotations

try:
    from .service.application import create_app
    from .service.limits import Limits
    from .service.models import ModelError
except ImportError as error:
    raise ImportError(
        f"The HTTP service needs {error.name}, which is not installed; "
        "run: pip install 'ner-lstm-component[serve]'"
    ) from error

__all__ = ["Limits", "ModelError", "create_app"]
