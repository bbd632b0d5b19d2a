"""Which predicted entity answers which gold entity.

The rule: within a sentence each gold entity is paired with at most one predicted entity, and
each predicted with at most one gold. Only entities that share a token can be paired. Pairs are
taken in this order: the same tokens before others, then the same type before others, then more
shared tokens, then from left to right. What is left over is missed (gold) or spurious
(predicted). So an entity that is found exactly is never counted against another one, and the
result does not depend on the order in which entities are listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Entity(NamedTuple):
    """An entity on the tokens of the gold annotation.

    :param start: its first token.
    :param end: the token after its last.
    :param label: its type.
    :param confidence: the model's probability of it; None where there is none.
    """

    start: int
    end: int
    label: str
    confidence: float | None = None


class Outcome(Enum):
    """What became of an entity; the value is how reports name it."""

    CORRECT = "correct"
    TYPE = "wrong type"
    BOUNDARY = "wrong boundaries"
    BOTH = "wrong type and boundaries"
    MISSED = "missed"
    SPURIOUS = "spurious"


class Pair(NamedTuple):
    """A gold entity and the predicted one that answers it; one of them may be lacking."""

    gold: Entity | None
    predicted: Entity | None

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        gold, predicted = self
        if predicted is None:
            return Outcome.MISSED
        if gold is None:
            return Outcome.SPURIOUS
        same_tokens = gold[:2] == predicted[:2]
        if gold.label == predicted.label:
            return Outcome.CORRECT if same_tokens else Outcome.BOUNDARY
        return Outcome.TYPE if same_tokens else Outcome.BOTH

    @property
    def start(self) -> int:
        """The first token of either."""
        return min(entity.start for entity in self if entity is not None)


def align(gold: Sequence[Entity], predicted: Sequence[Entity]) -> list[Pair]:
    """Pair the entities of one sentence by the rule above.

    :return: each entity in exactly one pair, in the order of the text.
    """
    candidates = sorted(
        (g[:2] != p[:2], g.label != p.label, -_shared(g, p), g.start, p.start, i, k)
        for i, g in enumerate(gold)
        for k, p in enumerate(predicted)
        if _shared(g, p) > 0
    )
    answer: dict[int, int] = {}
    used: set[int] = set()
    for *_, i, k in candidates:
        if i not in answer and k not in used:
            answer[i] = k
            used.add(k)
    pairs = [Pair(g, predicted[answer[i]] if i in answer else None) for i, g in enumerate(gold)]
    pairs += [Pair(None, p) for k, p in enumerate(predicted) if k not in used]
    return sorted(pairs, key=lambda pair: pair.start)


def _shared(a: Entity, b: Entity) -> int:
    """How many tokens two entities share; not positive if none."""
    return min(a.end, b.end) - max(a.start, b.start)
