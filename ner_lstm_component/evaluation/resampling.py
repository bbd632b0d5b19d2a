"""Bootstrap intervals and significance, by resampling sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK = 500  # shuffles computed together; only memory use depends on it

Statistic = Callable[[NDArray[Any]], NDArray[np.float64]]


def resample(
    counts: NDArray[np.int64], n_resamples: int = 1000, seed: int = 0
) -> NDArray[np.int64]:
    """Sum the counts of sentences drawn with replacement (Efron and Tibshirani, 1993).

    Equal seeds draw the same sentences, so the resamples of two systems are paired.

    :param counts: the counts of each sentence. *Shape:* ``(n_sentences, …)``
    :return: the summed counts. *Shape:* ``(n_resamples, …)``
    """
    n = len(counts)
    flat = counts.reshape(n, -1).astype(np.float64)
    rng = np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(n_resamples))
    sums = np.stack([draw @ flat for draw in draws])
    return np.rint(sums).astype(np.int64).reshape(n_resamples, *counts.shape[1:])


def interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float] | None:
    """Return the percentile interval of a resampled statistic, or None if all values are NaN."""
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def approximate_randomization(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    statistic: Statistic,
    n_shuffles: int = 10_000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Test whether two systems differ, by exchanging their answers for random sentences.

    Approximate randomization (Noreen, 1989; for precision, recall and F1: Yeh, 2000, "More
    accurate tests for the statistical significance of result differences"), stratified by
    sentence. The p-value is two-sided and never 0: (1 + n_as_large) / (1 + n_shuffles).

    :param first: the first system's counts, like `second`. *Shape:* ``(n_sentences, …)``
    :param statistic: computes measures from summed counts: ``(n, …)`` → ``(n, n_measures)``.
    :return: a p-value for each measure. *Shape:* ``(n_measures,)``
    :raises ValueError: if the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(
            "first and second must be counts of the same sentences and types. Received the "
            f"shapes {first.shape} and {second.shape}"
        )
    sums = np.stack([first.sum(0), second.sum(0)])
    observed = np.abs(np.subtract(*statistic(sums)))
    changes = (second - first).reshape(len(first), -1)
    # If both systems have the same counts for a sentence, exchanging them changes nothing.
    changes = changes[changes.any(axis=1)].astype(np.float64)
    rng = np.random.default_rng(seed)
    as_large = np.zeros(observed.shape)
    for start in range(0, n_shuffles, _CHUNK):
        n = min(_CHUNK, n_shuffles - start)
        exchanged = rng.integers(2, size=(n, len(changes))).astype(np.float64) @ changes
        moved = np.rint(exchanged).astype(np.int64).reshape(n, *sums.shape[1:])
        difference = np.abs(statistic(sums[0] + moved) - statistic(sums[1] - moved))
        # The tolerance is needed because rounding may change the last bit of equal differences.
        as_large += (difference >= observed - 1e-12).sum(0)
    return (1 + as_large) / (1 + n_shuffles)
