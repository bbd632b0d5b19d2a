import copy
import functools
import itertools
import logging
import zlib

import numpy as np
import pytest
import spacy
import srsly
from spacy.tokens import Doc
from spacy.training import Example

from ner_lstm_component import kernels
from ner_lstm_component.features.held_out import assigned_folds
from ner_lstm_component.features.ngram_tags import (
    TagLexicon,
    _levels,
    hash_index,
    n_lexicon_rows,
)
from ner_lstm_component.kernels import numpy_kernels
from ner_lstm_component.text.sentences import Reader

NGRAMS = [[0], [-1, 0], [0, 1]]
N_TAGS = 5


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


@pytest.fixture
def data(vocab):
    texts = ["in Rome today", "in Rome again", "in Rome .", "Rome fell", "he saw Rome fall"]
    docs = [Doc(vocab, words=text.split()) for text in texts]
    tags = [[0, 1, 0], [0, 1, 0], [0, 1, 0], [3, 0], [0, 0, 1, 0]]
    return docs, [np.array(columns) for columns in tags]


def learned(docs, tags, ngrams=NGRAMS, read=None):
    lexicon = TagLexicon(ngrams)
    lexicon.learn([((read or Reader())(docs), np.concatenate(tags))], N_TAGS)
    return lexicon


@pytest.fixture
def lexicon(data):
    return learned(*data)


# Sentences of common words, each with its own name, tagged 1 or 3 by turns.
@pytest.fixture(scope="module")
def named(vocab):
    rng = np.random.default_rng(0)
    sentences, tags = [], []
    for k in range(300):
        words = [f"w{n}" for n in (60 * rng.random(12) ** 2).astype(int)]
        columns = np.zeros(13, np.int64)
        place = rng.integers(13)
        columns[place] = 1 + 2 * (k % 2)
        sentences.append([*words[:place], f"Name{k}", *words[place:]])
        tags.append(columns)
    docs = [Doc(vocab, words=words) for words in sentences]
    return sentences, tags, learned(docs, tags, [*NGRAMS, [-1, 0, 1]])


def leaked(lexicon, docs, tags, is_train=True, read=None):
    """Return the share of names whose tag is revealed by one of their n-grams."""
    text = (read or Reader())(docs)
    columns = np.concatenate(tags)
    columns = columns if text.is_word is None else columns[text.is_word]
    levels = lexicon.ids(text, is_train)[:, ::2] - lexicon._first_rows[:, 0]
    reveals = (levels > 0) & ((levels - 1) // 5 == columns[:, None])
    return float(reveals.any(axis=1)[columns > 0].mean())


def level(lexicon, doc, token, kind):
    """Return the tag, the bin of the count and that of the share for an n-gram, or None."""
    step = n_lexicon_rows(1, N_TAGS)
    first, second = lexicon.ids(Reader()([doc]))[token, 2 * kind : 2 * kind + 2] - kind * step
    second -= step // 2
    if first == 0:
        assert second == 0
        return None
    assert (first - 1) // 5 == (second - 1) // 5
    return (first - 1) // 5, (first - 1) % 5, (second - 1) % 5


def test_words_and_ngrams_are_counted(lexicon, data):
    docs, _ = data
    # "Rome" 5 times, of which 4 as tag 1; after "in" 3 times, always as tag 1.
    assert level(lexicon, docs[0], 1, 0) == (1, 2, 2)
    assert level(lexicon, docs[0], 1, 1) == (1, 2, 4)
    assert level(lexicon, docs[0], 0, 2) == (0, 2, 4)
    assert level(lexicon, docs[0], 2, 1) == (0, 0, 4)


def test_unknown_tags_are_not_counted(vocab):
    doc = Doc(vocab, words=["a", "a", "b"])
    lexicon = learned([doc], [np.array([1, -1, -1])], [[0]])
    assert level(lexicon, doc, 0, 0) == (1, 0, 4)
    assert level(lexicon, doc, 2, 0) is None


def test_ids_are_within_their_own_rows(lexicon, vocab, data):
    ids = lexicon.ids(Reader()(data[0]))
    assert ids.shape == (sum(map(len, data[0])), 2 * len(NGRAMS))
    assert ids.min() >= 0
    assert ids.max() < n_lexicon_rows(len(NGRAMS), N_TAGS)
    for one, other in itertools.combinations(ids.T.tolist(), 2):
        assert set(one).isdisjoint(other)
    unseen = lexicon.ids(Reader()([Doc(vocab, words=["Paris"])]))
    step = n_lexicon_rows(1, N_TAGS)
    assert unseen[0, ::2].tolist() == [0, step, 2 * step]


def test_training_looks_documents_up_without_their_fold(lexicon, data):
    docs, tags = data
    fold = np.array([assigned_folds(Reader()([doc]))[0] for doc in docs])
    assert len(set(fold)) > 1
    for k, doc in enumerate(docs):
        others = np.flatnonzero(fold != fold[k])
        rest = learned([docs[i] for i in others], [tags[i] for i in others])
        np.testing.assert_array_equal(
            lexicon.ids(Reader()([doc]), is_train=True), rest.ids(Reader()([doc]))
        )
    together = lexicon.ids(Reader()(docs), is_train=True)
    apart = [lexicon.ids(Reader()([doc]), is_train=True) for doc in docs]
    np.testing.assert_array_equal(together, np.concatenate(apart))
    assert (together != lexicon.ids(Reader()(docs))).any()


CHANGES = {
    "none": list,
    "a character": lambda words: ["x" + words[0][1:], *words[1:]],
    "a word left out": lambda words: words[:2] + words[3:],
    "white space": lambda words: [*words[:5], " ", *words[5:]],
    "every fifth word": lambda words: [w + "x" if k % 5 == 4 else w for k, w in enumerate(words)],
    "case": lambda words: [w if w[0] == "N" else w.upper() for w in words],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_documents_do_not_reveal_their_tags(named, vocab, change):
    sentences, _, lexicon = named
    changed = [change(words) for words in sentences]
    # Names begin with an N, and are tagged by turns.
    is_name = [np.array([word[0] == "N" for word in words]) for words in changed]
    columns = [(1 + 2 * (k % 2)) * names for k, names in enumerate(is_name)]
    docs = [Doc(vocab, words=words) for words in changed]
    assert leaked(lexicon, docs, columns) < 0.02


@pytest.mark.parametrize("change", [str, str.lower, str.upper, str.title])
def test_documents_in_another_case_do_not_reveal_their_tags(named, vocab, change):
    """Names that are in a document twice are known words, whose forms survive."""
    sentences, tags, _ = named
    twice = [[*words, "and", f"Name{k}"] for k, words in enumerate(sentences)]
    tags = [np.append(columns, [0, columns.max()]) for columns in tags]
    docs = [Doc(vocab, words=words) for words in twice]
    reader = Reader(normalize=True)
    known = reader.learn([[Example(doc.copy(), doc) for doc in docs]])
    read = functools.partial(reader, known=known)
    lexicon = learned(docs, tags, [*NGRAMS, [-1, 0, 1]], read)
    changed = [Doc(vocab, words=list(map(change, words))) for words in twice]
    assert leaked(lexicon, changed, tags, is_train=False, read=read) > 0.9
    assert leaked(lexicon, changed, tags, read=read) < 0.02


@pytest.mark.parametrize("between", [["."], ["and"]], ids=["two sentences", "one sentence"])
def test_merged_documents_do_not_reveal_their_tags(named, vocab, between):
    sentences, tags, lexicon = named
    pairs = zip(sentences[::2], sentences[1::2], strict=True)
    docs = [Doc(vocab, words=[*first, *between, *second]) for first, second in pairs]
    columns = [np.concatenate([tags[k], [0], tags[k + 1]]) for k in range(0, len(tags), 2)]
    assert leaked(lexicon, docs, columns, is_train=False) > 0.8
    assert leaked(lexicon, docs, columns) < 0.1


def test_copies_are_equal_and_do_not_reveal_tags(named, vocab):
    sentences, tags, lexicon = named
    docs = [Doc(vocab, words=words) for words in sentences]
    loaded = TagLexicon(lexicon.ngrams).from_bytes(lexicon.to_bytes())
    assert leaked(loaded, docs, tags, is_train=False) == 1.0
    text = Reader()(docs)
    for other in (loaded, loaded.copy(), copy.deepcopy(loaded)):
        for is_train in (False, True):
            found, expected = (one.ids(text, is_train) for one in (other, lexicon))
            np.testing.assert_array_equal(found, expected)


def test_counts_of_version_0_1(named, vocab, caplog):
    """Their folds are unknown: n-grams that were counted once are hidden in training."""
    sentences, tags, lexicon = named
    docs = [Doc(vocab, words=words) for words in sentences]
    state = srsly.msgpack_loads(lexicon.to_bytes())
    del state["held_out"]
    old = TagLexicon(lexicon.ngrams).from_bytes(srsly.msgpack_dumps({**state, "format": 3}))
    np.testing.assert_array_equal(old.ids(Reader()(docs)), lexicon.ids(Reader()(docs)))
    again = TagLexicon(lexicon.ngrams).from_bytes(old.to_bytes())
    for older in (old, again):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "ner_lstm_component"):
            assert leaked(older, docs, tags) < 0.02
            older.ids(Reader()(docs), is_train=True)
        (record,) = caplog.records
        assert "nlp.initialize()" in record.getMessage()


def test_folds_do_not_depend_on_tokenization(lexicon, vocab):
    words, spaces = ["in", "Rome", "to", "day"], [True, True, False, False]
    doc = Doc(vocab, words=words, spaces=spaces)
    assert (lexicon.ids(Reader()([doc]), is_train=True) != lexicon.ids(Reader()([doc]))).any()


def test_ngrams_do_not_cross_sentences(lexicon, vocab):
    first, second = ["go", "in", "."], ["Rome", "fell"]
    apart = lexicon.ids(Reader()([Doc(vocab, words=words) for words in (first, second)]))
    together = lexicon.ids(Reader()([Doc(vocab, words=first + second)]))
    np.testing.assert_array_equal(apart, together)


def test_an_empty_lexicon_and_no_docs(lexicon, vocab):
    empty = TagLexicon(NGRAMS)
    empty.learn([], N_TAGS)
    empty = TagLexicon(NGRAMS).from_bytes(empty.to_bytes())
    for is_train in (False, True):
        assert empty.ids(Reader()([Doc(vocab, words=["a"])]), is_train).shape == (1, 6)
        assert lexicon.ids(Reader()([]), is_train).shape == (0, 6)


def test_other_bytes_are_refused(lexicon):
    with pytest.raises(ValueError, match="damaged"):
        TagLexicon(NGRAMS).from_bytes(b"\x01nothing")
    state = srsly.msgpack_loads(lexicon.to_bytes())
    damages = [(name, state[name][:-4]) for name in ("starts", "rests", "levels")]
    damages += [("levels", b"\xff" * len(state["levels"])), ("held_out", [b""])]
    for name, value in [*damages, ("n_tags", "5"), ("rests", 3)]:
        with pytest.raises(ValueError, match="damaged"):
            TagLexicon(NGRAMS).from_bytes(srsly.msgpack_dumps({**state, name: value}))
    with pytest.raises(ValueError, match="'ngrams'"):
        TagLexicon([[0]]).from_bytes(lexicon.to_bytes())


@pytest.mark.parametrize(
    "damage",
    [
        lambda folds, levels: (folds[:-1], levels),
        lambda folds, levels: (folds, levels[:-1]),
        lambda folds, levels: (folds, folds),
        lambda folds, levels: (zlib.compress(b"\0" * 10_000_000), levels),
        lambda folds, levels: (zlib.compress(b"\0" * len(zlib.decompress(folds))), levels),
        lambda folds, levels: (zlib.compress(b"\xff" * len(zlib.decompress(folds))), levels),
        lambda folds, levels: (folds, zlib.compress(b"\xff" * len(zlib.decompress(levels)))),
        lambda folds, levels: (folds, 3),
    ],
)
def test_damaged_held_out_counts_are_refused(lexicon, data, damage):
    """In training, which is all that reads them."""
    state = srsly.msgpack_loads(lexicon.to_bytes())
    state["held_out"] = damage(*state["held_out"])
    damaged = TagLexicon(NGRAMS).from_bytes(srsly.msgpack_dumps(state))
    text = Reader()(data[0])
    np.testing.assert_array_equal(damaged.ids(text), lexicon.ids(text))
    with pytest.raises(ValueError, match="damaged"):
        damaged.ids(text, is_train=True)


@pytest.mark.parametrize("offsets", [[], [1, 0], [0, 0], [9]])
def test_ngrams_are_checked(offsets):
    with pytest.raises(ValueError, match="ascending offsets"):
        TagLexicon([[0], offsets])


@pytest.mark.parametrize(
    "kind", [kernels.NgramTable, numpy_kernels.NgramTable], ids=["compiled", "numpy"]
)
@pytest.mark.parametrize("n_tags", [5, 61])
def test_ngrams_are_looked_up(n_tags, kind):
    """Levels may need 16 bits."""
    rng = np.random.default_rng(0)
    keys = np.unique(np.append(rng.integers(0, 2**32, 5000), [0, 65535, 65536, 2**32 - 1]))
    index = hash_index(keys.astype(np.uint32))
    wanted = np.concatenate([rng.choice(keys, 400), rng.integers(0, 2**32, 400), [0, 2**32 - 1]])
    wanted = rng.permutation(wanted).astype(np.uint32).reshape(-1, 2)
    counts = rng.multinomial(3, np.full(n_tags, 1 / n_tags), len(keys)).astype(np.float32)
    levels = _levels(counts)
    assert levels.itemsize == (1 if n_tags == 5 else 2)
    rows = np.arange(4, dtype=np.int32).reshape(2, 2)
    known = dict(zip(keys.tolist(), levels.tolist(), strict=True))
    found = np.array([[known.get(key, [0, 0]) for key in row] for row in wanted.tolist()])
    assert 400 <= found.any(axis=2).sum() < 450
    hashing = (np.array([0]), np.ones((2, 1), np.uint64), np.zeros(2, np.uint64), 0, 0)
    table = kind(hashing, index, levels, rows)
    ids = table.ids(wanted)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, (found + rows).reshape(-1, 4))
    assert table.ids(wanted[:0]).shape == (0, 4)
    empty = kind(hashing, hash_index(np.zeros(0, np.uint32)), levels[:0], rows)
    np.testing.assert_array_equal(empty.ids(wanted), np.tile(np.arange(4), (len(wanted), 1)))
