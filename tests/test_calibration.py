from __future__ import annotations

import numpy as np
import pytest

from ner_lstm_component.calibration import Bin, calibration_bins, expected_calibration_error


def test_bins_of_equal_mass():
    bins = calibration_bins([0.9, 0.1, 0.2, 0.8], [True, False, True, True], n_bins=2)
    assert bins == [
        Bin(pytest.approx(0.15), 0.5, 2),
        Bin(pytest.approx(0.85), 1.0, 2),
    ]


def test_fewer_entities_than_bins():
    assert [b.size for b in calibration_bins([0.5, 0.6], [True, False])] == [1, 1]


def test_error_by_hand():
    found = expected_calibration_error([0.1, 0.2, 0.8, 0.9], [0, 1, 1, 1], n_bins=2)
    assert found == pytest.approx((abs(0.15 - 0.5) + abs(0.85 - 1)) / 2)


def test_error_of_the_calibrated_is_small_and_of_the_too_sure_is_not():
    rng = np.random.default_rng(0)
    confidences = rng.random(20_000)
    correct = rng.random(20_000) < confidences
    assert expected_calibration_error(confidences, correct) < 0.02
    assert expected_calibration_error(np.sqrt(confidences), correct) > 0.1


def test_nothing_predicted():
    assert np.isnan(expected_calibration_error([], []))
