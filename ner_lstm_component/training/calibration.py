"""The temperature that calibrates the confidence of entities.

Networks trained to fit their data tend to be overconfident. Dividing the CRF's potentials by
one number, fitted to held-out data, corrects this without changing any entity (Guo, Pleiss,
Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017).
"""

# No postponed annotations here: spaCy reads those of registered functions.

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.training import Corpus, Example

from ..component import LSTMEntityRecognizer
from ..decoding import crf
from ..decoding.iob2 import entity_spans
from .entity_bias import fit_entity_bias
from .matching import are_correct, before_component, gold_entities

# The search interval, and the number of steps that narrow it to about a hundredth.
_LOWEST, _HIGHEST, _STEPS = 0.25, 8.0, 12


def fit_temperature(component: LSTMEntityRecognizer, examples: Sequence[Example]) -> float:
    """Find the temperature that calibrates the component best on annotated examples.

    A golden-section search minimizes the cross-entropy between the probabilities of predicted
    entities and their correctness.

    :param examples: held-out examples, whose ``predicted`` Docs have the annotation from the
        components before `component`.
    :return: the temperature, which is not set; the current temperature if no entity is predicted.
    """
    potentials = component.potentials([eg.predicted for eg in examples])
    spans = entity_spans(crf.viterbi(*potentials))
    if len(spans) == 0:
        return component.temperature
    correct = are_correct(spans, gold_entities(examples, component.labels))

    @cache
    def cross_entropy(log_temperature: float) -> float:
        p = crf.marginals(potentials, spans, temperature=float(np.exp(log_temperature))).spans
        return -float(np.log(np.clip(np.where(correct, p, 1 - p), 1e-12, None)).mean())

    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        # One of the two values was computed in the step before; rounded, it is found in the cache.
        left, right = high - golden * (high - low), low + golden * (high - low)
        if cross_entropy(round(left, 9)) < cross_entropy(round(right, 9)):
            high = right
        else:
            low = left
    return round(float(np.exp((low + high) / 2)), 4)


def calibrate(nlp: Language, examples: Iterable[Example], name: str = "ner_lstm") -> float:
    """Fit the temperature of a pipeline's component to held-out examples, set and return it."""
    component = nlp.get_pipe(name)
    component.temperature = fit_temperature(component, before_component(nlp, examples, name))
    return component.temperature


def make_calibration(
    path: str | Path, name: str = "ner_lstm", bias: bool = False
) -> Callable[[Language], Language]:
    """`ner_lstm_component.calibration.v1`: calibrate each pipeline that training saves.

    A config uses it in ``[training.before_to_disk]``.

    :param path: the file or folder of annotated held-out Docs, such as ``${paths.dev}``.
    :param name: the component's name in the pipeline.
    :param bias: whether to fit the entity bias, too, as in :func:`fit_entity_bias`.
    """

    def before_to_disk(nlp: Language) -> Language:
        component = nlp.get_pipe(name)
        examples = before_component(nlp, Corpus(path)(nlp), name)
        if bias:
            component.entity_bias = fit_entity_bias(component, examples)
        component.temperature = fit_temperature(component, examples)
        return nlp

    return before_to_disk


def make_reset(name: str = "ner_lstm") -> Callable[[Language, dict[str, Any]], None]:
    """`ner_lstm_component.reset_bias.v1`: train on without the entity bias of a checkpoint.

    A config uses it in ``[training.before_update]``. The bias was fitted to the weights that were
    saved, and would spoil the scores of later weights.

    :param name: the component's name in the pipeline.
    """

    def before_update(nlp: Language, info: dict[str, Any]) -> None:
        nlp.get_pipe(name).entity_bias = 0.0

    return before_update
