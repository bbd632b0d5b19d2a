from __future__ import annotations

import itertools

import pytest

from ner_lstm_component.evaluation.alignment import Entity, Outcome, align


def ents(*spans: tuple[int, int, str]) -> list[Entity]:
    return [Entity(*span) for span in spans]


def outcomes(gold: list[Entity], predicted: list[Entity]) -> list[str]:
    return [pair.outcome.value for pair in align(gold, predicted)]


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ((0, 2, "per"), (0, 2, "per"), Outcome.CORRECT),
        ((0, 2, "per"), (0, 2, "org"), Outcome.TYPE),
        ((0, 2, "per"), (1, 2, "per"), Outcome.BOUNDARY),
        ((0, 2, "per"), (1, 4, "org"), Outcome.BOTH),
    ],
)
def test_outcomes_of_a_pair(gold, predicted, expected):
    (pair,) = align(ents(gold), ents(predicted))
    assert pair.outcome is expected


def test_entities_that_share_no_token_are_missed_and_spurious():
    pairs = align(ents((0, 2, "per")), ents((2, 3, "per")))
    assert [(pair.outcome, pair.start) for pair in pairs] == [
        (Outcome.MISSED, 0),
        (Outcome.SPURIOUS, 2),
    ]


def test_each_entity_answers_one():
    pairs = align(ents((0, 4, "per")), ents((0, 1, "per"), (2, 4, "per")))
    assert {pair.predicted: pair.gold is None for pair in pairs} == {
        Entity(0, 1, "per"): True,
        Entity(2, 4, "per"): False,  # it shares more tokens
    }


def test_the_same_tokens_come_before_the_same_type():
    """A prediction over two gold entities does not take the one that another finds exactly."""
    gold = ents((0, 1, "per"), (1, 2, "geo"))
    predicted = ents((0, 1, "org"), (1, 2, "per"))
    assert outcomes(gold, predicted) == ["wrong type", "wrong type"]


def test_the_same_type_comes_before_more_tokens():
    pairs = align(ents((0, 4, "per")), ents((0, 3, "org"), (3, 4, "per")))
    assert [pair.predicted for pair in pairs if pair.gold] == [Entity(3, 4, "per")]


def test_order_of_the_lists_does_not_matter():
    gold = ents((0, 3, "per"), (4, 6, "geo"), (6, 9, "org"))
    predicted = ents((1, 5, "geo"), (5, 7, "org"), (8, 9, "org"))
    results = {
        tuple(align(list(g), list(p)))
        for g in itertools.permutations(gold)
        for p in itertools.permutations(predicted)
    }
    assert len(results) == 1


def test_nothing():
    assert align([], []) == []
