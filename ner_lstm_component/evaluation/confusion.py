"""Which tag, and which entity type, is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ner_lstm_component.decoding.iob2 import tag_names
from ner_lstm_component.evaluation.predictions import Sentence, tags_of

MISSED = "(missed)"
SPURIOUS = "(spurious)"


class Confusion(NamedTuple):
    """How often what stands for a row was answered by what stands for a column.

    :param rows: names of what the data says.
    :param columns: names of what was predicted.
    :param counts: *Shape:* ``(n_rows, n_columns)``
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: NDArray[np.int64]


def tag_confusion(sentences: Sequence[Sentence], labels: Sequence[str]) -> Confusion:
    """IOB2 tags, token by token; the entries add up to the annotated tokens."""
    tags = tag_names(labels)
    index = {tag: k for k, tag in enumerate(tags)}
    counts = np.zeros((len(tags), len(tags)), np.int64)
    for sentence in sentences:
        gold = tags_of(len(sentence.words), sentence.gold)
        predicted = tags_of(len(sentence.words), sentence.predicted)
        for position, (row, column) in enumerate(zip(gold, predicted, strict=True)):
            if position not in sentence.missing:
                counts[index[row], index[column]] += 1
    return Confusion(tags, tags, counts)


def entity_confusion(sentences: Sequence[Sentence], labels: Sequence[str]) -> Confusion:
    """Types of aligned entities; the entries add up to gold and spurious entities.

    The last column counts the gold entities that were missed, the last row the predicted ones
    that are spurious. The diagonal holds entities of the right type, whatever their boundaries.
    """
    index: dict[str | None, int] = {label: k for k, label in enumerate(labels)}
    index[None] = len(labels)
    counts = np.zeros((len(index), len(index)), np.int64)
    for sentence in sentences:
        for gold, predicted in sentence.pairs:
            row, column = (None if ent is None else ent.label for ent in (gold, predicted))
            counts[index[row], index[column]] += 1
    return Confusion((*labels, SPURIOUS), (*labels, MISSED), counts)
