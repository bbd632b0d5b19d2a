"""The pictures of an evaluation; the report's template has their headings and captions.

The colours are those of Okabe and Ito (2008), which people with any common form of
colour-blindness can tell apart; series differ in their markers too.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .reliability import Reliability
from .scores import MEASURES, Score
from .summary import Comparison, Evaluation
from .training_log import LogStep

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#6E6E6E"
_LIGHT = "#DDDDDD"
_COLORS = dict(zip(MEASURES, (BLUE, ORANGE, GREEN), strict=True))
_NAMES = {"precision": "precision", "recall": "recall", "f1": "F1"}
_DPI = 110


def draw_all(
    evaluation: Evaluation,
    *,
    log: Sequence[LogStep] | None = None,
    comparison: Comparison | None = None,
) -> dict[str, bytes]:
    """Draw every picture for which data is given.

    :return: name of the picture → PNG.
    """
    tags, entities, about = evaluation.tags, evaluation.entities, _about(evaluation)
    figures = {
        "types": draw_types(evaluation),
        "tags_counts": draw_confusion(tags, f"IOB2 tags, counts\n{about}"),
        "tags_normalized": draw_confusion(
            tags, f"IOB2 tags, % of each row\n{about}", normalized=True
        ),
        "entities": draw_confusion(entities, f"Entity types, counts\n{about}"),
        "lengths": draw_groups(
            evaluation.lengths, f"F1 by sentence length\n{about}", "tokens in the sentence"
        ),
    }
    if evaluation.familiarity is not None:
        title = f"F1 by whether training had the entity\n{about}"
        known = "words and type in the training part"
        figures["familiarity"] = draw_groups(evaluation.familiarity, title, known)
    if evaluation.calibration is not None:
        figures["reliability"] = draw_reliability(evaluation.calibration, f"Reliability\n{about}")
    if comparison is not None:
        figures["comparison"] = draw_comparison(comparison)
    if evaluation.robustness:
        second = [] if comparison is None else [comparison.second]
        figures["robustness"] = draw_robustness([evaluation, *second])
    if log is not None:
        figures["learning_curve"] = draw_learning_curve(log, f"Learning curve\n{evaluation.model}")
    return {name: to_png(figure) for name, figure in figures.items()}


def draw_types(evaluation: Evaluation) -> Figure:
    """Draw precision, recall and F1 for each type and overall, as bars with intervals."""
    scores = _all_and_types(evaluation)
    figure, ax = _bars(
        [f"{name}\n{score.gold:,}" for name, score in scores.items()],
        [(_NAMES[m], m, _COLORS[m], list(scores.values())) for m in MEASURES],
    )
    ax.set(title=f"Precision, recall and F1 of each type\n{_about(evaluation)}", ylabel="in %")
    return figure


def draw_confusion(confusion: pd.DataFrame, title: str, *, normalized: bool = False) -> Figure:
    """Draw a confusion matrix with its numbers, as counts or as percentages of each row."""
    values = confusion.to_numpy(float)
    if normalized:
        values = 100 * values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    norm = Normalize(0, 100) if normalized else LogNorm(1, max(2.0, float(values.max())))
    size = 2.2 + 0.5 * len(confusion)
    figure, ax = _figure(max(5.2, size), max(4.6, size - 0.4))
    ax.imshow(np.where(values > 0, values, np.nan), cmap="Blues", norm=norm, aspect="auto")
    for i, j in np.argwhere(values):
        text = _percent(values[i, j]) if normalized else f"{values[i, j]:,.0f}"
        color = "white" if norm(values[i, j]) > 0.6 else "black"
        fontsize = 8 if len(text) < 6 else 7
        ax.text(j, i, text, ha="center", va="center", fontsize=fontsize, color=color)
    places = np.arange(len(confusion))
    ax.set_xticks(places, confusion.columns, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(places, confusion.index)
    ax.set_xticks(places - 0.5, minor=True)
    ax.set_yticks(places - 0.5, minor=True)
    ax.grid(which="minor", color=_LIGHT, linewidth=0.6)
    ax.tick_params(which="minor", length=0)
    ax.set(xlabel="predicted", ylabel="in the data", title=title)
    return figure


def draw_groups(scores: Mapping[str, Score], title: str, xlabel: str) -> Figure:
    """Draw F1 for groups of sentences or entities, with intervals."""
    names = [f"{name}\n{score.gold:,}" for name, score in scores.items()]
    figure, ax = _bars(names, [("", "f1", BLUE, list(scores.values()))])
    for place, score in enumerate(scores.values()):
        top = max(score.f1, *(score.intervals.get("f1") or [0]))
        ax.text(place, 100 * top + 1.5, f"{100 * score.f1:.1f}", ha="center", fontsize=9)
    ax.set(xlabel=f"{xlabel}, and number of gold entities", ylabel="strict F1 in %", title=title)
    return figure


def draw_reliability(bins: Reliability, title: str) -> Figure:
    """Draw accuracy against confidence, in bins of equal size."""
    figure, ax = _figure(5.2, 5.0)
    ax.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1, label="ideal")
    percent = 100 * bins.confidence, 100 * bins.accuracy
    ax.plot(*percent, color=BLUE, marker="o", label="predicted entities")
    ax.grid(color=_LIGHT, linewidth=0.6)
    ax.legend(loc="upper left", frameon=False)
    error = 100 * bins.expected_calibration_error
    text = f"expected calibration error {error:.1f} %\n{bins.size.sum():,} entities"
    ax.text(0.97, 0.04, text, transform=ax.transAxes, ha="right")
    ax.set(xlim=(0, 102), ylim=(0, 102), title=title)
    ax.set(xlabel="mean confidence of the bin in %", ylabel="correct in %")
    return figure


def draw_comparison(comparison: Comparison) -> Figure:
    """Draw the F1 of two pipelines, for each type and overall."""
    names, bars = ["all", *comparison.types], []
    for color, evaluation in ((BLUE, comparison.first), (ORANGE, comparison.second)):
        scores = _all_and_types(evaluation)
        bars.append((evaluation.model, "f1", color, [scores.get(name) for name in names]))
    figure, ax = _bars(names, bars)
    ax.set(ylabel="strict F1 in %", title=f"F1 of both pipelines\n{comparison.first.data}")
    return figure


def draw_robustness(evaluations: Sequence[Evaluation]) -> Figure:
    """Draw the F1 of each variant of the text as horizontal bars, for one or two pipelines."""
    names = [variant.name for variant in evaluations[0].robustness]
    height = 0.8 / len(evaluations)
    figure, ax = _figure(7.5, 1.6 + (0.1 + 0.17 * len(evaluations)) * len(names))
    for k, (evaluation, color) in enumerate(zip(evaluations, (BLUE, ORANGE), strict=False)):
        values = [100 * variant.score.f1 for variant in evaluation.robustness]
        places = np.arange(len(names)) + (k - (len(evaluations) - 1) / 2) * height
        bars = ax.barh(places, values, height * 0.92, color=color, label=evaluation.model)
        ax.bar_label(bars, fmt="%.1f", padding=2, fontsize=7)
        ax.axvline(values[0], color=color, linestyle="--", linewidth=0.8)
    if len(evaluations) > 1:
        figure.legend(loc="outside lower center", frameon=False)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(0, 104), ylim=(len(names) - 0.4, -0.6), xlabel="F1 in %")
    ax.set_title(f"F1 on variants of the text\n{evaluations[0].data}")
    return figure


def draw_learning_curve(log: Sequence[LogStep], title: str) -> Figure:
    """Draw the scores on the dev part and the loss at each step."""
    # With the score of the untrained network, the other scores would look like a flat line.
    trained = [entry for entry in log if entry.step] or list(log)
    steps = [entry.step for entry in trained]
    scores = pd.DataFrame([entry.scores for entry in trained], index=steps).dropna(axis=1)
    losses = pd.DataFrame([entry.losses for entry in trained], index=steps)
    figure = Figure(figsize=(7.0, 5.4), dpi=_DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    for name, measure, marker in zip(("ents_p", "ents_r", "ents_f"), MEASURES, "osD", strict=True):
        if name in scores:
            color, label = _COLORS[measure], _NAMES[measure]
            upper.plot(steps, scores[name], color=color, marker=marker, label=label)
    if not upper.lines:
        values = [100 * entry.score for entry in trained]
        upper.plot(steps, values, color=GREEN, marker="D", label="score")
    best = max(trained, key=lambda entry: entry.score)
    upper.axvline(best.step, color=GREY, linestyle="--", linewidth=1)
    upper.annotate(
        f" best: {100 * best.score:.1f} at step {best.step:,} ",
        (best.step, 0.05),
        xycoords=("data", "axes fraction"),
        ha="right" if 2 * best.step > steps[-1] + steps[0] else "left",
    )
    for name, style in zip(sorted(losses), ("-", "--", ":", "-."), strict=False):
        known = losses[name].dropna()
        lower.plot(known.index, known, color=GREY, linestyle=style, marker=".", label=name)
    if (losses > 0).any(axis=None):
        # The first loss is often ten times the second.
        lower.set_yscale("log")
    lower.set(xlabel="step", ylabel="loss")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in (upper, lower):
        ax.grid(color=_LIGHT, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        if ax.get_legend_handles_labels()[0]:
            # Outside, because the curves may be anywhere.
            ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    upper.set(ylabel="on the dev part in %", title=title)
    return figure


def to_png(figure: Figure) -> bytes:
    """Render a figure; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Matplotlib's font has no Chinese, for instance. The report's tables have the labels, too.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _about(evaluation: Evaluation) -> str:
    return f"{evaluation.model} on {evaluation.data}"


def _all_and_types(evaluation: Evaluation) -> dict[str, Score]:
    return {"all": evaluation.micro, **evaluation.types}


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    ax = figure.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def _bars(
    names: Sequence[str], series: Sequence[tuple[str, str, str, Sequence[Score | None]]]
) -> tuple[Figure, Axes]:
    """Draw series of scores in percent side by side, with their intervals.

    :param series: label, measure, color, and for each name its score, or None if it has no score.
    """
    figure, ax = _figure(max(6.0, 1.6 + 0.95 * len(names)), 4.4)
    width = 0.78 / len(series)
    for k, (label, measure, color, scores) in enumerate(series):
        places = np.arange(len(names)) + (k - (len(series) - 1) / 2) * width
        heights = [100 * getattr(score, measure, np.nan) for score in scores]
        known = [(score and score.intervals.get(measure)) or (np.nan, np.nan) for score in scores]
        ax.bar(places, heights, width * 0.92, color=color, label=label)
        ax.vlines(places, *(100 * np.reshape(known, (-1, 2)).T), color="black", linewidth=1)
    if len(series) > 1:
        ax.axvline(0.5, color=GREY, linewidth=0.8)  # between "all" and the types
        ncols = 3 if len(series) == 3 else 1  # names of pipelines may be long
        figure.legend(loc="outside lower center", ncols=ncols, frameon=False)
    ax.set_xticks(range(len(names)), names)
    ax.set(ylim=(0, 104), yticks=range(0, 101, 20))
    ax.grid(axis="y", color=_LIGHT, linewidth=0.6)
    ax.set_axisbelow(True)
    return figure, ax


def _percent(value: float) -> str:
    if value >= 99.5:
        return f"{value:.1f}".replace("100.0", "100")
    return f"{value:.0f}" if value >= 0.95 else f"{value:.1f}".replace("0.0", "<.1")
