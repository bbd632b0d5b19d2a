"""The linear-chain conditional random field (Lafferty, McCallum and Pereira, 2001).

The score of a tag sequence is the sum of its emissions and of the transitions between
neighbouring tags, with a boundary before the first tag and after the last. All transitions are
one matrix of shape ``(n_tags + 1, n_tags + 1)``, whose last row and column are the boundary:
``transitions[i, j]`` scores tag *j* after tag *i*, ``transitions[-1, j]`` a sequence that starts
with *j*, and ``transitions[i, -1]`` a sequence that ends with *i*.

The sequences of a batch are concatenated in one array of emissions, with a list of their lengths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..kernels.numpy_kernels import forward_backward

# The score of tags and transitions that IOB2 forbids, at any temperature.
FORBIDDEN = -np.inf
# The score of a disallowed tag if no valid tag sequence agrees with an annotation, so that the
# loss stays finite.
_DISALLOWED = -1e4


class Potentials(NamedTuple):
    """The network's scores for some Docs, or the gradient of a loss with respect to them.

    Tokens that are not words, such as white space, are not part of the sequences. Their tag is O.

    :param emissions: *Shape:* ``(n_tokens, n_tags)``
    :param transitions: *Shape:* ``(n_tags + 1, n_tags + 1)``
    :param lengths: lengths of the sequences in words. *Shape:* ``(n_sequences,)``
    :param is_word: which tokens are words, or None if all are. *Shape:* ``(n_tokens,)``
    """

    emissions: NDArray[np.float32]
    transitions: NDArray[np.float32]
    lengths: NDArray[np.int64]
    is_word: NDArray[np.bool_] | None = None

    def word_offsets(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Convert offsets of tokens to offsets of words; a blank has that of the next word."""
        if self.is_word is None:
            return tokens
        return np.cumsum(np.append(0, self.is_word))[tokens]


def favour_entities(potentials: Potentials, bias: float) -> Potentials:
    """Add a number to the emissions of all tags but O."""
    emissions = potentials.emissions.copy()
    emissions[:, 1:] += np.float32(bias)
    return potentials._replace(emissions=emissions)


class Marginals(NamedTuple):
    """Probabilities under the CRF.

    :param spans: the probability of each requested span, from 0 to 1. *Shape:* ``(n_spans,)``
    :param tags: the probability of each tag, or None if not requested.
        *Shape:* ``(n_tokens, n_tags)``
    """

    spans: NDArray[np.float64]
    tags: NDArray[np.float32] | None


class LossAndGradient(NamedTuple):
    """The sum of the sequences' losses, and its gradient with respect to the potentials."""

    loss: float
    emissions: NDArray[np.float32]
    transitions: NDArray[np.float32]


def iob2_allowed(n_labels: int) -> NDArray[np.bool_]:
    """Return which transitions IOB2 allows: all, except that ``I-x`` follows ``B-x`` or ``I-x``.

    :return: *Shape:* ``(2 * n_labels + 2, 2 * n_labels + 2)``, including the boundary.
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
    is_word: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Find the best tag sequences (Viterbi, 1967; Rabiner, 1989, III.B).

    Ties are broken in favour of the first tag, beginning at the end of a sequence. The arguments
    are those of :class:`Potentials`; each sequence has at least one word.

    :return: the tags. *Shape:* ``(n_tokens,)``
    """
    of_words = emissions if is_word is None else emissions[is_word]
    tags = kernels.viterbi(_float32(of_words), _float32(transitions), _int64(lengths))
    return _by_token(tags, is_word)


def marginals(
    potentials: Potentials,
    spans: NDArray[np.int64],
    *,
    temperature: float = 1.0,
    with_tags: bool = False,
) -> Marginals:
    """Compute the probability that each span is an entity of its type, with exactly its bounds.

    It is the share of the tag sequences that contain the entity (Culotta and McCallum, 2004). The
    forward-backward algorithm computes it (Rabiner, 1989, III.A).

    :param spans: the first token, end (one past the last token) and label of each span, which must
        contain a word, and not cross sequences. *Shape:* ``(n_spans, 3)``
    :param temperature: the number by which all scores are divided.
    :param with_tags: whether to return the probabilities of tags too.
    """
    emissions, transitions, lengths, is_word = potentials
    of_words = emissions if is_word is None else emissions[is_word]
    arrays = _float32(of_words), _float32(transitions), _int64(lengths)
    order = np.argsort(spans[:, 0], kind="stable")
    ordered = _int64(spans[order])
    if is_word is not None:
        ordered[:, :2] = potentials.word_offsets(ordered[:, :2])
    found, tags = kernels.marginals(*arrays, ordered, with_tags, temperature)
    of_spans = np.empty(len(spans))
    of_spans[order] = found
    if tags is not None and is_word is not None:
        tags = _by_token(tags, is_word)
        tags[~is_word, 0] = 1
    return Marginals(of_spans, tags)


def negative_log_likelihood(potentials: Potentials, allowed: NDArray[np.bool_]) -> LossAndGradient:
    """Compute the negative log-likelihood of an annotation, which may be partial.

    The likelihood is the share of the tag sequences that agree with the annotation, summed over
    the tags of unannotated tokens (Tsuboi et al., 2008). The gradient is the difference between
    the expected counts in all sequences and in those that agree.

    :param allowed: which tags the annotation allows for each word: a single tag if the word is
        annotated, otherwise all. *Shape:* ``(n_words, n_tags)``
    """
    emissions, transitions, lengths, is_word = potentials
    if is_word is not None:
        emissions = emissions[is_word]
    lengths = _int64(lengths)[np.asarray(lengths) > 0]
    scores, matrix = emissions.astype(np.float64), transitions.astype(np.float64)
    free = _expectations(scores, matrix, lengths)
    clamped = _expectations(np.where(allowed, scores, -np.inf), matrix, lengths)
    if not np.isfinite(clamped[0]).all():
        clamped = _expectations(np.where(allowed, scores, _DISALLOWED), matrix, lengths)
    log_partition, d_emissions, d_transitions = (x - y for x, y in zip(free, clamped, strict=True))
    return LossAndGradient(
        float(log_partition.sum()),
        _by_token(_float32(d_emissions), is_word),
        _float32(d_transitions),
    )


@np.errstate(invalid="ignore")
def _expectations(
    emissions: NDArray[np.float64], transitions: NDArray[np.float64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute log partitions, and the expected counts of tags and of transitions."""
    alpha, beta, log_partition = forward_backward(emissions, transitions, lengths)
    total = np.repeat(log_partition, lengths)[:, None]
    tags = np.exp(alpha + beta - total)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    counts = np.zeros(transitions.shape)
    counts[-1, :-1] = tags[starts].sum(axis=0)
    counts[:-1, -1] = tags[ends - 1].sum(axis=0)
    inner = np.delete(np.arange(len(emissions)), starts)
    following = (emissions + beta - total)[inner]
    pairs = alpha[inner - 1, :, None] + transitions[:-1, :-1] + following[:, None, :]
    counts[:-1, :-1] = np.exp(pairs).sum(axis=0)
    return log_partition, tags, counts


def _by_token(of_words: NDArray, is_word: NDArray[np.bool_] | None) -> NDArray:
    """Insert a zero, or a row of zeros, for each token that is not a word."""
    if is_word is None:
        return of_words
    result = np.zeros((len(is_word), *of_words.shape[1:]), of_words.dtype)
    result[is_word] = of_words
    return result


def _float32(array: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)


def _int64(array: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.ascontiguousarray(array, np.int64)
