"""The entity bias with which a component has the best F1 on held-out data.

If entities are more frequent in new text than in the training data, or less frequent, a network
finds too few of them or too many. Tweets are an example: their annotation differs by the year and
the authors. A number that is added to the scores of all tags but O corrects this (Minkov, Wang,
Tomasic and Cohen, "NER systems that suit user's preferences: adjusting the recall-precision
trade-off for entity extraction", 2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.training import Example

from ..component import LSTMEntityRecognizer
from ..decoding import crf
from ..decoding.iob2 import entity_spans
from ..evaluation.resampling import resample
from .matching import are_correct, gold_entities, to_find

_BIASES = np.arange(-1.5, 3.01, 0.25)
_RESAMPLES = 200
_FEWEST = 10


def fit_entity_bias(component: LSTMEntityRecognizer, examples: Sequence[Example]) -> float:
    """Find the bias that is nearest to 0 and as good as the best.

    It is as good if its F1 is not lower by more than the standard error of the difference (the rule
    of one standard error; Breiman, Friedman, Olshen and Stone, "Classification and Regression
    Trees", 1984). So where nothing has to be corrected, the bias is 0.

    :param examples: held-out examples, whose ``predicted`` Docs have the annotation from the
        components before `component`.
    :return: the bias, which is not set; 0 if there are too few examples for an error to estimate.
    """
    if len(examples) < _FEWEST:
        return 0.0
    potentials = component.potentials([eg.predicted for eg in examples])
    gold = gold_entities(examples, component.labels)
    ends = np.cumsum([len(eg.predicted) for eg in examples])
    n_docs = len(examples)
    # For each Doc and bias: the correct entities, and the sum of predicted and annotated ones.
    counts = np.zeros((n_docs, len(_BIASES), 2), np.int64)
    counts[:, :, 1] = [[len(to_find(eg))] for eg in examples]
    for k, bias in enumerate((_BIASES - component.entity_bias).tolist()):
        spans = entity_spans(crf.viterbi(*crf.favour_entities(potentials, bias)))
        doc_of = np.searchsorted(ends, spans[:, 0], side="right")
        counts[:, k, 0] = np.bincount(doc_of[are_correct(spans, gold)], minlength=n_docs)
        counts[:, k, 1] += np.bincount(doc_of, minlength=n_docs)
    scores = _f1(counts.sum(axis=0))
    resampled = _f1(resample(counts, _RESAMPLES))
    error = (resampled[:, [scores.argmax()]] - resampled).std(axis=0)
    good = _BIASES[scores >= scores.max() - error]
    return float(good[np.abs(good).argmin()])


def _f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return 2 * counts[..., 0] / np.maximum(1, counts[..., 1])
