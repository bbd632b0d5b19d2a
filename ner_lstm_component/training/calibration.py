"""How far the confidence of entities is what it says, and the temperature that mends it.

Of a hundred entities with a confidence of 0.9, ninety should be right. Networks trained to
fit their data tend to promise more; dividing the CRF's factors by one number, fitted to
data that training has not seen, takes that back without changing an entity (Guo, Pleiss,
Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017).

For training and evaluation: nothing that tags text imports it.
"""

# No postponed annotations here: spaCy reads those of registered functions.

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example

from ..component import LSTMEntityRecognizer
from ..decoding import crf
from ..decoding.iob2 import entity_spans

# Of the temperature, and how often the interval is narrowed: to about a hundredth.
_LOWEST, _HIGHEST, _STEPS = 0.25, 8.0, 12


class Reliability(NamedTuple):
    """Bins of entities, the least confident first.

    :param size: entities in each.
    :param confidence: their mean confidence.
    :param accuracy: the share of them that is right.

    *Shape:* ``(n_bins,)`` each
    """

    size: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def reliability(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = 10
) -> Reliability:
    """Sort entities by confidence into bins of equal mass.

    :param confidence: of each predicted entity. *Shape:* ``(n_entities,)``
    :param correct: whether it is right. *Shape:* ``(n_entities,)``
    :param bins: how many; their sizes differ by one at most. Fewer entities make fewer bins.
    :raises ValueError: without entities.
    """
    if len(confidence) == 0:
        raise ValueError("There is no entity with a confidence, so there is nothing to bin.")
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return Reliability(
        np.array([len(part) for part in parts]),
        np.array([confidence[part].mean() for part in parts]),
        np.array([correct[part].mean() for part in parts]),
    )


def expected_calibration_error(table: Reliability) -> float:
    """The mean distance between confidence and accuracy, over bins weighted by their size.

    With ``n`` entities in all, ``sum(size / n * |accuracy - confidence|)``: the expected
    calibration error of Naeini, Cooper and Hauskrecht ("Obtaining Well Calibrated
    Probabilities Using Bayesian Binning", 2015) on bins of equal mass, as Nguyen and
    O'Connor ("Posterior Calibration and Exploratory Analysis for Natural Language
    Processing Models", 2015) have them.
    """
    distance = np.abs(table.accuracy - table.confidence)
    return float((table.size * distance).sum() / table.size.sum())


def fit_temperature(component: LSTMEntityRecognizer, examples: Sequence[Example]) -> float:
    """The temperature at which the component's confidence fits annotated examples best.

    It minimizes the cross-entropy between whether predicted entities are right and their
    probabilities, by golden-section search.

    :param examples: not those trained on. What components before this one set is on their
        ``predicted``.
    :return: the temperature, which is not set here; the present one if there is no entity
        predicted.
    """
    docs = [eg.predicted for eg in examples]
    factors = component.factors(docs)
    spans = entity_spans(crf.viterbi(*factors))
    if len(spans) == 0:
        return component.temperature
    correct = _are_correct(spans, component.labels, examples)

    def cross_entropy(log_temperature: float) -> float:
        p = crf.marginals(factors, spans, temperature=float(np.exp(log_temperature))).spans
        return -float(np.log(np.clip(np.where(correct, p, 1 - p), 1e-12, None)).mean())

    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    golden = (np.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = cross_entropy(left), cross_entropy(right)
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = cross_entropy(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = cross_entropy(right)
    return round(float(np.exp((low + high) / 2)), 4)


def _are_correct(
    spans: NDArray[np.int64], labels: Sequence[str], examples: Sequence[Example]
) -> NDArray[np.bool_]:
    """Which spans on the predicted Docs, counted through, are annotated entities."""
    ends = np.cumsum([len(eg.predicted) for eg in examples])
    gold = [annotated(eg.reference) for eg in examples]
    correct = []
    for (start, end, label), k in zip(
        spans.tolist(), np.searchsorted(ends, spans[:, 0], side="right"), strict=True
    ):
        doc = examples[k].predicted
        offset = int(ends[k]) - len(doc)
        ent = doc[start - offset : end - offset]
        correct.append((ent.start_char, ent.end_char, labels[label]) in gold[k])
    return np.array(correct, bool)


def annotated(doc: Doc) -> set[tuple[int, int, str]]:
    """A Doc's entities by their characters, whatever its tokens."""
    return {(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents}


def calibrate(nlp: Language, examples: Iterable[Example], name: str = "ner_lstm") -> float:
    """Fit and set the temperature of a pipeline's component.

    :param examples: not those trained on.
    :param name: the component's name.
    :return: the temperature.
    """
    examples = list(examples)
    before = nlp.pipe_names[: nlp.pipe_names.index(name)]
    with nlp.select_pipes(enable=before):
        docs = list(nlp.pipe(eg.predicted for eg in examples))
    component = nlp.get_pipe(name)
    component.temperature = fit_temperature(
        component, [Example(doc, eg.reference) for doc, eg in zip(docs, examples, strict=True)]
    )
    return component.temperature


def make_calibration(path: str | Path, name: str = "ner_lstm") -> Callable[[Language], Language]:
    """`ner_lstm_component.calibration.v1`: calibrate each pipeline that training saves.

    For ``[training.before_to_disk]`` of a config.

    :param path: annotated Docs that are not trained on, as ``${paths.dev}``.
    :param name: the component's name.
    """

    def before_to_disk(nlp: Language) -> Language:
        calibrate(nlp, Corpus(path)(nlp), name)
        return nlp

    return before_to_disk
