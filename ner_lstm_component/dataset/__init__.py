"""Annotated sentences: read from a file, checked, split, and converted to spaCy Docs.

`files` unpacks and decodes a file, `rows` finds its tokens, `reader` groups them into sentences,
`splits` divides the sentences into train, dev and test, and `docs` converts them to Docs. `parts`
does all this for commands, `shards` does it for files that exceed the memory, and `checks` finds
what is suspicious. Code that tags text must not import this package.
"""

from .docs import Counts, Sentence, count, to_doc, to_docbin
from .files import AUTO, DatasetError
from .reader import Source, read_csv, read_file, read_folder
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
    "read_file",
    "read_folder",
    "split_sentences",
    "to_doc",
    "to_docbin",
]
