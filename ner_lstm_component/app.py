"""The HTTP endpoint: ``POST /predict`` gives the entities of a text or of given tokens.

``flask run`` finds it through ``wsgi.py``; other servers call :func:`create_app`. Needs
what the extra ``serve`` installs.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
from pathlib import Path
from typing import Annotated, Any

import spacy
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import is_package

from .component import LSTMEntityRecognizer
from .tags import OUTSIDE

try:
    from flask import Flask, Response, jsonify, request
    from flask.json.provider import DefaultJSONProvider
    from werkzeug.exceptions import (
        BadRequest,
        HTTPException,
        RequestEntityTooLarge,
        UnsupportedMediaType,
    )
    from werkzeug.wrappers import Response as WSGIResponse
except ImportError as error:
    raise ImportError(
        "The HTTP endpoint needs Flask, which is not installed; "
        "run: pip install 'ner-lstm-component[serve]'"
    ) from error

MODEL_VARIABLE = "NER_LSTM_MODEL"
PACKAGE = "en_ner_lstm"
TRAINED = Path("training/model-best")

logger = logging.getLogger(__name__)

Word = Annotated[str, StringConstraints(min_length=1)]


class ModelError(ValueError):
    """There is no pipeline to serve. The message says what was looked for, and what to do."""


class PredictRequest(BaseModel):
    """The body of ``POST /predict``: exactly one of ``sentence`` and ``text``.

    :param sentence: tokens, which are kept as they are.
    :param text: text, which the pipeline's tokenizer splits.
    :param probabilities: whether the answer to ``text`` has ``prediction`` too.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    sentence: list[Word] = []
    text: str = ""
    probabilities: bool = False

    @model_validator(mode="after")
    def _one_input(self) -> PredictRequest:
        if len(self.model_fields_set & {"sentence", "text"}) != 1:
            raise ValueError("expected exactly one of 'sentence' and 'text'")
        return self

    @property
    def is_tokenized(self) -> bool:
        """Whether the input is ``sentence``."""
        return "sentence" in self.model_fields_set


class Tagger:
    """A loaded pipeline that tags one request at a time.

    :param nlp: the pipeline.
    :raises ModelError: if it has no component ``ner_lstm``.
    """

    def __init__(self, nlp: Language) -> None:
        self.nlp = nlp
        self.component = _find_component(nlp)
        # A memory zone belongs to the whole vocab: two at a time would free each other's
        # strings. Within one, the words of a request are forgotten after it.
        self._lock = threading.Lock()

    def tag(self, wanted: PredictRequest) -> dict[str, Any]:
        """The answer to a request."""
        with self._lock, self.nlp.memory_zone():
            doc = self.nlp(self._doc(wanted))
            (probabilities,) = self.component.probabilities([doc])
            answer = {
                "tokens": [token.text for token in doc],
                "tags": _iob2_tags(doc),
                "ents": [
                    _entity(ent, score)
                    for ent, score in zip(doc.ents, probabilities.entities, strict=True)
                ],
                "labels": list(self.component.tags),
            }
            if wanted.is_tokenized or wanted.probabilities:
                answer["prediction"] = probabilities.tags.tolist()
            return answer

    def _doc(self, wanted: PredictRequest) -> Doc:
        if wanted.is_tokenized:
            return Doc(self.nlp.vocab, words=wanted.sentence)
        return self.nlp.make_doc(wanted.text)


def create_app(model: Language | str | Path | None = None) -> Flask:
    """The Flask application. The pipeline is loaded here, once.

    :param model: a loaded pipeline, the path of one, or the name of an installed one. By
        default what the environment variable ``NER_LSTM_MODEL`` names, else the package
        ``en_ner_lstm`` if it is installed, else ``training/model-best``.
    :raises ModelError: if there is no such pipeline, it cannot be loaded, or it has no
        component ``ner_lstm``.
    """
    tagger = Tagger(model if isinstance(model, Language) else _load(model))
    # The first call starts the runtime: that time belongs to the start, not to a request.
    tagger.tag(PredictRequest(text="."))
    logger.info("Ready: %s, labels %s", tagger.nlp.meta["name"], tagger.component.labels)

    app = Flask(__name__)
    app.json = _JSON(app)
    app.register_error_handler(HTTPException, _problem)

    @app.post("/predict")
    def predict() -> Response:
        wanted = _read_request()
        _check_length(wanted, tagger.nlp.max_length)
        return jsonify(tagger.tag(wanted))

    return app


# -- the pipeline


def _load(model: str | Path | None) -> Language:
    source = model or os.environ.get(MODEL_VARIABLE) or _default_model()
    try:
        return spacy.load(source)
    # Whatever is wrong with a folder's files comes out of the libraries that read them.
    except Exception as error:
        raise ModelError(
            f"The pipeline {str(source)!r} cannot be loaded. Expected: the folder of a trained "
            f"pipeline, or the name of an installed one; see also {MODEL_VARIABLE}. "
            f"Received: {error}"
        ) from error


def _default_model() -> str | Path:
    if is_package(PACKAGE):
        return PACKAGE
    if TRAINED.is_dir():
        return TRAINED
    raise ModelError(
        f"There is no pipeline to serve: {MODEL_VARIABLE} is not set, the package {PACKAGE} is "
        f"not installed, and there is no folder {TRAINED}. Train one (spacy project run "
        f"train), or set {MODEL_VARIABLE} to the folder of one or the name of a package."
    )


def _find_component(nlp: Language) -> LSTMEntityRecognizer:
    names = [name for name, factory in nlp.pipe_factories.items() if factory == "ner_lstm"]
    if not names:
        raise ModelError(
            f"The pipeline {nlp.meta['name']!r} cannot be served: expected a component made by "
            f"the factory 'ner_lstm'. Received: {', '.join(nlp.pipe_names) or 'none'}"
        )
    return nlp.get_pipe(names[0])


# -- the request


def _read_request() -> PredictRequest:
    if not request.is_json:
        raise UnsupportedMediaType(
            f"Content-Type: expected application/json. Received: {request.mimetype or 'none'}"
        )
    try:
        return PredictRequest.model_validate_json(request.get_data())
    except ValidationError as error:
        raise _InvalidRequest(error) from None


class _InvalidRequest(BadRequest):
    """A body that is not a :class:`PredictRequest`."""

    def __init__(self, error: ValidationError) -> None:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        self.errors = [_field_error(details) for details in errors]
        super().__init__("; ".join(f"{e['field']}: {e['message']}" for e in self.errors))


def _field_error(details: ErrorDetails) -> dict[str, str]:
    """Name the field as ``sentence[2]``; ``body`` is the request as a whole."""
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in details["loc"])
    message = details["msg"].removeprefix("Value error, ")
    return {"field": field.removeprefix(".") or "body", "message": message}


def _check_length(wanted: PredictRequest, max_length: int) -> None:
    if len(wanted.text) > max_length:
        raise RequestEntityTooLarge(
            f"text: expected at most {max_length:,} characters. Received: {len(wanted.text):,}"
        )


# -- the answer


class _JSON(DefaultJSONProvider):
    sort_keys = False


def _iob2_tags(doc: Doc) -> list[str]:
    return [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else OUTSIDE for token in doc]


def _entity(ent: Span, score: float) -> dict[str, Any]:
    """An entity as JSON. One that the network does not know has no score."""
    return {
        "text": ent.text,
        "label": ent.label_,
        "start": ent.start_char,
        "end": ent.end_char,
        "token_start": ent.start,
        "token_end": ent.end,
        "score": None if math.isnan(score) else float(score),
    }


def _problem(error: HTTPException) -> WSGIResponse:
    """An error as ``application/problem+json`` (RFC 9457)."""
    problem: dict[str, Any] = {
        "title": error.name,
        "status": error.code,
        "detail": error.description,
    }
    if isinstance(error, _InvalidRequest):
        problem["errors"] = error.errors
    response = error.get_response()
    response.set_data(json.dumps(problem))
    response.content_type = "application/problem+json"
    return response
