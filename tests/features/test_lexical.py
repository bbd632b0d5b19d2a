import pickle

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from ner_lstm_component.features import lexical as features
from ner_lstm_component.features.lexical import HASHES, FeatureTable, LexicalFeatures
from ner_lstm_component.text.sentences import read_docs

NAMES = ["LOWER", "SHAPE", "PREFIX2", "SUFFIX3", "ORTH"]
ROWS = [50, 20, 10, 30, 40]


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.fixture
def table():
    return FeatureTable(NAMES, ROWS)


def test_ids_are_within_their_own_rows(nlp, table):
    ids = table(read_docs([nlp("Some words, among them U.S. and Größe 2-year-old 😀 .")]))
    assert ids.dtype == np.int32
    assert ids.shape[1] == len(NAMES) * HASHES
    starts = np.cumsum([0, *ROWS])
    for k in range(len(NAMES)):
        own = ids[:, k * HASHES : (k + 1) * HASHES]
        assert (own >= starts[k]).all()
        assert (own < starts[k + 1]).all()


def test_ids_depend_only_on_the_text(nlp, table):
    tokenized = table(read_docs([nlp("The U.S. economy")]))
    given = table(read_docs([Doc(spacy.blank("de").vocab, words=["The", "U.S.", "economy"])]))
    fresh = FeatureTable(NAMES, ROWS)(read_docs([nlp("x y z"), nlp("The U.S. economy")]))[3:]
    assert tokenized.tolist() == given.tolist() == fresh.tolist()


def test_features_distinguish_words(nlp, table):
    ids = table(read_docs([Doc(nlp.vocab, words=["Walking", "walking", "Talking"])]))
    columns = {name: ids[:, k * HASHES : (k + 1) * HASHES] for k, name in enumerate(NAMES)}
    assert (columns["LOWER"][0] == columns["LOWER"][1]).all()
    assert (columns["ORTH"][0] != columns["ORTH"][1]).any()
    assert (columns["SHAPE"][0] == columns["SHAPE"][2]).all()
    assert (columns["SHAPE"][0] != columns["SHAPE"][1]).any()
    assert (columns["SUFFIX3"][0] == columns["SUFFIX3"][2]).all()
    assert (columns["PREFIX2"][0] != columns["PREFIX2"][2]).any()


def test_no_tokens(nlp, table):
    for docs in ([], [Doc(nlp.vocab)]):
        assert table(read_docs(docs)).shape == (0, len(NAMES) * HASHES)


def test_cache_is_bounded(nlp, monkeypatch):
    monkeypatch.setattr(features, "_CACHE_SIZE", 8)
    small = FeatureTable(NAMES, ROWS)
    reference = FeatureTable(NAMES, ROWS)
    for start in range(0, 60, 3):
        doc = Doc(nlp.vocab, words=[f"w{n}" for n in range(start, start + 3)])
        assert small(read_docs([doc])).tolist() == reference(read_docs([doc])).tolist()
        assert len(small._index) <= 8 + 3
    big = Doc(nlp.vocab, words=[f"v{n}" for n in range(30)])
    assert small(read_docs([big])).tolist() == reference(read_docs([big])).tolist()
    assert small(read_docs([big])).tolist() == reference(read_docs([big])).tolist()


def test_words_are_computed_again_after_an_error(nlp, table, monkeypatch):
    text = read_docs([nlp("some words")])
    with monkeypatch.context() as patched:
        patched.setattr(features, "feature_ids", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            table(text)
    assert table(text).tolist() == FeatureTable(NAMES, ROWS)(text).tolist()


def test_pickle(nlp, table):
    text = read_docs([nlp("The same ids")])
    assert pickle.loads(pickle.dumps(table))(text).tolist() == table(text).tolist()  # noqa: S301


@pytest.mark.parametrize("name", ["NORM2", "PREFIX", "PREFIX0", "SUFFIX12", "lower"])
def test_unknown_feature(name):
    with pytest.raises(ValueError, match="Unknown lexical feature"):
        LexicalFeatures([name], [10])


@pytest.mark.parametrize(("names", "rows"), [(["LOWER"], []), ([], []), (["LOWER"], [0])])
def test_features_and_rows_must_match(names, rows):
    with pytest.raises(ValueError, match="rows"):
        LexicalFeatures(names, rows)
