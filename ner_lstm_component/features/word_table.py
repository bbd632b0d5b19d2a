"""Tables of what is known about words, which a trained model contains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.strings import hash_string  # type: ignore[attr-defined]  # not in its stubs

from ..errors import check_ascending

_LOW_HALF = 2**32 - 1


class WordTable(NamedTuple):
    """A table of words and their values, without the words themselves.

    :param words: hashes of words, in ascending order. *Shape:* ``(n_words,)``
    :param places: the place of each word's value in `values`. *Shape:* ``(n_words,)``
    :param values: the distinct values. *Shape:* ``(n_values,)``
    """

    words: NDArray[np.uint32] = np.zeros(0, np.uint32)
    places: NDArray[np.integer] = np.zeros(0, np.uint8)
    values: NDArray[np.uint32] = np.zeros(0, np.uint32)

    @classmethod
    def of(cls, values: Mapping[str, int]) -> WordTable:
        """Create the table of some words and their values, which are above 0.

        If the hashes of two words are equal, the first word counts.
        """
        hashes = np.array([hash_string(word) & _LOW_HALF for word in values], np.uint32)
        words, first = np.unique(hashes, return_index=True)
        of_words = np.array([*values.values()], np.uint32)[first]
        distinct, places = np.unique(of_words, return_inverse=True)
        place_type = np.min_scalar_type(len(distinct))
        return cls(words, places.reshape(-1).astype(place_type), distinct)

    def check(self) -> None:
        """Raise a ValueError if the fields, which were read from a file, are damaged."""
        check_ascending("The hashes of words", self.words, np.uint32)
        arrays = self.places, self.values
        if any(not isinstance(one, np.ndarray) or one.dtype.kind != "u" for one in arrays):
            raise ValueError("The places and values of words are no arrays of numbers")
        if self.places.shape != self.words.shape or self.values.ndim != 1:
            raise ValueError("The words and their places do not match")
        if len(self.words) and self.places.max() >= len(self.values):
            raise ValueError("Places of words are out of range")


def in_cases(words: list[str]) -> list[list[str]]:
    """Return words as they are, lower-cased and capitalized."""
    lower = [word.lower() for word in words]
    return [words, lower, [word[:1].upper() + word[1:] for word in lower]]
