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


def test_intervals_leave_out_the_same_share_on_both_sides():
    assert interval(np.array([np.nan, *range(1001)])) == pytest.approx((25, 975))
    assert interval(np.full(3, np.nan)) is None


def test_agrees_with_all_exchanges_enumerated():
    first, second = [0, 0, 0, 0, 1, 1, 0, 0, 1], [1, 1, 1, 1, 0, 1, 1, 0, 1]
    differences = np.array(second) - np.array(first)
    moved = [abs((differences * signs).sum()) for signs in product((1, -1), repeat=9)]
    exact = np.mean([m >= abs(differences.sum()) for m in moved])
    found = approximate_randomization(counts(first), counts(second), measures)
    np.testing.assert_allclose(found, exact, atol=0.02)
    assert (approximate_randomization(counts(first), counts(second), measures) == found).all()


def test_p_values_of_the_largest_difference_and_of_none():
    for other, p in ((1, 1 / 1001), (0, 1)):
        found = approximate_randomization(counts([0] * 50), counts([other] * 50), measures, 1000)
        np.testing.assert_allclose(found, p)


def test_other_sentences():
    with pytest.raises(ValueError, match=r"same sentences and types.*\(2, 3\) and \(3, 3\)"):
        approximate_randomization(counts([1, 1]), counts([1, 1, 1]), measures)
