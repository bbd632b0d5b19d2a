"""The linear-chain conditional random field: decoding, marginals, likelihood.

A sequence's score is the sum of its tags' emissions and of the transitions between
neighbours, with a boundary before the first tag and after the last (Lafferty, McCallum
and Pereira, 2001). The transitions are one matrix with ``n_tags + 1`` rows and columns,
the last of which is that boundary: ``transitions[i, j]`` scores tag *j* after tag *i*,
``transitions[-1, j]`` starting with *j*, ``transitions[i, -1]`` ending with *i*. What
IOB2 forbids scores ``FORBIDDEN``, minus infinity: no temperature and no emission outweighs it.

Sequences stand one after the other in one array with a list of their lengths. In training
on a GPU the likelihood and its gradient are computed by the same recursion inside the compiled
network (`network.crf_loss`), on a CPU by what is here (`fused_crf`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import kernels

FORBIDDEN = -np.inf


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


def viterbi(
    emissions: NDArray[np.float32],
    transitions: NDArray[np.float32],
    lengths: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The best tags of each sequence (Viterbi, 1967; Rabiner, 1989, III.B).

    Of equally good tags the first one is taken, from a sequence's end on.

    :param emissions: of all sequences, one after the other. *Shape:* ``(n_tokens, n_tags)``
    :param transitions: *Shape:* ``(n_tags + 1, n_tags + 1)``
    :param lengths: of the sequences, each at least 1, their sum ``n_tokens``.
    :return: the tags. *Shape:* ``(n_tokens,)``
    """
    return kernels.viterbi(_float32(emissions), _float32(transitions), _int64(lengths))


class Marginals(NamedTuple):
    """Probabilities under the CRF.

    :param spans: of each span that was asked for. *Shape:* ``(n_spans,)``, each in 0…1
    :param tags: of each tag at each token; None where they were not asked for.
        *Shape:* ``(n_tokens, n_tags)``
    """

    spans: NDArray[np.float64]
    tags: NDArray[np.float32] | None


def marginals(
    factors: Potentials,
    spans: NDArray[np.int64],
    *,
    temperature: float = 1.0,
    with_tags: bool = False,
) -> Marginals:
    """The probability that each span is an entity of its type, exactly as it stands.

    It sums over all tag sequences that begin the entity at the span's start, go on with
    it to the span's end, and do not go on after that (Culotta and McCallum, 2004), by the
    forward-backward algorithm (Rabiner, 1989, III.A).

    :param spans: first token, end (one past the last token) and label of each span, within
        one sequence. *Shape:* ``(n_spans, 3)``
    :param temperature: what the factors are divided by.
    :param with_tags: whether each tag's probability is wanted too.
    """
    emissions, transitions, lengths = factors
    both = kernels.marginals(
        _float32(emissions),
        _float32(transitions),
        _int64(lengths),
        _int64(spans),
        with_tags,
        temperature,
    )
    return Marginals(*both)


def _float32(array: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)


def _int64(array: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.ascontiguousarray(array, np.int64)


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
    found = kernels.negative_log_likelihood(
        _float32(emissions),
        _float32(transitions),
        _int64(lengths),
        np.ascontiguousarray(allowed, bool).view(np.uint8),
    )
    return LossAndGradient(*found)
