"""Cross-fitting: in training, n-grams are looked up in counts without their own document.

Counts that include a training document reveal its tags. Documents are therefore assigned to
folds, and each is looked up in the counts of the other folds (target encoding, Micci-Barreca,
2001, with cross-fitting as in stacking, Wolpert, 1992). Leaving out only the document itself
would reveal its tags too: if two tags had equal counts, the right tag would always be one lower.

The fold of a token is found by majority vote: each n-gram votes for the folds in which it was
counted, and most were counted in a single fold. This stores no text, and works for documents that
were loaded, cut, merged or augmented.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ORTH
from spacy.strings import get_string_id

from ..text.sentences import Text

FOLDS = 10

# The number of tokens on either side whose n-grams vote. With fewer, an altered sentence has too
# few votes; with more, the parts of a sentence that an augmenter joined vote for each other.
_WINDOW = 8
# A set of folds is a number with a bit for each fold. Row i contains the members of set i.
_MEMBERS = (np.arange(2**FOLDS)[:, None] >> np.arange(FOLDS) & 1).astype(np.int32)


class HeldOutLevels(NamedTuple):
    """The folds in which n-grams were counted, and their levels without each of these folds.

    Both are compressed, because only training needs them.
    """

    folds: bytes
    levels: bytes

    @classmethod
    def pack(
        cls, counted: NDArray[np.bool_], held_out: NDArray[np.unsignedinteger]
    ) -> HeldOutLevels:
        """Compress the levels of n-grams.

        :param counted: whether each n-gram was counted in each fold. *Shape:* ``(FOLDS, n)``
        :param held_out: the n-grams' levels without each fold. *Shape:* ``(FOLDS, n, width)``
        """
        folds = (counted << np.arange(FOLDS)[:, None]).sum(axis=0)
        levels = held_out[counted]
        return cls(
            zlib.compress(folds.astype("<u2").tobytes()),
            zlib.compress(levels.astype(levels.dtype.newbyteorder("<")).tobytes()),
        )

    def unpack(
        self, levels: NDArray[np.unsignedinteger]
    ) -> tuple[NDArray[np.uint16], NDArray[np.unsignedinteger]]:
        """Decompress the sets of folds, and the levels without each fold.

        :param levels: the levels of the n-grams with all folds. *Shape:* ``(n, width)``
        :return: *Shapes:* ``(n,)`` and ``(FOLDS, n, width)``
        :raises TypeError, ValueError, zlib.error: if the bytes are damaged.
        """
        n, width = levels.shape
        folds = np.frombuffer(_inflate(self.folds, 2 * n), "<u2")
        if n and not 0 < folds.min() <= folds.max() < len(_MEMBERS):
            raise ValueError("Sets of folds are out of range.")
        counted = _MEMBERS[folds].T.astype(bool)
        size = int(counted.sum()) * width * levels.itemsize
        held_out = np.repeat(levels[None], FOLDS, axis=0)
        held_out[counted] = np.frombuffer(
            _inflate(self.levels, size), levels.dtype.newbyteorder("<")
        ).reshape(-1, width)
        return folds.astype(np.uint16), held_out


def _inflate(data: bytes, size: int) -> bytes:
    """Decompress data to a known size, so that damaged data cannot fill the memory."""
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, size + 1)
    if len(inflated) != size or not inflater.eof:
        raise ValueError(f"Held-out counts must have {size} bytes.")
    return inflated


def assigned_folds(text: Text) -> NDArray[np.int64]:
    """Assign documents to folds by a hash of their text without white space and case.

    :return: the fold of each word's document. *Shape:* ``(n_words,)``
    """
    folds = []
    for doc in text.docs:
        strings = doc.vocab.strings  # doc.text would create a Token of each word.
        words = "".join([strings[orth] for orth in doc.to_array(ORTH).tolist()])
        folds.append(get_string_id("".join(words.lower().split())) % FOLDS)
    return np.repeat(np.array(folds, np.int64), text.doc_lengths)


def vote_folds(
    folds: NDArray[np.integer], lengths: NDArray[np.int64], assigned: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find the fold in which each token was counted, by the n-grams near it in its sentence.

    :param folds: the set of folds of each token's n-grams. *Shape:* ``(n_tokens, n_kinds)``
    :param lengths: the sentences' lengths in tokens.
    :param assigned: the fold of each token's document by :func:`assigned_folds`. It breaks ties,
        so that the result is exact for an unchanged document.
    :return: the fold of each token. *Shape:* ``(n_tokens,)``
    """
    votes = np.zeros((len(folds) + 1, FOLDS), np.int32)
    np.cumsum(_MEMBERS[folds].sum(axis=1), axis=0, out=votes[1:])
    token = np.arange(len(folds))
    ends = np.cumsum(lengths)
    first, end = np.repeat(ends - lengths, lengths), np.repeat(ends, lengths)
    nearby = votes[np.minimum(token + _WINDOW + 1, end)] - votes[np.maximum(token - _WINDOW, first)]
    nearby *= 2
    nearby[token, assigned] += 1
    return nearby.argmax(axis=1)
