"""The page at ``/``, and the API's documentation at ``/docs``, with relative links only."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from flask_swagger_ui import get_swaggerui_blueprint
from werkzeug.wrappers import Response

pages = Blueprint("pages", __name__, static_folder="page", static_url_path="/page")
# Only the static files of this blueprint are used, because its page has an inline script.
swagger_ui = get_swaggerui_blueprint("/docs/swagger-ui", "/openapi.json")


@pages.get("/")
def index() -> Response:
    if not request.environ["PATH_INFO"]:
        # If a proxy adds a prefix, relative links need the slash.
        return redirect(f"{request.script_root}/")
    return pages.send_static_file("index.html")


@pages.get("/docs")
def docs() -> Response:
    return pages.send_static_file("docs.html")
