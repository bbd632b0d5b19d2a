"""The OpenAPI document, and whether a real server keeps to it."""

from __future__ import annotations

import httpx
import jsonschema
import pytest

from ner_lstm_component.service import openapi
from ner_lstm_component.service.schema import PredictRequest

# Neither is there for Python 3.10.
schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

SCHEMA = schemathesis.openapi.from_dict(openapi.document())


def keep_to(server, case) -> None:
    # Whatever the schema allows but the limits do not is answered with 413, which is documented.
    case.call_and_validate(base_url=server.url, timeout=60)


@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_answers_conform(case, server):
    keep_to(server, case)


@pytest.mark.slow
@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=500, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
def test_answers_conform_to_many(case, server):
    keep_to(server, case)


def test_server_tells_the_document(server):
    assert httpx.get(f"{server.url}/openapi.json").json() == openapi.document()


def test_examples_are_answered_as_documented(server):
    document = openapi.document()
    (media_type,) = document["paths"]["/predict"]["post"]["requestBody"]["content"].values()
    for example in media_type["examples"].values():
        answer = httpx.post(f"{server.url}/predict", json=example["value"])
        assert answer.status_code == 200
        schema = {"$ref": "#/components/schemas/Predictions", "components": document["components"]}
        jsonschema.validate(answer.json(), schema)


def test_schema_is_the_one_that_validates():
    schemas = openapi.document()["components"]["schemas"]
    assert len(schemas["PredictRequest"]["oneOf"]) == 4
    own = PredictRequest.model_json_schema()["$defs"]["TextRequest"]
    assert schemas["TextRequest"]["required"] == own["required"] == ["text"]
    assert schemas["TextRequest"]["additionalProperties"] is False
