"""The pairing of gold and predicted entities.

Within a sentence, each gold entity is paired with at most one predicted entity, and each
predicted entity with at most one gold entity. Only entities that share a token can be paired.
Candidates are taken in this order: the same tokens first, then the same type, then more shared
tokens, then from left to right. Entities left over are missed (gold) or spurious (predicted).
So an entity that is found exactly never counts against another entity, and the order in which
entities are listed does not change the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Entity(NamedTuple):
    """An entity on the tokens of the gold annotation; `end` is the index after its last token."""

    start: int
    end: int
    label: str
    confidence: float | None = None


class Outcome(Enum):
    """The result for an entity; reports show the value."""

    CORRECT = "correct"
    TYPE = "wrong type"
    BOUNDARY = "wrong boundaries"
    BOTH = "wrong type and boundaries"
    MISSED = "missed"
    SPURIOUS = "spurious"


class Pair(NamedTuple):
    """A gold entity and the predicted entity aligned with it; either may be None."""

    gold: Entity | None
    predicted: Entity | None

    @property
    def outcome(self) -> Outcome:
        """The result of comparing the predicted entity with the gold entity."""
        gold, predicted = self
        if predicted is None:
            return Outcome.MISSED
        if gold is None:
            return Outcome.SPURIOUS
        same_tokens = gold[:2] == predicted[:2]
        if gold.label == predicted.label:
            return Outcome.CORRECT if same_tokens else Outcome.BOUNDARY
        return Outcome.TYPE if same_tokens else Outcome.BOTH


def align(gold: Sequence[Entity], predicted: Sequence[Entity]) -> list[Pair]:
    """Pair the entities of one sentence by the rules above.

    :return: the pairs in the order of the text; each entity is in exactly one pair.
    """
    candidates = []
    for i, g in enumerate(gold):
        for k, p in enumerate(predicted):
            shared = min(g.end, p.end) - max(g.start, p.start)
            if shared > 0:
                rank = (g[:2] != p[:2], g.label != p.label, -shared, g.start, p.start)
                candidates.append((*rank, i, k))
    answers: dict[int, int] = {}
    used: set[int] = set()
    for *_, i, k in sorted(candidates):
        if i not in answers and k not in used:
            answers[i] = k
            used.add(k)
    pairs = [Pair(g, predicted[answers[i]] if i in answers else None) for i, g in enumerate(gold)]
    pairs += [Pair(None, p) for k, p in enumerate(predicted) if k not in used]
    return sorted(pairs, key=lambda pair: min(ent.start for ent in pair if ent))
