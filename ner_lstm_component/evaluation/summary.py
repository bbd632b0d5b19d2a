"""All results that a report shows about a pipeline on some data, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import errors, scores
from .alignment import Outcome
from .errors import ErrorGroup, Mistake
from .predictions import Sentence
from .reliability import Reliability, reliability
from .resampling import approximate_randomization, interval, resample
from .robustness import Variant
from .scores import MEASURES, RELAXED, Score

N_SHOWN = 20  # the length of each list of errors in a report


@dataclass(frozen=True)
class Evaluation:
    """The results of one pipeline.

    :param labels: entity types, the most frequent first.
    :param micro: the strict score over all entities, as spaCy and seqeval compute it.
    :param macro: the mean of the types' scores.
    :param relaxed: the scores with credit for near misses, keyed by the names in `scores.RELAXED`.
    :param familiarity: scores of entities seen and unseen in training, or None if unknown.
    :param calibration: the reliability of confidences, or None if no entity has one.
    :param robustness: the scores on variants of the text; empty if not measured.
    :param notes: caveats to read before the figures.
    """

    model: str
    data: str
    documents: int
    tokens: int
    labels: list[str]
    micro: Score
    macro: Score
    types: dict[str, Score]
    relaxed: dict[str, Score]
    tags: pd.DataFrame
    entities: pd.DataFrame
    lengths: dict[str, Score]
    familiarity: dict[str, Score] | None
    calibration: Reliability | None
    groups: list[ErrorGroup]
    confident: list[Mistake]
    suspects: list[Mistake]
    robustness: Sequence[Variant]
    notes: list[str]


@dataclass(frozen=True)
class Difference:
    """The difference between two pipelines, second minus first.

    :param bounds: the interval of the paired bootstrap.
    :param p_value: the p-value from approximate randomization, or None if not tested.
    """

    value: float
    bounds: tuple[float, float] | None
    p_value: float | None


@dataclass(frozen=True)
class Comparison:
    """Two pipelines on the same data.

    :param overall: the differences by average (``micro`` or ``macro``) and measure.
    :param types: the difference in F1 for each type.
    :param n_shuffles: the number of random swaps in the permutation test.
    """

    first: Evaluation
    second: Evaluation
    overall: dict[str, dict[str, Difference]]
    types: dict[str, Difference]
    n_shuffles: int


def summarize(
    sentences: Sequence[Sentence],
    model: str,
    data: str,
    *,
    training: Sequence[Sentence] | None = None,
    robustness: Sequence[Variant] = (),
) -> Evaluation:
    """Compute all results that a report shows, except the robustness, which is given.

    :param training: the training data, for the scores by familiarity.
    """
    labels = scores.labels_of(sentences)
    counts = scores.strict_counts(sentences, labels)
    drawn = resample(counts)
    sums = counts.sum(0)
    pairs = [pair for sentence in sentences for pair in sentence.pairs]
    return Evaluation(
        model=model,
        data=data,
        documents=len(sentences),
        tokens=sum(len(sentence.words) for sentence in sentences),
        labels=labels,
        micro=scores.score(sums.sum(0), drawn.sum(1)),
        macro=scores.score(sums, drawn, scores.macro),
        types={label: scores.score(sums[k], drawn[:, k]) for k, label in enumerate(labels)},
        relaxed={name: scores.relaxed_score(pairs, credits) for name, credits in RELAXED.items()},
        tags=scores.tag_confusion(sentences, labels),
        entities=scores.entity_confusion(sentences, labels),
        lengths=scores.by_length(sentences),
        familiarity=None if training is None else scores.by_familiarity(sentences, training),
        calibration=_calibration(sentences),
        groups=errors.costly_groups(sentences),
        confident=errors.most_confident(sentences, N_SHOWN),
        suspects=errors.suspect_annotations(sentences, training or [], N_SHOWN),
        robustness=robustness,
        notes=_notes(sentences),
    )


def compare(
    first: tuple[Evaluation, Sequence[Sentence]],
    second: tuple[Evaluation, Sequence[Sentence]],
    n_shuffles: int = 10_000,
) -> Comparison:
    """Compare two pipelines on the same data, and test whether they differ.

    :param first: the first pipeline's evaluation and the evaluated sentences.
    :param second: the same for the second pipeline.
    """
    labels = scores.labels_of([*first[1], *second[1]])
    counts = [scores.strict_counts(sentences, labels) for _, sentences in (first, second)]

    def statistic(summed: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return micro measures, macro measures and the F1 of each type, as columns."""
        averages = np.nan_to_num([scores.measures(summed.sum(-2)), scores.macro(summed)])
        types = scores.measures(summed)[..., MEASURES.index("f1")]
        return np.concatenate([*averages, types], axis=-1)

    one, two = np.nan_to_num(statistic(np.stack([found.sum(0) for found in counts])))
    spread = statistic(resample(counts[1])) - statistic(resample(counts[0]))
    p_values = approximate_randomization(counts[0], counts[1], statistic, n_shuffles).tolist()
    n = len(MEASURES)
    # Testing many types would find differences by chance.
    p_values[2 * n :] = [None] * len(labels)
    values = zip((two - one).tolist(), spread.T, p_values, strict=True)
    found = [Difference(value, interval(sample), p) for value, sample, p in values]
    micro, macro = (dict(zip(MEASURES, found[k : k + n], strict=True)) for k in (0, n))
    types = dict(zip(labels, found[2 * n :], strict=True))
    return Comparison(first[0], second[0], {"micro": micro, "macro": macro}, types, n_shuffles)


def _calibration(sentences: Sequence[Sentence]) -> Reliability | None:
    known = [
        (pair.predicted.confidence, pair.outcome is Outcome.CORRECT)
        for sentence in sentences
        for pair in sentence.pairs
        if pair.predicted is not None and pair.predicted.confidence is not None
    ]
    if not known:
        return None
    confidences, correct = zip(*known, strict=True)
    return reliability(np.array(confidences), np.array(correct))


def _notes(sentences: Sequence[Sentence]) -> list[str]:
    gold = {ent.label for sentence in sentences for ent in sentence.gold}
    predicted = {ent.label for sentence in sentences for ent in sentence.predicted}
    unknown, unused = (", ".join(sorted(some)) for some in (predicted - gold, gold - predicted))
    notes = []
    if not predicted:
        notes.append("The pipeline found no entity at all in this data.")
    elif not gold & predicted:
        notes.append(
            f"The pipeline and the data have no entity type in common: the data has {unused}, the "
            f"pipeline predicted {unknown}. Their labels differ, so nothing can be correct."
        )
    else:
        if unknown:
            notes.append(
                f"The pipeline predicted types that the data does not have: {unknown}. Each such "
                "entity counts as wrong."
            )
        if unused:
            notes.append(f"Types of the data that were never predicted: {unused}.")
    if missing := sum(len(sentence.missing) for sentence in sentences):
        without = f"Tokens without annotation: {missing:,}."
        notes.append(f"{without} Predictions there are neither right nor wrong.")
    return notes
