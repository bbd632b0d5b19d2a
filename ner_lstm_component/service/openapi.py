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
from .requests import HEADER
from .schema import Health, Predictions, PredictRequest, Problem, Version

_REFUSALS = {
    "400": "The body is not what is expected; `errors` names the fields.",
    "413": "The request is beyond a limit, which `detail` names.",
    "415": "The content type is not `application/json`.",
}
_EXAMPLES = {
    "sentence": {"sentence": ["Sample", "sentence", "for", "NER", "prediction"]},
    "text": {"text": "Maria Costa of the World Bank flew from Nairobi to London."},
    "texts": {"texts": ["Maria flew to London.", "It rained."], "threshold": 0.5},
}


def document() -> dict[str, Any]:
    """The document, as JSON values."""
    open_api = OpenAPI(
        info=Info(
            title="ner_lstm",
            version=__version__,
            description="Entities of a text, or of given tokens.",
        ),
        paths={
            "/predict": PathItem(post=_predict()),
            "/healthz": PathItem(get=_get("Whether the process answers", Health)),
            "/readyz": PathItem(get=_get("Whether the pipeline is loaded", Health)),
            "/version": PathItem(get=_get("What is served", Version)),
            "/metrics": PathItem(
                get=Operation(
                    summary="Figures for Prometheus",
                    responses={"200": _response("Text exposition format", "text/plain")},
                )
            ),
        },
    )
    found = construct_open_api_with_schema_class(open_api)
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


def _predict() -> Operation:
    body = MediaType.model_validate(
        {
            "schema": PydanticSchema(schema_class=PredictRequest),
            "examples": {name: {"value": value} for name, value in _EXAMPLES.items()},
        }
    )
    refusals = {
        status: _response(description, problems.MEDIA_TYPE, Problem)
        for status, description in _REFUSALS.items()
    }
    return Operation(
        summary="Find entities",
        description=(
            "Takes one sentence (tokens) or text, and answers with one prediction; or a list of "
            "them, and answers with a list."
        ),
        requestBody=RequestBody(content={"application/json": body}, required=True),
        responses={
            "200": _response("What was found", "application/json", Predictions),
            **refusals,
        },
    )


def _get(summary: str, model: type[BaseModel]) -> Operation:
    return Operation(summary=summary, responses={"200": _response("OK", "application/json", model)})


def _response(description: str, media_type: str, model: type[BaseModel] | None = None) -> Response:
    schema = Schema(type="string") if model is None else PydanticSchema(schema_class=model)
    return Response(
        description=description,
        headers={HEADER: Header(description="The request's id", schema=Schema(type="string"))},
        content={media_type: MediaType.model_validate({"schema": schema})},
    )
