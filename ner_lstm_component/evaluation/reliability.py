"""The calibration of confidence: ideally, 90 of 100 entities with confidence 0.9 are correct."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Reliability(NamedTuple):
    """Bins of entities, the least confident first. Each array has the shape ``(n_bins,)``.

    :param size: the number of entities in each bin.

    :param confidence: the mean confidence of each bin's entities.
    :param accuracy: the share of correct entities in each bin.
    """

    size: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def expected_calibration_error(self) -> float:
        """The mean distance between confidence and accuracy, weighted by the bins' sizes.

        The measure of Naeini, Cooper and Hauskrecht ("Obtaining Well Calibrated Probabilities
        Using Bayesian Binning", 2015), with the bins of equal mass of Nguyen and O'Connor
        ("Posterior Calibration and Exploratory Analysis for NLP Models", 2015).
        """
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.size))


def reliability(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = 10
) -> Reliability:
    """Sort entities by confidence into bins of equal mass.

    :param confidence: the confidence of each predicted entity. *Shape:* ``(n_entities,)``
    :param correct: whether each entity is correct. *Shape:* ``(n_entities,)``
    :raises ValueError: if there are no entities.
    """
    if len(confidence) == 0:
        raise ValueError("There is no entity with a confidence, so there is nothing to bin.")
    order = np.argsort(confidence, kind="stable")
    members = np.array_split(order, min(bins, len(order)))
    means = ([values[chosen].mean() for chosen in members] for values in (confidence, correct))
    return Reliability(np.array([len(chosen) for chosen in members]), *map(np.array, means))
