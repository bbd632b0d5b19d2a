"""The HTTP service as a Flask application, for WSGI servers. `service` implements it.

``flask run`` finds it through ``wsgi.py``, and other servers call :func:`create_app`. Requires the
extra ``serve``.
"""

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
