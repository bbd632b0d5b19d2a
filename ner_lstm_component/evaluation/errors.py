"""The errors that are worth reading: costly, confident, or likely those of the annotation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ner_lstm_component.decoding.iob2 import OUTSIDE
from ner_lstm_component.evaluation.alignment import Entity, Outcome, Pair
from ner_lstm_component.evaluation.predictions import Sentence

# How the words of an entity stand where they are neither an entity nor wholly outside of any.
PART = "part of another entity"

# An annotation is doubted where the same words are annotated as the model has it in this share
# of so many other places, and the model is this sure (where it says how sure it is).
SUSPECT_SHARE = 0.8
SUSPECT_PLACES = 4
SUSPECT_CONFIDENCE = 0.8


@dataclass(frozen=True)
class Mistake:
    """An error in its sentence.

    :param evidence: what else speaks for the model; empty if nothing was looked for.
    """

    sentence: Sentence
    pair: Pair
    evidence: str = ""


@dataclass(frozen=True)
class ErrorGroup:
    """Errors of one kind.

    :param outcome: the kind.
    :param gold: the type in the data; None for spurious entities.
    :param predicted: the predicted type; None for missed ones.
    :param gain: what micro F1 would be higher if all of them were right.
    :param mistakes: all of them.
    """

    outcome: Outcome
    gold: str | None
    predicted: str | None
    gain: float
    mistakes: tuple[Mistake, ...]


def mistakes_of(sentences: Iterable[Sentence]) -> list[Mistake]:
    """All errors, in the order of the data."""
    return [
        Mistake(sentence, pair)
        for sentence in sentences
        for pair in sentence.pairs
        if pair.outcome is not Outcome.CORRECT
    ]


def costly_groups(sentences: Sequence[Sentence]) -> list[ErrorGroup]:
    """Errors grouped by kind and types, the most costly first.

    A spurious entity costs less than a confused one: the latter is one too many and one too few.
    """
    groups: dict[tuple[Outcome, str | None, str | None], list[Mistake]] = defaultdict(list)
    for mistake in mistakes_of(sentences):
        gold, predicted = mistake.pair
        key = (mistake.pair.outcome, gold and gold.label, predicted and predicted.label)
        groups[key].append(mistake)
    n_gold = sum(len(sentence.gold) for sentence in sentences)
    n_predicted = sum(len(sentence.predicted) for sentence in sentences)
    n_correct = sum(
        pair.outcome is Outcome.CORRECT for sentence in sentences for pair in sentence.pairs
    )

    def gain(outcome: Outcome, n: int) -> float:
        correct, predicted = n_correct + n, n_predicted
        if outcome is Outcome.SPURIOUS:
            correct, predicted = n_correct, n_predicted - n
        elif outcome is Outcome.MISSED:
            predicted = n_predicted + n
        return 2 * correct / max(n_gold + predicted, 1) - 2 * n_correct / (n_gold + n_predicted)

    ranked = [
        ErrorGroup(outcome, gold, predicted, gain(outcome, len(members)), tuple(members))
        for (outcome, gold, predicted), members in groups.items()
    ]
    return sorted(ranked, key=lambda group: -group.gain)


def most_confident(sentences: Iterable[Sentence], n: int) -> list[Mistake]:
    """The errors that the model was surest of; none if it gives no confidences."""
    found = [(_confidence(m), m) for m in mistakes_of(sentences)]
    known = [(confidence, m) for confidence, m in found if confidence is not None]
    return [m for _, m in sorted(known, key=lambda pair: -pair[0])[:n]]


def suspect_annotations(
    sentences: Sequence[Sentence], training: Sequence[Sentence], n: int
) -> list[Mistake]:
    """Errors where the data disagrees with itself: the same words annotated otherwise elsewhere.

    :param sentences: the evaluated ones.
    :param training: further annotated ones, where the same words are looked for.
    :return: the best supported first, one for each text and reading of it.
    """
    doubted = [m for m in mistakes_of(sentences) if _is_sure(m)]
    places = readings({_words(m) for m in doubted}, [*sentences, *training])
    supported = []
    for mistake in doubted:
        words, reading = _words(mistake), _model_reading(mistake.pair)
        # The place of the error is among the places, and reads otherwise.
        others = places[words].total() - 1
        agree = places[words][reading]
        if others >= SUSPECT_PLACES and agree >= SUSPECT_SHARE * others:
            text = " ".join(words)
            as_what = "no entity" if reading == OUTSIDE else reading
            evidence = f"“{text}” is {as_what} in {agree} of {others} other places"
            supported.append((agree / (others + 1), words, reading, mistake, evidence))
    supported.sort(key=lambda found: -found[0])
    chosen: dict[tuple[tuple[str, ...], str], Mistake] = {}
    for _, words, reading, mistake, evidence in supported:
        chosen.setdefault((words, reading), Mistake(mistake.sentence, mistake.pair, evidence))
    return list(chosen.values())[:n]


def readings(
    texts: Iterable[tuple[str, ...]], sentences: Iterable[Sentence]
) -> dict[tuple[str, ...], Counter[str]]:
    """How often some words are annotated as what, wherever they stand.

    :param texts: sequences of words.
    :return: for each of them type → number of places, with ``O`` where they are outside of
        entities, and `PART` where they overlap an entity of other boundaries.
    """
    by_first: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    found: dict[tuple[str, ...], Counter[str]] = {}
    for text in texts:
        by_first[text[0]].append(text)
        found[text] = Counter()
    for sentence in sentences:
        for start, word in enumerate(sentence.words):
            for text in by_first.get(word, ()):
                end = start + len(text)
                if sentence.words[start:end] == text:
                    reading = _reading(sentence, start, end)
                    if reading is not None:
                        found[text][reading] += 1
    return found


def _reading(sentence: Sentence, start: int, end: int) -> str | None:
    if not sentence.missing.isdisjoint(range(start, end)):
        return None
    for ent in sentence.gold:
        if (ent.start, ent.end) == (start, end):
            return ent.label
        if ent.start < end and start < ent.end:
            return PART
    return OUTSIDE


def _model_reading(pair: Pair) -> str:
    return OUTSIDE if pair.predicted is None else pair.predicted.label


def _words(mistake: Mistake) -> tuple[str, ...]:
    """The words in question: those of the predicted entity, or of the missed one."""
    ent = mistake.pair.predicted or mistake.pair.gold
    assert ent is not None  # a pair has one of the two
    return mistake.sentence.words[ent.start : ent.end]


def _confidence(mistake: Mistake) -> float | None:
    predicted: Entity | None = mistake.pair.predicted
    return None if predicted is None else predicted.confidence


def _is_sure(mistake: Mistake) -> bool:
    confidence = _confidence(mistake)
    return confidence is None or confidence >= SUSPECT_CONFIDENCE
