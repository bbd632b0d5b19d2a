"""The Flask application, put together from its parts."""

from __future__ import annotations

import logging
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from flask_cors import CORS
from pydantic_core import to_json
from spacy.language import Language
from werkzeug.middleware.proxy_fix import ProxyFix

from .. import __version__, logs
from . import CLIENT_TIMEOUT, problems, requests
from .body import read_request
from .deadlines import Deadlines
from .limits import Limits
from .metrics import Metrics
from .models import legend, load_pipeline, network_runtime
from .pages import pages, swagger_ui
from .schema import openapi_document
from .tagger import Tagger

logger = logging.getLogger(__name__)


def create_app(
    model: Language | str | Path | None = None,
    *,
    limits: Limits | None = None,
    client_timeout: float = CLIENT_TIMEOUT,
    proxies: int = 0,
    cors_origins: Sequence[str] = (),
    is_stopping: Callable[[], bool] | None = None,
) -> Flask:
    """Create the application. The pipeline is loaded here, once, and run for the first time.

    :param model: a loaded pipeline, the path of one, or the name of an installed one. By
        default what the environment variable ``NER_LSTM_MODEL`` names, else the package
        ``en_ner_lstm`` if it is installed, else ``training/model-best``.
    :param limits: how large a request may be.
    :param client_timeout: seconds for a client to send its body, and to receive its answer.
    :param proxies: how many proxies in front set ``X-Forwarded-For``, ``-Proto``, ``-Host`` and
        ``-Prefix``; with 0 these headers are ignored.
    :param cors_origins: whose pages may use it: origins, or ``*``. Never with credentials.
    :param is_stopping: tells whether the server has begun to stop, for ``/readyz``.
    :raises .models.ModelError: if there is no such pipeline, it cannot be loaded, or it has no
        component ``ner_lstm``.
    """
    limits = limits or Limits()
    start = time.perf_counter()
    nlp = model if isinstance(model, Language) else load_pipeline(model)
    tagger = Tagger(nlp, limits)
    tagger.warm_up()
    served = _version(tagger)
    seconds = round(time.perf_counter() - start, 3)
    logger.info("Ready", extra=logs.fields(**served, seconds=seconds))

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # One more: a body without a length is cut there in silence.
    app.config["MAX_CONTENT_LENGTH"] = limits.body_bytes + 1
    metrics, deadlines = Metrics(), Deadlines(client_timeout)
    requests.register(app, metrics, deadlines)
    problems.register(app)
    app.register_blueprint(pages)
    app.register_blueprint(swagger_ui)
    if cors_origins:
        # Patterns, for which flask_cors takes whatever has a sign of one in it.
        origins = [".*" if one == "*" else re.escape(one) + r"\Z" for one in cors_origins]
        CORS(app, origins=origins, expose_headers=requests.HEADER)
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies
        )
    document = openapi_document(limits)

    @app.post("/predict")
    def predict() -> Response:
        wanted = read_request(limits, deadlines)
        tagged = tagger.tag(wanted)
        metrics.tagged(tagged)
        g.sizes = tagged.sizes
        answer = tagged.predictions if wanted.is_list else tagged.predictions[0]
        return Response(to_json(answer, inf_nan_mode="null"), content_type="application/json")

    @app.get("/openapi.json")
    def openapi() -> dict[str, Any]:
        return {**document, "servers": [{"url": request.script_root or "/"}]}

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        # There is no application before its pipeline has been loaded and run.
        if is_stopping is not None and is_stopping():
            return {"status": "stopping"}, 503
        return {"status": "ready"}, 200

    @app.get("/version")
    def get_version() -> dict[str, Any]:
        return served

    @app.get("/metrics")
    def get_metrics() -> Response:
        return Response(metrics.exposition(), content_type="text/plain; version=0.0.4")

    return app


def _version(tagger: Tagger) -> dict[str, Any]:
    meta, component = tagger.nlp.meta, tagger.component
    return {
        "name": f"{meta['lang']}_{meta['name']}",
        "version": meta["version"],
        "package": __version__,
        "labels": list(component.labels),
        "legend": legend(meta, component.labels),
        "threshold": component.threshold,
        "runtime": {
            "python": platform.python_version(),
            "spacy": version("spacy"),
            "onnxruntime": getattr(sys.modules.get("onnxruntime"), "__version__", None),
            "network": network_runtime(component),
        },
    }
