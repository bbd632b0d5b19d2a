"""Annotated sentences: read from a CSV or CoNLL file, divided, and made into spaCy Docs.

`files` unpacks and decodes a file, `rows` finds its tokens, `reader` makes sentences of them,
`splits` divides those into train, dev and test, and `docs` makes Docs. Nothing that tags text
may import the package.
"""

from .docs import Counts, Sentence, count, to_doc, to_docbin
from .files import AUTO, DatasetError
from .reader import Source, read_csv, read_folder
from .splits import DEFAULT_SEED, MAX_SEED, PARTS, Split, split_sentences

__all__ = [
    "AUTO",
    "DEFAULT_SEED",
    "MAX_SEED",
    "PARTS",
    "Counts",
    "DatasetError",
    "Sentence",
    "Source",
    "Split",
    "count",
    "read_csv",
    "read_folder",
    "split_sentences",
    "to_doc",
    "to_docbin",
]
