"""Static word vectors: the rows of a vocabulary's table, which are not trained."""

# No postponed annotations here: spaCy reads the annotations of registered functions.

from collections.abc import Callable, Sequence
from typing import Any

from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.vectors import Mode
from thinc.api import Model
from thinc.types import Floats2d

from ..text.words import normal_form
from .lexical import no_gradient


def StaticVectors() -> Model[list[Doc], list[Floats2d]]:
    """`ner_lstm_component.StaticVectors.v1`: the vectors of the tokens in ``nlp.vocab.vectors``.

    A word without a vector has that of its normal form, from `words.normal_form`, or of that form
    in lower case, or zeros. In a floret table every word has a vector.

    :return: a layer that returns an array for each Doc. *Shape:* ``(n_tokens, width)``
    :raises ValueError: at initialization if the vocab has no vectors, and in prediction if their
        width has changed.
    """
    return Model("static_vectors", _forward, init=_init, dims={"nO": None})


def _init(model: Model, X: Any = None, Y: Any = None) -> None:
    width = X[0].vocab.vectors.shape[1]
    if not width:
        raise ValueError(
            "'ner_lstm_component.StaticVectors.v1' needs word vectors, and the vocab has none. Set "
            "'vectors' in [initialize] to a pipeline with vectors, such as one that 'spacy init "
            "vectors' makes: spacy train … --paths.vectors FOLDER"
        )
    model.set_dim("nO", width, force=True)


def _forward(
    model: Model, docs: Sequence[Doc], is_train: bool
) -> tuple[list[Floats2d], Callable[[Any], list]]:
    width: Any = model.maybe_get_dim("nO")
    return [_look_up(doc, width) for doc in docs], no_gradient


def _look_up(doc: Doc, width: int | None) -> Any:
    vectors = doc.vocab.vectors
    if vectors.shape[1] != width:
        raise ValueError(
            f"The network was trained with static vectors of width {width}, and the table in the "
            f"pipeline's vocab has the shape {vectors.shape}. Load the pipeline with the vectors "
            "that it was saved with, or train it again."
        )
    keys = doc.to_array(ORTH).tolist()
    if vectors.mode == Mode.floret:
        return vectors.get_batch(keys)
    rows = vectors.find(keys=keys)
    for form in (normal_form, _lower):
        missing = [k for k, row in enumerate(rows.tolist()) if row < 0]
        rows[missing] = vectors.find(keys=[form(doc[k].text) for k in missing])
    found = vectors.data[rows]
    found[rows < 0] = 0
    return found


def _lower(word: str) -> str:
    return normal_form(word).lower()
