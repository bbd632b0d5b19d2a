from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ner_lstm_component.evaluation.resampling import approximate_randomization, interval, resample
from ner_lstm_component.evaluation.scores import measures


def counts(correct: list[int]) -> np.ndarray:
    """Sentences of one gold and one predicted entity each."""
    return np.array([[c, 1, 1] for c in correct], np.int64)


def test_resamples_are_sums_over_sentences_drawn_by_the_seed():
    drawn = resample(np.ones((7, 2, 3), np.int64), 20)
    assert drawn.shape == (20, 2, 3)
    assert (drawn == 7).all()
    one, two = np.arange(24).reshape(4, 2, 3), np.arange(24, 48).reshape(4, 2, 3)
    drawn = resample(one, 50, seed=1)
    assert (resample(two, 50, seed=1) - drawn == 4 * 24).all()
    assert (resample(one, 50, seed=2) != drawn).any()


def test_intervals_have_their_coverage():
    """Of recalls that are means of 200 draws, whose true value is known."""
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        drawn = measures(resample(counts(rng.random(200) < 0.7), 200, seed=trial))
        low, high = interval(drawn[:, 1])
        hits += low <= 0.7 <= high
    assert 0.88 <= hits / 200 <= 0.99
    assert interval(np.full(3, np.nan)) is None


def test_agrees_with_all_exchanges_enumerated():
    first, second = [0, 0, 0, 0, 1, 1, 0, 0, 1], [1, 1, 1, 1, 0, 1, 1, 0, 1]
    differences = np.array(second) - np.array(first)
    moved = [abs((differences * signs).sum()) for signs in product((1, -1), repeat=9)]
    exact = np.mean([m >= abs(differences.sum()) for m in moved])
    found = approximate_randomization(counts(first), counts(second), measures)
    np.testing.assert_allclose(found, exact, atol=0.02)
    assert (approximate_randomization(counts(first), counts(second), measures) == found).all()
    swapped = approximate_randomization(counts(second), counts(first), measures)
    np.testing.assert_allclose(swapped, found, atol=0.02)


def test_p_values_are_calibrated():
    for other, p in ((1, 1 / 1001), (0, 1)):  # the largest difference, and none
        found = approximate_randomization(counts([0] * 50), counts([other] * 50), measures, 1000)
        np.testing.assert_allclose(found, p)
    # False positives are as rare as promised.
    rng = np.random.default_rng(0)
    low = 0
    for _ in range(200):
        first, second = (counts(rng.integers(2, size=60).tolist()) for _ in range(2))
        low += approximate_randomization(first, second, measures, 200)[2] <= 0.05
    assert low <= 20


def test_other_sentences():
    with pytest.raises(ValueError, match=r"same sentences and types.*\(2, 3\) and \(3, 3\)"):
        approximate_randomization(counts([1, 1]), counts([1, 1, 1]), measures)
