"""What the training data says of words and n-grams: how often each was tagged how.

A network learns a word's use from its examples by many small steps, and a rare name's not
at all. Counting learns it at once: the lexicon keeps, for each word and n-gram of the
training data, which tag its token had most often, how often and how surely, and gives the
network that as further features of a token, small integers like the lexical ones.

In training a document is looked up in counts that lack it, so that the network sees it as
it will see new text: the documents are dealt to folds, and each is shown the counts of
the other folds (target encoding, Micci-Barreca, 2001, cross-fitted as in stacking,
Wolpert, 1992). Leaving out the document alone would tell its tags: of a word with
balanced counts it would always show one fewer of the right one.

N-grams stay within a sentence. They are known by hashes of 32 bits: of a million, one in
some thousands is taken for another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import srsly
from numpy.typing import NDArray
from spacy.attrs import ORTH
from spacy.strings import get_string_id
from spacy.tokens import Doc
from thinc.api import Model, Shim

from .features import no_gradient
from .segments import Text, read

# From which count, and from which share of its most frequent tag, an n-gram is one level
# higher.
_SEEN = np.array([2, 3, 6, 21])
_SHARE = np.array([0.45, 0.7, 0.9, 0.999])
_REACH = 8

# Ids that an n-gram has.
PER_NGRAM = 2
FOLDS = 10

_FORMAT = 2
# Stand-ins for the words before and after a sentence.
_BEFORE, _AFTER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
# N-grams in a bucket of hashes, on average; n-grams sought at once.
_PER_BUCKET = 4
_AT_ONCE = 65_536


def check_ngrams(ngrams: Sequence[Sequence[int]]) -> None:
    """Refuse what is no list of n-grams.

    :raises ValueError: unless each is an ascending list of offsets from -8 to 8.
    """
    for offsets in ngrams:
        is_ascending = list(offsets) == sorted(set(offsets)) and len(offsets) > 0
        if not is_ascending or not all(-_REACH <= offset <= _REACH for offset in offsets):
            raise ValueError(
                "'ngrams' must be lists of ascending offsets from the token, from "
                f"{-_REACH} to {_REACH}; [-1, 0] is the token after its left neighbour. "
                f"Received: {list(offsets)}"
            )


def n_lexicon_rows(n_ngrams: int, n_tags: int) -> int:
    """Rows of the embedding table that the ids of the lexicon's features need."""
    return n_ngrams * sum(_rows(n_tags))


def _rows(n_tags: int) -> tuple[int, int]:
    return 1 + n_tags * (len(_SEEN) + 1), 1 + n_tags * (len(_SHARE) + 1)


class HashIndex:
    """Finds 32-bit hashes in a sorted array, many at once.

    Their high bits tell a bucket of a few neighbours, which are compared side by side: three
    accesses to memory for each, where binary search has twenty that wait for each other.

    :param keys: ascending, each once.
    """

    def __init__(self, keys: NDArray[np.uint32]) -> None:
        n_bits = max(1, (len(keys) // _PER_BUCKET).bit_length())
        self._shift = np.uint32(32 - n_bits)
        sizes = np.bincount(keys >> self._shift, minlength=2**n_bits)
        self._start = (np.cumsum(sizes) - sizes).astype(np.int32)
        # Behind the last a whole bucket, so that each can be read at its full width.
        width = int(sizes.max(initial=1))
        padded = np.concatenate([keys, np.zeros(width, np.uint32)])
        self.keys = padded[: len(keys)]
        self._windows = np.lib.stride_tricks.sliding_window_view(padded, width)

    def places(self, wanted: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Where in ``keys`` each hash stands, ``len(keys)`` for those that are not there."""
        flat = wanted.reshape(-1)
        places = np.empty(len(flat), np.int64)
        for first in range(0, len(flat), _AT_ONCE):
            some = flat[first : first + _AT_ONCE]
            start = self._start[some >> self._shift]
            is_equal = self._windows[start] == some[:, None]
            within = is_equal.argmax(axis=1)
            found = start + within
            found[~is_equal[np.arange(len(some)), within]] = len(self.keys)
            # What equals the padding is not there either.
            np.minimum(found, len(self.keys), out=places[first : first + _AT_ONCE])
        return places.reshape(wanted.shape)


class TagLexicon(Shim):
    """The lexicon as a part of a Thinc model: learnt once, saved with the model.

    :param ngrams: kinds of n-grams, each the offsets of its words from the token; see
        :func:`check_ngrams`.
    """

    def __init__(self, ngrams: Sequence[Sequence[int]]) -> None:
        super().__init__(None)
        check_ngrams(ngrams)
        self.ngrams = tuple(tuple(offsets) for offsets in ngrams)
        offsets = sorted({offset for ngram in self.ngrams for offset in ngram})
        self._offsets = np.array(offsets, np.int64)[:, None]
        self._factors, self._terms = _hash_parameters(self.ngrams, offsets)
        # Places before and after a sentence that n-grams reach.
        self._before, self._after = max(0, -min(offsets, default=0)), max([0, *offsets])
        self._set(1, np.zeros(0, np.uint32), np.zeros((0, PER_NGRAM), np.uint16))

    def _set(self, n_tags: int, ngram_keys: NDArray[np.uint32], levels: NDArray[np.uint16]) -> None:
        """Hold n-grams' hashes, ascending, and what :func:`_levels` says of each."""
        self.n_tags = n_tags
        self._index = HashIndex(ngram_keys)
        # The last for what is not found.
        self._levels = np.append(levels, np.zeros((1, PER_NGRAM), np.uint16), axis=0)
        first, second = _rows(n_tags)
        kinds = np.arange(len(self.ngrams)) * (first + second)
        self._first_rows = (kinds[:, None, None] + [0, first]).astype(np.int32)
        # What is known while learning and not saved: the levels without each fold, and
        # the fold of each document, by its text.
        self._levels_without: list[NDArray[np.uint16]] = []
        self._fold: dict[int, int] = {}

    # -- learning

    def learn(self, docs: Sequence[Doc], tags: Sequence[NDArray[np.int64]], n_tags: int) -> None:
        """Count the n-grams of annotated Docs, in place of what was counted.

        :param tags: a Doc's tags, -1 where unknown. *Shape:* ``(n_tokens,)`` each
        :param n_tags: number of tags.
        """
        keys = self._keys(read(docs))
        columns = np.concatenate([*tags, np.zeros(0, np.int64)])
        document = np.repeat(np.arange(len(docs)), [len(doc) for doc in docs])
        hashes = [_document_hash(doc) for doc in docs]
        folds = np.array([key % FOLDS for key in hashes], np.int64)
        known = columns >= 0
        ngrams, row = np.unique(keys[:, known], return_inverse=True)
        row = row.reshape(-1)
        n_kinds = len(self.ngrams)
        column = np.tile(columns[known], n_kinds)
        fold = np.tile(folds[document[known]], n_kinds)
        counts = np.zeros((len(ngrams), n_tags), np.float32)
        np.add.at(counts, (row, column), 1)
        self._set(n_tags, ngrams, _levels(counts))
        for k in range(FOLDS):
            mine = fold == k
            touched = np.unique(row[mine])
            rest = counts[touched]
            np.subtract.at(rest, (np.searchsorted(touched, row[mine]), column[mine]), 1)
            levels = self._levels.copy()
            levels[touched] = _levels(rest)
            self._levels_without.append(levels)
        self._fold = dict(zip(hashes, folds.tolist(), strict=True))

    # -- looking up

    def ids(self, text: Text, is_train: bool = False) -> NDArray[np.int32]:
        """Ids of all tokens, two for each kind of n-gram.

        :param is_train: look Docs that were counted up in counts that lack them.
        :return: *Shape:* ``(n_tokens, PER_NGRAM * len(ngrams))``, below
            :func:`n_lexicon_rows`
        """
        keys = self._keys(text)
        place = self._index.places(keys)
        levels = self._levels[place]
        if is_train and self._fold:
            fold_of_doc = [self._fold.get(_document_hash(doc), -1) for doc in text.docs]
            fold = np.repeat(fold_of_doc, [len(doc) for doc in text.docs])
            for k in set(fold_of_doc) - {-1}:
                mine = fold == k
                levels[:, mine] = self._levels_without[k][place[:, mine]]
        ids = levels + self._first_rows
        return ids.transpose(1, 0, 2).reshape(keys.shape[1], PER_NGRAM * len(self.ngrams))

    def _keys(self, text: Text) -> NDArray[np.uint32]:
        """Hashes of the tokens' n-grams. *Shape:* ``(len(ngrams), n_tokens)``.

        Multilinear hashing (Dietzfelbinger, 1996; Lemire and Kaser, 2014): the high bits
        of a sum of the words, each times a factor for its place and the kind.
        """
        n_tokens, n_sentences = len(text.orths), len(text.lengths)
        # What stands around sentences, after one and before the next.
        between = self._before + self._after
        around = np.arange(n_sentences) * between + self._before
        places = np.arange(n_tokens) + around.repeat(text.lengths)
        words = np.empty(n_tokens + n_sentences * between, np.uint64)
        words.fill(_BEFORE)
        words[places] = text.orths
        ends = text.lengths.cumsum() + around
        for k in range(self._after):
            words[ends + k] = _AFTER
        hashes = self._factors @ words[places + self._offsets] + self._terms
        return (hashes >> np.uint64(32)).astype(np.uint32)

    # -- what Thinc asks of a shim

    def finish_update(self, optimizer: Any) -> None:
        """Nothing: counts have no gradient."""

    def copy(self) -> TagLexicon:
        """An independent lexicon of equal n-grams, which can go on learning from them."""
        copied = TagLexicon(self.ngrams)
        copied._set(self.n_tags, self._index.keys, self._levels[:-1])
        copied._levels_without, copied._fold = self._levels_without, self._fold
        return copied

    def __deepcopy__(self, memo: dict) -> TagLexicon:
        return self.copy()

    def __getstate__(self) -> dict[str, Any]:
        return {"ngrams": self.ngrams, "id": self.id, "bytes": self.to_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["ngrams"])  # type: ignore[misc]
        self.id = state["id"]
        self.from_bytes(state["bytes"])

    def to_bytes(self) -> bytes:
        """The n-grams as plain arrays, without what only training needs."""
        return srsly.msgpack_dumps(
            {
                "format": _FORMAT,
                "ngrams": [list(offsets) for offsets in self.ngrams],
                "n_tags": self.n_tags,
                "keys": self._index.keys.astype("<u4", copy=False).tobytes(),
                "levels": self._levels[:-1].astype("<u2", copy=False).tobytes(),
            }
        )

    def from_bytes(self, data: bytes) -> TagLexicon:
        """Take over what :meth:`to_bytes` gave.

        :raises ValueError: if it is something else, or has other n-grams.
        """
        try:
            state = srsly.msgpack_loads(data)
            found = state["format"], state["ngrams"]
        except Exception as error:
            raise ValueError(
                f"The bytes of a lexicon could not be read ({len(data)} bytes, {error!r})."
            ) from error
        expected = _FORMAT, [list(offsets) for offsets in self.ngrams]
        if found != expected:
            raise ValueError(
                f"A lexicon of format {expected[0]} with 'ngrams' {expected[1]} is expected, as "
                f"the config says. Received: format {found[0]} with {found[1]}. Load it with the "
                "config and the version that it was saved with."
            )
        keys = np.frombuffer(state["keys"], "<u4")
        levels = np.frombuffer(state["levels"], "<u2").reshape(-1, PER_NGRAM)
        self._set(state["n_tags"], keys, levels)
        return self


def Lexicon(ngrams: Sequence[Sequence[int]]) -> Model[Text, NDArray[np.int32]]:
    """The Thinc layer that looks n-grams up, in a :class:`TagLexicon`.

    :return: a layer to ids. *Shape:* ``(n_tokens, PER_NGRAM * len(ngrams))``
    """
    return Model("lexicon", _forward, shims=[TagLexicon(ngrams)])


def _forward(
    model: Model, text: Text, is_train: bool
) -> tuple[NDArray[np.int32], Callable[[Any], list]]:
    return lexicon_of(model).ids(text, is_train), no_gradient


def lexicon_of(model: Model) -> TagLexicon:
    """The lexicon of the layer that :func:`Lexicon` made."""
    lexicon = model.shims[0]
    assert isinstance(lexicon, TagLexicon)
    return lexicon


def _levels(counts: NDArray[np.float32]) -> NDArray[np.uint16]:
    """N-grams' two ids: the most frequent tag by its count, and by that tag's share.

    :param counts: *Shape:* ``(n, n_tags)``
    :return: 0 where nothing was counted. *Shape:* ``(n, 2)``
    """
    seen = counts.sum(axis=1)
    best = counts.argmax(axis=1)
    share = counts.max(axis=1) / np.maximum(seen, 1)
    by_count = 1 + best * (len(_SEEN) + 1) + np.digitize(seen, _SEEN)
    by_share = 1 + best * (len(_SHARE) + 1) + np.digitize(share, _SHARE)
    levels = np.stack([by_count, by_share], axis=1)
    return np.where(seen[:, None] > 0, levels, 0).astype(np.uint16)


def _hash_parameters(
    ngrams: Sequence[Sequence[int]], offsets: Sequence[int]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """What a word at each offset is multiplied with in each kind of n-gram, and what is added.

    :return: *Shape:* ``(len(ngrams), len(offsets))`` and ``(len(ngrams), 1)``
    """
    factors = np.zeros((len(ngrams), len(offsets)), np.uint64)
    terms = np.zeros((len(ngrams), 1), np.uint64)
    for kind, ngram in enumerate(ngrams):
        terms[kind] = _scrambled(kind)
        for offset in ngram:
            # By kind and offset, whatever other kinds there are.
            factors[kind, offsets.index(offset)] = _scrambled((kind << 8) + offset + 128) | 1
    return factors, terms


def _scrambled(number: int) -> int:
    """A random-looking number of 64 bits (the output function of SplitMix64)."""
    bits = 2**64 - 1
    number = (number + 1) * 0x9E3779B97F4A7C15 & bits
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & bits
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & bits
    return number ^ (number >> 31)


def _document_hash(doc: Doc) -> int:
    """The same for every tokenization of a text."""
    strings = doc.vocab.strings  # doc.text would make a Token of each.
    words = "".join([strings[orth] for orth in doc.to_array(ORTH).tolist()])
    return get_string_id("".join(words.split()))
