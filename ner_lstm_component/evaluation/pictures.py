"""Pictures of an evaluation. Nothing is computed here beyond what a drawing needs.

Colours are those of Okabe and Ito (2008), which people with any common form of colour-blindness
tell apart; series differ in their markers too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ner_lstm_component.evaluation.confusion import Confusion
from ner_lstm_component.evaluation.scores import MEASURES, Score
from ner_lstm_component.evaluation.summary import Calibration, Comparison, Evaluation
from ner_lstm_component.evaluation.training_log import LogStep, loss_names

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#6E6E6E"
_STYLE = {
    "precision": (BLUE, "o"),
    "recall": (ORANGE, "s"),
    "f1": (GREEN, "D"),
}
_NAMES = {"precision": "precision", "recall": "recall", "f1": "F1"}
_DPI = 110


class Picture(NamedTuple):
    """A drawing for a report.

    :param name: of its file, without the ending.
    :param title: what it shows.
    :param caption: how to read it.
    :param png: the image.
    """

    name: str
    title: str
    caption: str
    png: bytes


def draw_all(
    evaluation: Evaluation,
    *,
    log: Sequence[LogStep] | None = None,
    comparison: Comparison | None = None,
) -> list[Picture]:
    """Every picture that there is data for."""
    about = f"{evaluation.model} on {evaluation.data}"
    pictures = [
        _picture(
            "types",
            "Precision, recall and F1 of each type",
            "Lines are 95 % bootstrap intervals over sentences; below each type, how many the "
            "data has.",
            draw_types(evaluation, about),
        ),
        _picture(
            "tags_counts",
            "IOB2 tags, counts",
            "Tokens with the row's tag in the data and the column's in the prediction. Colour is "
            "on a logarithmic scale.",
            draw_confusion(evaluation.tags, f"IOB2 tags, counts\n{about}", normalized=False),
        ),
        _picture(
            "tags_normalized",
            "IOB2 tags, percent of each row",
            "Where the tokens of each tag went; the diagonal is the tag's recall.",
            draw_confusion(evaluation.tags, f"IOB2 tags, % of each row\n{about}", normalized=True),
        ),
        _picture(
            "entities",
            "Entity types",
            "Aligned entities. The diagonal has the right type, whatever the boundaries; missed "
            "and spurious ones stand in the last column and row.",
            draw_confusion(evaluation.entities, f"Entity types, counts\n{about}", normalized=False),
        ),
        _picture(
            "lengths",
            "F1 by the length of the sentence",
            "With 95 % intervals; below, how many entities such sentences have.",
            draw_groups(
                evaluation.lengths, f"F1 by sentence length\n{about}", "tokens in the sentence"
            ),
        ),
    ]
    if evaluation.familiarity is not None:
        pictures.append(
            _picture(
                "familiarity",
                "F1 by whether training had the entity",
                "An entity is known by its words and its type, in the training part.",
                draw_groups(
                    evaluation.familiarity,
                    f"F1 by whether training had the entity\n{about}",
                    "words and type in the training part",
                ),
            )
        )
    if evaluation.calibration is not None:
        pictures.append(
            _picture(
                "reliability",
                "Reliability of the confidences",
                "Predicted entities in ten bins of equal size, by confidence. On the diagonal, a "
                "confidence says how often the model is right; below it, it is too sure.",
                draw_reliability(evaluation.calibration, f"Reliability\n{about}"),
            )
        )
    if comparison is not None:
        pictures.append(
            _picture(
                "comparison",
                "F1 of both pipelines",
                "With 95 % bootstrap intervals over sentences.",
                draw_comparison(comparison),
            )
        )
    if log is not None:
        pictures.append(
            _picture(
                "learning_curve",
                "Learning curve",
                "Scores on the dev part at each evaluation, and the loss since the one before.",
                draw_learning_curve(log, f"Learning curve\n{evaluation.model}"),
            )
        )
    return pictures


def draw_types(evaluation: Evaluation, about: str) -> Figure:
    """Precision, recall and F1 of each type and overall, as bars with intervals."""
    scores: dict[str, Score] = {"all": evaluation.micro, **evaluation.types}
    figure, ax = _figure(max(6.0, 1.6 + 0.95 * len(scores)), 4.4)
    width = 0.26
    for k, measure in enumerate(MEASURES):
        places = np.arange(len(scores)) + (k - 1) * width
        _bars(ax, places, list(scores.values()), measure, width, _STYLE[measure][0])
    ax.set_xticks(range(len(scores)), [f"{name}\n{s.gold:,}" for name, s in scores.items()])
    ax.axvline(0.5, color=GREY, linewidth=0.8)
    _percent_axis(ax)
    ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    ax.set_title(f"Precision, recall and F1 of each type\n{about}")
    return figure


def draw_confusion(confusion: Confusion, title: str, *, normalized: bool) -> Figure:
    """A confusion matrix with its numbers, in counts or in percent of each row."""
    rows, columns, counts = confusion
    values = counts.astype(float)
    if normalized:
        values = 100 * values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    norm = Normalize(0, 100) if normalized else LogNorm(1, max(2.0, float(values.max())))
    size = 2.2 + 0.5 * len(columns)
    figure, ax = _figure(max(5.2, size), max(4.6, size - 0.4))
    ax.imshow(np.where(values > 0, values, np.nan), cmap="Blues", norm=norm, aspect="auto")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if counts[i, j]:
                text = _percent(value) if normalized else f"{counts[i, j]:,}"
                ax.text(
                    j,
                    i,
                    text,
                    ha="center",
                    va="center",
                    fontsize=8 if len(text) < 6 else 7,
                    color="white" if norm(value) > 0.6 else "black",
                )
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(np.arange(-0.5, len(columns)), minor=True)
    ax.set_yticks(np.arange(-0.5, len(rows)), minor=True)
    ax.grid(which="minor", color="#DDDDDD", linewidth=0.6)
    ax.tick_params(which="minor", length=0)
    ax.set_xlabel("predicted")
    ax.set_ylabel("in the data")
    ax.set_title(title)
    return figure


def draw_groups(scores: Mapping[str, Score], title: str, xlabel: str) -> Figure:
    """F1 of groups of sentences or entities, with intervals."""
    figure, ax = _figure(max(5.6, 1.4 + 0.85 * len(scores)), 4.0)
    _bars(ax, np.arange(len(scores)), list(scores.values()), "f1", 0.6, BLUE, values=True)
    ax.set_xticks(range(len(scores)), [f"{name}\n{s.gold:,}" for name, s in scores.items()])
    _percent_axis(ax)
    ax.set_xlabel(f"{xlabel}, and how many gold entities")
    ax.set_ylabel("strict F1 in %")
    ax.set_title(title)
    return figure


def draw_reliability(calibration: Calibration, title: str) -> Figure:
    """Accuracy against confidence, in bins of equal size."""
    figure, ax = _figure(5.2, 5.0)
    ax.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1, label="as sure as right")
    bins = calibration.bins
    ax.plot(
        100 * bins.confidence,
        100 * bins.accuracy,
        color=BLUE,
        marker="o",
        label="predicted entities",
    )
    ax.set_xlim(0, 102)
    ax.set_ylim(0, 102)
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_xlabel("mean confidence of the bin in %")
    ax.set_ylabel("correct in %")
    ax.legend(loc="upper left", frameon=False)
    ax.text(
        0.97,
        0.04,
        f"expected calibration error {100 * calibration.error:.1f} %\n{bins.size.sum():,} entities",
        transform=ax.transAxes,
        ha="right",
    )
    ax.set_title(title)
    return figure


def draw_comparison(comparison: Comparison) -> Figure:
    """F1 of two pipelines, for each type and overall."""
    first, second = comparison.first, comparison.second
    labels = list(comparison.types)
    figure, ax = _figure(max(6.0, 1.6 + 0.85 * (len(labels) + 1)), 4.4)
    for k, (evaluation, color) in enumerate(((first, BLUE), (second, ORANGE))):
        known = [
            (j, evaluation.types[label])
            for j, label in enumerate(labels, 1)
            if label in evaluation.types
        ]
        places = np.array([0, *(j for j, _ in known)]) + (k - 0.5) * 0.38
        scores = [evaluation.micro, *(score for _, score in known)]
        _bars(ax, places, scores, "f1", 0.38, color, label=evaluation.model)
    ax.set_xticks(range(len(labels) + 1), ["all", *labels])
    ax.axvline(0.5, color=GREY, linewidth=0.8)
    _percent_axis(ax)
    ax.set_ylabel("strict F1 in %")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)
    ax.set_title(f"F1 of both pipelines\n{first.data}")
    return figure


def draw_learning_curve(log: Sequence[LogStep], title: str) -> Figure:
    """Scores on the dev part and loss, by step."""
    # What an untrained network scores would squeeze all that follows into a line.
    trained = [entry for entry in log if entry.step] or list(log)
    steps = [entry.step for entry in trained]
    figure = Figure(figsize=(7.0, 5.4), dpi=_DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    names = {"ents_p": "precision", "ents_r": "recall", "ents_f": "f1"}
    drawn = [name for name in names if all(name in entry.scores for entry in trained)]
    for name in drawn:
        color, marker = _STYLE[names[name]]
        values = [entry.scores[name] for entry in trained]
        upper.plot(
            steps, values, color=color, marker=marker, markersize=4, label=_NAMES[names[name]]
        )
    if not drawn:
        upper.plot(
            steps,
            [100 * entry.score for entry in trained],
            color=GREEN,
            marker="D",
            markersize=4,
            label="score",
        )
    best = max(trained, key=lambda entry: entry.score)
    upper.axvline(best.step, color=GREY, linestyle="--", linewidth=1)
    upper.annotate(
        f" best: {100 * best.score:.1f} at step {best.step:,} ",
        (best.step, 0.05),
        xycoords=("data", "axes fraction"),
        ha="right" if 2 * best.step > steps[-1] + steps[0] else "left",
    )
    upper.set_ylabel("on the dev part in %")
    # Beside the curves, which may run anywhere.
    upper.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    for style, name in zip(("-", "--", ":", "-."), loss_names(log), strict=False):
        points = [(e.step, e.losses[name]) for e in trained if name in e.losses]
        if points:
            lower.plot(
                *zip(*points, strict=True), color=GREY, linestyle=style, marker=".", label=name
            )
    if any(y > 0 for line in lower.lines for y in line.get_ydata()):
        # The first interval's loss is often ten times the next one's.
        lower.set_yscale("log")
    lower.set_ylabel("loss")
    lower.set_xlabel("step")
    if lower.lines:
        lower.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in (upper, lower):
        ax.grid(color="#DDDDDD", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    upper.set_title(title)
    return figure


def to_png(figure: Figure) -> bytes:
    """The image of a figure; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _picture(name: str, title: str, caption: str, figure: Figure) -> Picture:
    return Picture(name, title, caption, to_png(figure))


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    ax = figure.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def _bars(
    ax: Axes,
    places: np.ndarray,
    scores: Sequence[Score],
    measure: str,
    width: float,
    color: str,
    *,
    label: str | None = None,
    values: bool = False,
) -> None:
    heights = np.array([100 * getattr(score, measure) for score in scores])
    bounds = [score.intervals.get(measure) for score in scores]
    ax.bar(places, heights, width * 0.92, color=color, label=label or _NAMES[measure])
    for place, height, bound in zip(places, heights, bounds, strict=True):
        top = height
        if bound is not None:
            low, top = (100 * end for end in bound)
            ax.plot([place, place], [low, top], color="black", linewidth=1)
        if values:
            ax.text(place, max(top, height) + 1.5, f"{height:.1f}", ha="center", fontsize=9)


def _percent_axis(ax: Axes) -> None:
    ax.set_ylim(0, 104)
    ax.set_yticks(range(0, 101, 20))
    ax.set_ylabel("in %")
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)


def _percent(value: float) -> str:
    if value >= 99.5:
        return f"{value:.1f}".replace("100.0", "100")
    return f"{value:.0f}" if value >= 0.95 else f"{value:.1f}".replace("0.0", "<.1")
