"""Whether entities of confidence *p* are right in a share *p* of cases."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Bin(NamedTuple):
    """Entities of neighbouring confidences.

    :param confidence: their mean confidence.
    :param accuracy: the share of them that is correct.
    :param size: how many they are.
    """

    confidence: float
    accuracy: float
    size: int


def calibration_bins(confidences: ArrayLike, correct: ArrayLike, n_bins: int = 10) -> list[Bin]:
    """Bins of equal mass, from the least to the most confident.

    :param confidences: from 0 to 1. *Shape:* ``(n,)``
    :param correct: whether each is. *Shape:* ``(n,)``
    """
    order = np.argsort(np.asarray(confidences, np.float64), kind="stable")
    ranked, right = (_parts(values, order, n_bins) for values in (confidences, correct))
    return [
        Bin(float(c.mean()), float(r.mean()), len(c))
        for c, r in zip(ranked, right, strict=True)
        if len(c)
    ]


def expected_calibration_error(
    confidences: ArrayLike, correct: ArrayLike, n_bins: int = 10
) -> float:
    """The mean distance of confidence and accuracy over bins of equal mass (Guo et al., 2017).

    :return: from 0 to 1; NaN without entities.
    """
    bins = calibration_bins(confidences, correct, n_bins)
    total = sum(size for *_, size in bins)
    if not total:
        return float("nan")
    return sum(abs(b.confidence - b.accuracy) * b.size for b in bins) / total


def _parts(values: ArrayLike, order: NDArray[np.int64], n_bins: int) -> list[NDArray[np.float64]]:
    return np.array_split(np.asarray(values, np.float64)[order], n_bins)
