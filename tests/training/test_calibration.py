import pytest
import spacy
from samples import noisy_docs
from sklearn.metrics import log_loss
from spacy.lang.en import English
from spacy.tokens import Doc, DocBin
from spacy.training import Example

from ner_lstm_component.training.calibration import calibrate, fit_temperature, make_calibration


@pytest.fixture
def nlp(trained_nlp):
    """A copy that may be changed."""
    return English.from_config(trained_nlp.config).from_bytes(trained_nlp.to_bytes())


@pytest.fixture
def docs(train_examples):
    return noisy_docs(train_examples)


def new_examples(nlp, docs):
    return [Example(Doc(nlp.vocab, words=[t.text for t in doc]), doc) for doc in docs]


def cross_entropy(nlp, docs, temperature):
    ner = nlp.get_pipe("ner_lstm")
    ner.temperature, ner.confidence = temperature, True
    correct, confidence = [], []
    for example in new_examples(nlp, docs):
        gold = {(ent.start, ent.end, ent.label_) for ent in example.reference.ents}
        for ent in ner(example.predicted).ents:
            correct.append((ent.start, ent.end, ent.label_) in gold)
            confidence.append(ent._.confidence)
    return log_loss(correct, confidence)


def test_fitted_temperature_is_the_best(nlp, docs):
    best = fit_temperature(nlp.get_pipe("ner_lstm"), new_examples(nlp, docs))
    assert nlp.get_pipe("ner_lstm").temperature == 1.0
    # The network is almost certain where four in five are right.
    assert best > 1.2
    at_best = cross_entropy(nlp, docs, best)
    for factor in (0.8, 1.25):
        assert cross_entropy(nlp, docs, best * factor) > at_best


def test_without_predictions_the_temperature_stays(nlp):
    nlp.get_pipe("ner_lstm").temperature = 1.5
    assert calibrate(nlp, [Example(Doc(nlp.vocab), Doc(nlp.vocab))]) == 1.5
    assert calibrate(nlp, []) == 1.5


def test_components_before_it_run_first(nlp, docs):
    """Those whose entities it takes as given, or whose vectors it reads."""
    ruler = nlp.add_pipe("entity_ruler", before="ner_lstm")
    ruler.add_patterns([{"label": "other", "pattern": "Anna"}])
    by_pipeline = calibrate(nlp, new_examples(nlp, docs))
    examples = new_examples(nlp, docs)
    for example in examples:
        ruler(example.predicted)
    assert by_pipeline == fit_temperature(nlp.get_pipe("ner_lstm"), examples)
    assert nlp.get_pipe("ner_lstm").temperature == by_pipeline


def test_callback_of_training(nlp, docs, tmp_path):
    DocBin(docs=docs).to_disk(tmp_path / "dev.spacy")
    before_to_disk = spacy.registry.callbacks.get("ner_lstm_component.calibration.v1")
    assert before_to_disk is make_calibration
    assert before_to_disk(tmp_path / "dev.spacy")(nlp) is nlp
    fitted = nlp.get_pipe("ner_lstm").temperature
    assert fitted > 1.2
    nlp.to_disk(tmp_path / "nlp")
    assert spacy.load(tmp_path / "nlp").get_pipe("ner_lstm").temperature == fitted
