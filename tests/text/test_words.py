import copy
import pickle
import unicodedata

import numpy as np
import pytest
import spacy
from spacy.attrs import ORTH
from spacy.tokens import Doc

from ner_lstm_component.kernels import Case, WordClass
from ner_lstm_component.text import words
from ner_lstm_component.text.words import (
    Words,
    abbreviation_hashes,
    classify,
    inner_abbreviations,
    normal_form,
    titles,
)


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("’s", "'s"),
        ("“", '"'),
        ("''", '"'),
        ("``", '"'),
        ("…", "..."),
        ("al‑Qaida", "al-Qaida"),
        ("–", "-"),
        ("—", "-"),
        ("---", "-"),
        ("Os\u00ad\u200blo\ufe0f", "Oslo"),
        (unicodedata.normalize("NFD", "Zürich"), "Zürich"),
        ("**Oslo**", "Oslo"),
        ("_Oslo_", "Oslo"),
        ("#Oslo", "Oslo"),
        ("@anna", "anna"),
        ("~~Oslo~~", "Oslo"),
        ("snake_case", "snake_case"),
        ("**", "**"),
        ("Oslo", "Oslo"),
        ("$", "$"),
    ],
)
def test_normal_forms(word, form):
    assert normal_form(word) == form
    assert normal_form(form) in (form, '"')


def test_kept_marks_stay_in_normal_forms():
    assert normal_form("@anna", kept="@") == "@anna"
    assert normal_form("*@anna*", kept="@#") == "@anna"


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (" ", WordClass.BLANK),
        ("\u200b", WordClass.BLANK),
        ("\t\u2800\ufeff", WordClass.BLANK),
        ("\n", WordClass.BLANK | WordClass.NEWLINE),
        ("\r\n  ", WordClass.BLANK | WordClass.NEWLINE),
        ("\u2028", WordClass.BLANK | WordClass.NEWLINE),
        ("\r\r\n", WordClass.BLANK | WordClass.NEWLINE),
        ("\n\r", WordClass.BLANK | WordClass.NEWLINE),
        ("\n\x0c", WordClass.BLANK | WordClass.NEWLINE),
        ("\n\r\n", WordClass.BLANK | WordClass.EMPTY_LINE),
        ("\n\x0c\n", WordClass.BLANK | WordClass.EMPTY_LINE),
        ("\n \n", WordClass.BLANK | WordClass.EMPTY_LINE),
        ("\r\n\r\n", WordClass.BLANK | WordClass.EMPTY_LINE),
        ("\n\u200b\n", WordClass.BLANK | WordClass.EMPTY_LINE),
        ("\u2029", WordClass.BLANK | WordClass.EMPTY_LINE),
    ],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_blanks(vocab, normalize, word, found):
    assert classify(vocab[word], normalize) == found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("Sgt", WordClass.CAPITAL | WordClass.TITLE),
        ("sgt", WordClass.LOWER),
        ("Lt.-Col", WordClass.TITLE),
        ("The", WordClass.CAPITAL | WordClass.STARTER),
        ("Seven", WordClass.CAPITAL),
        ("U.S.", WordClass.ABBREVIATED),
        ("Gen.", 0),
        ("10:30", WordClass.TIME),
        ("<p>", WordClass.SEPARATOR),
        ("</Section>", WordClass.SEPARATOR),
        ("|", WordClass.SEPARATOR),
        ("----", WordClass.SEPARATOR),
        ("<b>", WordClass.MARK),
        ("&nbsp;", WordClass.MARK),
        ("...", WordClass.CLOSING | WordClass.TERMINATOR),
        ("“", WordClass.QUOTE),
        ("”", WordClass.QUOTE | WordClass.CLOSING),
    ],
)
def test_classes(vocab, word, found):
    is_formatting = found & (WordClass.MARK | WordClass.SEPARATOR)
    ignored = WordClass.LOWER | WordClass.CLOSING if is_formatting else 0
    assert classify(vocab[word], True) & ~ignored == found


def test_words_of_several_vocabularies():
    """A vocabulary does not know the words of another."""
    docs = [Doc(spacy.blank("en").vocab, words=[word]) for word in ("Xiris!", "“Qorvath”")]
    orths = np.concatenate([doc.to_array(ORTH) for doc in docs])
    _, _, forms = Words(True)(orths, docs)
    expected = [Words(True)(doc.to_array(ORTH), [doc])[2] for doc in docs]
    np.testing.assert_array_equal(forms, np.concatenate(expected))


@pytest.mark.parametrize("normalize", [False, True])
def test_a_full_cache_is_cleared(vocab, monkeypatch, normalize):
    monkeypatch.setattr(words, "_CACHE_SIZE", 50)
    cached = Words(normalize)
    for start in (0, 20, 40, 5):
        doc = Doc(vocab, words=[f"Word{k}" for k in range(start, start + 30)] + [".", "\n"])
        orths = doc.to_array(ORTH)
        for found, expected in zip(
            cached(orths, [doc]), Words(normalize)(orths, [doc]), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
        assert len(cached._index) <= 82


def test_an_error_leaves_no_words_without_classes(vocab, monkeypatch):
    doc = Doc(vocab, words=["Oslo", ".", "anna"])
    orths, cached = doc.to_array(ORTH), Words(True)
    with monkeypatch.context() as patch:
        patch.setattr(words, "classify", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cached(orths, [doc])
    assert cached(orths, [doc])[1].tolist() == [Case.TITLE, Case.NONE, Case.LOWER]


@pytest.mark.parametrize("normalize", [False, True])
def test_copies(vocab, normalize):
    doc = Doc(vocab, words=["“", "Oslo", "\n", "U.S."])
    orths, original = doc.to_array(ORTH), Words(normalize)
    expected = original(orths, [doc])
    for other in (copy.deepcopy(original), pickle.loads(pickle.dumps(original))):  # noqa: S301
        assert other.normalize == normalize
        for found, wanted in zip(other(orths, [doc]), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_abbreviations_are_known_with_a_capital(vocab):
    hashes = set(abbreviation_hashes(["Xyz.", "abc."]).tolist())
    assert list(abbreviation_hashes()) == sorted(abbreviation_hashes())
    known = {
        word: vocab.strings.add(word) in hashes
        for word in ["Xyz", "XYZ", "xyz", "abc", "Abc", "ABC", "Corp", "corp", "No", "no"]
    }
    assert [word for word, is_known in known.items() if not is_known] == ["xyz", "no"]


def test_titles_are_listed_without_comments():
    assert {"sgt", "gen", "hptm"} < titles()
    assert all(word.isalpha() and word.islower() for word in titles())


def test_inner_abbreviations(vocab):
    doc = Doc(vocab, words=["Acme", "Corp.", "and", "U.S.", "A.", "Oslo", "Inc."])
    assert list(inner_abbreviations(doc)) == ["Corp."]
