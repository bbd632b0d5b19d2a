"""The vectors of a vocab's table for the words of Docs."""

import re
from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.vectors import Vectors
from spacy.vocab import Vocab

from ner_lstm_component.features.lexical import no_gradient
from ner_lstm_component.features.static_vectors import StaticVectors

TABLE = {"Oslo": [1.0, 2.0], "paris": [3.0, 4.0], "co-op": [5.0, 6.0], "last": [7.0, 8.0]}


@pytest.fixture
def vocab():
    vocab = Vocab()
    for word, vector in TABLE.items():
        vocab.set_vector(word, np.array(vector, np.float32))
    return vocab


def vectors_of(vocab, words):
    docs = [Doc(vocab, words=words), Doc(vocab), Doc(vocab, words=["Oslo"])]
    layer = StaticVectors()
    layer.initialize(X=docs)
    (first, empty, oslo), backprop = layer.begin_update(docs)
    assert backprop is no_gradient
    assert layer.get_dim("nO") == first.shape[1]
    assert empty.shape == (0, first.shape[1])
    assert oslo.dtype == np.float32
    return first


def test_a_word_has_its_own_vector_or_that_of_its_normal_form_or_none(vocab):
    words = ["Oslo", "OSLO", "Paris", "co‐op", "CO‐OP", "ｐａｒｉｓ", "last", "Rome", "\n"]
    found = vectors_of(vocab, words)
    expected = ["Oslo", None, "paris", "co-op", "co-op", "paris", "last", None, None]
    assert found.tolist() == [TABLE.get(word, [0.0, 0.0]) for word in expected]
    assert vocab.vectors.data[:4].tolist() == list(TABLE.values())  # not written to


def test_floret_has_a_vector_for_every_word():
    vocab = Vocab()
    data = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    options = {"mode": "floret", "minn": 2, "maxn": 3, "hash_count": 2}
    vocab.vectors = Vectors(strings=vocab.strings, data=data, **options)
    words = ["Oslo", "unheard-of", "Oslo"]
    found = vectors_of(vocab, words)
    np.testing.assert_allclose(found, [vocab.vectors[word] for word in words], rtol=1e-5)
    assert found.any(axis=1).all()


def test_documented_snippet_gives_similar_words_similar_vectors(tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"tests run this snippet -->\n```python\n(.*?)```", text, re.S)
    rng = np.random.default_rng(0)
    cities, days = ["Oslo", "Rome", "Lima", "Kyiv"], ["Monday", "Tuesday", "Friday", "Sunday"]
    chosen = [(rng.choice(cities), rng.choice(days)) for _ in range(50)]
    docs = [Doc(Vocab(), words=f"He left {city} last {day} .".split()) for city, day in chosen]
    (tmp_path / "corpus").mkdir()
    DocBin(docs=docs).to_disk(tmp_path / "corpus" / "train.spacy")
    monkeypatch.chdir(tmp_path)
    exec(code.replace("WIDTH, WINDOW = 100, 3", "WIDTH, WINDOW = 4, 3"), {})
    nlp = spacy.load(tmp_path / "vectors")
    words = vectors_of(nlp.vocab, [*cities, *days, "."])
    assert words.shape == (9, 4)
    similar = words @ words.T
    assert similar[:4, :4].min() > similar[:4, 4:].max()
    assert similar[4:8, 4:8].min() > similar[4:8, 8:].max()


def test_a_vocab_without_vectors_or_with_others_is_refused(vocab):
    layer = StaticVectors()
    with pytest.raises(ValueError, match=r"the vocab has none.*'vectors' in \[initialize\]"):
        layer.initialize(X=[Doc(Vocab(), words=["Oslo"])])
    layer.initialize(X=[Doc(vocab, words=["Oslo"])])
    with pytest.raises(ValueError, match=r"width 2, and the table .* shape \(0, 0\)"):
        layer.predict([Doc(Vocab(), words=["Oslo"])])
