"""The reader and the splits on the real ``ner_dataset.csv``, whose figures are known."""

from __future__ import annotations

from collections import Counter

import pytest

from ner_lstm_component.dataset import PARTS, Counts, Source, count, read_csv, split_sentences
from ner_lstm_component.decoding.iob2 import find_invalid

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def real(real_path) -> Source:
    return read_csv(real_path)


def test_counts(real, real_entities):
    assert (real.encoding, real.mended, real.remarks) == ("cp1252", 0, ())
    assert count(real.sentences) == Counts(47_959, 1_048_575, 7_042, real_entities)


def test_tokens_and_sentences(real):
    words = Counter(word for sentence in real.sentences for word in sentence.words)
    assert len(words) == 35_178
    assert [words[word] for word in ("None", '"', "5\xa0storm", "…")] == [10, 3_686, 1, 4]
    assert not any("\x85" in word for word in words)
    assert sum(n for word, n in words.items() if not word.isascii()) == 53
    lengths = sorted(len(sentence.words) for sentence in real.sentences)
    assert [lengths[round(len(lengths) * q)] for q in (0.5, 0.99)] == [21, 43]
    assert lengths[-1] == 104
    assert len({sentence.words for sentence in real.sentences}) == 47_575
    assert all(find_invalid(sentence.tags) is None for sentence in real.sentences)
    assert all(sentence.pos for sentence in real.sentences)


def test_community_split(real):
    parts = split_sentences(real.sentences, "community")
    found = count(parts["test"])
    assert (found.sentences, found.tokens) == (9_592, 209_830)
    assert sum(found.entities.values()) == 22_532
    rest = {sentence.words for sentence in parts["train"] + parts["dev"]}
    assert sum(sentence.words in rest for sentence in parts["test"]) == 109
    assert len(parts["dev"]) == 3_837
    assert split_sentences(real.sentences, "community", 1)["test"] == parts["test"]


def test_deduplicated_split(real):
    parts = split_sentences(real.sentences, "deduplicated")
    texts = [{sentence.words for sentence in parts[part]} for part in PARTS]
    assert [len(part) for part in texts] == [47_575 - 2 * 4_758, 4_758, 4_758]
    assert len(set().union(*texts)) == 47_575
    assert sum(map(len, parts.values())) == 47_959
