import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from ner_lstm_component.features.lexical import FeatureTable
from ner_lstm_component.kernels import Case
from ner_lstm_component.text.sentences import KnownWords, Reader
from ner_lstm_component.text.truecase import RECASED, case_of, in_case, with_case

TRAINING = [
    "Then Anna saw the president of France in Oslo .",
    "They said Anna met the president in Oslo , France .",
    "The UN said the president of France met them .",
    "Nobody in the UN saw Anna .",
    "We saw a xenolith .",
]
PRINTED = "Anna met the president of France in Oslo ."


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


@pytest.fixture(scope="module")
def reader():
    return Reader(normalize=True)


@pytest.fixture(scope="module")
def known(vocab, reader):
    return learned(vocab, reader, TRAINING)


def learned(vocab, reader, sentences):
    docs = [Doc(vocab, words=sentence.split()) for sentence in sentences]
    examples = [Example(doc.copy(), doc) for doc in docs]
    return reader.learn([examples[:2], examples[2:]])


def read(vocab, reader, known, sentence):
    return reader([Doc(vocab, words=sentence.split())], known)


@pytest.mark.parametrize(
    ("word", "case"),
    [
        ("in", Case.SHORT_LOWER),
        ("über", Case.LOWER),
        ("don't", Case.LOWER),
        ("Oslo", Case.TITLE),
        ("Al-qaida", Case.TITLE),
        ("UN", Case.UPPER),
        ("U.S.", Case.UPPER),
        ("McCain", Case.MIXED),
        ("iPhone", Case.MIXED),
        *[(word, Case.NONE) for word in ("I", "A", "5", "...", "東京", "")],
    ],
)
def test_cases(word, case):
    assert case_of(word) == case
    assert in_case(word, case) == word
    assert in_case(word, case | RECASED) == word


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_sentences_without_case_are_read_as_printed(vocab, reader, known, change):
    printed = read(vocab, reader, known, PRINTED)
    text = read(vocab, reader, known, change(PRINTED))
    np.testing.assert_array_equal(text.forms, printed.forms)
    assert (text.cases & RECASED > 0).all()
    assert (printed.cases & RECASED == 0).all()
    words = list(map(in_case, change(PRINTED).split(), text.cases.tolist()))
    assert words == PRINTED.split()


@pytest.mark.parametrize(
    "sentence",
    [
        PRINTED,
        "Maria Costa and Paul Berg met in Paris .",
        "the UN said so today .",
        "ok .",
        "Anna Berg",
        "AP",
        "5 6 7 8 .",
        "東京 5 月 大阪 .",
    ],
)
def test_print_and_short_texts_stay(vocab, reader, known, sentence):
    text = read(vocab, reader, known, sentence)
    assert text.cases.tolist() == [case_of(word) for word in sentence.split()]


def test_a_list_of_names_in_title_case_stays(vocab, reader, known):
    text = read(vocab, reader, known, "Maria Costa , Paul Berg , Anna")
    assert set(text.cases.tolist()) == {Case.TITLE, Case.NONE}
    headline = read(vocab, reader, known, "Maria Costa Met The President")
    assert (headline.cases & RECASED > 0).all()


def test_unknown_words_are_guessed(vocab, reader, known):
    """A word that was counted once is unknown: it could be the example at hand."""
    for sentence in ("saw a xenolith in brzno", "SAW A XENOLITH IN BRZNO"):
        cases = read(vocab, reader, known, sentence).cases & (RECASED - 1)
        assert cases[2] == cases[4] == Case.GUESSED
        assert Case.GUESSED not in cases[[0, 3]].tolist()
    without = read(vocab, reader, KnownWords(), "anna met the president")
    assert set(without.cases.tolist()) == {Case.GUESSED | RECASED}


def test_the_first_word_has_a_capital(vocab, reader, known):
    cases = read(vocab, reader, known, "president of france met anna").cases & (RECASED - 1)
    assert cases.tolist() == [Case.TITLE, Case.LOWER, Case.TITLE, Case.LOWER, Case.TITLE]


def test_sentences_are_read_one_by_one(vocab, reader, known):
    text = read(vocab, reader, known, f"{PRINTED} {PRINTED.upper()} {PRINTED}")
    assert text.lengths.tolist() == [9, 9, 9]
    assert (text.cases & RECASED > 0).tolist() == [False] * 9 + [True] * 9 + [False] * 9


def test_sentences_without_case_are_not_learned_from(vocab, reader):
    lower = learned(
        vocab, reader, ["x oslo was oslo .", "x oslo was here .", "Then Oslo beat Oslo ."]
    )
    cases = dict(zip(lower.words.tolist(), lower.cases.tolist(), strict=True))
    text = reader([Doc(vocab, words=["OSLO", "x"])], KnownWords())
    (oslo, _) = with_case(text.forms, text.cases)
    assert cases[int(oslo)] == Case.TITLE


def test_known_words_are_sorted_and_frequent(vocab, reader, known):
    assert known.words.tolist() == sorted(known.words.tolist())
    assert len(known.words) == len(known.cases)
    empty = reader.learn([])
    assert len(empty.words) == 0
    assert len(empty.abbreviations) > 0


def test_features_differ_in_shape_only(vocab, reader, known):
    names = ["LOWER", "PREFIX3", "SUFFIX3", "SHAPE"]
    table = FeatureTable(names, [1000] * 4, normalize=True)
    printed = table(read(vocab, reader, known, PRINTED))
    for sentence in (PRINTED.lower(), PRINTED.upper()):
        ids = table(read(vocab, reader, known, sentence))
        np.testing.assert_array_equal(ids[:, :6], printed[:, :6])
        assert (ids[:, 6:] != printed[:, 6:]).any(axis=1).all()


def test_combining_with_cases_is_its_own_inverse():
    hashes = np.arange(len(Case), dtype=np.uint64)
    cases = np.arange(len(Case), dtype=np.uint8)
    combined = with_case(hashes, cases)
    np.testing.assert_array_equal(with_case(combined, cases), hashes)
    assert len(set(with_case(np.zeros_like(hashes), cases).tolist())) == len(Case) - 2


def test_equal_forms_have_equal_features_whatever_was_read_before(vocab, reader):
    """A single capital has no case, so that "I" and "i" have equal forms in text without case."""
    known = learned(vocab, reader, [*TRAINING, "So I came with plan B .", "Then I had plan B ."])
    sentences = ["so i came from oslo", "SO I CAME FROM OSLO", "plan b in oslo", "PLAN B IN OSLO"]
    texts = [read(vocab, reader, known, sentence) for sentence in sentences]
    assert texts[0].forms[1] == texts[1].forms[1]
    found = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        table = FeatureTable(["LOWER", "PREFIX1", "SHAPE"], [500, 50, 50], True)
        ids = {k: table(texts[k]).tolist() for k in order}
        found.append([ids[k] for k in range(len(texts))])
    assert found[0] == found[1]
