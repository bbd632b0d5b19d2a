"""Reading the words and sentences of Docs, without changing the Docs."""

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

_ATTRIBUTES = [ORTH, IS_PUNCT, IS_LOWER, SENT_START]
_TERMINATORS = np.sort(np.array([*map(get_string_id, Sentencizer.default_punct_chars)], np.uint64))
_OPENING = np.sort(np.array([*map(get_string_id, "([{<«‘“„‚‹¿¡")], np.uint64))
_QUOTE = get_string_id('"')


class Text(NamedTuple):
    """The input of all layers: Docs, or some of their sentences.

    :param docs: the Docs.
    :param orths: hashes of all words. *Shape:* ``(n_tokens,)``
    :param lengths: lengths of all sentences in tokens. *Shape:* ``(n_sentences,)``
    """

    docs: Sequence[Doc]
    orths: NDArray[np.uint64]
    lengths: NDArray[np.int64]


def read_docs(docs: Sequence[Doc]) -> Text:
    """Read the words of Docs, and find their sentences.

    If a Doc has sentence boundaries, they are used. Otherwise a sentence ends after a punctuation
    mark of spaCy's ``Sentencizer`` and any closing quotes and brackets, unless the next token is
    in lower case. Every second straight quote is a closing quote.
    """
    arrays = [doc.to_array(_ATTRIBUTES) for doc in docs]
    if not arrays:
        return Text(docs, np.zeros(0, np.uint64), np.zeros(0, np.int64))
    attributes = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    doc_lengths = np.array([len(doc) for doc in docs], np.int64)
    lengths = kernels.sentence_lengths(attributes, doc_lengths, _TERMINATORS, _OPENING, _QUOTE)
    return Text(docs, attributes[:, 0].copy(), lengths)


def chunks(text: Text, n_tokens: int) -> Iterator[Text]:
    """Split a text between sentences into chunks of ``n_tokens``, or of one longer sentence."""
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
    """Split an array into parts of the given lengths, faster than `np.split`."""
    lengths = list(lengths)
    ends = accumulate(lengths)
    return [array[end - length : end] for length, end in zip(lengths, ends, strict=True)]
