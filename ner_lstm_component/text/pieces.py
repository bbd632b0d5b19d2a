"""Long texts in pieces that end where sentences do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from spacy.tokens import Doc

from .sentences import Reader

_READER = Reader()


def pieces(text: str, make_doc: Callable[[str], Doc], length: int) -> Iterator[str]:
    """Split a text into pieces of at most ``length`` characters, which together are the text.

    A piece ends before the last sentence that begins in it. If none does, it ends after the last
    blank, and in a text without blanks anywhere.

    :param make_doc: the pipeline's tokenizer.
    """
    start = 0
    while len(text) - start > length:
        piece = text[start : start + length]
        cut = _last_sentence(make_doc(piece)) or piece.rfind(" ") + 1 or length
        yield piece[:cut]
        start += cut
    yield text[start:]


def _last_sentence(doc: Doc) -> int:
    """Return the character at which the last sentence of a Doc begins."""
    found = _READER([doc])
    if len(found.lengths) < 2:
        return 0
    word = int(found.lengths[:-1].sum())
    token = word if found.is_word is None else int(np.flatnonzero(found.is_word)[word])
    return doc[token].idx
