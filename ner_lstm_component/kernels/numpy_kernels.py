"""The kernels in NumPy, which document all kernels, and replace them without a compiler.

Arrays must be C-contiguous and of the annotated types.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.strings import get_string_id
from thinc.api import NumpyOps

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# The number of tokens whose sums are in memory at once.
_BLOCK_TOKENS = 16_384
# Smaller products of exponentials may have lost terms to underflow.
_SMALLEST = 1e-200


def sentence_lengths(
    attributes: Hashes, doc_lengths: Ints, terminators: Hashes, opening: Hashes, quote: int
) -> Ints:
    """Find sentences by their annotation or their punctuation, like `sentences.read_docs`.

    :param attributes: ORTH, IS_PUNCT, IS_LOWER and SENT_START. *Shape:* ``(n_tokens, 4)``
    :param terminators: ORTH of the marks that end a sentence, in ascending order.
    :param opening: ORTH of opening brackets and quotes, in ascending order.
    :param quote: ORTH of the straight quote.
    """
    starts: list[int] = []
    first = 0
    for length in doc_lengths.tolist():
        orths, is_punct, is_lower, sent_start = attributes[first : first + length].T
        boundaries = np.flatnonzero(sent_start[1:]) + 1
        ends = [0] if length else []
        if len(boundaries):
            ends += boundaries[sent_start[boundaries] == 1].tolist()
        else:
            marks = np.flatnonzero(is_punct)
            is_terminator, is_opening = (
                np.isin(orths[marks], wanted).tolist() for wanted in (terminators, opening)
            )
            is_quoted = False
            for k, mark in enumerate(marks.tolist()):
                is_quote = orths[mark] == quote
                closes = is_quoted if is_quote else not is_opening[k]
                if len(ends) > 1 and ends[-1] == mark and closes:
                    ends[-1] = mark + 1
                elif is_terminator[k]:
                    ends.append(mark + 1)
                is_quoted ^= is_quote
            ends[1:] = [end for end in ends[1:] if end < length and not is_lower[end]]
        starts += [first + end for end in ends]
        first += length
    return np.diff(np.array([*starts, first])).astype(np.int64)


def viterbi(emissions: Floats, transitions: Floats, lengths: Ints) -> Ints:
    """Find the best tags, like `crf.viterbi`."""
    tags = np.empty(len(emissions), np.int64)
    first, active = _by_time(lengths)
    # In doubles, sums of floats are nearly exact, however long the sequence.
    matrix = transitions.astype(np.float64)
    inner = matrix[:-1, :-1, None]
    # The sequences are the last axis, along which NumPy is fast.
    scores = [emissions[first[: active[0]]].T + matrix[-1, :-1, None]] if active else []
    for time, running in enumerate(active[1:], 1):
        paths = scores[-1][:, None, :running] + inner
        scores.append(paths.max(axis=0) + emissions[first[:running] + time].T)
    following = np.zeros(0, np.int64)
    incoming = np.ascontiguousarray(matrix[:-1].T)
    for time in range(len(active) - 1, -1, -1):
        ended = np.full(active[time] - len(following), -1)
        paths = incoming.take(np.concatenate([following, ended]), axis=0)
        paths += scores[time].T
        following = paths.argmax(axis=1)
        tags[first[: active[time]] + time] = following
    return tags


def _by_time(lengths: Ints) -> tuple[Ints, list[int]]:
    """Return the first tokens of sequences, the longest first, and their number at each time."""
    order = np.argsort(-lengths, kind="stable")
    first = (np.cumsum(lengths) - lengths)[order]
    times = np.arange(lengths.max(initial=0))
    return first, np.searchsorted(-lengths[order], -times, side="left").tolist()


def marginals(
    emissions: Floats,
    transitions: Floats,
    lengths: Ints,
    spans: Ints,
    with_tags: bool,
    temperature: float,
) -> tuple[Doubles, Floats | None]:
    """Compute the probabilities of spans in ascending order, and of tags, like `crf.marginals`."""
    of_spans = np.zeros(len(spans))
    of_tags = np.empty(emissions.shape, np.float32) if with_tags else None
    matrix = transitions.astype(np.float64) / temperature
    ends = np.cumsum(lengths)
    block = (ends - 1) // _BLOCK_TOKENS
    for number in np.unique(block):
        chosen = block == number
        first, end = (ends - lengths)[chosen][0], ends[chosen][-1]
        within = np.flatnonzero((spans[:, 0] >= first) & (spans[:, 0] < end))
        if not (with_tags or len(within)):
            continue
        scores = emissions[first:end].astype(np.float64) / temperature
        alpha, beta, log_partition = forward_backward(scores, matrix, lengths[chosen])
        total, sequence_end = np.repeat([log_partition, ends[chosen] - first], lengths[chosen], 1)
        if of_tags is not None:
            of_tags[first:end] = np.exp(alpha + beta - total[:, None])
        for k in within:
            start, stop, label = spans[k] - [first, first, 0]
            path = np.full(stop - start, 2 * label + 2)
            path[0] -= 1
            score = alpha[start, path[0]] + matrix[path[:-1], path[1:]].sum()
            score += scores[np.arange(start + 1, stop), path[1:]].sum()
            after = matrix[path[-1], -1]
            if stop < sequence_end[start]:
                following = matrix[path[-1], :-1] + scores[stop] + beta[stop]
                after = _log_sum(np.delete(following, 2 * label + 2))
            # Rounding may exceed a probability of 1.
            of_spans[k] = np.exp(min(score + after - total[start], 0.0))
    return of_spans, of_tags


@np.errstate(divide="ignore", invalid="ignore")
def forward_backward(
    emissions: Doubles, transitions: Doubles, lengths: Ints
) -> tuple[Doubles, Doubles, Doubles]:
    """Sum over all tag sequences in the log domain (Rabiner, 1989, III.A).

    The backward pass is the forward pass of the reversed sequence with the transitions
    transposed, so a time step computes both.

    :return: the forward variables by token and tag, which include the token's emission, the
        backward variables, which do not, and the log partition of each sequence.
    """
    arriving = np.empty((2, *emissions.shape))
    if len(emissions) == 0:
        return arriving[0], arriving[1], np.zeros(len(lengths))
    first, active = _by_time(lengths)
    last = first + np.sort(lengths)[::-1] - 1
    both = np.stack([transitions[:-1, :-1], transitions[:-1, :-1].T])
    boundary = np.stack([transitions[-1, :-1], transitions[:-1, -1]])[:, None]
    highest = both.max()
    potentials = np.exp(both - highest)
    direction = np.array([[0], [1]])
    score = boundary
    for time, running in enumerate(active):
        if time:
            score = score[:, :running]
            peak = np.maximum(score.max(axis=2, keepdims=True), -1e300)
            product = np.exp(score - peak) @ potentials
            step = np.log(product) + peak + highest
            lost = np.nonzero((product < _SMALLEST).any(axis=2))
            step[lost] = _log_sum(score[lost][:, None] + both.transpose(0, 2, 1)[lost[0]])
        else:
            step = boundary
        tokens = np.stack([first[:running] + time, last[:running] - time])
        arriving[direction, tokens] = step
        score = step + emissions[tokens]
    alpha = arriving[0] + emissions
    return alpha, arriving[1], _log_sum(alpha[np.cumsum(lengths) - 1] + boundary[1])


def _log_sum(scores: Doubles) -> Doubles:
    return np.logaddexp.reduce(scores, axis=-1)


def entity_spans(tags: Ints) -> Ints:
    """Find the entities of IOB2 tags, like `iob2.entity_spans`."""
    is_inside = (tags > 0) & (tags % 2 == 0)
    start = np.flatnonzero(tags % 2)
    borders = np.append(np.flatnonzero(~is_inside), len(tags))
    end = borders[np.searchsorted(borders, start, side="right")]
    return np.stack([start, end, tags[start] // 2], axis=1)


class NgramTable:
    """A hash table of n-grams and of the levels that say how the training data tagged them.

    Multilinear hashing (Dietzfelbinger, 1996; Lemire and Kaser, 2014) takes the high bits of a
    sum of the words' hashes, each multiplied by a factor.

    :param hashing: the offsets of words from the token; their factors in each kind of n-gram, 0
        for a word outside of it; a summand for each kind; hashes that stand for the words
        before and after a sentence.
    :param index: the start of each bucket of hashes with the same high half, followed by the end
        of the last bucket; and the low halves of the hashes.
    :param levels: the levels of the indexed hashes, uint8 or uint16. *Shape:* ``(n, n_levels)``
    :param first_rows: numbers to add to levels to make ids. *Shape:* ``(n_kinds, n_levels)``
    """

    def __init__(
        self,
        hashing: tuple[Ints, Hashes, Hashes, int, int],
        index: tuple[NDArray[np.int32], NDArray[np.uint16]],
        levels: NDArray[np.unsignedinteger],
        first_rows: NDArray[np.int32],
    ) -> None:
        self._offsets, self._factors, self._terms, *stand_ins = hashing
        self._before, self._after = np.array(stand_ins, np.uint64)
        self._starts, self._rests = index
        self._levels, self._first_rows = levels, first_rows

    def keys(self, words: Hashes, lengths: Ints) -> NDArray[np.uint32]:
        """Hash the n-grams around each token. *Shape:* ``(n_tokens, n_kinds)``."""
        ends = np.cumsum(lengths)
        first, end = np.repeat(ends - lengths, lengths), np.repeat(ends, lengths)
        hashes = np.repeat(self._terms[None], len(words), axis=0)
        for offset, by_kind in zip(self._offsets, self._factors.T, strict=True):
            place = np.arange(len(words)) + offset
            around = words[np.clip(place, 0, len(words) - 1)] if len(words) else words
            around = np.where(place < first, self._before, around)
            around = np.where(place >= end, self._after, around)
            hashes += around[:, None] * by_kind
        return (hashes >> np.uint64(32)).astype(np.uint32)

    def ids(self, keys: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Look hashes up; unknown hashes have level 0. *Shape:* ``(n_tokens, first_rows.size)``."""
        bucket, rest = keys >> np.uint32(16), keys.astype(np.uint16)
        low, end = (self._starts[bucket + np.uint32(k)].astype(np.int64) for k in (0, 1))
        padded, high = np.append(self._rests, np.uint16(0)), end
        # Search all buckets at once, by bisection.
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) // 2
            is_less = (middle < high) & (padded[middle] < rest)
            low, high = np.where(is_less, middle + 1, low), np.where(is_less, high, middle)
        is_known = (low < end) & (padded[low] == rest)
        ids = np.repeat(self._first_rows[None], len(keys), axis=0)
        ids[is_known] += self._levels[low[is_known]]
        return ids.reshape(len(keys), self._first_rows.size)


def feature_ids(
    forms: Sequence[Sequence[str]], labels: Sequence[str], features: Ints
) -> NDArray[np.int32]:
    """Hash features of words to two ids each, with spaCy's ``get_string_id`` and Thinc's hash.

    :param forms: the strings of all words for each form.
    :param labels: a prefix for each feature, hashed with its value.
    :param features: the form, number of characters (from the end if negative, or all if 0),
        number of rows and first row of each feature. *Shape:* ``(n_features, 4)``
    """
    values = []
    for word in zip(*forms, strict=True):
        for label, (form, n, *_) in zip(labels, features.tolist(), strict=True):
            values.append(get_string_id(label + (word[form][:n] if n > 0 else word[form][n:])))
    hashed = NumpyOps().hash(np.array(values, np.uint64), 0)[:, :2].reshape(-1, len(labels), 2)
    _, _, sizes, first_rows = features.T[:, :, None]
    return (hashed % sizes + first_rows).astype(np.int32).reshape(-1, 2 * len(labels))


class RowIndex:
    """An index that numbers rows of integers in the order of their first occurrence."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def clear(self) -> None:
        """Remove all rows."""
        self._numbers.clear()

    def add(self, rows: NDArray[np.int32]) -> tuple[Ints, list[int]]:
        """Return the numbers of rows of shape ``(n, width)``, and the positions of new rows."""
        if rows.shape[1] != self.width:
            raise ValueError(f"Rows of {self.width} numbers expected. Received: {rows.shape[1]}")
        numbers, new = np.empty(len(rows), np.int64), []
        for k, row in enumerate(rows):
            n_known = len(self)
            numbers[k] = self._numbers.setdefault(row.tobytes(), n_known)
            if len(self) > n_known:
                new.append(k)
        return numbers, new
