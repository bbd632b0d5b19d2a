"""Docs as the network reads them: their words, and their sentences.

The network reads sentence by sentence, as it was trained. Where a Doc has no sentence
boundaries, its punctuation tells where sentences end; the Doc itself is left as it is.
What is longer than the window is read in windows that overlap: each tags its core and
sees some context on either side, so that memory stays bounded and no length is too
long. Windows of like length are padded to a batch together; a segment's numbers do not
depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IS_LOWER, IS_PUNCT, ORTH, SENT_START
from spacy.pipeline import Sentencizer
from spacy.strings import get_string_id
from spacy.tokens import Doc

from .. import kernels

_WANTED = [ORTH, IS_PUNCT, IS_LOWER, SENT_START]
_TERMINATORS = np.sort(np.array([*map(get_string_id, Sentencizer.default_punct_chars)], np.uint64))
_OPENING = np.sort(np.array([*map(get_string_id, "([{<«‘“„‚‹¿¡")], np.uint64))
_QUOTE = get_string_id('"')


class Text(NamedTuple):
    """Some Docs, or sentences of theirs, as all layers read them.

    :param docs: the Docs.
    :param orths: hashes of the words, one Doc's after the other's. *Shape:* ``(n_tokens,)``
    :param lengths: of the sentences in tokens, in order, an empty Doc having none.
        *Shape:* ``(n_sentences,)``
    """

    docs: Sequence[Doc]
    orths: NDArray[np.uint64]
    lengths: NDArray[np.int64]


def read_docs(docs: Sequence[Doc]) -> Text:
    """Read Docs' words, and find their sentences.

    The sentences are the Doc's own where it has boundaries (of a parser, a sentencizer or
    an annotator). Else its punctuation tells where one ends: after a full stop, question or
    exclamation mark (spaCy's ``Sentencizer`` has the list for many scripts) and the closing
    quotes and brackets that follow it, unless the next token is in lower case. A straight
    quote closes where an odd number came before it.
    """
    arrays = [doc.to_array(_WANTED) for doc in docs]
    if not arrays:
        return Text(docs, np.zeros(0, np.uint64), np.zeros(0, np.int64))
    attributes = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    doc_lengths = np.array([len(doc) for doc in docs], np.int64)
    lengths = kernels.sentence_lengths(attributes, doc_lengths, _TERMINATORS, _OPENING, _QUOTE)
    return Text(docs, attributes[:, 0].copy(), lengths)


def chunks(text: Text, n_tokens: int) -> Iterator[Text]:
    """Part a text between sentences into pieces of so many tokens, or of one longer sentence."""
    if 0 < len(text.orths) <= n_tokens:
        yield text
        return
    ends = np.cumsum(text.lengths)
    first = start = 0
    while first < len(ends):
        last = max(first + 1, int(ends.searchsorted(start + n_tokens, side="right")))
        end = int(ends[last - 1])
        yield Text(text.docs, text.orths[start:end], text.lengths[first:last])
        first, start = last, end


def split(array: NDArray, lengths: Iterable[int]) -> list[NDArray]:
    """Part an array into pieces of some lengths: `np.split` takes longer for few of them."""
    lengths = list(lengths)
    ends = accumulate(lengths)
    return [array[end - length : end] for length, end in zip(lengths, ends, strict=True)]
