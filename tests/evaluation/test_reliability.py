import numpy as np
import pytest

from ner_lstm_component.evaluation.reliability import expected_calibration_error, reliability


def test_worked_out_by_hand():
    """Two bins of two: 0.35 said and 0.5 right, 0.85 said and 1 right."""
    confidence = np.array([0.9, 0.3, 0.4, 0.8])
    correct = np.array([True, False, True, True])
    table = reliability(confidence, correct, bins=2)
    assert table.size.tolist() == [2, 2]
    np.testing.assert_allclose(table.confidence, [0.35, 0.85])
    np.testing.assert_allclose(table.accuracy, [0.5, 1.0])
    assert expected_calibration_error(table) == pytest.approx(0.15)


def test_bins_count_by_their_size():
    """Three bins of 2, 1, 1: (2 * 0.4 + 0.3 + 0.1) / 4."""
    table = reliability(np.array([0.3, 0.5, 0.7, 0.9]), np.array([0, 0, 1, 1], bool), bins=3)
    assert table.size.tolist() == [2, 1, 1]
    assert expected_calibration_error(table) == pytest.approx(0.3)


def test_one_bin_is_the_difference_of_the_means():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(99), rng.random(99) < 0.5
    error = expected_calibration_error(reliability(confidence, correct, bins=1))
    assert error == pytest.approx(abs(confidence.mean() - correct.mean()))


def test_few_and_no_entities():
    table = reliability(np.array([0.5]), np.array([True]))
    assert table.size.tolist() == [1]
    assert expected_calibration_error(table) == 0.5
    with pytest.raises(ValueError, match="no entity"):
        reliability(np.zeros(0), np.zeros(0, bool))
