"""The errors worth reading: costly errors, confident errors, likely errors in the annotation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from ..decoding.iob2 import OUTSIDE
from .alignment import Outcome, Pair
from .predictions import Sentence

# The reading of words that overlap an entity with other boundaries.
PART = "part of another entity"

# An annotation is suspect if this share of the other places with the same words has the model's
# reading, at least this many places exist, and the confidence is at least this high or unknown.
SUSPECT_SHARE = 0.8
SUSPECT_PLACES = 4
SUSPECT_CONFIDENCE = 0.8


@dataclass(frozen=True)
class Mistake:
    """An error and the sentence that contains it."""

    sentence: Sentence
    pair: Pair
    evidence: str = ""  # why the annotation may be wrong instead

    @property
    def confidence(self) -> float | None:
        """The model's confidence in the predicted entity, or None if unknown."""
        return self.pair.predicted.confidence if self.pair.predicted else None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the predicted entity, or of the missed gold entity."""
        ent = self.pair.predicted or self.pair.gold
        assert ent is not None  # a pair has at least one entity
        return self.sentence.words[ent.start : ent.end]


@dataclass(frozen=True)
class ErrorGroup:
    """Errors with the same outcome, the same type in the data and the same predicted type."""

    outcome: Outcome
    gold: str | None
    predicted: str | None
    gain: float  # in micro F1, if all these errors were corrected
    mistakes: list[Mistake]


def mistakes_of(sentences: Iterable[Sentence]) -> list[Mistake]:
    """Return all errors, in the order of the data."""
    return [
        Mistake(sentence, pair)
        for sentence in sentences
        for pair in sentence.pairs
        if pair.outcome is not Outcome.CORRECT
    ]


def costly_groups(sentences: Sequence[Sentence]) -> list[ErrorGroup]:
    """Group errors by outcome and types, the most costly first.

    A confused entity costs most: it is both a false positive and a false negative.
    """
    groups: dict[tuple[Outcome, str | None, str | None], list[Mistake]] = defaultdict(list)
    for mistake in mistakes_of(sentences):
        gold, predicted = (ent and ent.label for ent in mistake.pair)
        groups[mistake.pair.outcome, gold, predicted].append(mistake)
    total = sum(len(sentence.gold) + len(sentence.predicted) for sentence in sentences)
    n_correct = sum(len(sentence.correct) for sentence in sentences)

    def gain(outcome: Outcome, n: int) -> float:
        correct = n_correct + n * (outcome is not Outcome.SPURIOUS)
        corrected = total + n * ((outcome is Outcome.MISSED) - (outcome is Outcome.SPURIOUS))
        return 2 * correct / max(corrected, 1) - 2 * n_correct / total

    found = [ErrorGroup(*key, gain(key[0], len(each)), each) for key, each in groups.items()]
    return sorted(found, key=lambda group: -group.gain)


def most_confident(sentences: Iterable[Sentence], n: int) -> list[Mistake]:
    """Return the `n` errors with the highest confidence, without those of unknown confidence."""
    known = [mistake for mistake in mistakes_of(sentences) if mistake.confidence is not None]
    return sorted(known, key=lambda mistake: -(mistake.confidence or 0))[:n]


def suspect_annotations(
    sentences: Sequence[Sentence], training: Sequence[Sentence], n: int
) -> list[Mistake]:
    """Return errors where most other places with the same words have the model's reading.

    :return: at most `n` errors, one for each text and reading, the best supported first.
    """
    doubted = [
        mistake
        for mistake in mistakes_of(sentences)
        if mistake.confidence is None or mistake.confidence >= SUSPECT_CONFIDENCE
    ]
    counts = readings({mistake.words for mistake in doubted}, [*sentences, *training])
    supported: dict[tuple[tuple[str, ...], str], tuple[float, Mistake]] = {}
    for mistake in doubted:
        words = mistake.words
        reading = mistake.pair.predicted.label if mistake.pair.predicted else OUTSIDE
        # The error's own place is counted too, with another reading.
        others = counts[words].total() - 1
        agree = counts[words][reading]
        if others >= SUSPECT_PLACES and agree >= SUSPECT_SHARE * others:
            as_what = "no entity" if reading == OUTSIDE else reading
            evidence = f"“{' '.join(words)}” is {as_what} in {agree} of {others} other places"
            found = replace(mistake, evidence=evidence)
            supported.setdefault((words, reading), (agree / (others + 1), found))
    ranked = sorted(supported.values(), key=lambda candidate: -candidate[0])
    return [mistake for _, mistake in ranked[:n]]


def readings(
    texts: Collection[tuple[str, ...]], sentences: Iterable[Sentence]
) -> dict[tuple[str, ...], Counter[str]]:
    """Count the annotations of each text, a sequence of words, in all its places.

    :return: for each text, type → number of places. The type is ``O`` if the text is outside
        of entities, and `PART` if it overlaps an entity with other boundaries.
    """
    by_first_word: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for text in texts:
        by_first_word[text[0]].append(text)
    found: dict[tuple[str, ...], Counter[str]] = {text: Counter() for text in texts}
    for sentence in sentences:
        for start, word in enumerate(sentence.words):
            for text in by_first_word.get(word, ()):
                end = start + len(text)
                is_annotated = sentence.missing.isdisjoint(range(start, end))
                if sentence.words[start:end] == text and is_annotated:
                    found[text][_reading(sentence, start, end)] += 1
    return found


def _reading(sentence: Sentence, start: int, end: int) -> str:
    for ent in sentence.gold:
        if (ent.start, ent.end) == (start, end):
            return ent.label
        if ent.start < end and start < ent.end:
            return PART
    return OUTSIDE
