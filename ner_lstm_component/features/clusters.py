"""Brown clusters: what kind of word a word is, learned from a large amount of plain text.

Words with similar neighbours are in the same cluster, and similar clusters are near each other in a
binary tree (Brown et al., "Class-based n-gram models of natural language", 1992). A cluster, and
its ancestors near the root, help to recognize names that the training data lacks (Miller, Guinness
and Zamanian, "Name tagging with word clusters and discriminative training", 2004).

The package ``spacy-lookups-data`` has clusters for some languages. A cluster is a number there, and
its low bits are the path from the root. A trained model contains them as a table of hashes, and
does not need the package.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.strings import get_string_id
from spacy.util import load_language_data, registry

logger = logging.getLogger(__name__)

_TABLE = "lexeme_cluster"
_LOW_HALF = 2**32 - 1
# Six bytes each.
_MAX_WORDS = 600_000


class Clusters(NamedTuple):
    """A table of words and their clusters.

    :param words: hashes of words, in ascending order. *Shape:* ``(n_words,)``
    :param places: the place of each word's cluster in `paths`. *Shape:* ``(n_words,)``
    :param paths: the distinct clusters. *Shape:* ``(n_clusters,)``
    """

    words: NDArray[np.uint32] = np.zeros(0, np.uint32)
    places: NDArray[np.uint16] = np.zeros(0, np.uint16)
    paths: NDArray[np.uint32] = np.zeros(0, np.uint32)

    def __call__(self, words: Iterable[str]) -> NDArray[np.uint32]:
        """Return the clusters of words, or 0 for a word without one.

        A word that is not in the table has the cluster of its lower-cased form, or else of its
        capitalized form.
        """
        # A memoryview is searched faster than an array, if the words are few.
        hashes = self.words.data
        return np.array([self._cluster(word, hashes) for word in words], np.uint32)

    def _cluster(self, word: str, hashes: memoryview) -> int:
        for form in (str, str.lower, _capitalized):
            key = get_string_id(form(word)) & _LOW_HALF
            place = bisect_left(hashes, key)
            if place < len(hashes) and hashes[place] == key:
                return self.paths[self.places[place]]
        return 0


def _capitalized(word: str) -> str:
    return word[:1].upper() + word[1:].lower()


@cache
def load_clusters(lang: str) -> Clusters:
    """Load the clusters of a language's most frequent words, or none if they are not installed.

    :param lang: the language's code, such as ``en``.
    """
    installed = registry.lookups.get_all()
    if not installed:
        logger.warning(
            "The package spacy-lookups-data is not installed, so words have no clusters. For "
            "English, German and Spanish these help to recognize unknown names. To have them, "
            "run: pip install 'ner-lstm-component[lookups]'"
        )
    files = installed.get(lang, {})
    table = load_language_data(files[_TABLE]) if _TABLE in files else {}
    # The words are in the order of their frequency, and 0 stands for none.
    known = list(islice((item for item in table.items() if item[1]), _MAX_WORDS))
    keys = np.array([get_string_id(word) & _LOW_HALF for word, _ in known], np.uint32)
    words, first = np.unique(keys, return_index=True)
    clusters = np.array([cluster for _, cluster in known], np.uint32)[first]
    paths, places = np.unique(clusters, return_inverse=True)
    return Clusters(words, places.reshape(-1).astype(np.uint16), paths)
