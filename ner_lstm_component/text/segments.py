"""How Docs are cut into what the network reads at once, and gathered into batches.

The network reads sentence by sentence, as it was trained. Where a Doc has no sentence
boundaries, its punctuation tells where sentences end; the Doc itself is left as it is.
What is longer than the window is read in windows that overlap: each tags its core and
sees some context on either side, so that memory stays bounded and no length is too
long. Segments of like length are padded to a batch together; a segment's numbers do not
depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Reading:
    """How Docs are cut and gathered.

    :param window: tokens that the network reads at once, at most.
    :param context: tokens on either side of a window's core that are read with it, and
        tagged by its neighbours.
    :param batch_tokens: places, padding included, in a padded batch of several segments.
    :param tokens_at_once: tokens whose features are held at once in prediction; None
        where they must be made of whole Docs.
    :raises ValueError: unless a window is longer than its contexts, and a batch holds one.
    """

    window: int
    context: int
    batch_tokens: int
    tokens_at_once: int | None = None

    def __post_init__(self) -> None:
        if self.context < 0 or self.window <= 2 * self.context:
            raise ValueError(
                "A window must be longer than the context on both of its sides. Expected: "
                f"window > 2 * context >= 0. Received: window={self.window}, "
                f"context={self.context}"
            )
        if self.batch_tokens < 1:
            raise ValueError(f"'batch_tokens' must be at least 1. Received: {self.batch_tokens}")


@dataclass(frozen=True)
class Segments:
    """Stretches of tokens to be read, as offsets into the batch's tokens.

    Each array has one element a segment: it reads ``start:end`` and tags
    ``core_start:core_end``. The cores cover every token once.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    core_start: NDArray[np.int64]
    core_end: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens read by each segment."""
        return self.end - self.start


@dataclass(frozen=True)
class Batch:
    """Some segments, right-padded.

    :param tokens: offset of the token at each place. *Shape:* ``(batch, time)``
    :param mask: which places hold a token. *Shape:* ``(batch, time)``
    :param core: which places are tagged. *Shape:* ``(batch, time)``
    """

    tokens: NDArray[np.int64]
    mask: NDArray[np.bool_]
    core: NDArray[np.bool_]

    def put(self, values: NDArray, into: NDArray) -> None:
        """Write what the network gave for the cores to their tokens.

        :param values: *Shape:* ``(batch, time, width)``
        :param into: *Shape:* ``(n_tokens, width)``
        """
        into[self.tokens[self.core]] = values[self.core]


def read(docs: Sequence[Doc]) -> Text:
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


def parts(text: Text, n_tokens: int) -> Iterator[Text]:
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


def cut(lengths: NDArray[np.int64], reading: Reading) -> Segments:
    """Cut sentences that stand one after the other into segments.

    :param lengths: the sentences' lengths in tokens.
    :param reading: how to cut those that are too long.
    """
    ends = np.cumsum(lengths)
    starts = ends - lengths
    if len(lengths) == 0 or lengths.max() <= reading.window:
        return Segments(starts, ends, starts, ends)
    step = reading.window - 2 * reading.context
    pieces = np.where(lengths > reading.window, -(-lengths // step), 1)
    sentence = np.repeat(np.arange(len(lengths)), pieces)
    # The n-th piece of its sentence, its core n steps from the sentence's start.
    nth = np.arange(len(sentence)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    whole = pieces[sentence] == 1
    core_start = starts[sentence] + nth * step
    core_end = np.where(whole, ends[sentence], np.minimum(core_start + step, ends[sentence]))
    return Segments(
        start=np.maximum(core_start - reading.context, starts[sentence]),
        end=np.minimum(core_end + reading.context, ends[sentence]),
        core_start=core_start,
        core_end=core_end,
    )


def batches(segments: Segments, reading: Reading) -> Iterator[Batch]:
    """Gather segments of like length into padded batches, the longest first.

    :param segments: all segments of some Docs.
    :param reading: how large a batch may be.
    """
    order = np.argsort(-segments.lengths, kind="stable")
    lengths = segments.lengths[order]
    first = 0
    while first < len(order):
        last = first + max(1, reading.batch_tokens // int(lengths[first]))
        yield _pad(segments, order[first:last])
        first = last


def _pad(segments: Segments, chosen: NDArray[np.int64]) -> Batch:
    start, end = segments.start[chosen, None], segments.end[chosen, None]
    tokens = start + np.arange(int((end - start).max()))
    mask = tokens < end
    core = (tokens >= segments.core_start[chosen, None]) & (
        tokens < segments.core_end[chosen, None]
    )
    return Batch(np.where(mask, tokens, start), mask, core)
