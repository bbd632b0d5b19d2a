"""The linear-chain conditional random field, in NumPy: decoding and marginals.

A sequence's score is the sum of its tags' emissions and of the transitions between
neighbours, with a boundary before the first tag and after the last (Lafferty, McCallum
and Pereira, 2001). The transitions are one matrix with ``n_tags + 1`` rows and columns,
the last of which is that boundary: ``transitions[i, j]`` scores tag *j* after tag *i*,
``transitions[-1, j]`` starting with *j*, ``transitions[i, -1]`` ending with *i*. What
IOB2 forbids scores ``FORBIDDEN``.

Sequences stand one after the other in one array with a list of their lengths; all are
worked on together, the longest first, so that a step of time is a few array operations
for all of them. The likelihood's gradient in training is computed by the same recursion
inside the compiled network (`network.CRFLoss`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FORBIDDEN = -1e4


class Potentials(NamedTuple):
    """What the network gives for some Docs: the factors of the CRF.

    :param emissions: a Doc's scores of each tag. *Shape:* ``(n_tokens, n_tags)`` each
    :param transitions: *Shape:* ``(n_tags + 1, n_tags + 1)``

    A gradient has the same form.
    """

    emissions: list[NDArray[np.float32]]
    transitions: NDArray[np.float32]


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
    n_tokens, n_tags = emissions.shape
    tags = np.zeros(n_tokens, np.int64)
    if n_tokens == 0:
        return tags
    steps = _Steps(lengths)
    inner, first, last = transitions[:-1, :-1], transitions[-1, :-1], transitions[:-1, -1]
    came_from = np.zeros((n_tokens, n_tags), np.uint16)
    final = np.empty((len(lengths), n_tags), emissions.dtype)
    score = emissions[steps.tokens(0)] + first
    into = np.ascontiguousarray(inner.T)
    for time in range(1, len(steps.active)):
        tokens = steps.tokens(time)
        running = len(tokens)
        final[running : len(score)] = score[running:]
        candidates = score[:running, None, :] + into
        best = candidates.argmax(axis=2)
        came_from[tokens] = best
        score = (
            np.take_along_axis(candidates, best[:, :, None], axis=2)[:, :, 0] + emissions[tokens]
        )
    final[: len(score)] = score
    tag = (final + last).argmax(axis=1)
    ends = steps.start + steps.lengths
    tags[ends - 1] = tag
    for time in range(len(steps.active) - 1, 0, -1):
        tokens = steps.tokens(time)
        tags[tokens - 1] = came_from[tokens, tags[tokens]]
    return tags


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
