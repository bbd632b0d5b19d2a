"""The inner loops in NumPy, for a package that was built without a compiler.

`kernels/__init__.py` says what each does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.strings import get_string_id
from thinc.api import NumpyOps

_OPS = NumpyOps()
# Tokens whose sums are held at once.
_AT_ONCE = 16_384
# From the lowest score to the highest, as far as exp() of scores is multiplied.
_WIDEST_SPAN = 300.0
# What a tag scores that the annotation does not allow, where no other agrees with it either.
_DISALLOWED = -1e4


def sentence_lengths(
    attributes: NDArray[np.uint64],
    doc_lengths: NDArray[np.int64],
    terminators: NDArray[np.uint64],
    opening: NDArray[np.uint64],
    quote: int,
) -> NDArray[np.int64]:
    orths, is_punct, is_lower, sent_start = attributes.T
    marks, annotated = np.flatnonzero(is_punct), np.flatnonzero(sent_start)
    ends_sentence = np.isin(orths[marks], terminators).tolist()
    opens, is_quote = np.isin(orths[marks], opening).tolist(), (orths[marks] == quote).tolist()
    positions, boundaries = marks.tolist(), annotated.tolist()
    starts: list[int] = []
    first = mark = boundary = 0
    for doc_end in np.cumsum(doc_lengths).tolist():
        starts += [first] if first < doc_end else []
        # The first token's boundary says nothing.
        from_boundary = bisect_left(boundaries, first + 1, boundary)
        boundary = bisect_left(boundaries, doc_end, from_boundary)
        from_mark, mark = mark, bisect_left(positions, doc_end, mark)
        if from_boundary < boundary:
            starts += [i for i in boundaries[from_boundary:boundary] if sent_start[i] == 1]
        else:
            ends: list[int] = []
            quoted = False
            for k in range(from_mark, mark):
                closes = quoted if is_quote[k] else not opens[k]
                if ends and ends[-1] == positions[k] and closes:
                    ends[-1] = positions[k] + 1
                elif ends_sentence[k]:
                    ends.append(positions[k] + 1)
                quoted ^= is_quote[k]
            starts += [i for i in ends if i < doc_end and not is_lower[i]]
        first = doc_end
    return np.diff(np.array([*starts, first])).astype(np.int64)


def viterbi(
    emissions: NDArray[np.float32], transitions: NDArray[np.float32], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    tags = np.empty(len(emissions), np.int64)
    first, active = _by_time(lengths)
    # In doubles: sums of floats are all but exact in them, whatever a sequence's length.
    matrix = transitions.astype(np.float64)
    inner = matrix[:-1, :-1, None]
    # The axis of sequences is the last one, along which NumPy is fast.
    scores = [emissions[first[: active[0]]].T + matrix[-1, :-1, None]] if active else []
    for time, running in enumerate(active[1:], 1):
        ways = scores[-1][:, None, :running] + inner
        scores.append(ways.max(axis=0) + emissions[first[:running] + time].T)
    following = np.zeros(0, np.int64)
    incoming = np.ascontiguousarray(matrix[:-1].T)
    for time in range(len(active) - 1, -1, -1):
        ended = np.full(active[time] - len(following), -1)
        ways = incoming.take(np.concatenate([following, ended]), axis=0)
        ways += scores[time].T
        following = ways.argmax(axis=1)
        tags[first[: active[time]] + time] = following
    return tags


def _by_time(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
    """The sequences' first tokens, the longest first, and how many run at each time."""
    order = np.argsort(-lengths, kind="stable")
    first = (np.cumsum(lengths) - lengths)[order]
    times = np.arange(lengths.max(initial=0))
    return first, np.searchsorted(-lengths[order], -times, side="left").tolist()


def marginals(
    emissions: NDArray[np.float32],
    transitions: NDArray[np.float32],
    lengths: NDArray[np.int64],
    spans: NDArray[np.int64],
    with_tags: bool,
    temperature: float,
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    of_spans = np.zeros(len(spans))
    of_tags = np.empty(emissions.shape, np.float32) if with_tags else None
    ends = np.cumsum(lengths)
    block = (ends - 1) // _AT_ONCE
    for number in np.unique(block):
        chosen = block == number
        first, end = (ends - lengths)[chosen][0], ends[chosen][-1]
        within = (spans[:, 0] >= first) & (spans[:, 0] < end)
        if not (with_tags or within.any()):
            continue
        scores = emissions[first:end].astype(np.float64) / temperature
        matrix = transitions.astype(np.float64) / temperature
        is_narrow = _is_narrow(scores, matrix)
        alpha, beta, log_partition = forward_backward(scores, matrix, lengths[chosen], is_narrow)
        total = np.repeat(log_partition, lengths[chosen])
        shifted = spans[within] - [first, first, 0]
        of_spans[within] = _of_spans(alpha, beta, total, scores, matrix, lengths[chosen], shifted)
        if of_tags is not None:
            of_tags[first:end], _ = _of_tags(alpha, beta, total)
    return of_spans, of_tags


def negative_log_likelihood(
    emissions: NDArray[np.float32],
    transitions: NDArray[np.float32],
    lengths: NDArray[np.int64],
    allowed: NDArray[np.uint8],
) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
    lengths = lengths[lengths > 0]
    scores, matrix = emissions.astype(np.float64), transitions.astype(np.float64)
    is_narrow = _is_narrow(scores, matrix)
    free = _expectations(scores, matrix, lengths, is_narrow)
    clamped = _expectations(np.where(allowed, scores, -np.inf), matrix, lengths, is_narrow)
    if not np.isfinite(clamped[0]).all():
        clamped = _expectations(np.where(allowed, scores, _DISALLOWED), matrix, lengths, False)
    return (
        float((free[0] - clamped[0]).sum()),
        (free[1] - clamped[1]).astype(np.float32),
        (free[2] - clamped[2]).astype(np.float32),
    )


@np.errstate(invalid="ignore")
def _expectations(
    scores: NDArray[np.float64],
    matrix: NDArray[np.float64],
    lengths: NDArray[np.int64],
    is_narrow: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Log partition, expected tags and expected transitions."""
    alpha, beta, log_partition = forward_backward(scores, matrix, lengths, is_narrow)
    tags, total = _of_tags(alpha, beta, np.repeat(log_partition, lengths))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    counts = np.zeros(matrix.shape)
    counts[-1, :-1] = tags[starts].sum(axis=0)
    counts[:-1, -1] = tags[ends - 1].sum(axis=0)
    inner = np.delete(np.arange(len(scores)), starts)
    pairs = (
        alpha[inner - 1, :, None]
        + matrix[:-1, :-1]
        + (scores[inner] + beta[inner] - total[inner, None])[:, None, :]
    )
    counts[:-1, :-1] = np.exp(pairs).sum(axis=0)
    return log_partition, tags, counts


def _is_narrow(emissions: NDArray[np.float64], transitions: NDArray[np.float64]) -> bool:
    """Whether the recursions may multiply exp() of scores, of which none then vanishes."""

    def span(scores: NDArray[np.float64]) -> float:
        lowest = scores.min(initial=np.inf)
        if lowest == -np.inf:
            lowest = scores.min(where=scores > -np.inf, initial=np.inf)
        return scores.max(initial=-np.inf) - lowest

    return bool(span(emissions) + span(transitions.ravel()[:-1]) <= _WIDEST_SPAN)


@np.errstate(divide="ignore", invalid="ignore")
def forward_backward(
    emissions: NDArray[np.float64],
    transitions: NDArray[np.float64],
    lengths: NDArray[np.int64],
    is_narrow: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sums over all tag sequences (Rabiner, 1989, III.A), as logarithms.

    Backward, a sequence is read from its end by the transposed transitions: both ways are
    one recursion, whose steps are taken together.

    :param is_narrow: see `_is_narrow`; without, it is logarithms that are added, which takes
        several times as long.
    :return: over all ways to a tag, its emission included, *Shape:* ``(n_tokens, n_tags)``;
        over all ways from it to the end, its emission not included, of the same shape; and
        over all tag sequences, *Shape:* ``(n_sequences,)``
    """
    # Of the ways to a tag and of those from it, its emission included in neither.
    arriving = np.empty((2, *emissions.shape))
    log_partition = np.empty(len(lengths))
    if len(emissions) == 0:
        return arriving[0], arriving[1], log_partition
    first, active = _by_time(lengths)
    last = first + np.sort(lengths)[::-1] - 1
    inner = transitions[:-1, :-1]
    both = np.stack([inner, inner.T])
    # exp() of transitions is at most a few units: sums over tags become one product.
    highest = inner.max()
    weights = np.exp(both - highest)
    around = np.stack([transitions[-1, :-1], transitions[:-1, -1]])
    ways = np.array([[0], [1]])
    tokens = np.stack([first, last])
    arriving[ways, tokens] = around[:, None, :]
    score = emissions[tokens] + around[:, None, :]
    for time, running in enumerate(active[1:], 1):
        tokens = np.stack([first[:running] + time, last[:running] - time])
        score = score[:, :running]
        if is_narrow:
            peak = score.max(axis=2, keepdims=True)
            step = np.log(np.exp(score - peak) @ weights) + peak + highest
        else:
            step = _log_sum(score[:, :, None] + both.transpose(0, 2, 1)[:, None])
        arriving[ways, tokens] = step
        score = step + emissions[tokens]
    ends = np.cumsum(lengths) - 1
    alpha = arriving[0] + emissions
    return alpha, arriving[1], _log_sum(alpha[ends] + around[1])


def _of_tags(
    alpha: NDArray[np.float64], beta: NDArray[np.float64], total: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of tags, and the log partition as it is found at each token.

    What rounding has added up in a long sequence cancels so.

    :param total: the log partition of each token's sequence. *Shape:* ``(n_tokens,)``
    """
    counts = np.exp(alpha + beta - total[:, None])
    sums = counts @ np.ones(counts.shape[1])
    return counts / sums[:, None], total + np.log(sums)


def _of_spans(
    alpha: NDArray[np.float64],
    beta: NDArray[np.float64],
    total: NDArray[np.float64],
    emissions: NDArray[np.float64],
    transitions: NDArray[np.float64],
    lengths: NDArray[np.int64],
    spans: NDArray[np.int64],
) -> NDArray[np.float64]:
    start, end, label = spans.T
    begin, inside = 2 * label + 1, 2 * label + 2
    ends = np.cumsum(lengths)
    sequence = np.searchsorted(ends, start, side="right")
    n_inside = end - start - 1
    # Each span's inner tokens, of all spans one after the other.
    span = np.repeat(np.arange(len(start)), n_inside)
    token = np.arange(len(span)) - np.repeat(np.cumsum(n_inside) - n_inside - start - 1, n_inside)
    score = alpha[start, begin] + np.bincount(
        span, weights=emissions[token, inside[span]], minlength=len(start)
    )
    score += np.where(n_inside > 0, transitions[begin, inside], 0.0)
    score += np.where(n_inside > 1, (n_inside - 1) * transitions[inside, inside], 0.0)
    last = np.where(n_inside > 0, inside, begin)
    onward = transitions[last, -1].copy()
    goes_on = np.flatnonzero(end < ends[sequence])
    following = end[goes_on]
    ways = transitions[last[goes_on], :-1] + emissions[following] + beta[following]
    ways[np.arange(len(goes_on)), inside[goes_on]] = -np.inf
    onward[goes_on] = _log_sum(ways)
    # Rounding may take a certain entity above 1.
    _, total = _of_tags(alpha[start], beta[start], total[start])
    return np.exp(np.minimum(score + onward - total, 0.0))


def _log_sum(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    highest = scores.max(axis=-1, keepdims=True)
    highest = np.where(highest > -np.inf, highest, 0.0)
    return np.log(np.exp(scores - highest).sum(axis=-1)) + highest[..., 0]


def entity_spans(tags: NDArray[np.int64]) -> NDArray[np.int64]:
    is_inside = (tags > 0) & (tags % 2 == 0)
    start = np.flatnonzero(tags % 2)
    borders = np.append(np.flatnonzero(~is_inside), len(tags))
    end = borders[np.searchsorted(borders, start, side="right")]
    return np.stack([start, end, tags[start] // 2], axis=1)


class NgramTable:
    def __init__(
        self,
        offsets: NDArray[np.int64],
        factors: NDArray[np.uint64],
        terms: NDArray[np.uint64],
        before: int,
        after: int,
        starts: NDArray[np.int32],
        rests: NDArray[np.uint16],
        levels: NDArray[np.unsignedinteger],
        first_rows: NDArray[np.int32],
    ) -> None:
        self._offsets, self._factors, self._terms = offsets, factors, terms
        self._before, self._after = np.uint64(before), np.uint64(after)
        self._starts, self._rests = starts, rests
        self._levels, self._first_rows = levels, first_rows

    def keys(self, words: NDArray[np.uint64], lengths: NDArray[np.int64]) -> NDArray[np.uint32]:
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
        starts, rests = self._starts, self._rests
        bucket, rest = keys >> np.uint32(16), keys.astype(np.uint16)
        low, end = starts[bucket].astype(np.int64), starts[bucket + np.uint32(1)].astype(np.int64)
        padded, high = np.append(rests, np.uint16(0)), end
        # Binary search in all buckets at once.
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) // 2
            is_less = (middle < high) & (padded[middle] < rest)
            low, high = np.where(is_less, middle + 1, low), np.where(is_less, high, middle)
        is_there = (low < end) & (padded[low] == rest)
        ids = np.repeat(self._first_rows[None], len(keys), axis=0)
        ids[is_there] += self._levels[low[is_there]]
        return ids.reshape(len(keys), self._first_rows.size)


def beside(left: NDArray[np.int32], right: NDArray[np.int32], shift: int) -> NDArray[np.int32]:
    return np.concatenate([left, right + np.int32(shift)], axis=1)


def feature_ids(
    forms: Sequence[Sequence[str]], labels: Sequence[str], features: NDArray[np.int64]
) -> NDArray[np.int32]:
    values = []
    for word in zip(*forms, strict=True):
        for label, (form, n, *_) in zip(labels, features.tolist(), strict=True):
            part = word[form][:n] if n > 0 else word[form][n:]
            values.append(get_string_id(label + part))
    hashed = _OPS.hash(np.array(values, np.uint64), 0)[:, :2].reshape(-1, len(labels), 2)
    _, _, sizes, first_rows = features.T[:, :, None]
    return (hashed % sizes + first_rows).astype(np.int32).reshape(-1, 2 * len(labels))


class RowIndex:
    def __init__(self, width: int) -> None:
        self.width = width
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def clear(self) -> None:
        self._numbers.clear()

    def add(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.int64], list[int]]:
        if rows.shape[1] != self.width:
            raise ValueError(
                f"Rows of {self.width} numbers are expected. Received: {rows.shape[1]}"
            )
        keys = np.ascontiguousarray(rows, np.int32).view(f"V{4 * self.width}")[:, 0]
        _, first, kind = np.unique(keys, return_index=True, return_inverse=True)
        of_kinds, new = np.empty(len(first), np.int64), []
        for k in np.argsort(first).tolist():
            known = len(self._numbers)
            of_kinds[k] = self._numbers.setdefault(keys[first[k]].tobytes(), known)
            if of_kinds[k] == known:
                new.append(int(first[k]))
        return of_kinds[kind.reshape(-1)], new


def lstm_step(
    gates: NDArray[np.float32],
    bias: NDArray[np.float32],
    before: NDArray[np.float32],
    cells: NDArray[np.float32],
    hidden: NDArray[np.float32],
) -> None:
    input, forget, candidate, output = np.split(gates, 4, axis=1)
    gates += bias
    # sigmoid(z) = (tanh(z / 2) + 1) / 2: of all gates tanh, which NumPy is fast at.
    for sigmoid in (input, forget, output):
        sigmoid *= 0.5
    np.tanh(gates, out=gates)
    for sigmoid in (input, forget, output):
        sigmoid *= 0.5
        sigmoid += 0.5
    np.multiply(forget, before, out=cells)
    cells += input * candidate
    np.tanh(cells, out=hidden)
    hidden *= output


def lstm_step_back(
    gates: NDArray[np.float32],
    before: NDArray[np.float32],
    cells: NDArray[np.float32],
    d_outputs: NDArray[np.float32],
    d_h: NDArray[np.float32],
    d_c: NDArray[np.float32],
    d_gates: NDArray[np.float32],
) -> None:
    input, forget, candidate, output = np.split(gates, 4, axis=1)
    d_input, d_forget, d_candidate, d_output = np.split(d_gates, 4, axis=1)
    squashed = np.tanh(cells)
    d_hidden = d_h + d_outputs
    np.multiply(d_hidden, squashed, out=d_output)
    d_hidden *= output
    d_c += d_hidden * (1.0 - squashed * squashed)
    np.multiply(d_c, candidate, out=d_input)
    np.multiply(d_c, before, out=d_forget)
    np.multiply(d_c, input, out=d_candidate)
    d_c *= forget
    # Of a sigmoid s(1 - s), of tanh 1 - t².
    slopes = gates - gates * gates
    slopes_of_candidate = np.split(slopes, 4, axis=1)[2]
    slopes_of_candidate -= candidate
    slopes_of_candidate += 1.0
    d_gates *= slopes


def look_up(table: NDArray[np.float32], ids: NDArray[np.int32], sums: NDArray[np.float32]) -> None:
    table[ids].sum(axis=1, out=sums)


def add_rows(rows: NDArray[np.float32], ids: NDArray[np.int32], table: NDArray[np.float32]) -> None:
    for column in ids.T:
        _OPS.scatter_add(table, np.ascontiguousarray(column), rows)


def drop(
    x: NDArray[np.float32], seed: NDArray[np.uint32], rate: float, result: NDArray[np.float32]
) -> None:
    first, second = seed[:1], seed[1:]
    other = _mixed(_mixed(first) ^ second)
    drawn = _mixed(_mixed(np.arange(len(x), dtype=np.uint32) + _mixed(other ^ first)) ^ other)
    np.multiply(x, np.float32(1.0 / (1.0 - rate)), out=result)
    result[drawn < np.uint32(rate * 2**32)] = 0.0


def _mixed(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A hash of 32 bits, each of which depends on all of x (Wellons' "lowbias32")."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x735A2D97)
    return x ^ (x >> np.uint32(15))
