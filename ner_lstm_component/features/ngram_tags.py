"""What the training data says of words and n-grams: how often each was tagged how.

A network learns a word's use from its examples by many small steps, and a rare name's not
at all. Counting learns it at once: the lexicon keeps, for each word and n-gram of the
training data, which tag its token had most often, how often and how surely, and gives the
network that as further features of a token, small integers like the lexical ones.

In training a document is looked up in counts that lack it, so that the network sees it as
it will see new text; `folds.py` says how.

N-grams stay within a sentence. They are known by hashes of 32 bits: of a million, one in
some thousands is taken for another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import srsly
from numpy.typing import NDArray
from spacy.attrs import ORTH
from spacy.strings import get_string_id
from spacy.tokens import Doc
from thinc.api import Model, Shim

from ..kernels import NgramTable
from ..text.sentences import Text, read_docs
from .held_out import FOLDS, HeldOut, vote
from .lexical import no_gradient

logger = logging.getLogger(__name__)

# From which count, and from which share of its most frequent tag, an n-gram is one level
# higher.
_SEEN = np.array([2, 3, 6, 21])
_SHARE = np.array([0.45, 0.7, 0.9, 0.999])
_REACH = 8

# Ids that an n-gram has.
PER_NGRAM = 2

# Format 3 lacks the held-out counts.
_FORMAT, _OLDEST_FORMAT = 4, 3
# Stand-ins for the words before and after a sentence.
_BEFORE, _AFTER = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F


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


class HashIndex(NamedTuple):
    """Hashes of 32 bits in ascending order, to be found by their places.

    The high half of a hash tells a bucket, of some neighbours even in a large lexicon; only
    the low half is kept.

    :param starts: where each bucket starts, and the end. *Shape:* ``(2**16 + 1,)``
    :param rests: the low halves. *Shape:* ``(n,)``
    """

    starts: NDArray[np.int32]
    rests: NDArray[np.uint16]

    @classmethod
    def of(cls, keys: NDArray[np.uint32]) -> HashIndex:
        """An index of hashes that are ascending, each once."""
        bounds = np.arange(2**16 + 1, dtype=np.uint64) << np.uint64(16)
        return cls(np.searchsorted(keys, bounds).astype(np.int32), keys.astype(np.uint16))

    @property
    def is_whole(self) -> bool:
        """Whether the buckets are in order, and hold the hashes: memory is read by them."""
        starts = self.starts
        if len(starts) != 2**16 + 1 or starts[0] != 0 or starts[-1] != len(self.rests):
            return False
        return bool((starts[1:] >= starts[:-1]).all())


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
        parameters = _hash_parameters(self.ngrams, offsets)
        self._hashing = (np.array(offsets, np.int64), *parameters, _BEFORE, _AFTER)
        self.learn([], 1)

    def _set(
        self,
        n_tags: int,
        index: HashIndex,
        levels: NDArray[np.unsignedinteger],
        held_out: HeldOut | None,
    ) -> None:
        """Hold n-grams' hashes, and what :func:`_levels` says of each.

        :param held_out: what it says without each fold; None where that is not known.
        """
        self.n_tags = n_tags
        self._index = index
        self._levels = levels
        self._held_out = held_out
        first, second = _rows(n_tags)
        kinds = np.arange(len(self.ngrams)) * (first + second)
        self._first_rows = (kinds[:, None] + [0, first]).astype(np.int32)
        self._table = self._table_of(levels, self._first_rows)
        # Made when training first needs them.
        self._folds: NgramTable | None = None
        self._without: list[NgramTable] = []

    def _table_of(
        self, levels: NDArray[np.unsignedinteger], first_rows: NDArray[np.int32]
    ) -> NgramTable:
        return NgramTable(self._hashing, self._index, levels, first_rows)

    # -- learning

    def learn(
        self, batches: Iterable[tuple[Sequence[Doc], NDArray[np.int64]]], n_tags: int
    ) -> None:
        """Count the n-grams of annotated Docs, in place of what was counted.

        :param batches: some Docs at a time, and the tags of all their tokens, -1 where
            unknown. *Shape:* ``(n_tokens,)``
        :param n_tags: number of tags.
        """
        keys = [np.zeros((0, len(self.ngrams)), np.uint32)]
        tags, folds = [np.zeros(0, np.int16)], [np.zeros(0, np.int8)]
        for docs, columns in batches:
            known = columns >= 0
            keys.append(self._keys(read_docs(docs))[known])
            tags.append(columns[known].astype(np.int16))
            folds.append(_dealt(docs)[known].astype(np.int8))
        ngrams, row = np.unique(np.concatenate(keys).T, return_inverse=True)
        row = row.reshape(-1)
        column, fold = (np.tile(np.concatenate(x), len(self.ngrams)) for x in (tags, folds))
        counts = np.zeros((len(ngrams), n_tags), np.float32)
        np.add.at(counts, (row, column), 1)
        levels = _levels(counts)
        counted = np.zeros((FOLDS, len(ngrams)), bool)
        counted[fold, row] = True
        without = np.zeros((FOLDS, *levels.shape), levels.dtype)
        for k in range(FOLDS):
            touched, mine = np.flatnonzero(counted[k]), fold == k
            rest = counts[touched]
            np.subtract.at(rest, (np.searchsorted(touched, row[mine]), column[mine]), 1)
            without[k, touched] = _levels(rest)
        self._set(n_tags, HashIndex.of(ngrams), levels, HeldOut.of(counted, without))

    # -- looking up

    def ids(self, text: Text, is_train: bool = False) -> NDArray[np.int32]:
        """Look up the ids of all tokens, two for each kind of n-gram.

        :param is_train: look tokens up in counts without the documents that they are from.
        :return: *Shape:* ``(n_tokens, PER_NGRAM * len(ngrams))``, below
            :func:`n_lexicon_rows`
        """
        keys = self._keys(text)
        if not is_train:
            return self._table.ids(keys)
        if self._folds is None:
            self._folds, self._without = self._training_tables()
        low, high = self._folds.ids(keys).reshape(len(keys), len(self.ngrams), 2).transpose(2, 0, 1)
        fold = vote(low | high << 8, text.lengths, _dealt(text.docs))
        ids = np.empty((len(keys), self._first_rows.size), np.int32)
        for k in np.unique(fold):
            mine = fold == k
            ids[mine] = self._without[k].ids(keys[mine])
        return ids

    def _training_tables(self) -> tuple[NgramTable, list[NgramTable]]:
        """The sets of folds of n-grams, as two bytes, and the n-grams without each fold."""
        if self._held_out is None:
            logger.warning(
                "This pipeline's n-gram counts were saved by an older version, which did not "
                "save what they are without a training document. To train on, n-grams that "
                "were counted once are hidden; the others may tell the tags of documents that "
                "they were counted in. For better results initialize the pipeline anew, with "
                "nlp.initialize() or 'spacy train' without 'source'."
            )
            is_single = (self._levels[:, :1] - 1) % (len(_SEEN) + 1) == 0
            folds = np.zeros(len(self._levels), np.uint16)
            without = np.broadcast_to(
                np.where(is_single, 0, self._levels), (FOLDS, *self._levels.shape)
            )
        else:
            try:
                folds, without = self._held_out.unpack(self._levels)
                _check_levels(without.reshape(-1, PER_NGRAM), self.n_tags)
            except ValueError as error:
                raise ValueError(f"The bytes of a lexicon are damaged: {error}") from error
        pairs = folds.astype("<u2").view(np.uint8).reshape(-1, 2)
        of_folds = self._table_of(pairs, np.zeros_like(self._first_rows))
        return of_folds, [self._table_of(levels, self._first_rows) for levels in without]

    def _keys(self, text: Text) -> NDArray[np.uint32]:
        """Hashes of the tokens' n-grams. *Shape:* ``(n_tokens, len(ngrams))``.

        Multilinear hashing (Dietzfelbinger, 1996; Lemire and Kaser, 2014): the high bits
        of a sum of the words, each times a factor for its place and the kind.
        """
        return self._table.keys(text.orths, text.lengths)

    # -- what Thinc asks of a shim

    def finish_update(self, optimizer: Any) -> None:
        """Nothing: counts have no gradient."""

    def to_device(self, device_type: str, device_id: int) -> None:
        """Nothing: counts stay on the host, where they are looked up."""

    def copy(self) -> TagLexicon:
        """An independent lexicon of equal n-grams, which can go on learning from them."""
        copied = TagLexicon(self.ngrams)
        copied._set(self.n_tags, self._index, self._levels, self._held_out)
        copied._folds, copied._without = self._folds, self._without
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
        """Write the n-grams as plain arrays, and what training needs of them compressed."""
        return srsly.msgpack_dumps(
            {
                "format": _FORMAT,
                "ngrams": [list(offsets) for offsets in self.ngrams],
                "n_tags": self.n_tags,
                "starts": self._index.starts.astype("<i4", copy=False).tobytes(),
                "rests": self._index.rests.astype("<u2", copy=False).tobytes(),
                "levels": self._levels.astype(_little(self.n_tags), copy=False).tobytes(),
                "held_out": self._held_out,
            }
        )

    def from_bytes(self, data: bytes) -> TagLexicon:
        """Take over what :meth:`to_bytes` gave, or gave in version 0.1.

        What only training needs stays compressed until training asks for it, and is
        checked then.

        :raises ValueError: if it is something else, or has other n-grams.
        """
        try:
            state = srsly.msgpack_loads(data)
            version, ngrams = state["format"], state["ngrams"]
        except Exception as error:
            raise ValueError(
                f"The bytes of a lexicon could not be read ({len(data)} bytes, {error!r})."
            ) from error
        expected = [list(offsets) for offsets in self.ngrams]
        if version not in (_OLDEST_FORMAT, _FORMAT) or ngrams != expected:
            raise ValueError(
                f"A lexicon of format {_OLDEST_FORMAT} or {_FORMAT} with 'ngrams' {expected} is "
                f"expected, as the config says. Received: format {version} with {ngrams}. Load "
                "it with the config and the version that it was saved with."
            )
        try:
            self._set(*_read_state(state))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"The bytes of a lexicon are damaged ({len(data)} bytes, {error!r})."
            ) from error
        return self


def _read_state(
    state: dict[str, Any],
) -> tuple[int, HashIndex, NDArray[np.unsignedinteger], HeldOut | None]:
    """Number of tags, index, levels and held-out levels as :meth:`TagLexicon.to_bytes` gave them.

    :raises KeyError, TypeError, ValueError: if they do not fit together.
    """
    n_tags = state["n_tags"]
    starts, rests = np.frombuffer(state["starts"], "<i4"), np.frombuffer(state["rests"], "<u2")
    levels = np.frombuffer(state["levels"], _little(n_tags)).reshape(-1, PER_NGRAM)
    index = HashIndex(starts, rests)
    if not index.is_whole or len(levels) != len(rests):
        raise ValueError("The index and the levels do not match.")
    _check_levels(levels, n_tags)
    held_out = state["held_out"] if state["format"] > _OLDEST_FORMAT else None
    return n_tags, index, levels, None if held_out is None else HeldOut(*held_out)


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


def _little(n_tags: int) -> str:
    """The type of levels, as they are saved."""
    return "<u1" if max(_rows(n_tags)) <= 256 else "<u2"


def _check_levels(levels: NDArray[np.unsignedinteger], n_tags: int) -> None:
    """Refuse levels beyond the rows of the embedding table that they have.

    :param levels: *Shape:* ``(n, PER_NGRAM)``
    """
    # Column by column: NumPy takes thirty times as long for max(axis=0).
    if any(column.max(initial=0) >= n for column, n in zip(levels.T, _rows(n_tags), strict=True)):
        raise ValueError(f"Levels are out of range for {n_tags} tags.")


def _levels(counts: NDArray[np.float32]) -> NDArray[np.unsignedinteger]:
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
    return np.where(seen[:, None] > 0, levels, 0).astype(_little(counts.shape[1]))


def _hash_parameters(
    ngrams: Sequence[Sequence[int]], offsets: Sequence[int]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """What a word at each offset is multiplied with in each kind of n-gram, and what is added.

    :return: *Shape:* ``(len(ngrams), len(offsets))`` and ``(len(ngrams),)``
    """
    factors = np.zeros((len(ngrams), len(offsets)), np.uint64)
    terms = np.zeros(len(ngrams), np.uint64)
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


def _dealt(docs: Sequence[Doc]) -> NDArray[np.int64]:
    """The fold that each token's document is dealt to, equal texts to the same.

    A text has one fold in every tokenization. *Shape:* ``(n_tokens,)``
    """
    folds = []
    for doc in docs:
        strings = doc.vocab.strings  # doc.text would make a Token of each.
        words = "".join([strings[orth] for orth in doc.to_array(ORTH).tolist()])
        folds.append(get_string_id("".join(words.split())) % FOLDS)
    return np.repeat(np.array(folds, np.int64), [len(doc) for doc in docs])
