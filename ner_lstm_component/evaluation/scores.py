"""Precision, recall and F1, overall, by type and by group of the data; confusion matrices.

The last axis of an array of counts holds integers, in the order correct, gold, predicted. Sums
over the other axes add up sentences, types or resamples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..decoding.iob2 import OUTSIDE, tag_names
from .alignment import Entity, Outcome, Pair
from .predictions import Sentence
from .resampling import Statistic, interval, resample

MEASURES = ("precision", "recall", "f1")

# The relaxed schemes of SemEval-2013, task 9.1 (Segura-Bedmar et al.): the credit for a pair.
# Unpaired entities get no credit.
RELAXED: dict[str, dict[Outcome, float]] = {
    "exact": {Outcome.CORRECT: 1, Outcome.TYPE: 1},
    "partial": {Outcome.CORRECT: 1, Outcome.TYPE: 1, Outcome.BOUNDARY: 0.5, Outcome.BOTH: 0.5},
    "type": {Outcome.CORRECT: 1, Outcome.BOUNDARY: 1},
}

# Upper limits of the groups of sentence lengths, in tokens; the last group has no limit.
LENGTHS = (10, 15, 20, 25, 30, 40)

# The last row and column of a confusion matrix of entities.
MISSED, SPURIOUS = "(missed)", "(spurious)"

FAMILIARITY = ("seen with this type", "seen with another type", "never seen")


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1, and the counts from which they are computed.

    :param intervals: the bootstrap interval of each measure, or None if it is always undefined.
    """

    precision: float
    recall: float
    f1: float
    gold: int
    predicted: int
    correct: int
    intervals: dict[str, tuple[float, float] | None]


def labels_of(sentences: Sequence[Sentence]) -> list[str]:
    """Return all gold and predicted entity types, the most frequent in the data first."""
    counts = Counter({ent.label: 0 for sentence in sentences for ent in sentence.predicted})
    counts.update(ent.label for sentence in sentences for ent in sentence.gold)
    return sorted(counts, key=lambda label: (-counts[label], label))


def strict_counts(
    sentences: Sequence[Sentence],
    groups: Sequence[str],
    group_of: Callable[[Sentence, Entity], str] = lambda _, ent: ent.label,
) -> NDArray[np.int64]:
    """Count entities by sentence and type or other group; correct means the same tokens and type.

    :return: the counts. *Shape:* ``(n_sentences, n_groups, 3)``
    """
    index = {group: k for k, group in enumerate(groups)}
    counts = np.zeros((len(sentences), len(groups), 3), np.int64)
    for row, sentence in zip(counts, sentences, strict=True):
        for column, entities in enumerate((sentence.correct, sentence.gold, sentence.predicted)):
            for ent in entities:
                row[index[group_of(sentence, ent)], column] += 1
    return counts


def measures(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """Compute precision, recall and F1.

    A quotient with the denominator 0 is 0, as in seqeval and spaCy. If there is neither a gold nor
    a predicted entity, all three measures are NaN.

    :return: the measures in the order of `MEASURES`. *Shape:* ``(…, 3)``, the same as `counts`
    """
    correct, gold, predicted = np.moveaxis(counts, -1, 0)
    ratios = ((correct, predicted), (correct, gold), (2 * correct, gold + predicted))
    values = np.stack([part / np.maximum(whole, 1) for part, whole in ratios], axis=-1)
    return np.where((gold + predicted > 0)[..., None], values, np.nan)


def macro(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average the measures over the types that occur: ``(…, n_labels, 3)`` → ``(…, 3)``."""
    return np.ma.filled(np.ma.masked_invalid(measures(counts)).mean(-2), np.nan)


def score(
    counts: NDArray[np.number],
    resampled: NDArray[np.int64] | None = None,
    statistic: Statistic = measures,
) -> Score:
    """Compute a score from counts.

    :param counts: the summed counts. *Shape:* ``(3,)``, or ``(n_labels, 3)`` for `macro`
    :param resampled: resamples of these counts, for intervals. *Shape:* ``(n_resamples, …)``
    :param statistic: computes the measures from the counts: `measures` or `macro`.
    """
    precision, recall, f1 = np.nan_to_num(statistic(counts)).tolist()
    correct, gold, predicted = (int(count) for count in counts.reshape(-1, 3).sum(0))
    bounds = {}
    if resampled is not None:
        bounds = dict(zip(MEASURES, map(interval, statistic(resampled).T), strict=True))
    return Score(precision, recall, f1, gold, predicted, correct, bounds)


def relaxed_score(pairs: Sequence[Pair], credits: dict[Outcome, float]) -> Score:
    """Compute a score with credit for near misses; `credits` is a value of `RELAXED`."""
    values = [credits.get(pair.outcome, 0) for pair in pairs]
    gold = sum(pair.gold is not None for pair in pairs)
    predicted = sum(pair.predicted is not None for pair in pairs)
    found = score(np.array([sum(values), gold, predicted]))
    return replace(found, correct=values.count(1))


def by_length(sentences: Sequence[Sentence]) -> dict[str, Score]:
    """Score groups of sentences by length; empty groups are left out."""
    names = [f"{low + 1}–{high}" for low, high in zip((0, *LENGTHS), LENGTHS, strict=False)]
    names.append(f"over {LENGTHS[-1]}")
    groups = np.searchsorted(LENGTHS, [len(sentence.words) for sentence in sentences])
    counts = np.array([[len(s.correct), len(s.gold), len(s.predicted)] for s in sentences])
    return _group_scores({name: counts[groups == k] for k, name in enumerate(names)})


def by_familiarity(sentences: Sequence[Sentence], training: Sequence[Sentence]) -> dict[str, Score]:
    """Score groups of entities by whether the training data has their words with their type."""
    known: dict[str, set[str]] = defaultdict(set)
    for sentence in training:
        for ent in sentence.gold:
            known[sentence.text(ent)].add(ent.label)

    def group_of(sentence: Sentence, ent: Entity) -> str:
        types = known.get(sentence.text(ent), ())
        return FAMILIARITY[0 if ent.label in types else 1 if types else 2]

    counts = strict_counts(sentences, FAMILIARITY, group_of)
    return _group_scores({name: counts[:, k] for k, name in enumerate(FAMILIARITY)})


def _group_scores(groups: dict[str, NDArray[np.int64]]) -> dict[str, Score]:
    known = {name: counts for name, counts in groups.items() if counts.any()}
    return {name: score(counts.sum(0), resample(counts)) for name, counts in known.items()}


# --- confusion matrices: rows are the data, columns the predictions ---------------------


def tags_of(n_tokens: int, entities: Iterable[Entity]) -> list[str]:
    """Return the IOB2 tags of entities; the first of overlapping entities is kept."""
    tags = [OUTSIDE] * n_tokens
    for start, end, label, _ in entities:
        if all(tag == OUTSIDE for tag in tags[start:end]):
            tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return tags


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

    The last column counts missed gold entities, and the last row spurious predicted entities.
    The diagonal counts entities with the right type and any boundaries.
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
