"""From potentials to predictions: the best tags, and the entities that are probable enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..text.sentences import split
from . import crf
from .iob2 import entity_spans


class Prediction(NamedTuple):
    """The predicted tags of a Doc.

    :param tags: the numbers of the best IOB2 tags (see `iob2.tag_names`), without the entities
        below the threshold. White space has the tag O, even inside an entity.
        *Shape:* ``(n_tokens,)``
    :param confidence: the probability of each entity, or None if it was not requested.
        *Shape:* ``(n_entities,)``
    """

    tags: NDArray[np.int64]
    confidence: NDArray[np.float64] | None


class Analysis(NamedTuple):
    """A prediction with its confidences, and the probabilities of all tags or None."""

    prediction: Prediction
    probabilities: NDArray[np.float32] | None


def forbid_entities(potentials: crf.Potentials, tokens: NDArray[np.bool_]) -> crf.Potentials:
    """Constrain some tokens to the tag ``O``. No entity contains them, even if they are blank."""
    emissions = potentials.emissions.copy()
    emissions[tokens, 1:] = crf.FORBIDDEN
    if potentials.is_word is not None:
        words = np.flatnonzero(potentials.is_word)
        following = np.searchsorted(words, np.flatnonzero(tokens & ~potentials.is_word))
        emissions[words[following[following < len(words)]], 2::2] = crf.FORBIDDEN
    return potentials._replace(emissions=emissions)


def best_tags(potentials: crf.Potentials, doc_lengths: Sequence[int]) -> list[Prediction]:
    """Decode the best tags of each Doc, without probabilities."""
    tags = crf.viterbi(*potentials)
    return [Prediction(of_doc, None) for of_doc in split(tags, doc_lengths)]


def analyse(
    potentials: crf.Potentials,
    doc_lengths: Sequence[int],
    thresholds: NDArray[np.float64],
    *,
    temperature: float,
    with_tags: bool,
) -> list[Analysis]:
    """Decode the best tags of each Doc, and drop the entities below their threshold.

    :param thresholds: the minimum probability of an entity, by Doc and label. An axis of length 1
        stands for all of them. *Shape:* ``(n_docs, n_labels)``
    :param temperature: the number by which all scores are divided to compute probabilities.
    """
    tags = crf.viterbi(*potentials)
    spans = entity_spans(tags)
    confidence, probabilities = crf.marginals(
        potentials, spans, temperature=temperature, with_tags=with_tags
    )
    doc_of = np.searchsorted(np.cumsum(doc_lengths), spans[:, 0], side="right")
    shape = len(doc_lengths), potentials.emissions.shape[1] // 2
    kept = confidence >= np.broadcast_to(thresholds, shape)[doc_of, spans[:, 2]]
    for start, end, _ in spans[~kept].tolist():
        tags[start:end] = 0
    n_entities = np.bincount(doc_of[kept], minlength=len(doc_lengths)).tolist()
    predictions = map(Prediction, split(tags, doc_lengths), split(confidence[kept], n_entities))
    if probabilities is None:
        return [Analysis(prediction, None) for prediction in predictions]
    return list(map(Analysis, predictions, split(probabilities, doc_lengths)))
