"""The OpenAPI document, and whether a real server keeps to it."""

from __future__ import annotations

import httpx
import jsonschema
import pytest

from ner_lstm_component.service.limits import Limits
from ner_lstm_component.service.schema import PredictRequest, openapi_document

# Not available for Python 3.10.
schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

DOCUMENT = openapi_document(Limits())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_answers_conform(case, server):
    response = case.call(base_url=server.url, timeout=60)
    # schemathesis does not count 413, the answer beyond a limit, as a refusal.
    excluded = [checks.negative_data_rejection] if response.status_code == 413 else []
    case.validate_response(response, excluded_checks=excluded)


def test_examples_are_answered_as_documented(server):
    served = httpx.get(f"{server.url}/openapi.json").json()
    assert served == DOCUMENT | {"servers": [{"url": "/"}]}
    predict = DOCUMENT["paths"]["/predict"]["post"]
    (media_type,) = predict["requestBody"]["content"].values()
    schema = predict["responses"]["200"]["content"]["application/json"]["schema"]
    for example in media_type["examples"].values():
        answer = httpx.post(f"{server.url}/predict", json=example["value"])
        assert answer.status_code == 200
        jsonschema.validate(answer.json(), schema | {"components": DOCUMENT["components"]})


def test_document_is_whole_and_has_the_limits():
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 5
    document = openapi_document(Limits(tokens=17, texts=3))
    predict = document["paths"]["/predict"]["post"]
    assert predict["responses"].keys() == {"200", "400", "408", "413", "415", "500"}
    assert "17 tokens" in predict["description"]
    schema = document["components"]["schemas"]["PredictRequest"]
    assert len(schema["oneOf"]) == 4
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert properties.keys() == PredictRequest.model_fields.keys()
    assert properties["sentence"]["maxItems"] == 17
    assert properties["texts"]["maxItems"] == properties["sentences"]["maxItems"] == 3
