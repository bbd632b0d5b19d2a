"""Brown clusters: what kind of word a word is, learned from a large amount of plain text.

Words with similar neighbours are in the same cluster, and similar clusters are near each other in a
binary tree (Brown et al., "Class-based n-gram models of natural language", 1992). A cluster, and
its ancestors near the root, help to recognize names that the training data lacks (Miller, Guinness
and Zamanian, "Name tagging with word clusters and discriminative training", 2004).

The package ``spacy-lookups-data`` has clusters for some languages. A cluster is a number there, and
its low bits are the path from the root.
"""

from __future__ import annotations

import logging
from functools import cache
from itertools import islice

from spacy.util import load_language_data, registry

from .word_table import WordTable

logger = logging.getLogger(__name__)

_TABLE = "lexeme_cluster"
# Six bytes each.
_MAX_WORDS = 600_000


@cache
def load_clusters(lang: str) -> WordTable:
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
    known = islice((item for item in table.items() if item[1]), _MAX_WORDS)
    return WordTable.of(dict(known))
