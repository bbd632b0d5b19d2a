"""Line breaks that separate items: the lines of lists, chats, programmes and tables.

A line break within a sentence is white space. In wrapped text, a line ends because the next word
would not fit, and many lines begin with a word in lower case. If neither is the case, each line
is an item of its own.
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

    They are in blocks of three or more lines between empty lines. No line of such a block begins in
    lower case, and at least one line is so short that the next word would fit. A line that ends
    with a comma continues.

    :param classes: the `WordClass` of each token. *Shape:* ``(n_tokens,)``
    :param orths: the hash of each token. *Shape:* ``(n_tokens,)``
    :param lengths: the number of characters of each token. *Shape:* ``(n_tokens,)``
    :param spaces: whether a space follows each token. *Shape:* ``(n_tokens,)``
    :param doc_lengths: the number of tokens of each Doc. *Shape:* ``(n_docs,)``
    :return: the blank tokens with these line breaks, in ascending order.
    """
    breaks = np.flatnonzero(classes & WordClass.NEWLINE)
    is_blank = (classes & (WordClass.BLANK | WordClass.QUOTED_LINE)) != 0
    if len(breaks) < _MIN_BREAKS or is_blank.all():
        return breaks[:0]
    words = np.flatnonzero(~is_blank)
    begins_block = (classes & WordClass.EMPTY_LINE) != 0
    begins_block[np.cumsum(doc_lengths)[:-1][doc_lengths[1:] > 0]] = True
    begins_line = begins_block.copy()
    begins_line[breaks] = True
    # The first and last words of each line, and its block.
    n_begun = np.diff(np.cumsum(begins_line)[words], prepend=-1)
    new_line = np.flatnonzero(n_begun)
    first, last = words[new_line], words[np.append(new_line[1:], len(words)) - 1]
    # A line without words, such as ">", is an empty line.
    begins_block[first[n_begun[new_line] > 1]] = True
    block = np.cumsum(begins_block)[first]
    ends = np.cumsum(lengths + spaces) - spaces
    starts = ends - lengths
    # A word with its punctuation ends before white space, and at the end of its Doc.
    word_ends = np.flatnonzero(spaces | np.append(is_blank[1:] | begins_block[1:], True))
    next_lengths = ends[word_ends[np.searchsorted(word_ends, first)]] - starts[first]
    line_lengths = ends[last] - starts[first]
    widths = np.zeros(begins_block.sum() + 1, np.int64)
    np.maximum.at(widths, block, line_lengths)
    # From here on, of each pair of lines in a block.
    same = np.flatnonzero(block[1:] == block[:-1])
    block = block[same]
    would_fit = line_lengths[same] + 1 + next_lengths[same + 1] <= widths[block]
    is_lower = (classes[first[same + 1]] & WordClass.LOWER) != 0
    n_breaks, n_short, n_lower = (
        np.bincount(block[chosen], minlength=len(widths))
        for chosen in (slice(None), would_fit, is_lower)
    )
    is_laid_out = (n_breaks >= _MIN_BREAKS) & (n_short > 0) & (n_lower == 0)
    chosen = is_laid_out[block] & (orths[last[same]] != _COMMA)
    return breaks[np.searchsorted(breaks, last[same[chosen]])]
