from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.summary import compare, summarize


def test_everything_fits_together(sentences):
    found = summarize(sentences, "model", "data", training=sentences, has_confidences=True)
    assert (found.documents, found.tokens) == (5, 21)
    assert (found.micro.correct, found.micro.gold, found.micro.predicted) == (2, 6, 7)
    assert found.macro.f1 == pytest.approx((0 + 2 / 3 + 2 / 6 + 0) / 4)
    assert list(found.types) == ["eve", "geo", "per", "org"]
    assert sum(len(group.mistakes) for group in found.groups) == 6
    assert found.calibration.bins.size.sum() == 7
    assert len(found.confident) == 5


def test_notes(sentences):
    (note, other) = summarize(sentences, "m", "d").notes
    assert "types that the data does not have: org" in note
    assert "never predicted: eve" in other
    silent = [replace(sentence, predicted=()) for sentence in sentences]
    found = summarize(silent, "m", "d", has_confidences=True)
    (note,) = found.notes
    assert "found no entity at all" in note
    assert (found.micro.precision, found.micro.recall, found.micro.f1) == (0, 0, 0)
    assert (found.calibration, found.confident) == (None, [])
    unknown = Sentence(
        ("Oslo", "May"), (Entity(0, 1, "geo"),), (Entity(0, 1, "geo"),), frozenset({1})
    )
    (note,) = summarize([unknown], "m", "d").notes
    assert note.startswith("Tokens without annotation: 1.")


def test_compare_with_itself(sentences):
    side = summarize(sentences, "m", "d"), sentences
    comparison = compare(side, side, n_shuffles=50)
    for row in comparison.overall.values():
        for difference in row.values():
            assert (difference.value, difference.bounds, difference.p_value) == (0, (0, 0), 1)
    assert all(difference.value == 0 for difference in comparison.types.values())


def test_compare_with_the_perfect(sentences):
    perfect = [replace(sentence, predicted=sentence.gold) for sentence in sentences] * 8
    usual = list(sentences) * 8
    comparison = compare(
        (summarize(usual, "m", "d"), usual), (summarize(perfect, "n", "d"), perfect), 500
    )
    f1 = comparison.overall["micro"]["f1"]
    assert f1.value == pytest.approx(1 - 4 / 13)
    assert f1.bounds[0] > 0
    assert f1.p_value == pytest.approx(1 / 501)
    assert comparison.types["geo"].value == pytest.approx(1 / 3)
    assert comparison.types["org"].value == 0
    assert np.isclose(comparison.overall["macro"]["recall"].value, 1 - (0 + 0.5 + 0.5 + 0) / 4)
