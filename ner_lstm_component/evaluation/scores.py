"""Precision, recall and F1 from counts, with bootstrap intervals.

Counts are integers in the last axis of an array, `CORRECT`, `GOLD` and `PREDICTED`, so that
adding up sentences, types or resamples is a sum over another axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ner_lstm_component.evaluation.alignment import Outcome, Pair
from ner_lstm_component.evaluation.predictions import Sentence

CORRECT, GOLD, PREDICTED = 0, 1, 2
MEASURES = ("precision", "recall", "f1")

# Of the ways to score that SemEval-2013, task 9.1 (Segura-Bedmar et al.) uses beside the strict
# one: what a pair is worth. Unpaired entities are worth nothing.
RELAXED: dict[str, dict[Outcome, float]] = {
    "exact": {Outcome.CORRECT: 1, Outcome.TYPE: 1},
    "partial": {
        Outcome.CORRECT: 1,
        Outcome.TYPE: 1,
        Outcome.BOUNDARY: 0.5,
        Outcome.BOTH: 0.5,
    },
    "type": {Outcome.CORRECT: 1, Outcome.BOUNDARY: 1},
}


@dataclass(frozen=True)
class Score:
    """How well something is found, and on how much.

    :param intervals: of precision, recall and F1, each a lower and an upper bound; empty where
        none were asked for, None in it where a resample never had the type.
    """

    precision: float
    recall: float
    f1: float
    gold: int
    predicted: int
    correct: int
    intervals: dict[str, tuple[float, float] | None]


def labels_of(sentences: Iterable[Sentence]) -> list[str]:
    """All entity types, gold and predicted; the most frequent in the data first."""
    counts: dict[str, int] = {}
    for sentence in sentences:
        for ent in sentence.gold:
            counts[ent.label] = counts.get(ent.label, 0) + 1
        for ent in sentence.predicted:
            counts.setdefault(ent.label, 0)
    return sorted(counts, key=lambda label: (-counts[label], label))


def strict_counts(sentences: Sequence[Sentence], labels: Sequence[str]) -> NDArray[np.int64]:
    """Counts of each sentence and type; only the same tokens and type are correct.

    :return: *Shape:* ``(n_sentences, n_labels, 3)``
    """
    index = {label: k for k, label in enumerate(labels)}
    counts = np.zeros((len(sentences), len(labels), 3), np.int64)
    for row, sentence in zip(counts, sentences, strict=True):
        for gold, predicted in sentence.pairs:
            if gold is not None:
                row[index[gold.label], GOLD] += 1
            if predicted is not None:
                row[index[predicted.label], PREDICTED] += 1
                if gold is not None and gold[:3] == predicted[:3]:
                    row[index[gold.label], CORRECT] += 1
    return counts


def measures(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Precision, recall and F1 of counts.

    A quotient without a denominator is 0, as in seqeval and spaCy; where there is neither a gold
    nor a predicted entity, all three are NaN.

    :param counts: *Shape:* ``(…, 3)``
    :return: in the order of `MEASURES`. *Shape:* ``(…, 3)``
    """
    correct, gold, predicted = np.moveaxis(counts, -1, 0)
    values = np.stack(
        [
            correct / np.maximum(predicted, 1),
            correct / np.maximum(gold, 1),
            2 * correct / np.maximum(gold + predicted, 1),
        ],
        axis=-1,
    )
    return np.where((gold + predicted > 0)[..., None], values, np.nan)


def macro(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of the types' measures, over the types that occur.

    :param counts: *Shape:* ``(…, n_labels, 3)``
    :return: *Shape:* ``(…, 3)``
    """
    return _nan_mean(measures(counts))


def resample(
    counts: NDArray[np.int64], n_resamples: int = 1000, seed: int = 0
) -> NDArray[np.int64]:
    """Sums over sentences drawn with replacement (Efron and Tibshirani, 1993).

    Equal seeds draw the same sentences, so that two systems' resamples are paired.

    :param counts: *Shape:* ``(n_sentences, …)``
    :return: *Shape:* ``(n_resamples, …)``
    """
    n = len(counts)
    flat = counts.reshape(n, -1).astype(np.float64)
    rng = np.random.default_rng(seed)
    sums = np.empty((n_resamples, flat.shape[1]))
    for row in sums:
        row[:] = np.bincount(rng.integers(n, size=n), minlength=n) @ flat
    return np.rint(sums).astype(np.int64).reshape(n_resamples, *counts.shape[1:])


def interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float] | None:
    """The percentile interval of a resampled quantity; None if it was never defined."""
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def score(counts: NDArray[np.int64], resampled: NDArray[np.int64] | None = None) -> Score:
    """The score of some counts.

    :param counts: *Shape:* ``(3,)``
    :param resampled: of the same, for intervals. *Shape:* ``(n_resamples, 3)``
    """
    drawn = None if resampled is None else measures(resampled)
    return _score(measures(counts), counts, drawn)


def macro_score(counts: NDArray[np.int64], resampled: NDArray[np.int64]) -> Score:
    """The macro average over types, and over how many entities.

    :param counts: *Shape:* ``(n_labels, 3)``
    :param resampled: *Shape:* ``(n_resamples, n_labels, 3)``
    """
    return _score(macro(counts), counts.sum(0), macro(resampled))


def relaxed_score(pairs: Iterable[Pair], worth: dict[Outcome, float]) -> Score:
    """Precision, recall and F1 where near misses have a worth of their own.

    :param worth: a value of `RELAXED`.
    """
    total, gold, predicted, correct = 0.0, 0, 0, 0
    for pair in pairs:
        value = worth.get(pair.outcome, 0)
        total += value
        correct += value == 1
        gold += pair.gold is not None
        predicted += pair.predicted is not None
    return Score(
        precision=total / max(predicted, 1),
        recall=total / max(gold, 1),
        f1=2 * total / max(gold + predicted, 1),
        gold=gold,
        predicted=predicted,
        correct=correct,
        intervals={},
    )


def _score(
    values: NDArray[np.float64], counts: NDArray[np.int64], drawn: NDArray[np.float64] | None
) -> Score:
    precision, recall, f1 = (float(value) for value in np.nan_to_num(values))
    correct, gold, predicted = (int(count) for count in counts)
    intervals = (
        {} if drawn is None else {name: interval(drawn[:, k]) for k, name in enumerate(MEASURES)}
    )
    return Score(precision, recall, f1, gold, predicted, correct, intervals)


def _nan_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the last axis but one, of those that are defined."""
    defined = ~np.isnan(values)
    sums = np.where(defined, values, 0).sum(-2)
    return np.where(defined.any(-2), sums / np.maximum(defined.sum(-2), 1), np.nan)
