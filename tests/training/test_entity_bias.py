from types import SimpleNamespace

import numpy as np
import pytest
import spacy
from samples import SMALL_MODEL, make_examples, overfit
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.vocab import Vocab

from ner_lstm_component.decoding.crf import Potentials, iob2_allowed
from ner_lstm_component.training.calibration import make_calibration
from ner_lstm_component.training.entity_bias import fit_entity_bias


def one_word_examples(scores_of_names, scores_of_others):
    """Return examples of one word each, half of them names, and a component with these scores."""
    vocab = Vocab(strings=["name"])
    scores = np.concatenate([scores_of_names, scores_of_others])
    examples = []
    for k in range(len(scores)):
        gold = Doc(vocab, words=["word"])
        gold.ents = [Span(gold, 0, 1, "name")] if k < len(scores_of_names) else []
        examples.append(Example(Doc(vocab, words=["word"]), gold))
    emissions = np.stack([np.zeros_like(scores), scores, np.full_like(scores, -9)], axis=1)
    transitions = np.where(iob2_allowed(1), 0, -np.inf).astype(np.float32)
    potentials = Potentials(
        emissions.astype(np.float32), transitions, np.ones(len(scores), np.int64)
    )
    return examples, SimpleNamespace(
        labels=("name",), entity_bias=0.0, potentials=lambda docs: potentials
    )


@pytest.mark.parametrize(("shift", "least", "most"), [(-2.5, 1.5, 3), (0, 0, 0), (1.5, -1.5, -0.5)])
def test_bias_undoes_a_shift(shift, least, most):
    noise = np.random.default_rng(0).normal(size=(2, 500))
    examples, component = one_word_examples(noise[0] + 1.5 + shift, noise[1] - 1.5 + shift)
    bias = fit_entity_bias(component, examples)
    assert least <= bias <= most
    # What is set already is part of the result.
    component.entity_bias = 0.5
    component.potentials(None).emissions[:, 1:] += 0.5
    assert fit_entity_bias(component, examples) == bias


def test_chance_is_no_reason_for_a_bias():
    """Of ten examples, another bias is better by chance."""
    noise = np.random.default_rng(1).normal(size=(2, 5))
    assert fit_entity_bias(*one_word_examples(noise[0] + 1, noise[1] - 1)[::-1]) == 0


def test_without_examples_there_is_no_bias():
    component = one_word_examples([], [])[1]
    assert fit_entity_bias(component, []) == 0
    assert fit_entity_bias(component, one_word_examples([-9.0], [-9.0])[0]) == 0


@pytest.fixture(scope="module")
def nlp():
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": SMALL_MODEL})
    return overfit(nlp)


@pytest.fixture
def ner(nlp):
    ner = nlp.get_pipe("ner_lstm")
    yield ner
    ner.entity_bias, ner.temperature = 0.0, 1.0


def n_entities(nlp):
    return sum(len(nlp(eg.reference.text).ents) for eg in make_examples(nlp.vocab))


def test_bias_changes_predictions_and_probabilities(nlp, ner):
    doc = nlp.make_doc("Anna lives in Oslo .")
    before, at_0 = n_entities(nlp), ner.probabilities([doc])[0].tags
    ner.entity_bias = 20
    assert n_entities(nlp) > before
    assert (ner.probabilities([doc])[0].tags[:, 0] < at_0[:, 0]).all()
    ner.entity_bias = -40
    assert n_entities(nlp) == 0


def test_bias_is_saved(nlp, ner, tmp_path):
    ner.entity_bias = 1.5
    nlp.to_disk(tmp_path / "nlp")
    assert spacy.load(tmp_path / "nlp").get_pipe("ner_lstm").entity_bias == 1.5
    blank = spacy.blank("en")
    other = blank.add_pipe("ner_lstm", config={"model": SMALL_MODEL})
    other.entity_bias = 1.5
    blank.initialize(lambda: make_examples(blank.vocab))
    assert other.entity_bias == 0
    del other.cfg["entity_bias"]  # as in pipelines of earlier versions
    assert nlp.from_bytes(blank.to_bytes()) is nlp
    assert ner.entity_bias == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bias_is_checked(ner, value):
    with pytest.raises(ValueError, match="entity_bias"):
        ner.entity_bias = value


def test_callback_fits_it_only_if_told_to(nlp, ner, tmp_path):
    docs = [eg.reference for eg in make_examples(nlp.vocab) for _ in range(5)]
    DocBin(docs=docs).to_disk(tmp_path / "dev.spacy")
    ner.entity_bias = -40
    make_calibration(tmp_path / "dev.spacy")(nlp)
    assert ner.entity_bias == -40
    make_calibration(tmp_path / "dev.spacy", bias=True)(nlp)
    assert ner.entity_bias == 0
