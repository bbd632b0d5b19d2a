import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from ner_lstm_component.text.sentences import Reader
from ner_lstm_component.text.windows import Windowing, Windows, pad_windows, split_windows

WINDOWING = Windowing(window=10, context=2, batch_tokens=40)


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


@pytest.mark.parametrize(("context", "batch_tokens"), [(2, 1), (-1, 1), (1, 0)])
def test_windowing_is_checked(context, batch_tokens):
    with pytest.raises(ValueError, match="Received"):
        Windowing(window=4, context=context, batch_tokens=batch_tokens)


@pytest.mark.parametrize("lengths", [[1], [10], [11], [3, 25, 10, 1], [100], [6, 7, 12, 13, 60]])
def test_cores_cover_every_token_once_with_context(lengths):
    windows = split_windows(np.array(lengths), WINDOWING)
    covered = np.concatenate(
        [np.arange(a, b) for a, b in zip(windows.core_start, windows.core_end, strict=True)]
    )
    assert covered.tolist() == list(range(sum(lengths)))
    assert windows.lengths.max() <= WINDOWING.window
    assert (len(windows.start) == len(lengths)) == (max(lengths) <= WINDOWING.window)
    sentence_of = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    for start, end, core_start, core_end in zip(
        windows.start, windows.end, windows.core_start, windows.core_end, strict=True
    ):
        sentence = sentence_of[core_start]
        first, last = ends[sentence] - lengths[sentence], ends[sentence]
        assert sentence_of[end - 1] == sentence == sentence_of[start]
        # Context on both sides, within the sentence.
        assert core_start - start in (WINDOWING.context, core_start - first)
        assert end - core_end in (WINDOWING.context, last - core_end)


def test_batches_hold_every_core_token_once():
    lengths = np.array([3, 25, 10, 1, 7, 7, 7, 2])
    seen = []
    for batch in pad_windows(split_windows(lengths, WINDOWING), WINDOWING):
        assert batch.mask.size <= WINDOWING.batch_tokens
        assert batch.mask.any(axis=0).all(), "a column has only padding"
        assert not (batch.core & ~batch.mask).any()
        # Right-padded: what precedes a token is a token.
        assert (batch.mask[:, :-1] | ~batch.mask[:, 1:]).all()
        seen.extend(batch.tokens[batch.core].tolist())
    assert sorted(seen) == list(range(lengths.sum()))


def test_a_window_longer_than_a_batch_is_a_batch():
    windowing = Windowing(window=100, context=10, batch_tokens=5)
    windows = split_windows(np.array([50, 2]), windowing)
    shapes = [batch.mask.shape for batch in pad_windows(windows, windowing)]
    assert shapes == [(1, 50), (1, 2)]


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
def test_sentences_end_at_punctuation(vocab, text, sentences):
    assert Reader()([Doc(vocab, words=text.split())]).lengths.tolist() == sentences


def test_boundaries_of_a_doc_are_kept(vocab):
    words = ["Go", ".", "Stay", ".", "Now"]
    one = Doc(vocab, words=words, sent_starts=[True, False, False, False, False])
    two = Doc(vocab, words=words, sent_starts=[True, True, False, False, False])
    docs = [one, Doc(vocab, words=words), two, Doc(vocab), one]
    assert Reader()(docs).lengths.tolist() == [5, 2, 2, 1, 1, 4, 5]
    for nothing in ([], [Doc(vocab)]):
        assert Reader()(nothing).lengths.tolist() == []


def test_a_batch_of_one_window_tags_only_its_core():
    windowing = Windowing(window=10, context=2, batch_tokens=100)
    whole = split_windows(np.array([20]), windowing)
    second = Windows(*(array[1:2] for array in vars(whole).values()))
    (batch,) = pad_windows(second, windowing)
    assert batch.tokens.tolist() == [list(range(4, 14))]
    assert batch.tokens[batch.core].tolist() == list(range(6, 12))
