from __future__ import annotations

import numpy as np
import pytest

from ner_lstm_component.evaluation.reliability import reliability


def test_bins_are_the_means_of_their_entities():
    table = reliability(np.array([0.9, 0.3, 0.4, 0.8]), np.array([1, 0, 1, 1], bool), bins=2)
    np.testing.assert_allclose(table.confidence, [0.35, 0.85])
    np.testing.assert_allclose(table.accuracy, [0.5, 1.0])


@pytest.mark.parametrize(
    ("confidence", "correct", "bins", "sizes", "error"),
    [
        ([0.9, 0.3, 0.4, 0.8], [1, 0, 1, 1], 2, [2, 2], 0.15),
        ([0.3, 0.5, 0.7, 0.9], [0, 0, 1, 1], 3, [2, 1, 1], (2 * 0.4 + 0.3 + 0.1) / 4),
        ([0.3, 0.5, 0.7, 0.9], [0, 0, 1, 0], 1, [4], 0.6 - 0.25),
        ([0.5], [1], 10, [1], 0.5),
    ],
)
def test_expected_calibration_error(confidence, correct, bins, sizes, error):
    table = reliability(np.array(confidence), np.array(correct, bool), bins)
    assert table.size.tolist() == sizes
    assert table.expected_calibration_error == pytest.approx(error)


def test_no_entities():
    with pytest.raises(ValueError, match="no entity"):
        reliability(np.zeros(0), np.zeros(0, bool))
