"""The Flask application."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from flask_cors import CORS
from pydantic_core import to_json
from spacy.language import Language
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from .. import logs
from . import CLIENT_TIMEOUT, problems, requests
from .body import read_request
from .deadlines import Deadlines
from .limits import Limits
from .metrics import Metrics
from .models import describe, find_component, load_pipeline
from .pages import pages, swagger_ui
from .responses import Tagger
from .schema import openapi_document

logger = logging.getLogger(__name__)


def create_app(
    model: Language | str | Path | None = None,
    *,
    limits: Limits | None = None,
    client_timeout: float = CLIENT_TIMEOUT,
    proxies: int = 0,
    cors_origins: Sequence[str] = (),
    precision: str | None = None,
    is_stopping: Callable[[], bool] | None = None,
) -> Flask:
    """Create the application. This loads the pipeline and tags a first text with it.

    :param model: a loaded pipeline, a pipeline's path, or an installed package's name. Defaults to
        the environment variable ``NER_LSTM_MODEL``, then to the package ``en_ner_lstm`` if it is
        installed, then to ``training/model-best``.
    :param limits: the maximum size of a request, or None for the default limits.
    :param client_timeout: the seconds a client has to send its body, and to receive its answer.
    :param proxies: the number of trusted proxies that set ``X-Forwarded-*`` headers.
    :param cors_origins: origins whose pages may use the service without credentials; ``*`` allows
        all origins.
    :param precision: the network's precision, or None for that of the pipeline.
    :param is_stopping: a function for ``/readyz`` that returns whether the server is stopping.
    :raises .models.ModelError: if the pipeline is missing, or cannot be loaded or run.
    """
    limits = limits or Limits()
    start = time.perf_counter()
    nlp = model if isinstance(model, Language) else load_pipeline(model)
    if precision is not None:
        find_component(nlp).precision = precision
    tagger = Tagger(nlp, limits)
    description = describe(nlp, tagger.component)
    seconds = round(time.perf_counter() - start, 3)
    logger.info("Ready", extra=logs.fields(**description, seconds=seconds))

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # Werkzeug cuts a body without a length at this size. One more byte shows that it is too long.
    app.config["MAX_CONTENT_LENGTH"] = limits.body_bytes + 1
    metrics, deadlines = Metrics(), Deadlines(client_timeout)
    requests.register(app, metrics, deadlines)
    app.register_error_handler(HTTPException, problems.answer)
    app.register_error_handler(Exception, problems.answer_unexpected)
    app.register_blueprint(pages)
    app.register_blueprint(swagger_ui)
    if cors_origins:
        # flask_cors treats an origin that looks like a regular expression as one.
        origins = [".*" if one == "*" else re.escape(one) + r"\Z" for one in cors_origins]
        CORS(app, origins=origins, expose_headers=requests.HEADER)
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies
        )
    document = openapi_document(limits)

    @app.post("/predict")
    def predict() -> Response:
        body = read_request(limits, deadlines)
        predictions, g.sizes = tagger.tag(body)
        metrics.count_predictions(predictions, g.sizes["tokens"])
        answer = predictions if body.is_list else predictions[0]
        return Response(to_json(answer, inf_nan_mode="null"), content_type="application/json")

    @app.get("/openapi.json")
    def openapi() -> dict[str, Any]:
        return {**document, "servers": [{"url": request.script_root or "/"}]}

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        # The application exists only once its pipeline has been loaded and run.
        if is_stopping and is_stopping():
            return {"status": "stopping"}, 503
        return {"status": "ready"}, 200

    @app.get("/version")
    def version() -> dict[str, Any]:
        return description

    @app.get("/metrics")
    def get_metrics() -> Response:
        return Response(metrics.exposition(), content_type="text/plain; version=0.0.4")

    return app
