import pickle
from itertools import compress

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from ner_lstm_component.features import lexical as features
from ner_lstm_component.features.lexical import HASHES, FeatureTable, LexicalFeatures
from ner_lstm_component.text.sentences import Reader

NAMES = ["LOWER", "SHAPE", "PREFIX2", "SUFFIX3", "ORTH"]
ROWS = [50, 20, 10, 30, 40]


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.fixture
def table():
    return FeatureTable(NAMES, ROWS)


def test_ids_are_within_their_own_rows(nlp, table):
    ids = table(Reader()([nlp("Some words, among them U.S. and Größe 2-year-old 😀 .")]))
    assert ids.dtype == np.int32
    ends = np.repeat(np.cumsum(ROWS), HASHES)
    assert ((ids >= ends - np.repeat(ROWS, HASHES)) & (ids < ends)).all()


def test_ids_depend_only_on_the_text(nlp, table):
    tokenized = table(Reader()([nlp("The U.S. economy")]))
    given = table(Reader()([Doc(spacy.blank("de").vocab, words=["The", "U.S.", "economy"])]))
    fresh = FeatureTable(NAMES, ROWS)(Reader()([nlp("x y z"), nlp("The U.S. economy")]))[3:]
    assert tokenized.tolist() == given.tolist() == fresh.tolist()


def test_features_distinguish_words(nlp, table):
    ids = table(Reader()([Doc(nlp.vocab, words=["Walking", "walking", "Talking"])]))
    ids = ids.reshape(3, len(NAMES), HASHES)
    lower, other = ((ids[0] == ids[k]).all(axis=1).tolist() for k in (1, 2))
    assert list(compress(NAMES, lower)) == ["LOWER", "SUFFIX3"]
    assert list(compress(NAMES, other)) == ["SHAPE", "SUFFIX3"]


def test_no_tokens(nlp, table):
    for docs in ([], [Doc(nlp.vocab)]):
        assert table(Reader()(docs)).shape == (0, len(NAMES) * HASHES)


def test_cache_is_bounded(nlp, monkeypatch):
    monkeypatch.setattr(features, "_CACHE_SIZE", 8)
    small = FeatureTable(NAMES, ROWS)
    reference = FeatureTable(NAMES, ROWS)
    for start in range(0, 60, 3):
        doc = Doc(nlp.vocab, words=[f"w{n}" for n in range(start, start + 3)])
        assert small(Reader()([doc])).tolist() == reference(Reader()([doc])).tolist()
        assert len(small._index) <= 8 + 3
    big = Reader()([Doc(nlp.vocab, words=[f"v{n}" for n in range(30)])])
    assert small(big).tolist() == small(big).tolist() == reference(big).tolist()


def test_words_are_computed_again_after_an_error(nlp, table, monkeypatch):
    text = Reader()([nlp("some words")])
    with monkeypatch.context() as patched:
        patched.setattr(features, "feature_ids", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            table(text)
    assert table(text).tolist() == FeatureTable(NAMES, ROWS)(text).tolist()


def test_pickle(nlp, table):
    text = Reader()([nlp("The same ids")])
    assert pickle.loads(pickle.dumps(table))(text).tolist() == table(text).tolist()  # noqa: S301


@pytest.mark.parametrize("name", ["NORM2", "PREFIX", "PREFIX0", "SUFFIX12", "lower"])
def test_unknown_feature(name):
    with pytest.raises(ValueError, match="Unknown lexical feature"):
        LexicalFeatures([name], [10])


@pytest.mark.parametrize(("names", "rows"), [(["LOWER"], []), ([], []), (["LOWER"], [0])])
def test_features_and_rows_must_match(names, rows):
    with pytest.raises(ValueError, match="rows"):
        LexicalFeatures(names, rows)
