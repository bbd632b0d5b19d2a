"""The OpenAPI document, put together from the models that validate and answer."""

from __future__ import annotations

from typing import Any

from openapi_pydantic import (
    Header,
    Info,
    MediaType,
    OpenAPI,
    Operation,
    PathItem,
    RequestBody,
    Response,
    Schema,
)
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class
from pydantic import BaseModel

from .. import __version__
from . import problems
from .limits import Limits
from .requests import HEADER
from .schema import Health, Predictions, PredictRequest, Problem, Version

_REFUSALS = {
    "400": "The body is not what is expected; `errors` names the fields.",
    "408": "The body did not come in time.",
    "413": "The request is beyond a limit, which `detail` names.",
    "415": "The content type is not `application/json`, or the body is compressed.",
}
_FAILURE = {"500": "The server has failed."}
_EXAMPLES = {
    "sentence": {"sentence": ["Sample", "sentence", "for", "NER", "prediction"]},
    "text": {"text": "Maria Costa of the World Bank flew from Nairobi to London."},
    "texts": {"texts": ["Maria flew to London.", "It rained."], "threshold": 0.5},
}


def document(limits: Limits) -> dict[str, Any]:
    """Write the document, as JSON values.

    :param limits: how large a request may be.
    """
    metrics = Operation(
        operationId="get_metrics",
        summary="Figures for Prometheus",
        responses={"200": _response("Text exposition format", "text/plain"), **_problems(_FAILURE)},
    )
    open_api = OpenAPI(
        info=Info(
            title="ner_lstm",
            version=__version__,
            description="Entities of a text, or of given tokens.",
        ),
        paths={
            "/predict": PathItem(post=_predict(limits)),
            "/healthz": PathItem(get=_get("healthz", "Whether the process answers", Health)),
            "/readyz": PathItem(get=_readyz()),
            "/version": PathItem(get=_get("version", "What is served", Version)),
            "/metrics": PathItem(get=metrics),
        },
    )
    found = construct_open_api_with_schema_class(open_api)
    values = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    _add_limits(values["components"]["schemas"], limits)
    return values


def _add_limits(schemas: dict[str, Any], limits: Limits) -> None:
    """Say of the inputs how much they may hold, which depends on the server's options."""
    for schema, field, keyword, limit in (
        ("SentenceRequest", "sentence", "maxItems", limits.tokens),
        ("SentencesRequest", "sentences", "maxItems", limits.texts),
        ("TextRequest", "text", "maxLength", limits.body_bytes),
        ("TextsRequest", "texts", "maxItems", limits.texts),
    ):
        schemas[schema]["properties"][field][keyword] = limit


def _predict(limits: Limits) -> Operation:
    body = MediaType.model_validate(
        {
            "schema": PydanticSchema(schema_class=PredictRequest),
            "examples": {name: {"value": value} for name, value in _EXAMPLES.items()},
        }
    )
    return Operation(
        operationId="predict",
        summary="Find entities",
        description=(
            "Takes one sentence (tokens) or text, and answers with one prediction; or a list of "
            "them, and answers with a list. A request has at most "
            f"{limits.body_bytes:,} bytes, {limits.texts:,} texts or sentences, and "
            f"{limits.tokens:,} tokens. In a text, at most {limits.word_characters:,} characters "
            "stand without white space between. All its words together count at most "
            f"{limits.scanned_characters:,}: each its characters, times eight more than those "
            "of them that are neither letters nor digits."
        ),
        requestBody=RequestBody(content={"application/json": body}, required=True),
        responses={
            "200": _response("What was found", "application/json", Predictions),
            **_problems(_REFUSALS | _FAILURE),
        },
    )


def _readyz() -> Operation:
    operation = _get("readyz", "Whether the server takes requests", Health)
    stopping = _response("The server has begun to stop.", "application/json", Health)
    return operation.model_copy(
        update={"responses": {**(operation.responses or {}), "503": stopping}}
    )


def _get(name: str, summary: str, model: type[BaseModel]) -> Operation:
    return Operation(
        operationId=f"get_{name}",
        summary=summary,
        responses={"200": _response("OK", "application/json", model), **_problems(_FAILURE)},
    )


def _problems(descriptions: dict[str, str]) -> dict[str, Response]:
    return {
        status: _response(description, problems.MEDIA_TYPE, Problem)
        for status, description in descriptions.items()
    }


def _response(description: str, media_type: str, model: type[BaseModel] | None = None) -> Response:
    schema = Schema(type="string") if model is None else PydanticSchema(schema_class=model)
    return Response(
        description=description,
        headers={HEADER: Header(description="The request's id", schema=Schema(type="string"))},
        content={media_type: MediaType.model_validate({"schema": schema})},
    )
