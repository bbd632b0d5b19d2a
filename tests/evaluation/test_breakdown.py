from __future__ import annotations

from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.breakdown import by_familiarity, by_length
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.scores import labels_of


def found(scores):
    return {name: (s.correct, s.gold, s.predicted) for name, s in scores.items()}


def sentence(n: int) -> Sentence:
    return Sentence(("Oslo",) * n, (Entity(0, 1, "geo"),), (Entity(0, 1, "geo"),))


def test_lengths():
    sentences = [sentence(n) for n in (1, 10, 11, 15, 16, 40, 41, 300)]
    assert found(by_length(sentences, ["geo"])) == {
        "1–10": (2, 2, 2),
        "11–15": (2, 2, 2),
        "16–20": (1, 1, 1),
        "31–40": (1, 1, 1),
        "over 40": (2, 2, 2),
    }


def test_familiarity(sentences):
    training = [
        Sentence(("Anna", "Berg", "and", "Oslo"), (Entity(0, 2, "per"), Entity(3, 4, "per"))),
        Sentence(("May",), (Entity(0, 1, "per"),)),
    ]
    assert found(by_familiarity(sentences, training, labels_of(sentences))) == {
        # Anna Berg, found; May, predicted where it is none
        "seen with this type": (1, 1, 2),
        # Oslo, found; May, missed
        "seen with another type": (1, 2, 1),
        # York, Paul Berg, World Cup; York, Berg, The World, It
        "never seen": (0, 3, 4),
    }


def test_groups_add_up_to_all(sentences):
    for groups in (
        by_length(sentences, labels_of(sentences)),
        by_familiarity(sentences, sentences, labels_of(sentences)),
    ):
        assert sum(s.gold for s in groups.values()) == 6
        assert sum(s.predicted for s in groups.values()) == 7
        assert sum(s.correct for s in groups.values()) == 2
