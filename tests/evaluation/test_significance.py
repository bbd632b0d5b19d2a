from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ner_lstm_component.evaluation.scores import measures
from ner_lstm_component.evaluation.significance import approximate_randomization


def counts(correct: list[int]) -> np.ndarray:
    """Sentences of one gold and one predicted entity each."""
    return np.array([[c, 1, 1] for c in correct], np.int64)


def test_equal_answers_do_not_differ():
    answers = counts([1, 0, 1, 1])
    assert (approximate_randomization(answers, answers, measures, 100) == 1).all()


def test_agrees_with_all_exchanges_counted_out():
    first, second = [0, 0, 0, 0, 1, 1, 0, 0, 1], [1, 1, 1, 1, 0, 1, 1, 0, 1]
    differences = np.array(second) - np.array(first)
    observed = abs(differences.sum())
    moved = [abs((differences * signs).sum()) for signs in product((1, -1), repeat=9)]
    exact = np.mean([m >= observed for m in moved])
    found = approximate_randomization(counts(first), counts(second), measures)
    np.testing.assert_allclose(found, exact, atol=0.02)


def test_is_symmetric_and_seeded():
    first, second = counts([0, 0, 1, 0, 0, 1]), counts([1, 1, 1, 0, 1, 1])
    one = approximate_randomization(first, second, measures, 1000)
    assert (approximate_randomization(first, second, measures, 1000) == one).all()
    np.testing.assert_allclose(
        approximate_randomization(second, first, measures, 1000), one, atol=0.05
    )


def test_large_differences_are_significant():
    found = approximate_randomization(counts([0] * 50), counts([1] * 50), measures, 1000)
    np.testing.assert_allclose(found, 1 / 1001)


def test_rarely_finds_what_is_not_there():
    rng = np.random.default_rng(0)
    low = 0
    for _ in range(200):
        first, second = (counts(rng.integers(2, size=60).tolist()) for _ in range(2))
        low += approximate_randomization(first, second, measures, 200)[2] <= 0.05
    assert low <= 20


def test_other_sentences():
    with pytest.raises(ValueError, match=r"same sentences and types.*\(2, 3\) and \(3, 3\)"):
        approximate_randomization(counts([1, 1]), counts([1, 1, 1]), measures)
