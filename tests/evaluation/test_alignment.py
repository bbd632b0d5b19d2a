from __future__ import annotations

from itertools import permutations

import pytest

from ner_lstm_component.evaluation.alignment import Entity, align


def ents(*spans: tuple[int, int, str]) -> list[Entity]:
    return [Entity(*span) for span in spans]


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([(0, 2, "per")], [(0, 2, "per")], ["correct"]),
        ([(0, 2, "per")], [(0, 2, "org")], ["wrong type"]),
        ([(0, 2, "per")], [(1, 2, "per")], ["wrong boundaries"]),
        ([(0, 2, "per")], [(1, 4, "org")], ["wrong type and boundaries"]),
        ([(0, 2, "per")], [(2, 3, "per")], ["missed", "spurious"]),
        # The same tokens come before the same type: an exact match is not taken by another.
        ([(0, 1, "per"), (1, 2, "geo")], [(0, 1, "org"), (1, 2, "per")], ["wrong type"] * 2),
        ([], [], []),
    ],
)
def test_outcomes(gold, predicted, expected):
    assert [pair.outcome.value for pair in align(ents(*gold), ents(*predicted))] == expected


@pytest.mark.parametrize(
    ("predicted", "chosen"),
    [
        (ents((0, 1, "per"), (2, 4, "per")), Entity(2, 4, "per")),  # it shares more tokens
        (ents((0, 3, "org"), (3, 4, "per")), Entity(3, 4, "per")),  # it has the type
    ],
)
def test_a_gold_entity_is_paired_with_one(predicted, chosen):
    pairs = align(ents((0, 4, "per")), predicted)
    assert [pair.predicted for pair in pairs if pair.gold] == [chosen]
    assert {pair.predicted for pair in pairs} == set(predicted)


def test_order_of_the_lists_does_not_matter():
    gold = ents((0, 3, "per"), (4, 6, "geo"), (6, 9, "org"))
    predicted = ents((1, 5, "geo"), (5, 7, "org"), (8, 9, "org"))
    results = {tuple(align(g, p)) for g in permutations(gold) for p in permutations(predicted)}
    assert len(results) == 1
