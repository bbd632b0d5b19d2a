"""A threshold for each label, found on held-out data.

To maximize F1, entities less probable than half of the F1 that can be reached are left out (Lipton,
Elkan and Narayanaswamy, "Optimal Thresholding of Classifiers to Maximize F1 Measure", 2014). For
the micro average this is one threshold for all labels, and a rare label with a low F1 may lose all
of its entities to it. For the macro average, each label has its own. The sum of both averages is
maximized here: frequent labels get about the threshold of the micro average, rare ones their own.

The F1 is computed from the probabilities, and from no search for the best score, which on little
data finds chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.training import Example

from ..component import LSTMEntityRecognizer
from ..decoding import crf
from ..decoding.iob2 import entity_spans
from .matching import are_correct, before_component, gold_entities, to_find

# The share of a label's correct entities that may be lost.
_LOSS = 0.25


def tune(nlp: Language, examples: Iterable[Example], name: str = "ner_lstm") -> dict[str, float]:
    """Find the thresholds of a pipeline's component on held-out examples, set and return them.

    The probabilities must be calibrated: call `training.calibration.calibrate` first.
    """
    component = nlp.get_pipe(name)
    component.threshold = tune_thresholds(component, before_component(nlp, examples, name))
    return dict(component.threshold)


def tune_thresholds(
    component: LSTMEntityRecognizer, examples: Sequence[Example]
) -> dict[str, float]:
    """Find the threshold of each label that maximizes the sum of micro and macro F1.

    :param examples: held-out examples, whose ``predicted`` Docs have the annotation from the
        components before `component`.
    :return: the thresholds, which are not set. A label has 0 if none of its predicted entities is
        correct.
    """
    potentials = component.potentials([eg.predicted for eg in examples])
    spans = entity_spans(crf.viterbi(*potentials))
    gold = Counter(label for eg in examples for _, _, label in to_find(eg))
    found = best_thresholds(
        crf.marginals(potentials, spans, temperature=component.temperature).spans,
        spans[:, 2],
        are_correct(spans, gold_entities(examples, component.labels)),
        np.array([gold[label] for label in component.labels]),
    )
    return dict(zip(component.labels, found.tolist(), strict=True))


def best_thresholds(
    probability: NDArray[np.float64],
    label: NDArray[np.int64],
    correct: NDArray[np.bool_],
    n_annotated: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Maximize the sum of the micro and the macro average of F1.

    :param probability: the probability of each predicted entity. *Shape:* ``(n_entities,)``
    :param label: its label's number. *Shape:* ``(n_entities,)``
    :param correct: whether it is annotated. *Shape:* ``(n_entities,)``
    :param n_annotated: the number of annotated entities of each label. *Shape:* ``(n_labels,)``
    :return: the thresholds, rounded down to four decimals. *Shape:* ``(n_labels,)``
    """
    n_labels = len(n_annotated)
    highest = np.zeros(n_labels)
    for one in np.unique(label[correct]).tolist():
        highest[one] = np.quantile(probability[correct & (label == one)], _LOSS, method="lower")
    thresholds = np.zeros(n_labels)
    while True:
        kept = probability >= thresholds[label]
        right = np.bincount(label[kept], probability[kept], n_labels)
        # F1 is twice the right entities by the sum of the predicted and the annotated ones.
        size = np.maximum(1, np.bincount(label[kept], minlength=n_labels) + n_annotated)
        # Half of the F1 of all and of each label, weighted by what an entity changes in either.
        of_all, of_label = 1 / size.sum(), 1 / (n_labels * size)
        half = of_all * right.sum() / size.sum() + of_label * right / size
        higher = np.maximum(thresholds, np.minimum(half / (of_all + of_label), highest))
        if np.array_equal(higher, thresholds):
            return np.floor(thresholds * 1e4) / 1e4
        thresholds = higher
