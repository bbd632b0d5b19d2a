from dataclasses import fields

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from ner_lstm_component.text.segments import Reading, Segments, batches, cut, read

READING = Reading(window=10, context=2, batch_tokens=40)


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


@pytest.mark.parametrize(
    "kwargs",
    [
        {"window": 4, "context": 2, "batch_tokens": 1},
        {"window": 4, "context": -1, "batch_tokens": 1},
        {"window": 4, "context": 1, "batch_tokens": 0},
    ],
)
def test_reading_refuses(kwargs):
    with pytest.raises(ValueError, match="Received"):
        Reading(**kwargs)


def test_sentence_lengths(vocab):
    words = list("abcdef")
    plain = Doc(vocab, words=words)
    with_sentences = Doc(vocab, words=words, sent_starts=[True, False, True, False, False, True])
    assert read([plain, Doc(vocab), with_sentences]).lengths.tolist() == [6, 2, 3, 1]
    assert read([]).lengths.tolist() == []
    assert read([Doc(vocab)]).lengths.tolist() == []


@pytest.mark.parametrize("lengths", [[1], [10], [11], [3, 25, 10, 1], [100], [6, 7, 12, 13, 60]])
def test_cut_covers_every_token_once_with_context(lengths):
    segments = cut(np.array(lengths), READING)
    covered = np.concatenate(
        [np.arange(a, b) for a, b in zip(segments.core_start, segments.core_end, strict=True)]
    )
    assert covered.tolist() == list(range(sum(lengths)))
    assert segments.lengths.max() <= READING.window
    sentence_of = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    for start, end, core_start, core_end in zip(
        segments.start, segments.end, segments.core_start, segments.core_end, strict=True
    ):
        sentence = sentence_of[core_start]
        first, last = ends[sentence] - lengths[sentence], ends[sentence]
        assert sentence_of[end - 1] == sentence == sentence_of[start]
        # Context on both sides, as far as the sentence goes.
        assert core_start - start in (READING.context, core_start - first)
        assert end - core_end in (READING.context, last - core_end)


def test_short_sentences_are_not_cut():
    segments = cut(np.array([10, 2]), READING)
    assert segments.lengths.tolist() == [10, 2]
    assert segments.core_end.tolist() == segments.end.tolist()


def test_batches_hold_every_core_token_once():
    lengths = np.array([3, 25, 10, 1, 7, 7, 7, 2])
    seen = []
    for batch in batches(cut(lengths, READING), READING):
        assert batch.mask.size <= READING.batch_tokens
        assert batch.mask.any(axis=0).all(), "no column of padding alone"
        assert not (batch.core & ~batch.mask).any()
        # Right-padded: a place that holds a token has one on its left.
        assert (batch.mask[:, :-1] | ~batch.mask[:, 1:]).all()
        seen.extend(batch.tokens[batch.core].tolist())
    assert sorted(seen) == list(range(lengths.sum()))


def test_a_segment_longer_than_a_batch_is_a_batch():
    reading = Reading(window=100, context=10, batch_tokens=5)
    assert [b.mask.shape for b in batches(cut(np.array([50, 2]), reading), reading)] == [
        (1, 50),
        (1, 2),
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("He left . She stayed .", [3, 3]),
        ('" Stop ! " he said . " Go . " They went .', [7, 4, 3]),
        ("He left ( at 5 . ) Then ? ! Well ...", [7, 3, 2]),
        ("An approx . value of no . 5 .", [7, 2]),
        ("no end", [2]),
        (". . .", [3]),
        ("「 彼 。 」 彼女 。", [4, 2]),
    ],
)
def test_punctuation_tells_where_sentences_end(vocab, text, sentences):
    assert read([Doc(vocab, words=text.split())]).lengths.tolist() == sentences


def test_boundaries_of_the_doc_are_kept(vocab):
    words = ["He", "left", ".", "She", "stayed", "."]
    one = Doc(vocab, words=words, sent_starts=[True, False, False, False, False, False])
    assert read([one]).lengths.tolist() == [6]


def test_punctuation_of_a_doc_with_boundaries_says_nothing_of_the_next(vocab):
    words = ["Go", ".", "Stay", ".", "Now"]
    own = Doc(vocab, words=words, sent_starts=[True, False, False, False, False])
    judged = Doc(vocab, words=words)
    assert read([own, judged, own]).lengths.tolist() == [5, 2, 2, 1, 5]


def test_a_window_alone_in_its_batch_tags_its_core_only():
    reading = Reading(window=10, context=2, batch_tokens=100)
    whole = cut(np.array([20]), reading)
    second = Segments(*(getattr(whole, f.name)[1:2] for f in fields(whole)))
    (batch,) = batches(second, reading)
    assert batch.tokens.tolist() == [list(range(4, 14))]
    assert batch.tokens[batch.core].tolist() == list(range(6, 12))
