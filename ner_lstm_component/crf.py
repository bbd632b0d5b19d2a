"""The linear-chain conditional random field, in NumPy: decoding and marginals.

A sequence's score is the sum of its tags' emissions and of the transitions between
neighbours, with a boundary before the first tag and after the last (Lafferty, McCallum
and Pereira, 2001). The transitions are one matrix with ``n_tags + 1`` rows and columns,
the last of which is that boundary: ``transitions[i, j]`` scores tag *j* after tag *i*,
``transitions[-1, j]`` starting with *j*, ``transitions[i, -1]`` ending with *i*. What
IOB2 forbids scores ``FORBIDDEN``.

Sequences stand one after the other in one array with a list of their lengths; all are
worked on together, the longest first, so that a step of time is a few array operations
for all of them. Decoding first finds the tokens that are O beyond doubt, which are most:
they part a sequence, of any length, into short ones. The likelihood's gradient in training
is computed by the same recursion inside the compiled network (`network.crf_loss`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FORBIDDEN = -1e4


class Potentials(NamedTuple):
    """What the network gives for some Docs: the factors of the CRF.

    A gradient has the same form.

    :param emissions: of all tokens, one Doc's after the other's: scores of each tag.
        *Shape:* ``(n_tokens, n_tags)``
    :param transitions: *Shape:* ``(n_tags + 1, n_tags + 1)``
    :param lengths: of the sequences that stand in ``emissions``, the Docs' sentences.
        *Shape:* ``(n_sequences,)``
    """

    emissions: NDArray[np.float32]
    transitions: NDArray[np.float32]
    lengths: NDArray[np.int64]


def iob2_allowed(n_labels: int) -> NDArray[np.bool_]:
    """Which transitions IOB2 allows.

    ``I-x`` follows only ``B-x`` or ``I-x``; everything else is free.

    :return: *Shape:* ``(2 * n_labels + 2, 2 * n_labels + 2)``, the last row and column
        being the sequence's boundary.
    """
    n_tags = 2 * n_labels + 1
    allowed = np.ones((n_tags + 1, n_tags + 1), bool)
    for begin in range(1, n_tags, 2):
        inside = begin + 1
        allowed[:, inside] = False
        allowed[[begin, inside], inside] = True
    return allowed


class _Steps:
    """Sequences arranged for working through time: the longest first.

    At each time the sequences that still run are the first ``active[time]``.
    """

    def __init__(self, lengths: NDArray[np.int64]) -> None:
        self.order = np.argsort(-lengths, kind="stable")
        self.lengths = lengths[self.order]
        self.start = (np.cumsum(lengths) - lengths)[self.order]
        times = np.arange(self.lengths[0] if len(lengths) else 0)
        self.active = np.searchsorted(-self.lengths, -times, side="left")

    def tokens(self, time: int) -> NDArray[np.int64]:
        """Positions of the tokens at a time, of the sequences that run."""
        return self.start[: self.active[time]] + time


def viterbi(
    emissions: NDArray[np.float32],
    transitions: NDArray[np.float32],
    lengths: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The best tags of each sequence (Viterbi, 1967; Rabiner, 1989, III.B).

    :param emissions: of all sequences, one after the other. *Shape:* ``(n_tokens, n_tags)``
    :param transitions: *Shape:* ``(n_tags + 1, n_tags + 1)``
    :param lengths: of the sequences, each at least 1, their sum ``n_tokens``.
    :return: the tags. *Shape:* ``(n_tokens,)``
    """
    emissions = np.asarray(emissions, np.float32)
    transitions = np.asarray(transitions, np.float32)
    ends = np.cumsum(lengths)
    if len(emissions) <= _FEW:
        paths = [
            _best_path(emissions[end - length : end], transitions)
            for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
        ]
        return np.array([tag for path in paths for tag in path], np.int64)
    tags = np.zeros(len(emissions), np.int64)
    is_start, is_end = np.zeros((2, len(emissions)), bool)
    is_start[ends - lengths] = is_end[ends - 1] = True
    undecided = np.flatnonzero(~_surely_outside(emissions, transitions))
    if not len(undecided):
        return tags
    # What stands between two tokens that are surely O depends on nothing beyond them.
    follows = np.diff(undecided, prepend=-2) == 1
    heads = np.flatnonzero(~follows | is_start[undecided])
    first = undecided[heads]
    lengths = np.diff(heads, append=len(undecided))
    last = first + lengths - 1
    order = np.argsort(-lengths, kind="stable")
    for block in range(0, len(order), _BLOCK):
        chosen = order[block : block + _BLOCK]
        _decode(
            emissions,
            transitions,
            first[chosen],
            lengths[chosen],
            transitions[np.where(is_start[first[chosen]], -1, 0), :-1],
            transitions[:-1, np.where(is_end[last[chosen]], -1, 0)],
            tags,
        )
    return tags


# Up to so many tokens, step after step takes less time than finding out what is certain.
_FEW = 64
# Sequences decoded at once: their scores for all pairs of tags fit a processor's cache.
_BLOCK = 512
# Tokens whose certainty is computed at once, so that long Docs need little memory.
_CHUNK = 16_384
# What rounding may add to a difference of scores.
_TOLERANCE = 1e-3


def _best_path(emissions: NDArray[np.float32], transitions: NDArray[np.float32]) -> list[int]:
    """The best tags of one short sequence, with as few calls of NumPy as can be."""
    into = np.ascontiguousarray(transitions[:-1, :-1].T)
    scores, ways = np.empty_like(emissions), np.empty_like(into)
    score, *others = scores
    np.add(emissions[0], transitions[-1, :-1], out=score)
    for following, own in zip(others, emissions[1:], strict=True):
        np.add(score, into, ways)
        np.maximum.reduce(ways, 1, None, following)
        following += own
        score = following
    tag = int((score + transitions[:-1, -1]).argmax())
    path = [tag]
    for came_from in (scores[:-1, None, :] + into).argmax(axis=2)[::-1].tolist():
        tag = came_from[tag]
        path.append(tag)
    return path[::-1]


def _decode(
    emissions: NDArray[np.float32],
    transitions: NDArray[np.float32],
    first: NDArray[np.int64],
    lengths: NDArray[np.int64],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    tags: NDArray[np.int64],
) -> None:
    """Write the best tags of some sequences, the longest first, into ``tags``.

    The axis of sequences is the last one, along which NumPy is fast. Only scores are kept
    on the way: where a tag came from is looked up for the tags of the best path alone.

    :param first: the sequences' first tokens. *Shape:* ``(n_sequences,)``
    :param before: scores of beginning with each tag. *Shape:* ``(n_sequences, n_tags)``
    :param after: scores of ending with each tag. *Shape:* ``(n_tags, n_sequences)``
    """
    inner = np.ascontiguousarray(transitions[:-1, :-1])
    active = np.searchsorted(-lengths, -np.arange(lengths[0]), side="left").tolist()
    scores = [emissions[first].T + before.T]
    for time, running in enumerate(active[1:], 1):
        ways = scores[-1][:, None, :running] + inner[:, :, None]
        scores.append(ways.max(axis=0) + emissions[first[:running] + time].T)
    after_tags = np.zeros(0, np.int64)
    for time in range(len(active) - 1, -1, -1):
        # Of those that go on, the way to the next tag; of the others, to the end.
        onward = np.concatenate([inner[:, after_tags], after[:, len(after_tags) : active[time]]], 1)
        after_tags = (scores[time] + onward).argmax(axis=0)
        tags[first[: active[time]] + time] = after_tags


def _surely_outside(
    emissions: NDArray[np.float32], transitions: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Tokens that are O in the best path of their sequence, found without searching it.

    Take any path with another tag *j* at a token, and put O there and for the I-x after
    it, as far as they go. If that gains, whatever the tags around, *j* is in no best path.
    Beyond the end of a sequence one reads on: that can only leave more tokens undecided.

    :return: False where it is not certain. *Shape:* ``(n_tokens,)``
    """
    changes = _changes(transitions.tobytes(), len(transitions))
    surely = np.empty(len(emissions), bool)
    # The most that I-x from the next token on, for as long as one likes, have over O.
    rest = np.full(len(changes.stay), -np.inf)
    for start in range((len(emissions) - 1) // _CHUNK * _CHUNK, -1, -_CHUNK):
        chunk = emissions[start : start + _CHUNK]
        outside = chunk[:, :1]
        summed = np.cumsum(chunk[:, 2::2] - outside + changes.stay, axis=0, dtype=np.float64)
        highest = np.vstack([summed, summed[-1] + np.maximum(rest, 0)])
        highest = np.maximum.accumulate(highest[::-1], axis=0)[::-1]
        rests = np.vstack([highest[1:-1] - summed[:-1], rest])
        rest = highest[0]
        need = np.repeat(rests, 2, axis=1) + changes.own
        np.maximum(need, rests.max(axis=1, keepdims=True) + changes.other, out=need)
        np.maximum(need, changes.after, out=need)
        need += changes.before
        surely[start : start + _CHUNK] = (outside - chunk[:, 1:] > need).all(axis=1)
    return surely


class _Changes(NamedTuple):
    """What transitions have, at most, for another tag and against O.

    :param before: at the transition to each tag but O.
    :param after: at the transition from it, unless to I-x.
    :param own: at the transition from it to the I-x of its type, and from the last I-x.
    :param other: the same to any other I-x.
    :param stay: at the transition from I-x to I-x, for each type.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    own: NDArray[np.float64]
    other: NDArray[np.float64]
    stay: NDArray[np.float64]


@lru_cache(maxsize=8)
def _changes(transitions: bytes, n_rows: int) -> _Changes:
    matrix = np.frombuffer(transitions, np.float32).reshape(n_rows, n_rows).astype(np.float64)
    inside = np.arange(2, n_rows - 1, 2)
    is_own = np.repeat(np.eye(len(inside), dtype=bool), 2, axis=0)
    over_outside = matrix[1:-1] - matrix[0]
    leave = over_outside[inside - 1]
    leave[np.arange(len(inside)), inside] = -np.inf
    stay = matrix[inside, inside] - matrix[0, 0]
    into = matrix[1:-1, inside] - matrix[0, 0] + leave.max(axis=1) - stay
    return _Changes(
        before=(matrix[:, 1:-1] - matrix[:, :1]).max(axis=0) + _TOLERANCE,
        after=np.delete(over_outside, inside, axis=1).max(axis=1),
        own=into[is_own],
        other=np.where(is_own, -np.inf, into).max(axis=1),
        stay=stay,
    )


class Lattice(NamedTuple):
    """Forward and backward scores of some sequences (Rabiner, 1989, III.A).

    :param alpha: log of the sum over all ways to a tag, its emission included.
        *Shape:* ``(n_tokens, n_tags)``
    :param beta: log of the sum over all ways from a tag to the end, its emission not
        included. *Shape:* ``(n_tokens, n_tags)``
    :param log_partition: log of the sum over all tag sequences. *Shape:* ``(n_sequences,)``
    """

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    log_partition: NDArray[np.float64]


def forward_backward(
    emissions: NDArray[np.floating],
    transitions: NDArray[np.floating],
    lengths: NDArray[np.int64],
) -> Lattice:
    """Sum over all tag sequences; parameters as for :func:`viterbi`.

    Backward, a sequence is read from its end by the transposed transitions: both ways are
    one recursion, whose steps are taken together.
    """
    if 0 < len(emissions) <= _FEW:
        ends = np.cumsum(lengths).tolist()
        parts = [
            _sums_of_one(emissions[end - length : end].astype(np.float64), transitions)
            for end, length in zip(ends, lengths.tolist(), strict=True)
        ]
        alone = [part for part in parts if part is not None]
        if len(alone) == len(parts):
            alpha, beta = (np.concatenate(arrays) for arrays in zip(*alone, strict=True))
            log_partition = _log_sum(alpha[np.array(ends) - 1] + transitions[:-1, -1])
            return Lattice(alpha, beta, log_partition)
    emissions = emissions.astype(np.float64)
    inner = transitions[:-1, :-1].astype(np.float64)
    first, last = transitions[-1, :-1], transitions[:-1, -1]
    # Of the ways to a tag and of those from it, its emission included in both.
    scores = np.empty((2, *emissions.shape))
    if len(emissions) == 0:
        return Lattice(scores[0], scores[1], np.zeros(0))
    steps = _Steps(lengths)
    ends = steps.start + steps.lengths - 1
    # exp() of transitions is at most a few units: sums over tags become one product.
    highest = inner.max()
    weights = np.exp(np.stack([inner, inner.T]) - highest)
    emissions_and_highest = emissions + highest
    tokens = np.stack([steps.start, ends])
    ways = np.array([[0], [1]])
    score = emissions[tokens] + np.stack([first, last])[:, None, :]
    scores[ways, tokens] = score
    with np.errstate(divide="ignore"):
        for time in range(1, len(steps.active)):
            running = steps.active[time]
            tokens = np.stack([steps.start[:running] + time, ends[:running] - time])
            score = score[:, :running]
            peak = score.max(axis=2, keepdims=True)
            score = np.log(np.exp(score - peak) @ weights) + peak + emissions_and_highest[tokens]
            scores[ways, tokens] = score
    alpha, beta = scores[0], scores[1] - emissions
    log_partition = np.empty(len(lengths))
    log_partition[steps.order] = _log_sum(alpha[ends] + last)
    return Lattice(alpha, beta, log_partition)


# Steps between scalings: as many factors of ``_NEGLIGIBLE`` are still far from zero.
_UNSCALED = 4
# What scores so much less than the best tag of a token counts as if by that much.
_NEGLIGIBLE = 150.0


def _sums_of_one(
    emissions: NDArray[np.float64], transitions: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Alpha and beta of one short sequence, with as few calls of NumPy as can be.

    Sums are kept as they are, without logarithms, and scaled now and then (Rabiner, 1989,
    V.A). None where they came to nothing nevertheless.
    """
    weights, ends, highest = _exponentials(transitions.tobytes(), transitions.dtype.str)
    peaks = emissions.max(axis=1)
    emissions = np.maximum(emissions, peaks[:, None] - _NEGLIGIBLE)
    likelihood = np.exp(emissions - peaks[:, None])
    # By time, forward beside backward, each a row to be multiplied with a matrix.
    both = np.empty((len(emissions), 2, 1, emissions.shape[1]))
    both[:, 0, 0], both[:, 1, 0] = likelihood, likelihood[::-1]
    both[0, :, 0] *= np.exp(ends - ends.max(axis=1, keepdims=True))
    log_scale = np.zeros((len(emissions), 2))
    previous, *following = both
    for time, sums in enumerate(following, 1):
        sums *= previous @ weights
        if time % _UNSCALED == 0:
            total = sums.sum(axis=2, keepdims=True)
            if total.min() <= 0.0:
                return None
            sums /= total
            log_scale[time] = np.log(total[:, 0, 0])
        previous = sums
    if both.max(axis=3).min() <= 0.0:
        return None
    log_scale += np.stack([peaks, peaks[::-1]], axis=1)
    log_scale[0] += ends.max(axis=1)
    log_scale[1:] += highest
    log_scale = log_scale.cumsum(axis=0)
    scores = np.log(np.maximum(both[:, :, 0], 1e-300)) + log_scale[:, :, None]
    return scores[:, 0], scores[::-1, 1] - emissions


@lru_cache(maxsize=8)
def _exponentials(
    transitions: bytes, dtype: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Of transitions forward and backward, below 1; scores at both ends; what was taken off."""
    flat = np.frombuffer(transitions, dtype).astype(np.float64)
    matrix = flat.reshape(2 * (math.isqrt(len(flat)),))
    inner = matrix[:-1, :-1]
    highest = float(inner.max())
    weights = np.exp(np.maximum(np.stack([inner, inner.T]) - highest, -_NEGLIGIBLE))
    return weights, np.stack([matrix[-1, :-1], matrix[:-1, -1]]), highest


def _log_sum(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    highest = scores.max(axis=-1, keepdims=True)
    return np.log(np.exp(scores - highest).sum(axis=-1)) + highest[..., 0]


def tag_marginals(lattice: Lattice, lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """The probability of each tag at each token.

    :return: *Shape:* ``(n_tokens, n_tags)``
    """
    log_partition = np.repeat(lattice.log_partition, lengths)[:, None]
    return np.exp(lattice.alpha + lattice.beta - log_partition).astype(np.float32)


def span_marginals(
    lattice: Lattice,
    emissions: NDArray[np.floating],
    transitions: NDArray[np.floating],
    lengths: NDArray[np.int64],
    spans: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The probability that each span is an entity of its type, exactly as it stands.

    It sums over all tag sequences that begin the entity at the span's start, go on with
    it to the span's end, and do not go on after that (Culotta and McCallum, 2004).

    :param lattice: of :func:`forward_backward` for the other parameters.
    :param spans: first token, end (one past the last token) and label of each span, within
        one sequence. *Shape:* ``(n_spans, 3)``
    :return: *Shape:* ``(n_spans,)``, each in 0…1
    """
    start, end, label = spans.reshape(-1, 3).T
    begin, inside = 2 * label + 1, 2 * label + 2
    ends = np.cumsum(lengths)
    sequence = np.searchsorted(ends, start, side="right")
    n_inside = end - start - 1
    # Each span's inner tokens, of all spans one after the other.
    span = np.repeat(np.arange(len(start)), n_inside)
    token = np.arange(len(span)) - np.repeat(np.cumsum(n_inside) - n_inside - start - 1, n_inside)
    score = lattice.alpha[start, begin] + np.bincount(
        span, weights=emissions[token, inside[span]], minlength=len(start)
    )
    score += np.where(n_inside > 0, transitions[begin, inside], 0.0)
    score += np.maximum(n_inside - 1, 0) * transitions[inside, inside].astype(np.float64)
    last = np.where(n_inside > 0, inside, begin)
    onward = transitions[last, -1].astype(np.float64)
    goes_on = np.flatnonzero(end < ends[sequence])
    following = end[goes_on]
    ways = transitions[last[goes_on], :-1] + emissions[following] + lattice.beta[following]
    ways[np.arange(len(goes_on)), inside[goes_on]] = -np.inf
    onward[goes_on] = _log_sum(ways)
    # Rounding may take a certain entity above 1.
    return np.exp(np.minimum(score + onward - lattice.log_partition[sequence], 0.0))


class LossAndGradient(NamedTuple):
    """A loss and its gradient.

    :param loss: the sum of the sequences' negative log-likelihoods.
    :param emissions: *Shape:* ``(n_tokens, n_tags)``
    :param transitions: *Shape:* ``(n_tags + 1, n_tags + 1)``
    """

    loss: float
    emissions: NDArray[np.float32]
    transitions: NDArray[np.float32]


def negative_log_likelihood(
    emissions: NDArray[np.float32],
    transitions: NDArray[np.float32],
    lengths: NDArray[np.int64],
    allowed: NDArray[np.bool_],
) -> LossAndGradient:
    """The negative log-likelihood of an annotation that may be partial.

    The likelihood is the share of all tag sequences' weight that those have which agree
    with the annotation: tokens without one are summed over (Tsuboi et al., 2008). Its
    gradient is the difference of the expected counts in both sets.

    :param allowed: which tags the annotation allows at each token: one where it is
        known, all where it is missing. *Shape:* ``(n_tokens, n_tags)``
    """
    free = _expectations(emissions, transitions, lengths)
    clamped = _expectations(np.where(allowed, emissions, FORBIDDEN), transitions, lengths)
    return LossAndGradient(
        float((free[0] - clamped[0]).sum()),
        (free[1] - clamped[1]).astype(np.float32),
        (free[2] - clamped[2]).astype(np.float32),
    )


def _expectations(
    emissions: NDArray[np.float32],
    transitions: NDArray[np.float32],
    lengths: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Log partition, expected tags and expected transitions."""
    lattice = forward_backward(emissions, transitions, lengths)
    tags = tag_marginals(lattice, lengths).astype(np.float64)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    counts = np.zeros(transitions.shape)
    counts[-1, :-1] = tags[starts].sum(axis=0)
    counts[:-1, -1] = tags[ends - 1].sum(axis=0)
    inner = np.delete(np.arange(len(emissions)), starts)
    log_partition = np.repeat(lattice.log_partition, lengths)[inner]
    pairs = (
        lattice.alpha[inner - 1, :, None]
        + transitions[:-1, :-1]
        + (emissions[inner] + lattice.beta[inner] - log_partition[:, None])[:, None, :]
    )
    counts[:-1, :-1] = np.exp(pairs).sum(axis=0)
    return lattice.log_partition, tags, counts
