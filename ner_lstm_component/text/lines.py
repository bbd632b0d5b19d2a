"""Line breaks that separate items: the lines of lists, chats, programmes and tables.

A line break within a sentence is white space. In wrapped text, a line ends because the next word
would not fit, and many lines begin with a word in lower case. Where neither is so, each line is
an item of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from spacy.strings import get_string_id

from ..kernels import WordClass

_COMMA = get_string_id(",")
# The number of line breaks that show how a text is laid out.
_MIN_BREAKS = 2


def item_breaks(
    classes: NDArray[np.uint32],
    orths: NDArray[np.uint64],
    lengths: NDArray[np.int64],
    spaces: NDArray[np.bool_],
    doc_lengths: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Find the line breaks after which a new item begins.

    They are in blocks of three or more lines between empty lines, none of which begins in lower
    case, and of which at most half are so long that the next word would not fit. A line that ends
    with a comma continues.

    :param classes: the `WordClass` of each token. *Shape:* ``(n_tokens,)``
    :param orths: the hash of each token. *Shape:* ``(n_tokens,)``
    :param lengths: the number of characters of each token. *Shape:* ``(n_tokens,)``
    :param spaces: whether a space follows each token. *Shape:* ``(n_tokens,)``
    :param doc_lengths: the number of tokens of each Doc. *Shape:* ``(n_docs,)``
    :return: the blank tokens with these line breaks, in ascending order.
    """
    breaks = np.flatnonzero(classes & WordClass.NEWLINE)
    if len(breaks) < _MIN_BREAKS:
        return breaks[:0]
    doc_ends = np.cumsum(doc_lengths)
    is_blank = (classes & WordClass.BLANK) != 0
    visible = np.flatnonzero(~is_blank)
    # A line break at the start or the end of a Doc separates nothing.
    following = np.searchsorted(visible, breaks)
    breaks, following = breaks[following < len(visible)], following[following < len(visible)]
    before, after = visible[following - 1], visible[following]
    doc = np.searchsorted(doc_ends, breaks, side="right")
    is_inner = (
        (before < breaks) & (before >= (doc_ends - doc_lengths)[doc]) & (after < doc_ends[doc])
    )
    breaks, before, after, doc = (x[is_inner] for x in (breaks, before, after, doc))
    if not len(breaks):
        return breaks
    ends = np.cumsum(lengths + spaces)
    starts = ends - lengths - spaces
    # A word ends before white space, and at the end of its Doc.
    is_end = spaces.copy()
    is_end[:-1] |= is_blank[1:]
    is_end[doc_ends[doc_lengths > 0] - 1] = True
    word_ends = np.flatnonzero(is_end)
    last = word_ends[np.searchsorted(word_ends, after)]
    word_lengths = starts[last] + lengths[last] - starts[after]
    # The first token of each line, and of the line after the last break of each block.
    empty_lines = np.cumsum((classes & WordClass.EMPTY_LINE) != 0)
    block = np.unique(np.stack([doc, empty_lines[breaks]]), axis=1, return_inverse=True)[1]
    block = block.reshape(-1)
    is_border = is_blank & ((classes & (WordClass.NEWLINE | WordClass.EMPTY_LINE)) != 0)
    borders = np.unique(np.concatenate([np.flatnonzero(is_border), doc_ends - doc_lengths]))
    line_starts = np.append(-1, borders)[np.searchsorted(borders, before, side="right")]
    first = np.minimum(visible[np.searchsorted(visible, line_starts)], before)
    line_lengths = starts[before] + lengths[before] - starts[first]
    line_ends = np.append(borders, len(classes))[np.searchsorted(borders, after, side="right")]
    last = visible[np.searchsorted(visible, line_ends) - 1]
    next_lengths = starts[last] + lengths[last] - starts[after]
    n_blocks = int(block.max()) + 1
    widths = np.zeros(n_blocks, np.int64)
    np.maximum.at(widths, block, np.maximum(line_lengths, next_lengths))
    is_free = line_lengths + 1 + word_lengths <= widths[block]
    n_breaks, n_free, n_lower = (
        np.bincount(block[chosen], minlength=n_blocks)
        for chosen in (slice(None), is_free, (classes[after] & WordClass.LOWER) != 0)
    )
    is_laid_out = (n_breaks >= _MIN_BREAKS) & (n_lower == 0) & (2 * n_free >= n_breaks)
    return breaks[is_laid_out[block] & (orths[before] != _COMMA)]
