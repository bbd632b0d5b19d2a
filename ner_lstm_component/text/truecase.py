"""The case of words in sentences without case: lower-case chats, headlines in capitals.

Such a sentence does not show which words are names. Its words are therefore read in the case
that they mostly have in the training data (truecasing, Lita et al., 2003), so that their features
are those of printed text. A word that the training data lacks is likely a name: it gets a
capital, and a shape of its own, so that the network can decide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels import Case

# A word must occur this often in the training data, so that a training example is not read in the
# case that it alone has.
_MIN_COUNT = 2
# A sentence of capitalized words is in title case only if it has this share of words that are
# mostly in lower case. Otherwise it is a list of names.
_TITLE_CASE_SHARE = 0.25

# Added to the case of all words of a sentence that was without case.
RECASED = 8
_CASE = RECASED - 1

# What the hash of a word's lower case is combined with, by case. A word in mixed case has a hash
# of its own.
_CASE_KEYS = np.zeros(len(Case), np.uint64)
_CASE_KEYS[[Case.SHORT_LOWER, Case.LOWER]] = 0x9FB21C651E98DF25
_CASE_KEYS[Case.GUESSED] = 0xE7037ED1A0B428DB
_CASE_KEYS[Case.TITLE] = 0xD6E8FEB86659FD93
_CASE_KEYS[Case.UPPER] = 0xA0761D6478BD642F


def case_of(word: str) -> Case:
    """Return the case of a word's letters."""
    lower = word.lower()
    if lower == word:
        if word.upper() == word:
            return Case.NONE
        return Case.SHORT_LOWER if len(word) <= 3 else Case.LOWER
    if len(word) == 1:
        return Case.NONE
    if word == lower[0].upper() + lower[1:]:
        return Case.TITLE
    return Case.UPPER if word == word.upper() else Case.MIXED


def in_case(word: str, case: int) -> str:
    """Return a word in another case; a word in mixed case stays as it is."""
    case &= _CASE
    if case == Case.NONE and len(word) == 1:
        return word.upper()
    if case in (Case.SHORT_LOWER, Case.LOWER):
        return word.lower()
    if case in (Case.TITLE, Case.GUESSED):
        return word[:1].upper() + word[1:].lower()
    return word.upper() if case == Case.UPPER else word


def recase(
    hashes: NDArray[np.uint64],
    cases: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    is_caseless: NDArray[np.bool_],
    known_words: NDArray[np.uint64],
    known_cases: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Return the cases in which words are read.

    :param hashes: the words' hashes in lower case. *Shape:* ``(n_words,)``
    :param cases: the words' cases in the text. *Shape:* ``(n_words,)``
    :param lengths: the sentences' lengths in words. *Shape:* ``(n_sentences,)``
    :param is_caseless: which sentences have all words in one case. *Shape:* ``(n_sentences,)``
    :param known_words: the hashes of the words of the training data, in ascending order.
    :param known_cases: the cases that these words mostly have.
    """
    words = np.flatnonzero(np.repeat(is_caseless, lengths))
    sentence = np.repeat(np.arange(len(lengths)), lengths)[words]
    own, new = cases[words], np.full(len(words), Case.GUESSED, np.uint8)
    if len(known_words):
        place = np.searchsorted(known_words[:-1], hashes[words])
        is_known = known_words[place] == hashes[words]
        new[is_known] = known_cases[place[is_known]]
    is_lower = new == Case.LOWER
    has_case = (own != Case.NONE) & (own != Case.MIXED)
    is_first = np.append(True, sentence[1:] != sentence[:-1])[: len(words)]
    new[is_first & is_lower] = Case.TITLE
    # Of names alone, few are mostly in lower case.
    n_title, n_lower = (
        np.bincount(sentence[chosen], minlength=len(lengths))
        for chosen in (own == Case.TITLE, (own == Case.TITLE) & is_lower)
    )
    is_list = (n_lower < _TITLE_CASE_SHARE * n_title)[sentence]
    result = cases.copy()
    result[words] = np.where(is_list, own, np.where(has_case, new, own) | RECASED)
    return result


def with_case(hashes: NDArray[np.uint64], cases: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Combine words' hashes in lower case with their cases; the inverse is the same."""
    return hashes ^ _CASE_KEYS[cases & _CASE]


class WordCases:
    """Counts of the cases of words in the training data."""

    def __init__(self) -> None:
        self._hashes, self._cases = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint8)]

    def count(self, hashes: NDArray[np.uint64], cases: NDArray[np.uint8]) -> None:
        """Count words, given by their hashes in lower case."""
        self._hashes.append(hashes)
        self._cases.append(np.where(cases == Case.SHORT_LOWER, np.uint8(Case.LOWER), cases))

    def known(self) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Return the hashes of frequent words, in ascending order, and their most frequent case."""
        words, row = np.unique(np.concatenate(self._hashes), return_inverse=True)
        counts = np.zeros((len(words), len(Case)), np.int64)
        np.add.at(counts, (row.reshape(-1), np.concatenate(self._cases)), 1)
        is_frequent = counts.sum(axis=1) >= _MIN_COUNT
        best = counts[is_frequent].argmax(axis=1).astype(np.uint8)
        return words[is_frequent], best
