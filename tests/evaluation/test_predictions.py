from __future__ import annotations

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from ner_lstm_component.decoding.confidence import set_confidence
from ner_lstm_component.evaluation import predictions
from ner_lstm_component.evaluation.alignment import Entity


@pytest.fixture
def nlp():
    nlp = spacy.blank("en")
    patterns = [{"label": "geo", "pattern": "Oslo"}, {"label": "tim", "pattern": "."}]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)
    return nlp


def example(nlp, words: list[str], ents: list[str], text: str) -> Example:
    return Example(nlp.make_doc(text), Doc(nlp.vocab, words=words, ents=ents))


def test_entities_stand_on_the_tokens_of_the_data(nlp):
    examples = [
        example(nlp, ["In", "Oslo."], ["O", "B-geo"], "In Oslo."),
        example(nlp, ["In", "Os", "lo", "."], ["O", "B-geo", "I-geo", "O"], "In Oslo."),
        example(nlp, ["In", "Oslo", "."], ["O", "B-geo", "O"], "In Oslo ."),
    ]
    list(predictions.predict(nlp, examples))
    split, joined, same = predictions.sentences_of(examples)
    assert split.predicted == (Entity(1, 2, "geo"), Entity(1, 2, "tim"))
    assert joined.predicted == (Entity(1, 3, "geo"), Entity(3, 4, "tim"))
    assert same.predicted == (Entity(1, 2, "geo"), Entity(2, 3, "tim"))


def test_what_is_predicted_without_annotation_is_left_out(nlp):
    examples = [example(nlp, ["In", "Oslo", ".", "."], ["O", "", "O", "O"], "In Oslo . .")]
    list(predictions.predict(nlp, examples))
    confidences = [np.array([0.1, 0.5, np.nan])]
    (sentence,) = predictions.sentences_of(examples, confidences)
    # Without a confidence, it is None.
    assert sentence.predicted == (Entity(2, 3, "tim", 0.5), Entity(3, 4, "tim", None))
    assert sentence.missing == {1}


def test_confidences_are_the_components(trained_nlp, train_examples):
    examples = [Example(eg.predicted.copy(), eg.reference) for eg in train_examples]
    docs = list(predictions.predict(trained_nlp, examples))
    confidences = predictions.confidences(trained_nlp, docs)
    assert [len(values) for values in confidences] == [len(doc.ents) for doc in docs]
    expected = trained_nlp.get_pipe("ner_lstm").probabilities(docs[:1])[0].entities
    np.testing.assert_allclose(confidences[0], expected, rtol=1e-5)


def test_confidences_on_the_spans_come_first(nlp):
    """Any pipeline may set them, and the network need not run again."""
    set_confidence(doc := nlp("Oslo ."), [(0, 1)], [0.25])
    (values,) = predictions.confidences(nlp, [doc])
    np.testing.assert_array_equal(values, [0.25, np.nan])
    assert predictions.confidences(nlp, [nlp("Oslo .")]) is None


def test_sets_entities(nlp):
    assert predictions.sets_entities(nlp)
    assert not predictions.sets_entities(spacy.blank("en"))
