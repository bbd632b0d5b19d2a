from __future__ import annotations

from dataclasses import replace

import pytest

from ner_lstm_component.evaluation import errors
from ner_lstm_component.evaluation.alignment import Entity, Outcome
from ner_lstm_component.evaluation.predictions import Sentence


def test_gain_of_correcting_all_errors_of_a_kind(sentences):
    found = [mistake.pair.outcome.name for mistake in errors.mistakes_of(sentences)]
    assert found == ["TYPE", "BOUNDARY", "BOTH", "MISSED", "SPURIOUS", "SPURIOUS"]
    ranked = errors.costly_groups(sentences)
    groups = {group.outcome: group for group in ranked}
    now = 2 * 2 / 13
    assert groups[Outcome.TYPE].gain == pytest.approx(2 * 3 / 13 - now)
    assert groups[Outcome.MISSED].gain == pytest.approx(2 * 3 / 14 - now)
    assert groups[Outcome.SPURIOUS].gain == pytest.approx(2 * 2 / 11 - now)
    spurious = groups[Outcome.SPURIOUS]
    assert (spurious.gold, spurious.predicted, len(spurious.mistakes)) == (None, "per", 2)
    assert ranked == sorted(ranked, key=lambda group: -group.gain)


def test_most_confident(sentences):
    found = [m.pair.predicted.confidence for m in errors.most_confident(sentences, 3)]
    assert found == [0.99, 0.95, 0.6]
    without = replace(sentences[0], predicted=(Entity(0, 1, "per"),))
    assert errors.most_confident([without], 3) == []


def place(words: str, *gold: tuple[int, int, str]) -> Sentence:
    return Sentence(tuple(words.split()), tuple(Entity(*ent) for ent in gold))


def test_readings():
    sentences = [
        place("Hong Kong fell", (0, 2, "geo")),
        place("in Hong Kong and Hong Kong", (1, 3, "geo"), (4, 6, "org")),
        place("the Hong Kong Bank", (1, 4, "org")),
        place("Hong Kong"),
        replace(place("Hong Kong"), missing=frozenset({1})),
    ]
    ((_, counts),) = errors.readings([("Hong", "Kong")], sentences).items()
    assert counts == {"geo": 2, "org": 1, "part of another entity": 1, "O": 1}


def test_suspects():
    suspects = errors.suspect_annotations
    elsewhere = [place("Oslo slept", (0, 1, "geo")) for _ in range(5)]
    doubtful = Sentence(("Oslo", "woke"), (Entity(0, 1, "per"),), (Entity(0, 1, "geo", 0.9),))
    (found,) = suspects([doubtful], elsewhere, 10)
    assert found.sentence is doubtful
    assert found.evidence == "“Oslo” is geo in 5 of 5 other places"
    # Nor if the data is divided, the places are few, or the model is unsure.
    divided = [*elsewhere, *(place("Oslo", (0, 1, "per")) for _ in range(3))]
    assert suspects([doubtful], divided, 10) == []
    assert suspects([doubtful], elsewhere[:3], 10) == []
    unsure = replace(doubtful, predicted=(Entity(0, 1, "geo", 0.5),))
    assert suspects([unsure], elsewhere, 10) == []
    # Missed entities too, once for each text.
    elsewhere = [place("in the house") for _ in range(4)]
    doubtful = place("in fact", (0, 1, "tim"))
    (found,) = suspects([doubtful, doubtful], elsewhere, 10)
    assert found.evidence == "“in” is no entity in 4 of 5 other places"
