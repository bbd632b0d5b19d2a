"""Cross-fitting: n-gram tags in training, without the document that is looked up.

Counts that include a training document tell its tags. Its n-grams are therefore looked up
in counts without it: documents are dealt to folds, and each is shown the counts of the
other folds (target encoding, Micci-Barreca, 2001, cross-fitted as in stacking, Wolpert,
1992). Leaving out the document alone would tell its tags as well: a word with balanced
counts would always show one fewer of the right tag.

The fold of a token is found by a vote. Each n-gram votes for the folds that it was counted
in, which for most n-grams is one. This works for a document that was loaded, cut, merged
with others or changed by an augmenter, and stores no text.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDS = 10

# Tokens on either side whose n-grams vote. Fewer have too few votes in a changed sentence,
# more have the votes of both parts where an augmenter joined two sentences.
_REACH = 8
# The folds in a set of folds, which is a number with a bit for each.
_MEMBERS = (np.arange(2**FOLDS)[:, None] >> np.arange(FOLDS) & 1).astype(np.int32)


class HeldOut(NamedTuple):
    """The levels of n-grams without each fold, compressed: only training needs them.

    :param folds: the set of folds that each n-gram was counted in.
    :param levels: the levels without each of these folds, fold by fold.
    """

    folds: bytes
    levels: bytes

    @classmethod
    def of(cls, counted: NDArray[np.bool_], without: NDArray[np.unsignedinteger]) -> HeldOut:
        """Compress what is known of n-grams.

        :param counted: whether an n-gram was counted in a fold. *Shape:* ``(FOLDS, n)``
        :param without: its levels without that fold. *Shape:* ``(FOLDS, n, width)``
        """
        folds = (counted << np.arange(FOLDS)[:, None]).sum(axis=0)
        levels = without[counted]
        little = levels.dtype.newbyteorder("<")
        return cls(
            zlib.compress(folds.astype("<u2").tobytes()),
            zlib.compress(levels.astype(little).tobytes()),
        )

    def unpack(
        self, levels: NDArray[np.unsignedinteger]
    ) -> tuple[NDArray[np.uint16], NDArray[np.unsignedinteger]]:
        """Decompress what :meth:`of` was given.

        :param levels: the n-grams' levels with all folds. *Shape:* ``(n, width)``
        :return: the sets of folds, *Shape:* ``(n,)``; and the levels without each fold,
            *Shape:* ``(FOLDS, n, width)``
        :raises ValueError: if the bytes are damaged.
        """
        n, width = levels.shape
        folds = np.frombuffer(_inflate(self.folds, 2 * n), "<u2")
        if n and not 0 < folds.min() <= folds.max() < len(_MEMBERS):
            raise ValueError("Sets of folds are out of range.")
        counted = _MEMBERS[folds].T.astype(bool)
        size = int(counted.sum()) * width * levels.itemsize
        little = levels.dtype.newbyteorder("<")
        without = np.repeat(levels[None], FOLDS, axis=0)
        without[counted] = np.frombuffer(_inflate(self.levels, size), little).reshape(-1, width)
        return folds.astype(np.uint16), without


def _inflate(data: bytes, size: int) -> bytes:
    """Decompress to a known size, whatever the data says of its own."""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, size + 1)
    except (TypeError, zlib.error) as error:
        raise ValueError(f"Held-out counts cannot be decompressed ({error}).") from error
    if len(inflated) != size or not inflater.eof:
        raise ValueError(f"Held-out counts of {size} bytes are expected.")
    return inflated


def vote(
    folds: NDArray[np.integer], lengths: NDArray[np.int64], dealt: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find the fold that each token was counted in, by the n-grams near it in its sentence.

    :param folds: the set of folds of each token's n-grams. *Shape:* ``(n_tokens, n_kinds)``
    :param lengths: the sentences' lengths in tokens.
    :param dealt: the fold that a document of this text is dealt to. It decides between
        folds with equally many votes, so that it is exact for an unchanged document: all of
        that document's n-grams vote for its fold. *Shape:* ``(n_tokens,)``
    :return: *Shape:* ``(n_tokens,)``
    """
    votes = np.zeros((len(folds) + 1, FOLDS), np.int32)
    np.cumsum(_MEMBERS[folds].sum(axis=1), axis=0, out=votes[1:])
    token = np.arange(len(folds))
    ends = np.cumsum(lengths)
    first, end = np.repeat(ends - lengths, lengths), np.repeat(ends, lengths)
    near = votes[np.minimum(token + _REACH + 1, end)] - votes[np.maximum(token - _REACH, first)]
    near *= 2
    near[token, dealt] += 1
    return near.argmax(axis=1)
