from __future__ import annotations

import numpy as np
import pytest

from ner_lstm_component.evaluation import scores
from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.predictions import Sentence, tags_of
from ner_lstm_component.evaluation.scores import RELAXED


@pytest.fixture
def nervaluate():
    return pytest.importorskip("nervaluate", reason="nervaluate needs Python 3.11")


def pairs_of(sentences):
    return [pair for sentence in sentences for pair in sentence.pairs]


def test_labels_by_frequency(sentences):
    assert scores.labels_of(sentences) == ["eve", "geo", "per", "org"]


def test_counts(sentences):
    labels = ["eve", "geo", "per", "org"]
    counts = scores.strict_counts(sentences, labels)
    assert counts.shape == (5, 4, 3)
    assert counts.sum(0).tolist() == [[0, 2, 0], [1, 2, 1], [1, 2, 4], [0, 0, 2]]


def test_measures():
    values = scores.measures(np.array([[2, 4, 5], [0, 3, 0], [0, 0, 3], [0, 0, 0]]))
    np.testing.assert_allclose(values, [[2 / 5, 2 / 4, 4 / 9], [0, 0, 0], [0, 0, 0], [np.nan] * 3])


def test_macro_is_over_the_types_that_occur():
    values = scores.macro(np.array([[1, 2, 1], [0, 0, 0], [0, 0, 4]]))
    np.testing.assert_allclose(values, [0.5, 0.25, 1 / 3])


@pytest.mark.parametrize(
    ("scheme", "credit", "correct"),
    [
        ("exact", 3, 3),  # two correct, one wrong type
        ("partial", 4, 3),  # and two halves
        ("type", 3, 3),  # two correct, one wrong boundaries
    ],
)
def test_relaxed_scores(sentences, scheme, credit, correct):
    found = scores.relaxed_score(pairs_of(sentences), RELAXED[scheme])
    assert (found.gold, found.predicted, found.correct) == (6, 7, correct)
    assert found.precision == pytest.approx(credit / 7)
    assert found.recall == pytest.approx(credit / 6)
    assert found.f1 == pytest.approx(2 * credit / 13)


def test_relaxed_scores_are_nervaluates_where_its_pairing_is_unambiguous(sentences, nervaluate):
    labels = scores.labels_of(sentences)
    gold, predicted = (
        [
            [
                {"label": ent.label, "start": ent.start, "end": ent.end - 1}
                for ent in getattr(sentence, side)
            ]
            for sentence in sentences
        ]
        for side in ("gold", "predicted")
    )
    results = nervaluate.Evaluator(gold, predicted, tags=labels, loader="dict").evaluate()
    for scheme, name in (("exact", "exact"), ("partial", "partial"), ("type", "ent_type")):
        own = scores.relaxed_score(pairs_of(sentences), RELAXED[scheme])
        theirs = results["overall"][name]
        assert own.precision == pytest.approx(theirs.precision)
        assert own.recall == pytest.approx(theirs.recall)
        assert own.f1 == pytest.approx(theirs.f1)


def test_own_pairing_finds_the_right_type_where_nervaluates_greedy_one_does_not(nervaluate):
    """Why the pairing is our own: theirs is spent on the first entity that overlaps."""
    gold = [[{"label": "per", "start": 0, "end": 2}]]
    predicted = [[{"label": "org", "start": 0, "end": 0}, {"label": "per", "start": 1, "end": 2}]]
    theirs = nervaluate.Evaluator(gold, predicted, tags=["per", "org"], loader="dict").evaluate()
    assert theirs["overall"]["ent_type"].correct == 0
    own = Sentence(
        ("a", "b", "c"),
        (Entity(0, 3, "per"),),
        (Entity(0, 1, "org"), Entity(1, 3, "per")),
    )
    assert scores.relaxed_score(own.pairs, RELAXED["type"]).correct == 1


def test_resamples_are_sums_over_as_many_sentences():
    counts = np.ones((7, 2, 3), np.int64)
    drawn = scores.resample(counts, 20)
    assert drawn.shape == (20, 2, 3)
    assert (drawn == 7).all()


def test_equal_seeds_draw_the_same_sentences():
    one, two = np.arange(24).reshape(4, 2, 3), np.arange(24, 48).reshape(4, 2, 3)
    drawn = scores.resample(one, 50, seed=1)
    assert (scores.resample(two, 50, seed=1) - drawn == 4 * 24).all()
    assert (scores.resample(one, 50, seed=2) != drawn).any()


def test_interval_covers_the_truth_about_as_often_as_it_says():
    """Of recalls that are means of 200 draws, whose true value is known."""
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        correct = rng.random(200) < 0.7
        counts = np.stack([correct, np.ones(200), np.ones(200)], axis=1).astype(np.int64)
        drawn = scores.measures(scores.resample(counts, 200, seed=trial))
        low, high = scores.interval(drawn[:, 1])
        hits += low <= 0.7 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_interval_of_what_was_never_drawn():
    assert scores.interval(np.full(3, np.nan)) is None


def test_score_has_intervals_around_it(sentences):
    counts = scores.strict_counts(sentences, scores.labels_of(sentences)).sum(1)
    found = scores.score(counts.sum(0), scores.resample(counts))
    assert (found.precision, found.recall) == (pytest.approx(2 / 7), pytest.approx(2 / 6))
    low, high = found.intervals["f1"]
    assert low <= found.f1 <= high
    assert low < high


def test_tags_of_entities_that_overlap():
    ents = [Entity(0, 2, "a"), Entity(1, 3, "b"), Entity(3, 4, "b")]
    assert tags_of(5, ents) == ["B-a", "I-a", "O", "B-b", "O"]
