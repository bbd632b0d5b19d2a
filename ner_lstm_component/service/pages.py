"""Pages for people: the one at ``/``, and the API's documentation at ``/docs``.

Everything they need is served from here, and no page has scripts or styles of its own
within: the content security policy allows files of this server alone.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, redirect, request, send_from_directory
from werkzeug.wrappers import Response
from flask_swagger_ui import get_swaggerui_blueprint

PAGE = Path(__file__).parent / "page"
DOCS = Path(__file__).parent / "docs"

pages = Blueprint("pages", __name__)
# Its own page has a script within: only the files beside it are used.
swagger_ui = get_swaggerui_blueprint("/docs/swagger-ui", "/openapi.json")


@pages.get("/")
def index() -> Response:
    """The page."""
    if not request.environ["PATH_INFO"]:
        # Behind a prefix: links of the page are relative to what ends in a slash.
        return redirect(f"{request.script_root}/")
    return send_from_directory(PAGE, "index.html")


@pages.get("/page/<path:name>")
def page_file(name: str) -> Response:
    """What the page consists of."""
    return send_from_directory(PAGE, name)


@pages.get("/docs")
def docs() -> Response:
    """The API's documentation."""
    return send_from_directory(DOCS, "index.html")


@pages.get("/docs/<name>")
def docs_file(name: str) -> Response:
    """What the documentation's page consists of."""
    return send_from_directory(DOCS, name)
