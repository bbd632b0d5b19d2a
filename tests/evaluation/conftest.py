"""Sentences whose scores can be counted by hand."""

from __future__ import annotations

import pytest

from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.summary import Comparison, Evaluation, compare, summarize


def sentence(words: str, gold: list[tuple], predicted: list[tuple]) -> Sentence:
    return Sentence(
        tuple(words.split()),
        tuple(Entity(*ent) for ent in gold),
        tuple(Entity(*ent) for ent in predicted),
    )


@pytest.fixture(scope="session")
def sentences() -> list[Sentence]:
    """Six gold and seven predicted entities: two are correct, two spurious.

    Of each other kind of error there is one. org is only predicted, eve only in the data.
    """
    return [
        sentence(
            "Anna Berg lives in Oslo .",
            [(0, 2, "per"), (4, 5, "geo")],
            [(0, 2, "per", 0.9), (4, 5, "geo", 0.8)],
        ),
        sentence(
            "York beat Paul Berg",
            [(0, 1, "geo"), (2, 4, "per")],
            [(0, 1, "org", 0.95), (3, 4, "per", 0.4)],
        ),
        sentence("The World Cup began", [(1, 3, "eve")], [(0, 2, "org", 0.6)]),
        sentence("May came late", [(0, 1, "eve")], []),
        sentence("It rained in May", [], [(0, 1, "per", 0.3), (3, 4, "per", 0.99)]),
    ]


@pytest.fixture(scope="session")
def evaluation(sentences) -> Evaluation:
    return summarize(sentences, "some model", "some data", training=sentences)


@pytest.fixture(scope="session")
def with_itself(evaluation, sentences) -> Comparison:
    return compare((evaluation, sentences), (evaluation, sentences), n_shuffles=10)
