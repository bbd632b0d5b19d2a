"""Thresholds of labels, on drawn probabilities and with a small pipeline."""

import numpy as np
import pytest
import spacy
from samples import noisy_docs
from spacy.lang.en import English
from spacy.tokens import Doc
from spacy.training import Example

from ner_lstm_component.training.thresholds import best_thresholds, tune, tune_thresholds


def drawn(*counts, beta=(2, 1), seed=0):
    """Calibrated predictions of several labels; one in four entities is missed."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(counts)), counts)
    probability = rng.beta(*beta, len(label))
    correct = rng.random(len(label)) < probability
    return probability, label, correct, np.bincount(label[correct], minlength=len(counts)) * 4 // 3


def expected_f1(probability, label, n_annotated, thresholds):
    """The micro average of F1, and the macro average, with probabilities for counts."""
    kept = probability >= np.array(thresholds)[label]
    right = 2 * np.bincount(label[kept], probability[kept], len(n_annotated))
    size = np.bincount(label[kept], minlength=len(n_annotated)) + n_annotated
    return right.sum() / size.sum(), (right / size).mean()


def test_of_one_label_it_is_half_of_the_best_f1():
    probability, label, correct, n_annotated = drawn(3000)
    (found,) = best_thresholds(probability, label, correct, n_annotated)
    scores = [
        expected_f1(probability, label, n_annotated, [t])[0] for t in np.append(probability, 0)
    ]
    assert expected_f1(probability, label, n_annotated, [found])[0] == pytest.approx(max(scores))
    assert found == pytest.approx(max(scores) / 2, abs=1e-4)


def test_the_sum_of_both_averages_is_maximal():
    probability, label, correct, n_annotated = drawn(400, 40)
    n_annotated[1] *= 3  # many missed: its F1 is low
    found = best_thresholds(probability, label, correct, n_annotated)
    grid = np.linspace(0, 1, 51)
    best = max(
        sum(expected_f1(probability, label, n_annotated, (one, other)))
        for one in grid
        for other in grid
    )
    assert sum(expected_f1(probability, label, n_annotated, found)) >= best - 1e-3
    assert found[0] > found[1] + 0.1


def test_a_class_that_occurs_ten_times_keeps_its_recall():
    """The common threshold, about 0.4, would leave out all of its entities."""
    probability, label, correct, n_annotated = drawn(2000, beta=(4, 1))
    rare = np.array([0.38, 0.35, 0.33, 0.3, 0.3, 0.28, 0.25, 0.1])
    is_right = np.array([True, False, True, True, False, False, True, False])
    common, own = best_thresholds(
        np.append(probability, rare),
        np.append(label, np.ones(len(rare), int)),
        np.append(correct, is_right),
        np.append(n_annotated, 10),
    )
    assert common > 0.38
    assert 0 < own <= 0.25


def test_at_most_a_quarter_of_the_correct_entities_is_lost():
    """Two labels of little data: the other one's F1 would leave out half of this one's."""
    probability = np.concatenate([np.full(4, 0.99), [0.2, 0.21, 0.22, 0.45]])
    label, correct = np.repeat([0, 1], 4), np.ones(8, bool)
    _, found = best_thresholds(probability, label, correct, np.array([4, 4]))
    assert found == pytest.approx(0.2, abs=1e-4)
    correct[5:7] = False
    _, found = best_thresholds(probability, label, correct, np.array([4, 4]))
    assert found == pytest.approx(0.2, abs=1e-4)


@pytest.mark.parametrize("n_annotated", [[10, 20, 0], [0, 0, 0]])
def test_nothing_is_correct_or_predicted(n_annotated):
    nothing = np.zeros(0)
    found = best_thresholds(
        nothing, nothing.astype(int), nothing.astype(bool), np.array(n_annotated)
    )
    assert found.tolist() == [0, 0, 0]
    wrong = best_thresholds(
        np.array([0.9, 0.2, 0.3]), np.array([0, 0, 1]), np.zeros(3, bool), np.array(n_annotated)
    )
    assert wrong.tolist() == [0, 0, 0]


@pytest.fixture
def nlp(trained_nlp):
    """A copy that may be changed, and is about as sure as it is right."""
    copied = English.from_config(trained_nlp.config).from_bytes(trained_nlp.to_bytes())
    copied.get_pipe("ner_lstm").temperature = 3.0
    return copied


@pytest.fixture
def docs(train_examples):
    return noisy_docs(train_examples)


def new_examples(nlp, docs):
    return [Example(Doc(nlp.vocab, words=[t.text for t in doc]), doc.copy()) for doc in docs]


def test_a_pipelines_thresholds_are_set_and_saved(nlp, docs, tmp_path):
    ner = nlp.get_pipe("ner_lstm")
    by_component = tune_thresholds(ner, new_examples(nlp, docs))
    assert ner.threshold == 0
    found = tune(nlp, new_examples(nlp, docs))
    assert found == by_component == ner.threshold
    assert set(found) == {"geo", "org", "per"}
    assert all(0.2 < one <= 0.5 for one in found.values())
    nlp.to_disk(tmp_path)
    assert spacy.load(tmp_path).get_pipe("ner_lstm").threshold == found
    # Earlier thresholds make no difference.
    assert tune(nlp, new_examples(nlp, docs)) == found


def test_entities_of_components_before_it_are_not_for_it_to_find(nlp, docs):
    ruler = nlp.add_pipe("entity_ruler", before="ner_lstm")
    names = {ent.text for doc in docs for ent in doc.ents if ent.label_ == "per"}
    ruler.add_patterns([{"label": "per", "pattern": name} for name in names])
    found = tune(nlp, new_examples(nlp, docs))
    assert found["per"] == 0
    examples = new_examples(nlp, docs)
    for example in examples:
        ruler(example.predicted)
        others = [ent for ent in example.reference.ents if ent.label_ != "per"]
        example.reference.set_ents(others)
    assert found == tune_thresholds(nlp.get_pipe("ner_lstm"), examples)


def test_without_examples_all_entities_are_kept(nlp):
    assert tune(nlp, []) == dict.fromkeys(["geo", "org", "per"], 0.0)
