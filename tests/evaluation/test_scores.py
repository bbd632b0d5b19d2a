from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ner_lstm_component.evaluation import scores
from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.resampling import resample
from ner_lstm_component.evaluation.scores import (
    RELAXED,
    by_familiarity,
    by_length,
    labels_of,
    tags_of,
)

LABELS = ["eve", "geo", "per", "org"]


def pairs_of(sentences):
    return [pair for sentence in sentences for pair in sentence.pairs]


def test_counts_and_their_score(sentences):
    assert labels_of(sentences) == LABELS
    counts = scores.strict_counts(sentences, LABELS)
    assert counts.shape == (5, 4, 3)
    assert counts.sum(0).tolist() == [[0, 2, 0], [1, 2, 1], [1, 2, 4], [0, 0, 2]]
    counts = counts.sum(1)
    found = scores.score(counts.sum(0), resample(counts))
    assert (found.precision, found.recall) == (pytest.approx(2 / 7), pytest.approx(2 / 6))
    low, high = found.intervals["f1"]
    assert low <= found.f1 <= high
    assert low < high


def test_measures_and_their_mean_over_the_types_that_occur():
    values = scores.measures(np.array([[2, 4, 5], [0, 3, 0], [0, 0, 3], [0, 0, 0]]))
    np.testing.assert_allclose(values, [[2 / 5, 2 / 4, 4 / 9], [0, 0, 0], [0, 0, 0], [np.nan] * 3])
    values = scores.macro(np.array([[1, 2, 1], [0, 0, 0], [0, 0, 4]]))
    np.testing.assert_allclose(values, [0.5, 0.25, 1 / 3])
    assert np.isnan(scores.macro(np.zeros((2, 3), np.int64))).all()


# Two entities are correct, one has the wrong type, one the wrong boundaries, one both.
@pytest.mark.parametrize(("scheme", "credit"), [("exact", 3), ("partial", 4), ("type", 3)])
def test_relaxed_scores(sentences, scheme, credit):
    found = scores.relaxed_score(pairs_of(sentences), RELAXED[scheme])
    assert (found.gold, found.predicted, found.correct) == (6, 7, 3)
    expected = pytest.approx((credit / 7, credit / 6, 2 * credit / 13))
    assert (found.precision, found.recall, found.f1) == expected


def test_relaxed_scores_are_nervaluates_where_its_pairing_is_unambiguous(sentences):
    nervaluate = pytest.importorskip("nervaluate", reason="nervaluate needs Python 3.11")

    def listed(ents):
        return [{"label": e.label, "start": e.start, "end": e.end - 1} for e in ents]

    sides = [listed(s.gold) for s in sentences], [listed(s.predicted) for s in sentences]
    results = nervaluate.Evaluator(*sides, tags=LABELS, loader="dict").evaluate()["overall"]
    for scheme, name in (("exact", "exact"), ("partial", "partial"), ("type", "ent_type")):
        own = scores.relaxed_score(pairs_of(sentences), RELAXED[scheme])
        assert own.precision == pytest.approx(results[name].precision)
        assert own.recall == pytest.approx(results[name].recall)


def test_tags_of_entities_that_overlap():
    ents = [Entity(0, 2, "a"), Entity(1, 3, "b"), Entity(3, 4, "b")]
    assert tags_of(5, ents) == ["B-a", "I-a", "O", "B-b", "O"]


def counts_of(groups):
    return {name: (s.correct, s.gold, s.predicted) for name, s in groups.items()}


def test_scores_by_length():
    ents = (Entity(0, 1, "geo"),)
    sentences = [Sentence(("Oslo",) * n, ents, ents) for n in (1, 10, 11, 15, 16, 40, 41, 300)]
    assert counts_of(by_length(sentences)) == {
        "1–10": (2, 2, 2),
        "11–15": (2, 2, 2),
        "16–20": (1, 1, 1),
        "31–40": (1, 1, 1),
        "over 40": (2, 2, 2),
    }


def test_scores_by_familiarity(sentences):
    training = [
        Sentence(("Anna", "Berg", "and", "Oslo"), (Entity(0, 2, "per"), Entity(3, 4, "per"))),
        Sentence(("May",), (Entity(0, 1, "per"),)),
    ]
    assert counts_of(by_familiarity(sentences, training)) == {
        # Anna Berg, found; May, predicted where it is no entity
        "seen with this type": (1, 1, 2),
        # Oslo, found; May, missed
        "seen with another type": (1, 2, 1),
        # York, Paul Berg, World Cup; York, Berg, The World, It
        "never seen": (0, 3, 4),
    }


def test_confusion_of_tags(sentences):
    confusion = scores.tag_confusion(sentences, LABELS)
    assert list(confusion.index)[:3] == list(confusion.columns)[:3] == ["O", "B-eve", "I-eve"]
    assert confusion.loc["O", ["O", "B-org", "B-per"]].tolist() == [9, 1, 2]
    assert confusion.loc["B-per", ["B-per", "O"]].tolist() == [1, 1]
    assert confusion.loc["I-per", ["I-per", "B-per"]].tolist() == [1, 1]
    assert confusion.loc["B-eve", ["I-org", "O"]].tolist() == [1, 1]
    assert confusion.to_numpy().sum() == 21
    # Tokens without annotation are left out.
    first = sentences[0]
    confusion = scores.tag_confusion([replace(first, missing=frozenset({2, 5}))], LABELS)
    assert confusion.to_numpy().sum() == len(first.words) - 2


def test_confusion_of_entities(sentences):
    confusion = scores.entity_confusion(sentences, LABELS)
    assert list(confusion.index) == [*LABELS, "(spurious)"]
    assert list(confusion.columns) == [*LABELS, "(missed)"]
    assert confusion.to_numpy().tolist() == [
        [0, 0, 0, 1, 1],  # eve: one taken for org, one missed
        [0, 1, 0, 1, 0],  # geo
        [0, 0, 2, 0, 0],  # per, one of them with other boundaries
        [0, 0, 0, 0, 0],  # org: not in the data
        [0, 0, 2, 0, 0],  # spurious
    ]
    assert scores.entity_confusion([], LABELS).to_numpy().sum() == 0
