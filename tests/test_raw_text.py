import random

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from ner_lstm_component.raw_text import (
    raw_text_augmenter,
    retokenized,
    spaces_in_print,
    with_spaces,
)

pytest.importorskip("sacremoses")


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def annotated(nlp, words, ents):
    doc = Doc(nlp.vocab, words=words, tags=["NNP"] * len(words))
    doc.ents = [Span(doc, start, end, label=label) for start, end, label in ents]
    return doc


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["He", "left", "the", "U.S.", ",", "he", "said", "."], "He left the U.S., he said."),
        (["It", "is", "n't", "Iran", "'s", "."], "It isn't Iran's."),
        (["A", '"', "two-day", '"', "visit", "(", "Rome", ")"], 'A "two-day" visit (Rome)'),
        (["$", "500", "million", ";", "50", "%"], "$500 million; 50%"),
        ([], ""),
    ],
)
def test_text_stands_as_in_print(nlp, words, text):
    assert with_spaces(Doc(nlp.vocab, words=words)).text.rstrip() == text


def test_words_that_cannot_be_put_together_are_kept_apart():
    # The detokenizer drops a word of white space alone.
    assert spaces_in_print(["a", "\u3000", "b"], "en") in ([True] * 3, [True, False, True])


def test_known_spaces_stay(nlp):
    doc = nlp("Known  spaces , as they are .")
    assert with_spaces(doc) is doc


def test_annotation_is_carried_over_by_character(nlp):
    doc = annotated(nlp, ["The", "al-Qaida", "chief", "in", "Iraq"], [(1, 2, "org"), (4, 5, "geo")])
    result = retokenized(nlp, doc)
    assert [t.text for t in result] == ["The", "al", "-", "Qaida", "chief", "in", "Iraq"]
    assert [(e.text, e.label_) for e in result.ents] == [("al-Qaida", "org"), ("Iraq", "geo")]
    assert {t.tag_ for t in result} == {"NNP"}
    assert all(t.ent_iob_ for t in result)


def test_what_has_no_such_tokens_is_left_open(nlp):
    # spaCy's tokenizer keeps "U.S." whole: an entity that ends inside it has no tokens.
    doc = Doc(nlp.vocab, words=["the", "U.", "S.", "and", "Rome"], spaces=[1, 0, 1, 1, 0])
    doc.ents = [Span(doc, 1, 2, label="geo"), Span(doc, 4, 5, label="geo")]
    result = retokenized(nlp, doc)
    assert [(t.text, t.ent_iob_) for t in result] == [
        ("the", "O"),
        ("U.S.", ""),
        ("and", "O"),
        ("Rome", "B"),
    ]


def test_missing_annotation_stays_missing(nlp):
    doc = Doc(nlp.vocab, words=["two-day", "visit", "."], ents=["", "O", "O"])
    assert [t.ent_iob_ for t in retokenized(nlp, doc)] == ["", "", "", "O", "O"]


def test_augmenter_gives_the_share_it_was_asked_for(nlp):
    reference = annotated(nlp, ["al-Qaida"], [(0, 1, "org")])
    example = Example(Doc(nlp.vocab, words=["al-Qaida"]), reference)
    random.seed(0)
    augment = raw_text_augmenter(0.5)
    lengths = [len(eg.predicted) for _ in range(200) for eg in augment(nlp, example)]
    assert set(lengths) == {1, 3}
    assert 60 < lengths.count(3) < 140
    assert [len(eg.predicted) for eg in raw_text_augmenter(0.0)(nlp, example)] == [1]
    (eg,) = raw_text_augmenter(1.0)(nlp, example)
    assert [(e.text, e.label_) for e in eg.reference.ents] == [("al-Qaida", "org")]
    assert not eg.predicted.ents


@pytest.mark.parametrize("level", [-0.1, 1.5])
def test_augmenter_refuses_another_level(level):
    with pytest.raises(ValueError, match="from 0 to 1"):
        raw_text_augmenter(level)
