"""Statistics of the training data as features: how often each n-gram had which tag.

A network learns the use of a word in many small steps, and hardly learns rare names at all.
Counting learns them at once. For each word and n-gram of the training data, the lexicon stores
its most frequent tag, the frequency of the n-gram and the share of that tag. The network reads
them as additional features, which are small integers like the lexical features.

In training, a document is looked up in counts that leave it out, as they will leave out unseen
text (see `held_out`). N-grams do not cross sentences. They are stored as hashes of 32 bits: in a
lexicon of a million n-grams, about one in some thousand collides.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import srsly
from numpy.typing import NDArray
from thinc.api import Model, Shim

from ..kernels import NgramTable
from ..text.sentences import Text
from .held_out import FOLDS, HeldOutLevels, assigned_folds, vote_folds
from .lexical import no_gradient

logger = logging.getLogger(__name__)

# The bins of an n-gram's count, and of the share of its most frequent tag.
_COUNT_BINS = np.array([2, 3, 6, 21])
_SHARE_BINS = np.array([0.45, 0.7, 0.9, 0.999])
_MAX_OFFSET = 8

# The number of ids of an n-gram: one for its count, and one for its share.
PER_NGRAM = 2

# Format 3 lacks the held-out counts.
_FORMAT, _OLDEST_FORMAT = 4, 3
# Stand-ins for the words before and after a sentence.
_BEFORE, _AFTER = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F

HashIndex = tuple[NDArray[np.int32], NDArray[np.uint16]]


def check_ngrams(ngrams: Sequence[Sequence[int]]) -> None:
    """Raise a ValueError unless each n-gram is an ascending list of offsets from -8 to 8."""
    for offsets in ngrams:
        is_ascending = list(offsets) == sorted(set(offsets)) and len(offsets) > 0
        if not is_ascending or not all(-_MAX_OFFSET <= offset <= _MAX_OFFSET for offset in offsets):
            raise ValueError(
                "'ngrams' must be lists of ascending offsets from the token, from "
                f"{-_MAX_OFFSET} to {_MAX_OFFSET}; [-1, 0] is the token after its left neighbour. "
                f"Received: {list(offsets)}"
            )


def n_lexicon_rows(n_ngrams: int, n_tags: int) -> int:
    """Return how many rows of the embedding table the lexicon needs."""
    return n_ngrams * sum(_rows(n_tags))


def _rows(n_tags: int) -> tuple[int, int]:
    return 1 + n_tags * (len(_COUNT_BINS) + 1), 1 + n_tags * (len(_SHARE_BINS) + 1)


def hash_index(keys: NDArray[np.uint32]) -> HashIndex:
    """Index ascending, unique hashes in buckets by their high half, for :class:`NgramTable`."""
    bounds = np.arange(2**16 + 1, dtype=np.uint64) << np.uint64(16)
    return np.searchsorted(keys, bounds).astype(np.int32), keys.astype(np.uint16)


class TagLexicon(Shim):
    """The tag counts of n-grams as part of a Thinc model, which saves them.

    :param ngrams: kinds of n-grams, each given by the offsets of its words from the token.
    :raises ValueError: if :func:`check_ngrams` rejects an n-gram.
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
        held_out: HeldOutLevels | None,
    ) -> None:
        """Set the n-grams' hashes and levels; models of version 0.1 have no held-out levels."""
        self.n_tags = n_tags
        self._index = index
        self._levels = levels
        self._held_out = held_out
        first, second = _rows(n_tags)
        kinds = np.arange(len(self.ngrams)) * (first + second)
        self._first_rows = (kinds[:, None] + [0, first]).astype(np.int32)
        self._table = self._table_of(levels, self._first_rows)
        # The sets of folds, and the levels without each fold: created by the first training step.
        self._fold_table: NgramTable | None = None
        self._held_out_tables: list[NgramTable] = []

    def _table_of(
        self, levels: NDArray[np.unsignedinteger], first_rows: NDArray[np.int32]
    ) -> NgramTable:
        return NgramTable(self._hashing, self._index, levels, first_rows)

    # -- learning

    def learn(self, batches: Iterable[tuple[Text, NDArray[np.int64]]], n_tags: int) -> None:
        """Replace the counts with counts of annotated Docs.

        :param batches: Docs, and the tag number of each word, or -1 if the tag is unknown.
        """
        keys = [np.zeros((0, len(self.ngrams)), np.uint32)]
        tags, folds = [np.zeros(0, np.int16)], [np.zeros(0, np.int8)]
        for text, columns in batches:
            known = columns >= 0
            keys.append(self._keys(text)[known])
            tags.append(columns[known].astype(np.int16))
            folds.append(assigned_folds(text)[known].astype(np.int8))
        ngrams, row = np.unique(np.concatenate(keys).T, return_inverse=True)
        row = row.reshape(-1)
        column, fold = (np.tile(np.concatenate(x), len(self.ngrams)) for x in (tags, folds))
        counts = np.zeros((len(ngrams), n_tags), np.float32)
        np.add.at(counts, (row, column), 1)
        levels = _levels(counts)
        counted = np.zeros((FOLDS, len(ngrams)), bool)
        counted[fold, row] = True
        held_out = np.zeros((FOLDS, *levels.shape), levels.dtype)
        for k in range(FOLDS):
            in_fold, own = np.flatnonzero(counted[k]), fold == k
            rest = counts[in_fold]
            np.subtract.at(rest, (np.searchsorted(in_fold, row[own]), column[own]), 1)
            held_out[k, in_fold] = _levels(rest)
        self._set(n_tags, hash_index(ngrams), levels, HeldOutLevels.pack(counted, held_out))

    # -- looking up

    def ids(self, text: Text, is_train: bool = False) -> NDArray[np.int32]:
        """Look up the ids of all tokens, with two ids for each kind of n-gram.

        :param is_train: whether to look tokens up in counts without their own documents.
        :return: *Shape:* ``(n_tokens, PER_NGRAM * len(ngrams))``
        """
        keys = self._keys(text)
        if not is_train:
            return self._table.ids(keys)
        if self._fold_table is None:
            self._fold_table, self._held_out_tables = self._training_tables()
        low, high = (
            self._fold_table.ids(keys).reshape(len(keys), len(self.ngrams), 2).transpose(2, 0, 1)
        )
        fold = vote_folds(low | high << 8, text.lengths, assigned_folds(text))
        ids = np.empty((len(keys), self._first_rows.size), np.int32)
        for k in np.unique(fold):
            own = fold == k
            ids[own] = self._held_out_tables[k].ids(keys[own])
        return ids

    def _training_tables(self) -> tuple[NgramTable, list[NgramTable]]:
        """Create a table of the sets of folds (two bytes each), and one of levels for each fold."""
        if self._held_out is None:
            logger.warning(
                "This pipeline's n-gram counts were saved by an older version, without held-out "
                "counts. In further training, n-grams that were counted once are hidden, but "
                "others may reveal the tags of the training documents. For better results "
                "initialize the pipeline again, with nlp.initialize() or 'spacy train' without "
                "'source'."
            )
            is_single = (self._levels[:, :1] - 1) % (len(_COUNT_BINS) + 1) == 0
            folds = np.zeros(len(self._levels), np.uint16)
            held_out = np.broadcast_to(
                np.where(is_single, 0, self._levels), (FOLDS, *self._levels.shape)
            )
        else:
            try:
                folds, held_out = self._held_out.unpack(self._levels)
                _check_levels(held_out.reshape(-1, PER_NGRAM), self.n_tags)
            except (TypeError, ValueError, zlib.error) as error:
                raise ValueError(f"The bytes of a lexicon are damaged: {error}") from error
        pairs = folds.astype("<u2").view(np.uint8).reshape(-1, 2)
        fold_table = self._table_of(pairs, np.zeros_like(self._first_rows))
        return fold_table, [self._table_of(levels, self._first_rows) for levels in held_out]

    def _keys(self, text: Text) -> NDArray[np.uint32]:
        """Hash the tokens' n-grams. *Shape:* ``(n_tokens, len(ngrams))``."""
        return self._table.keys(text.forms, text.lengths)

    # -- the interface of a shim

    def finish_update(self, optimizer: Any) -> None:
        """Do nothing: counts have no gradient."""

    def to_device(self, device_type: str, device_id: int) -> None:
        """Do nothing: counts are looked up on the CPU."""

    def copy(self) -> TagLexicon:
        """Return an independent lexicon with the same counts, also for training."""
        copied = TagLexicon(self.ngrams)
        copied._set(self.n_tags, self._index, self._levels, self._held_out)
        copied._fold_table, copied._held_out_tables = self._fold_table, self._held_out_tables
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
        """Serialize the lexicon as plain arrays, with compressed held-out levels."""
        starts, rests = self._index
        return srsly.msgpack_dumps(
            {
                "format": _FORMAT,
                "ngrams": [list(offsets) for offsets in self.ngrams],
                "n_tags": self.n_tags,
                "starts": starts.astype("<i4", copy=False).tobytes(),
                "rests": rests.astype("<u2", copy=False).tobytes(),
                "levels": self._levels.astype(_level_type(self.n_tags), copy=False).tobytes(),
                "held_out": self._held_out,
            }
        )

    def from_bytes(self, data: bytes) -> TagLexicon:
        """Load the lexicon from the result of :meth:`to_bytes`, also of version 0.1.

        Held-out levels stay compressed, and are checked only when training needs them.

        :raises ValueError: if the data is damaged, or contains other kinds of n-grams.
        """
        expected = [list(offsets) for offsets in self.ngrams]
        try:
            state = srsly.msgpack_loads(data)
            version, ngrams = state["format"], state["ngrams"]
            is_compatible = version in (_OLDEST_FORMAT, _FORMAT) and ngrams == expected
            if is_compatible:
                self._set(*_read_state(state))
        except Exception as error:
            raise ValueError(
                f"The bytes of a lexicon are damaged ({len(data)} bytes, {error!r})."
            ) from error
        if not is_compatible:
            raise ValueError(
                f"A lexicon of format {_OLDEST_FORMAT} or {_FORMAT} with 'ngrams' {expected} is "
                f"expected, as the config says. Received: format {version} with {ngrams}. Load "
                "it with the config and the version that it was saved with."
            )
        return self


def _read_state(
    state: dict[str, Any],
) -> tuple[int, HashIndex, NDArray[np.unsignedinteger], HeldOutLevels | None]:
    """Read and check the arguments of :meth:`TagLexicon._set`, so that lookups stay in memory."""
    n_tags = state["n_tags"]
    starts, rests = np.frombuffer(state["starts"], "<i4"), np.frombuffer(state["rests"], "<u2")
    levels = np.frombuffer(state["levels"], _level_type(n_tags)).reshape(-1, PER_NGRAM)
    is_ascending = len(starts) == 2**16 + 1 and starts[0] == 0 and (np.diff(starts) >= 0).all()
    if not is_ascending or not starts[-1] == len(rests) == len(levels):
        raise ValueError("The index and the levels do not match.")
    _check_levels(levels, n_tags)
    held_out = state["held_out"] if state["format"] > _OLDEST_FORMAT else None
    return n_tags, (starts, rests), levels, held_out and HeldOutLevels(*held_out)


def Lexicon(ngrams: Sequence[Sequence[int]]) -> Model[Text, NDArray[np.int32]]:
    """Create the Thinc layer that looks n-grams up in a :class:`TagLexicon`."""
    return Model("lexicon", _forward, shims=[TagLexicon(ngrams)])


def _forward(
    model: Model, text: Text, is_train: bool
) -> tuple[NDArray[np.int32], Callable[[Any], list]]:
    return lexicon_of(model).ids(text, is_train), no_gradient


def lexicon_of(model: Model) -> TagLexicon:
    """Return the lexicon of the layer that :func:`Lexicon` created."""
    lexicon = model.shims[0]
    assert isinstance(lexicon, TagLexicon)
    return lexicon


def _level_type(n_tags: int) -> str:
    """Return the NumPy type of saved levels."""
    return "<u1" if max(_rows(n_tags)) <= 256 else "<u2"


def _check_levels(levels: NDArray[np.unsignedinteger], n_tags: int) -> None:
    """Raise a ValueError if a level has no row in the embedding table."""
    # max(axis=0) would be thirty times slower.
    if any(column.max(initial=0) >= n for column, n in zip(levels.T, _rows(n_tags), strict=True)):
        raise ValueError(f"Levels are out of range for {n_tags} tags.")


def _levels(counts: NDArray[np.float32]) -> NDArray[np.unsignedinteger]:
    """Combine n-grams' most frequent tags with the bins of the count and of the share.

    :param counts: how often each n-gram had each tag. *Shape:* ``(n, n_tags)``
    :return: the levels, or 0 if nothing was counted. *Shape:* ``(n, PER_NGRAM)``
    """
    total = counts.sum(axis=1)
    best = counts.argmax(axis=1)
    share = counts.max(axis=1) / np.maximum(total, 1)
    by_count = 1 + best * (len(_COUNT_BINS) + 1) + np.digitize(total, _COUNT_BINS)
    by_share = 1 + best * (len(_SHARE_BINS) + 1) + np.digitize(share, _SHARE_BINS)
    levels = np.stack([by_count, by_share], axis=1)
    return np.where(total[:, None] > 0, levels, 0).astype(_level_type(counts.shape[1]))


def _hash_parameters(
    ngrams: Sequence[Sequence[int]], offsets: Sequence[int]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return each kind's factors by offset, and its term, which do not depend on other kinds."""
    factors = np.zeros((len(ngrams), len(offsets)), np.uint64)
    terms = np.zeros(len(ngrams), np.uint64)
    for kind, ngram in enumerate(ngrams):
        terms[kind] = _splitmix64(kind)
        for offset in ngram:
            factors[kind, offsets.index(offset)] = _splitmix64((kind << 8) + offset + 128) | 1
    return factors, terms


def _splitmix64(number: int) -> int:
    """Scramble a number to 64 bits."""
    bits = 2**64 - 1
    number = (number + 1) * 0x9E3779B97F4A7C15 & bits
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & bits
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & bits
    return number ^ (number >> 31)
