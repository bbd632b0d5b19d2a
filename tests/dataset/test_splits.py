from __future__ import annotations

import importlib
import sys
from itertools import chain

import pytest
from sklearn.model_selection import train_test_split

from ner_lstm_component.dataset import PARTS, DatasetError, Sentence, Split, split_sentences, splits


def make(n: int, copies: int = 1) -> list[Sentence]:
    return [
        Sentence(f"Sentence: {copy * n + i}", (f"word{i}", "."), ("B-geo", "O"))
        for copy in range(copies)
        for i in range(n)
    ]


def test_deduplicated_parts_share_no_text():
    parts = split_sentences(make(100, copies=3), "deduplicated")
    texts = [{sentence.words for sentence in parts[part]} for part in PARTS]
    assert [len(part) for part in texts] == [80, 10, 10]
    assert len(set().union(*texts)) == 100


@pytest.mark.parametrize("n", [3, 4, 7, 10, 11, 60])
@pytest.mark.parametrize("split", Split)
def test_each_sentence_is_in_one_part_in_order(split, n):
    sentences = make(n, copies=2)
    parts = split_sentences(sentences, split)
    place = {sentence.id: i for i, sentence in enumerate(sentences)}
    places = [[place[s.id] for s in parts[part]] for part in PARTS]
    assert all(places)  # no part is empty
    assert sorted(chain.from_iterable(places)) == list(range(2 * n))
    assert all(found == sorted(found) for found in places)


@pytest.mark.parametrize("split", Split)
def test_the_seed_determines_the_split(split):
    sentences = make(200)
    one, other = (split_sentences(sentences, split, seed) for seed in (0, 2))
    assert one == split_sentences(sentences, split)
    assert one["dev"] != other["dev"]
    assert (one["test"] == other["test"]) == (split is Split.community)


def test_community_test_part_is_the_published_draw():
    sentences = make(200)
    _, expected = train_test_split(sorted(s.id for s in sentences), test_size=0.2, random_state=42)
    parts = split_sentences(sentences, "community")
    assert {s.id for s in parts["test"]} == set(expected)
    assert [len(parts[part]) for part in PARTS] == [144, 16, 40]
    # An id is kept together.
    sentences = [Sentence(f"{i % 20}", (f"w{i}",), ("O",)) for i in range(60)]
    parts = split_sentences(sentences, "community")
    ids = [{s.id for s in parts[part]} for part in PARTS]
    assert sum(map(len, ids)) == len(set().union(*ids)) == 20


@pytest.mark.parametrize(
    ("sentences", "split", "seed", "message"),
    [
        (make(2, copies=50), "deduplicated", 0, "found 2 distinct texts; expected at least 3"),
        (make(2), "community", 0, "found 2 sentence ids; expected at least 3"),
        (make(10), "random", 0, "split: found 'random'; expected 'deduplicated' or"),
        (make(10), "community", -1, "seed: found -1; expected a number from 0"),
    ],
)
def test_what_cannot_be_split(sentences, split, seed, message):
    with pytest.raises(DatasetError, match=message):
        split_sentences(sentences, split, seed)


def test_missing_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(ImportError, match=r"pip install 'ner-lstm-component\[train\]'"):
        importlib.reload(splits)
