from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd
import pytest
from matplotlib import image

from ner_lstm_component.evaluation import pictures
from ner_lstm_component.evaluation.robustness import Variant
from ner_lstm_component.evaluation.scores import Score, tag_confusion
from ner_lstm_component.evaluation.summary import summarize
from ner_lstm_component.evaluation.training_log import LogStep

LOG = [
    LogStep(0, {"ner_lstm": 100.0}, {"ents_f": 0.0, "ents_p": 0.0, "ents_r": 0.0}, 0.0),
    LogStep(250, {"ner_lstm": 900.0}, {"ents_f": 80.0, "ents_p": 81.0, "ents_r": 79.0}, 0.8),
    LogStep(500, {"ner_lstm": 500.0}, {"ents_f": 70.0, "ents_p": 71.0, "ents_r": 69.0}, 0.7),
]

ALWAYS = ["types", "tags_counts", "tags_normalized", "entities", "lengths"]


def texts(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_draws_what_there_is_data_for(sentences, evaluation, with_itself):
    drawn = pictures.draw_all(evaluation, log=LOG, comparison=with_itself)
    assert list(drawn) == [*ALWAYS, "familiarity", "reliability", "comparison", "learning_curve"]
    for png in drawn.values():
        assert 400 < min(image.imread(io.BytesIO(png)).shape[:2]) < 1600
    # Only what there is data for.
    assert list(pictures.draw_all(summarize([sentences[3]], "m", "d"))) == ALWAYS


def test_confusion_shows_the_counts(sentences):
    confusion = tag_confusion(sentences, ["eve", "geo", "per", "org"])
    figure = pictures.draw_confusion(confusion, "t")
    assert texts(figure).count("9") == 1  # O taken for O
    assert len(texts(figure)) == (confusion > 0).to_numpy().sum()
    normalized = texts(pictures.draw_confusion(confusion, "t", normalized=True))
    assert normalized[0] == "75"  # 9 of 12
    assert normalized.count("100") == 1  # I-eve, always taken for O
    figure = pictures.draw_confusion(pd.DataFrame([[10**6, 1], [3, 1000]]), "t", normalized=True)
    assert texts(figure) == ["100", "<.1", "0.3", "99.7"]


def test_bars_have_the_heights_of_the_scores(evaluation):
    figure = pictures.draw_types(evaluation)
    (ax,) = figure.axes
    assert "some model on some data" in ax.get_title()
    assert len(ax.patches) == 3 * 5  # all and four types
    assert ax.patches[0].get_height() == pytest.approx(100 * evaluation.micro.precision)
    assert [t.get_text() for t in ax.get_xticklabels()][:2] == ["all\n6", "eve\n2"]


def test_types_may_have_characters_that_the_font_lacks(recwarn):
    figure = pictures.draw_confusion(pd.DataFrame([[1]], ["B-日付"], ["B-日付"]), "t")
    assert pictures.to_png(figure)
    assert not recwarn.list


def test_robustness_has_bars_for_each_variant_and_pipeline(evaluation):
    half = Score(0.5, 0.5, 0.5, 2, 2, 1, {})
    variants = [Variant(f"v{k}", 2, 1, half, 0.0, 0, 0) for k in range(3)]
    measured = replace(evaluation, robustness=variants)
    (ax,) = pictures.draw_robustness([measured, measured]).axes
    assert [bar.get_width() for bar in ax.patches] == [50] * 6
    assert [label.get_text() for label in ax.get_yticklabels()] == ["v0", "v1", "v2"]
    assert "robustness" in pictures.draw_all(measured)


def test_learning_curve_marks_the_best_step():
    figure = pictures.draw_learning_curve(LOG, "t")
    assert texts(figure) == [" best: 80.0 at step 250 "]
    upper, lower = figure.axes
    # An untrained network's score would squeeze the others into a line.
    assert all(list(line.get_xdata()) == [250, 500] for line in upper.lines[:3])
    assert list(lower.lines[0].get_ydata()) == [900.0, 500.0]
    # One evaluation, with other scores.
    figure = pictures.draw_learning_curve([LogStep(0, {}, {"tag_acc": 5.0}, 0.05)], "t")
    assert list(figure.axes[0].lines[0].get_ydata()) == [5.0]
