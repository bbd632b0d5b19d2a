"""The HTTP service as a Flask application, for WSGI servers.

``wsgi.py`` serves it with ``flask run``, and ``ner-lstm serve`` with gunicorn; other servers call
:func:`create_app`. Needs the packages of the extra ``serve``.
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
