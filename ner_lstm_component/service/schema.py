"""What goes in and out of the service. The same models validate and are documented.

Predictions are dicts: to make a model of each costs more than to write it as JSON.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    RootModel,
    StringConstraints,
    Tag,
    with_config,
)
from typing_extensions import NotRequired, TypedDict  # typing's own, pydantic takes from 3.12 on

INPUTS = ("sentence", "sentences", "text", "texts")

Word = Annotated[str, StringConstraints(min_length=1)]
# One error of a list is enough: a million wrong elements would make a million errors.
Words = Annotated[list[Word], FailFast()]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Entities less probable than this are left out. Default: the pipeline's.",
    )
    probabilities: bool = Field(
        False, description="Whether the answer has `prediction`; for `sentence` it always has."
    )


class SentenceRequest(_Request):
    """One sentence, as tokens."""

    field: ClassVar[str] = "sentence"

    sentence: Words = Field(description="Tokens, which are kept as they are.")


class SentencesRequest(_Request):
    """Several sentences, as tokens."""

    field: ClassVar[str] = "sentences"

    sentences: Annotated[list[Words], FailFast()] = Field(
        description="Tokens of each sentence, which are kept as they are."
    )


class TextRequest(_Request):
    """One text."""

    field: ClassVar[str] = "text"

    text: str = Field(description="A text, which the pipeline's tokenizer splits.")


class TextsRequest(_Request):
    """Several texts."""

    field: ClassVar[str] = "texts"

    texts: Annotated[list[str], FailFast()] = Field(
        description="Texts, which the pipeline's tokenizer splits."
    )


def _input_of(body: Any) -> str | None:
    """The one input that a body has; None if it has none, or several."""
    given = [name for name in INPUTS if isinstance(body, dict) and name in body]
    return given[0] if len(given) == 1 else None


class PredictRequest(
    RootModel[
        Annotated[
            Annotated[SentenceRequest, Tag("sentence")]
            | Annotated[SentencesRequest, Tag("sentences")]
            | Annotated[TextRequest, Tag("text")]
            | Annotated[TextsRequest, Tag("texts")],
            Discriminator(
                _input_of,
                custom_error_type="one_input",
                custom_error_message=(
                    "expected an object with exactly one of 'sentence', 'sentences', 'text', "
                    "'texts'"
                ),
            ),
        ]
    ]
):
    """The body of `POST /predict`: one or several inputs, as tokens or as text."""

    @property
    def field(self) -> str:
        """The name of the input."""
        return self.root.field

    @property
    def inputs(self) -> list[list[str]] | list[str]:
        """What to tag: a list, also of a single input."""
        given = getattr(self.root, self.field)
        return given if self.is_list else [given]

    @property
    def is_list(self) -> bool:
        """Whether the answer is a list."""
        return self.field in ("sentences", "texts")

    @property
    def is_tokenized(self) -> bool:
        """Whether the inputs are tokens."""
        return self.field in ("sentence", "sentences")

    @property
    def threshold(self) -> float | None:
        """The request's own threshold."""
        return self.root.threshold

    @property
    def wants_probabilities(self) -> bool:
        """Whether the answer has ``prediction``."""
        return self.root.probabilities or self.field == "sentence"


# What openapi_pydantic reads, to describe what is answered and not what would be taken.
_AS_ANSWERED: Any = {"json_schema_mode": "serialization"}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", **_AS_ANSWERED)


@with_config(extra="forbid")
class Entity(TypedDict):
    """An entity. Ends are exclusive."""

    text: str
    label: str
    start: Annotated[int, Field(description="Its first character.")]
    end: Annotated[int, Field(description="One past its last character.")]
    token_start: Annotated[int, Field(description="Its first token.")]
    token_end: Annotated[int, Field(description="One past its last token.")]
    score: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description=(
                "The probability of just this entity; null for one that another component set."
            ),
        ),
    ]


@with_config(extra="forbid")
class Prediction(TypedDict):
    """What was found in one input."""

    tokens: list[str]
    tags: Annotated[list[str], Field(description="The IOB2 tag of each token.")]
    ents: list[Entity]
    labels: Annotated[list[str], Field(description="All IOB2 tags, the columns of `prediction`.")]
    prediction: NotRequired[
        Annotated[
            list[list[float]], Field(description="Of each token, the probability of each tag.")
        ]
    ]


class Predictions(RootModel[Prediction | list[Prediction]]):
    """One prediction; a list of them for `sentences` and `texts`."""

    model_config = ConfigDict(**_AS_ANSWERED)


class FieldError(_Answer):
    """What is wrong with one field."""

    field: str = Field(description="Such as `sentence[2]`; `body` is the request as a whole.")
    message: str


class Problem(_Answer):
    """Why there is no answer (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] | None = Field(None, exclude_if=lambda value: value is None)


class Health(_Answer):
    """How the process is."""

    status: str = Field(description="`ok`; `ready`, or `stopping`.")


class Runtime(_Answer):
    """What the service runs on."""

    python: str
    spacy: str
    onnxruntime: str | None
    network: str = Field(description="The runtime of the network: `auto`, `onnx`, `tensorflow`.")


class Version(_Answer):
    """What is served."""

    name: str = Field(description="The pipeline's name.")
    version: str = Field(description="The pipeline's version.")
    package: str = Field(description="The version of ner-lstm-component.")
    labels: list[str] = Field(description="Types of entities.")
    legend: dict[str, str] = Field(
        description="What types mean, as far as the pipeline or spaCy says so."
    )
    threshold: float = Field(description="That of requests without one of their own.")
    runtime: Runtime
