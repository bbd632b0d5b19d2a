from __future__ import annotations

import numpy as np
import pytest

from ner_lstm_component.evaluation.reliability import reliability


@pytest.mark.parametrize(
    ("confidence", "correct", "bins", "sizes", "error"),
    [
        ([0.9, 0.3, 0.4, 0.8], [1, 0, 1, 1], 2, [2, 2], 0.15),
        ([0.3, 0.5, 0.7, 0.9], [0, 0, 1, 1], 3, [2, 1, 1], (2 * 0.4 + 0.3 + 0.1) / 4),
        ([0.5], [1], 10, [1], 0.5),
    ],
)
def test_expected_calibration_error(confidence, correct, bins, sizes, error):
    table = reliability(np.array(confidence), np.array(correct, bool), bins)
    assert table.size.tolist() == sizes
    assert table.accuracy @ table.size == sum(correct)
    assert table.expected_calibration_error == pytest.approx(error)


def test_no_entities():
    with pytest.raises(ValueError, match="no entity"):
        reliability(np.zeros(0), np.zeros(0, bool))
