"""Confusion matrices of IOB2 tags and of entity types, as tables of counts.

Rows are what the data says, columns what was predicted.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..decoding.iob2 import tag_names
from .predictions import Sentence, tags_of

MISSED = "(missed)"
SPURIOUS = "(spurious)"


def tag_confusion(sentences: Sequence[Sentence], labels: Sequence[str]) -> pd.DataFrame:
    """Compare IOB2 tags token by token; the entries add up to the annotated tokens."""
    pairs = []
    for sentence in sentences:
        n = len(sentence.words)
        tags = zip(tags_of(n, sentence.gold), tags_of(n, sentence.predicted), strict=True)
        pairs += [pair for k, pair in enumerate(tags) if k not in sentence.missing]
    return _confusion(pairs, tag_names(labels), tag_names(labels))


def entity_confusion(sentences: Sequence[Sentence], labels: Sequence[str]) -> pd.DataFrame:
    """Compare the types of aligned entities.

    The last column counts missed gold entities, the last row spurious predicted ones. The
    diagonal holds entities of the right type, with any boundaries.
    """
    pairs = [
        (gold.label if gold else SPURIOUS, predicted.label if predicted else MISSED)
        for sentence in sentences
        for gold, predicted in sentence.pairs
    ]
    return _confusion(pairs, (*labels, SPURIOUS), (*labels, MISSED))


def _confusion(
    pairs: Sequence[tuple[str, str]], rows: Sequence[str], columns: Sequence[str]
) -> pd.DataFrame:
    found = pd.DataFrame(pairs, columns=["gold", "predicted"])
    counts = pd.crosstab(found["gold"], found["predicted"])
    return counts.reindex(index=list(rows), columns=list(columns), fill_value=0)
