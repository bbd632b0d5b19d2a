"""The schema of the body of ``POST /predict``; ``openapi.json`` documents the rest of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from .. import __version__
from .limits import Limits

INPUTS = ("sentence", "sentences", "text", "texts")

# Without FailFast, a list of a million invalid elements would have a million errors.
Words = Annotated[list[Annotated[str, StringConstraints(min_length=1)]], FailFast()]


class PredictRequest(BaseModel):
    """One or several inputs, as tokens or as text."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"oneOf": [{"required": [name]} for name in INPUTS]},
    )

    sentence: Words = Field([], description="One sentence as tokens, which are kept as they are")
    sentences: Annotated[list[Words], FailFast()] = Field(
        [], description="Sentences as tokens, which are kept as they are"
    )
    text: str = Field("", description="One text, which the pipeline's tokenizer splits")
    texts: Annotated[list[str], FailFast()] = Field(
        [], description="Texts, which the pipeline's tokenizer splits"
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description=(
            "Leaves out entities with a lower score, whatever their label. "
            "Default: the pipeline's threshold"
        ),
    )
    probabilities: bool = Field(
        False, description="Whether the answer has `prediction`; for `sentence` it always has"
    )

    @model_validator(mode="after")
    def _check_inputs(self) -> PredictRequest:
        if len(self.model_fields_set.intersection(INPUTS)) != 1:
            expected = "expected exactly one of 'sentence', 'sentences', 'text', 'texts'"
            raise PydanticCustomError("one_input", expected)
        return self

    @property
    def field(self) -> str:
        """The name of the input."""
        return next(name for name in INPUTS if name in self.model_fields_set)

    @property
    def inputs(self) -> list[list[str]] | list[str]:
        """The inputs as a list, even for a single input."""
        given = getattr(self, self.field)
        return given if self.is_list else [given]

    @property
    def is_list(self) -> bool:
        """Whether the inputs are a list, and therefore the answer too."""
        return self.field in ("sentences", "texts")


def openapi_document(limits: Limits) -> dict[str, Any]:
    """Return the API as OpenAPI 3.1, with the limits of this server."""
    document = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
    document["info"]["version"] = __version__
    predict = document["paths"]["/predict"]["post"]
    predict["description"] = predict["description"].format(**vars(limits))
    schema = PredictRequest.model_json_schema()
    for name, keyword, limit in (
        ("sentence", "maxItems", limits.tokens),
        ("sentences", "maxItems", limits.texts),
        ("text", "maxLength", limits.body_bytes),
        ("texts", "maxItems", limits.texts),
    ):
        del schema["properties"][name]["default"]
        schema["properties"][name][keyword] = limit
    document["components"]["schemas"]["PredictRequest"] = schema
    return document
