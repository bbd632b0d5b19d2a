from __future__ import annotations

from dataclasses import replace

import pytest

from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.summary import Difference, compare, summarize


def test_evaluation(evaluation):
    assert (evaluation.documents, evaluation.tokens) == (5, 21)
    assert evaluation.macro.f1 == pytest.approx((0 + 2 / 3 + 2 / 6 + 0) / 4)
    assert list(evaluation.types) == ["eve", "geo", "per", "org"]
    assert evaluation.calibration.size.sum() == 7
    assert len(evaluation.confident) == 5


def test_notes(sentences):
    (note, other) = summarize(sentences, "m", "d").notes
    assert "types that the data does not have: org" in note
    assert "never predicted: eve" in other
    silent = [replace(sentence, predicted=()) for sentence in sentences]
    found = summarize(silent, "m", "d")
    (note,) = found.notes
    assert "found no entity at all" in note
    assert (found.micro.precision, found.micro.recall, found.micro.f1) == (0, 0, 0)
    assert (found.calibration, found.confident) == (None, [])
    ents = (Entity(0, 1, "geo"),)
    (note,) = summarize([Sentence(("Oslo", "May"), ents, ents, frozenset({1}))], "m", "d").notes
    assert note.startswith("Tokens without annotation: 1.")


def test_compare_with_itself(with_itself):
    for row in with_itself.overall.values():
        assert set(row.values()) == {Difference(0, (0, 0), 1)}
    assert all(difference.value == 0 for difference in with_itself.types.values())


def test_compare_with_the_perfect(sentences):
    perfect = [replace(sentence, predicted=sentence.gold) for sentence in sentences] * 8
    usual = list(sentences) * 8
    pairs = [(summarize(found, "m", "d"), found) for found in (usual, perfect)]
    comparison = compare(*pairs, n_shuffles=500)
    f1 = comparison.overall["micro"]["f1"]
    assert f1.value == pytest.approx(1 - 4 / 13)
    assert f1.bounds[0] > 0
    assert f1.p_value == pytest.approx(1 / 501)
    geo, org = comparison.types["geo"], comparison.types["org"]
    assert (geo.value, geo.p_value, org.value) == (pytest.approx(1 / 3), None, 0)
