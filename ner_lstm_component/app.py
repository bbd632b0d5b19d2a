"""The HTTP service as a Flask application; `service` has its parts.

``flask run`` finds it through ``wsgi.py``, ``ner-lstm serve`` puts it behind gunicorn; other
servers call :func:`create_app`. Needs what the extra ``serve`` installs.
"""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from spacy.language import Language

try:
    from flask import Flask, Response, request
    from pydantic import ValidationError
    from pydantic_core import to_json
    from werkzeug.exceptions import (
        ClientDisconnected,
        RequestEntityTooLarge,
        UnsupportedMediaType,
    )

    from .service import openapi, problems, requests
    from .service.limits import Limits, TooLarge
    from .service.metrics import Metrics
    from .service.models import ModelError, load_pipeline, network_runtime
    from .service.pages import pages, swagger_ui
    from .service.routing import RoutedFlask
    from .service.schema import Health, PredictRequest, Runtime, Version
    from .service.tagger import Tagger
except ImportError as error:
    raise ImportError(
        f"The HTTP service needs {error.name}, which is not installed; "
        "run: pip install 'ner-lstm-component[serve]'"
    ) from error

from . import __version__, logs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Limits", "ModelError", "create_app"]

logger = logging.getLogger(__name__)


def create_app(
    model: Language | str | Path | None = None, *, limits: Limits | None = None
) -> Flask:
    """The Flask application. The pipeline is loaded here, once, and run for the first time.

    :param model: a loaded pipeline, the path of one, or the name of an installed one. By
        default what the environment variable ``NER_LSTM_MODEL`` names, else the package
        ``en_ner_lstm`` if it is installed, else ``training/model-best``.
    :param limits: how large a request may be.
    :raises ModelError: if there is no such pipeline, it cannot be loaded, or it has no
        component ``ner_lstm``.
    """
    limits = limits or Limits()
    start = time.perf_counter()
    nlp = model if isinstance(model, Language) else load_pipeline(model)
    tagger = Tagger(nlp, limits)
    tagger.warm_up()
    served = _version(tagger)
    logger.info(
        "Ready",
        extra=logs.fields(**served.model_dump(), seconds=round(time.perf_counter() - start, 3)),
    )

    app = RoutedFlask(__name__, static_folder=None)
    # One more, because a body without a length is cut there in silence.
    app.config["MAX_CONTENT_LENGTH"] = limits.body_bytes + 1
    metrics = Metrics()
    requests.register(app, metrics)
    problems.register(app)
    app.register_blueprint(pages)
    app.register_blueprint(swagger_ui)
    document = json.dumps(openapi.document())

    @app.post("/predict")
    def predict() -> Response:
        wanted = _read_request(limits)
        tagged = tagger.tag(wanted)
        metrics.tagged(tagged)
        request.environ[requests.SIZES] = {
            "texts": len(tagged.predictions),
            "tokens": tagged.n_tokens,
            "entities": sum(len(one["ents"]) for one in tagged.predictions),
        }
        predictions = tagged.predictions
        answer = predictions if wanted.is_list else predictions[0]
        return _JSON(to_json(answer, inf_nan_mode="null"))

    @app.get("/openapi.json")
    def open_api() -> Response:
        return _JSON(document)

    @app.get("/healthz")
    def healthz() -> Response:
        return _JSON(Health(status="ok").model_dump_json())

    @app.get("/readyz")
    def readyz() -> Response:
        # There is no application before its pipeline has been loaded and run.
        return _JSON(Health(status="ready").model_dump_json())

    @app.get("/version")
    def get_version() -> Response:
        return _JSON(served.model_dump_json())

    @app.get("/metrics")
    def get_metrics() -> Response:
        return Response(metrics.exposition(), content_type="text/plain; version=0.0.4")

    return app


class _JSON(Response):
    """A body in one piece, for which nothing of what werkzeug looks for is to be done."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text, content_type="application/json")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it."""
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return self.response  # type: ignore[return-value]


def _read_request(limits: Limits) -> PredictRequest:
    # Asked first for what nearly all send, because werkzeug takes the header to pieces.
    if request.environ.get("CONTENT_TYPE") != "application/json" and not request.is_json:
        raise UnsupportedMediaType(
            f"Content-Type: expected application/json. Received: {request.mimetype or 'none'}"
        )
    body = _read_body(limits)
    try:
        return PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise problems.InvalidRequest(error, body) from None


def _read_body(limits: Limits) -> bytes:
    length = request.content_length
    if length is not None and length <= limits.body_bytes:
        # request.get_data() would be safe as well, but takes several times as long.
        body = request.environ["wsgi.input"].read(length)
        if len(body) < length:
            raise ClientDisconnected
        return body
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        body = None
    if body is None or len(body) > limits.body_bytes:
        raise TooLarge("body", limits.body_bytes, "bytes", length)
    return body


def _version(tagger: Tagger) -> Version:
    meta = tagger.nlp.meta
    try:
        onnxruntime = version("onnxruntime")
    except PackageNotFoundError:
        onnxruntime = None
    return Version(
        name=f"{meta['lang']}_{meta['name']}",
        version=meta["version"],
        package=__version__,
        labels=list(tagger.component.labels),
        threshold=tagger.component.threshold,
        runtime=Runtime(
            python=platform.python_version(),
            spacy=version("spacy"),
            onnxruntime=onnxruntime,
            network=network_runtime(tagger.component),
        ),
    )
