"""All that is said about a pipeline on some data, computed once; pictures and reports show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ner_lstm_component.evaluation.alignment import Outcome
from ner_lstm_component.evaluation.breakdown import by_familiarity, by_length
from ner_lstm_component.evaluation.confusion import Confusion, entity_confusion, tag_confusion
from ner_lstm_component.evaluation.errors import (
    ErrorGroup,
    Mistake,
    costly_groups,
    most_confident,
    suspect_annotations,
)
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.reliability import (
    Reliability,
    expected_calibration_error,
    reliability,
)
from ner_lstm_component.evaluation.scores import (
    MEASURES,
    RELAXED,
    Score,
    interval,
    labels_of,
    macro,
    macro_score,
    measures,
    relaxed_score,
    resample,
    score,
    strict_counts,
)
from ner_lstm_component.evaluation.significance import approximate_randomization

# How many errors of each list a report shows.
N_SHOWN = 20


@dataclass(frozen=True)
class Calibration:
    """How far confidences can be trusted.

    :param bins: predicted entities by confidence.
    :param error: the expected calibration error.
    """

    bins: Reliability
    error: float


@dataclass(frozen=True)
class Evaluation:
    """What a report of one pipeline holds.

    :param model: its name for titles.
    :param data: the data's name for titles.
    :param labels: entity types, the most frequent first.
    :param micro: the strict score over all entities, spaCy's and seqeval's.
    :param macro: the mean of the types' scores.
    :param types: the strict score of each type.
    :param relaxed: scores where near misses count, see `scores.RELAXED`.
    :param familiarity: None without training data.
    :param calibration: None without confidences.
    :param has_confidences: whether the pipeline says how sure it is.
    :param notes: what a reader should know before the figures.
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
    tags: Confusion
    entities: Confusion
    lengths: dict[str, Score]
    familiarity: dict[str, Score] | None
    calibration: Calibration | None
    groups: list[ErrorGroup]
    confident: list[Mistake]
    suspects: list[Mistake]
    has_confidences: bool
    notes: list[str]


@dataclass(frozen=True)
class Difference:
    """How much a second pipeline differs from a first, as second minus first.

    :param bounds: of the paired bootstrap's interval.
    :param p_value: of approximate randomization; None where it was not tested.
    """

    value: float
    bounds: tuple[float, float] | None
    p_value: float | None


@dataclass(frozen=True)
class Comparison:
    """Two pipelines on the same data.

    :param overall: ``micro`` and ``macro`` → measure → difference.
    :param types: type → difference in F1.
    :param n_shuffles: how many times the test exchanged answers.
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
    has_confidences: bool = False,
) -> Evaluation:
    """Compute everything.

    :param training: what the pipeline was trained on, to tell known entities from new ones.
    :param has_confidences: whether the pipeline gives probabilities.
    """
    labels = labels_of(sentences)
    counts = strict_counts(sentences, labels)
    drawn = resample(counts)
    pairs = [pair for sentence in sentences for pair in sentence.pairs]
    return Evaluation(
        model=model,
        data=data,
        documents=len(sentences),
        tokens=sum(len(sentence.words) for sentence in sentences),
        labels=labels,
        micro=score(counts.sum((0, 1)), drawn.sum(1)),
        macro=macro_score(counts.sum(0), drawn),
        types={label: score(counts[:, k].sum(0), drawn[:, k]) for k, label in enumerate(labels)},
        relaxed={name: relaxed_score(pairs, worth) for name, worth in RELAXED.items()},
        tags=tag_confusion(sentences, labels),
        entities=entity_confusion(sentences, labels),
        lengths=by_length(sentences, labels),
        familiarity=None if training is None else by_familiarity(sentences, training, labels),
        calibration=_calibration(sentences),
        groups=costly_groups(sentences),
        confident=most_confident(sentences, N_SHOWN),
        suspects=suspect_annotations(sentences, training or [], N_SHOWN),
        has_confidences=has_confidences,
        notes=_notes(sentences),
    )


def compare(
    first: tuple[Evaluation, Sequence[Sentence]],
    second: tuple[Evaluation, Sequence[Sentence]],
    n_shuffles: int = 10_000,
) -> Comparison:
    """Two pipelines side by side, and whether they differ.

    :param first: its evaluation, and the sentences that this was made of.
    :param second: the same of another pipeline, on the same data.
    """
    labels = labels_of([*first[1], *second[1]])
    counts = strict_counts(first[1], labels), strict_counts(second[1], labels)
    drawn = resample(counts[0]), resample(counts[1])
    sums = counts[0].sum(0), counts[1].sum(0)

    def statistic(summed: NDArray[np.int64]) -> NDArray[np.float64]:
        """Micro and macro measures of ``(n, n_labels, 3)`` counts, as six columns."""
        return np.nan_to_num(np.concatenate([measures(summed.sum(-2)), macro(summed)], axis=-1))

    values = statistic(sums[1][None])[0] - statistic(sums[0][None])[0]
    spread = statistic(drawn[1]) - statistic(drawn[0])
    p_values = approximate_randomization(counts[0], counts[1], statistic, n_shuffles)
    flat = [
        Difference(float(values[k]), interval(spread[:, k]), float(p_values[k]))
        for k in range(len(values))
    ]
    n = len(MEASURES)
    f1 = MEASURES.index("f1")
    per_type = np.nan_to_num(measures(sums[1])[:, f1]) - np.nan_to_num(measures(sums[0])[:, f1])
    spread = measures(drawn[1])[..., f1] - measures(drawn[0])[..., f1]
    return Comparison(
        first=first[0],
        second=second[0],
        overall={
            name: dict(zip(MEASURES, flat[start : start + n], strict=True))
            for name, start in (("micro", 0), ("macro", n))
        },
        types={
            label: Difference(float(per_type[k]), interval(spread[:, k]), None)
            for k, label in enumerate(labels)
        },
        n_shuffles=n_shuffles,
    )


def _calibration(sentences: Sequence[Sentence]) -> Calibration | None:
    known = [
        (pair.predicted.confidence, pair.outcome is Outcome.CORRECT)
        for sentence in sentences
        for pair in sentence.pairs
        if pair.predicted is not None and pair.predicted.confidence is not None
    ]
    if not known:
        return None
    confidences, correct = zip(*known, strict=True)
    bins = reliability(np.array(confidences), np.array(correct))
    return Calibration(bins, expected_calibration_error(bins))


def _notes(sentences: Sequence[Sentence]) -> list[str]:
    gold = {ent.label for sentence in sentences for ent in sentence.gold}
    predicted = {ent.label for sentence in sentences for ent in sentence.predicted}
    notes = []
    if not predicted:
        notes.append("The pipeline found no entity at all in this data.")
    elif not gold & predicted:
        notes.append(
            "Pipeline and data have no entity type in common: the data has "
            f"{_listed(gold)}, the pipeline gave {_listed(predicted)}. Their labels differ, so "
            "that nothing can be right."
        )
    elif predicted - gold:
        notes.append(
            f"The pipeline gave types that the data does not have: {_listed(predicted - gold)}. "
            "Each such entity counts as wrong."
        )
    if predicted and gold & predicted and gold - predicted:
        notes.append(f"Types of the data that were never predicted: {_listed(gold - predicted)}.")
    missing = sum(len(sentence.missing) for sentence in sentences)
    if missing:
        notes.append(
            f"{missing:,} tokens have no annotation; what was predicted there is neither right "
            "nor wrong."
        )
    return notes


def _listed(labels: set[str]) -> str:
    return ", ".join(sorted(labels))
