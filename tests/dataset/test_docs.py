from __future__ import annotations

from types import SimpleNamespace

import pytest
from spacy.training import Corpus
from spacy.vocab import Vocab

from ner_lstm_component.dataset import Counts, Sentence, count, to_doc, to_docbin


def test_count():
    sentences = [
        Sentence("1", ("a", "b", "c", "d"), ("B-x", "I-x", "B-x", "B-y")),
        Sentence("2", ("e",), ("O",)),
    ]
    assert count(sentences) == Counts(2, 5, 1, {"x": 2, "y": 1})
    assert count([]) == Counts(0, 0, 0, {})


@pytest.mark.parametrize(
    ("tags", "pos", "spans"),
    [
        ("O B-geo I-geo", ("", "NN", "NN"), [(1, 3, "geo")]),
        ("B-Größe-2 B-Größe-2 I-Größe-2", None, [(0, 1, "Größe-2"), (1, 3, "Größe-2")]),
        ("O O O", None, []),
    ],
)
def test_doc_has_the_entities_and_the_parts_of_speech(tags, pos, spans):
    doc = to_doc(Sentence("1", ("in", "New", "York"), tuple(tags.split()), pos), Vocab())
    assert [token.ent_iob_ for token in doc] == [tag[0] for tag in tags.split()]
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == spans
    assert tuple(token.tag_ for token in doc) == (pos or ("", "", ""))


def test_corpus_keeps_tokens_and_annotation(tmp_path):
    # Words that spaCy's English tokenizer would divide, and with unusual characters.
    words = ("U.S.-led", "5\xa0storm", "can't", "None", '"')
    words += ("a\x85b", "a\u2028b", "a\u200bb", "co\xadop", "x\x1cy", "…", "❤\ufe0f")
    tags = ("B-gpe", "B-eve", "I-eve", *["O"] * 9)
    pos = ("JJ", "CD", "MD", "NN", "``", *["X"] * 7)
    path = tmp_path / "train.spacy"
    to_docbin([Sentence("1", words, tags, pos)]).to_disk(path)
    # Without a tokenizer, so that the gold tokens are the only ones.
    (example,) = Corpus(path)(SimpleNamespace(vocab=Vocab()))
    assert tuple(token.text for token in example.predicted) == words
    assert tuple(token.text for token in example.reference) == words
    assert tuple(token.tag_ for token in example.reference) == pos
    assert example.reference.has_unknown_spaces
    assert not example.reference.has_annotation("SENT_START")
    assert example.get_aligned_ner() == ["U-gpe", "B-eve", "L-eve", *["O"] * 9]
