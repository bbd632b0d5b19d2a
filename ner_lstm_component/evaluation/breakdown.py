"""Scores of parts of the data: by the sentence's length, by what training had seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.scores import Score, resample, score, strict_counts

# Upper ends of the groups of sentence lengths, in tokens; the last group has none.
LENGTHS = (10, 15, 20, 25, 30, 40)

SEEN = "seen with this type"
OTHER_TYPE = "seen with another type"
UNSEEN = "never seen"


def by_length(sentences: Sequence[Sentence], labels: Sequence[str]) -> dict[str, Score]:
    """Scores of sentences grouped by their length; empty groups are left out."""
    names = [f"{low + 1}–{high}" for low, high in zip((0, *LENGTHS), LENGTHS, strict=False)]
    names.append(f"over {LENGTHS[-1]}")
    groups = np.searchsorted(LENGTHS, [len(sentence.words) for sentence in sentences])
    counts = strict_counts(sentences, labels).sum(1)
    scores = {}
    for group, name in enumerate(names):
        chosen = counts[groups == group]
        if chosen.any():
            scores[name] = score(chosen.sum(0), resample(chosen))
    return scores


def by_familiarity(
    sentences: Sequence[Sentence], training: Sequence[Sentence], labels: Sequence[str]
) -> dict[str, Score]:
    """Scores of entities grouped by whether training had them, as words and type.

    A gold or predicted entity belongs to a group by its own words and type. A correct one has
    those of its gold entity, so that no group counts what another has found.
    """
    known: dict[str, set[str]] = defaultdict(set)
    for sentence in training:
        for ent in sentence.gold:
            known[sentence.text(ent)].add(ent.label)

    def familiarity(sentence: Sentence, ent: Entity) -> str:
        types = known.get(sentence.text(ent))
        if types is None:
            return UNSEEN
        return SEEN if ent.label in types else OTHER_TYPE

    scores = {}
    for name in (SEEN, OTHER_TYPE, UNSEEN):
        counts = strict_counts([_only(s, familiarity, name) for s in sentences], labels).sum(1)
        if counts.any():
            scores[name] = score(counts.sum(0), resample(counts))
    return scores


def _only(sentence: Sentence, group: Callable[[Sentence, Entity], str], name: str) -> Sentence:
    """A sentence with the entities of one group alone."""
    gold, predicted = (
        tuple(ent for ent in entities if group(sentence, ent) == name)
        for entities in (sentence.gold, sentence.predicted)
    )
    return Sentence(sentence.words, gold, predicted, sentence.missing)
