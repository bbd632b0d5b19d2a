"""Whether one pipeline is better than another on the same sentences, or only luckier."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# So many shufflings are multiplied out at once: a matter of memory alone.
_CHUNK = 500

Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def approximate_randomization(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    statistic: Statistic,
    n_shuffles: int = 10_000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """How often exchanging the two systems' answers makes as large a difference as theirs.

    Approximate randomization (Noreen, 1989; for precision, recall and F1: Yeh, 2000, "More
    accurate tests for the statistical significance of result differences"), stratified by
    sentence: if both were equally good, which of them gave which of two answers to a sentence
    would not matter. Two-sided, and never 0: (1 + as large) / (1 + shuffles).

    :param first: counts of each sentence. *Shape:* ``(n_sentences, …)``
    :param second: of the other system, on the same sentences.
    :param statistic: from summed counts to measures: ``(n, …)`` → ``(n, n_measures)``.
    :return: a p-value for each measure. *Shape:* ``(n_measures,)``
    :raises ValueError: if the two differ in their shape.
    """
    if first.shape != second.shape:
        raise ValueError(
            "first and second must be counts of the same sentences and types. Received the "
            f"shapes {first.shape} and {second.shape}"
        )
    sums = np.stack([first.sum(0), second.sum(0)])
    values = statistic(sums)
    observed = np.abs(values[0] - values[1])
    changes = (second - first).reshape(len(first), -1)
    # Where both gave the same answer, exchanging it changes nothing.
    changes = changes[changes.any(axis=1)].astype(np.float64)
    rng = np.random.default_rng(seed)
    as_large = np.zeros(observed.shape)
    for start in range(0, n_shuffles, _CHUNK):
        n = min(_CHUNK, n_shuffles - start)
        exchanged = rng.integers(2, size=(n, len(changes))).astype(np.float64) @ changes
        moved = np.rint(exchanged).astype(np.int64).reshape(n, *sums.shape[1:])
        difference = np.abs(statistic(sums[0] + moved) - statistic(sums[1] - moved))
        # A hair of tolerance: equal differences may differ in the last bit.
        as_large += (difference >= observed - 1e-12).sum(0)
    return (1 + as_large) / (1 + n_shuffles)
