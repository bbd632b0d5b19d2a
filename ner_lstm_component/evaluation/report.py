"""An evaluation as JSON, Markdown and HTML; both reports include ``report_sections.jinja``."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from spacy.displacy import EntityRenderer

from .alignment import Entity
from .errors import ErrorGroup, Mistake
from .predictions import Sentence
from .scores import MEASURES, Score
from .summary import Comparison, Difference, Evaluation

METRICS, MARKDOWN, HTML = "metrics.json", "report.md", "report.html"
PICTURES = "report_files"  # the pictures of the Markdown report; a new report replaces them all

# The number of tokens shown on either side of an error in a long document.
CONTEXT = 40

# Tints of Okabe and Ito's colours on which dark text is legible.
_TINTS = ("#9AD0F5", "#F7CF86", "#8FD9BF", "#F3E999", "#F2B8D4", "#F0A882", "#C9C9F5", "#D0D0D0")

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def write_report(
    evaluation: Evaluation,
    pictures: Mapping[str, bytes],
    folder: Path,
    comparison: Comparison | None = None,
) -> list[Path]:
    """Write `METRICS`, `MARKDOWN` with its pictures, and `HTML`, each replaced atomically.

    :param pictures: the PNG of each picture by name, from :func:`pictures.draw_all`.
    :return: the paths of the three files.
    :raises OSError: if a file cannot be written.
    """
    metrics = json.dumps(as_json(evaluation, comparison), indent=2, ensure_ascii=False) + "\n"
    names = (MARKDOWN, HTML)
    reports = {name: render(f"{name}.jinja", evaluation, pictures, comparison) for name in names}
    files = {METRICS: metrics, **reports}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".evaluate-", dir=folder) as scratch:
        drawn = Path(scratch) / PICTURES
        drawn.mkdir()
        for name, png in pictures.items():
            (drawn / f"{name}.png").write_bytes(png)
        for name, text in files.items():
            (Path(scratch) / name).write_text(text, encoding="utf-8")
        shutil.rmtree(folder / PICTURES, ignore_errors=True)
        for name in (PICTURES, *files):
            os.replace(Path(scratch) / name, folder / name)
    return [folder / name for name in files]


def as_json(evaluation: Evaluation, comparison: Comparison | None = None) -> dict[str, Any]:
    """Return the figures, from 0 to 1, for JSON; ``ents_…`` are the names of spaCy's scorer."""
    micro, types, calibration = evaluation.micro, evaluation.types, evaluation.calibration
    names = ("model", "micro", "macro", "types", "robustness")
    metrics: dict[str, Any] = {
        **{name: getattr(evaluation, name) for name in names},
        **{name: getattr(evaluation, name) for name in ("data", "documents", "tokens", "notes")},
        "relaxed": evaluation.relaxed,
        "ents_p": micro.precision,
        "ents_r": micro.recall,
        "ents_f": micro.f1,
        "ents_per_type": {
            label: {"p": s.precision, "r": s.recall, "f": s.f1} for label, s in types.items()
        },
        "entities": {label: score.gold for label, score in types.items() if score.gold},
        "tag_confusion": evaluation.tags,
        "entity_confusion": evaluation.entities,
        "by_sentence_length": evaluation.lengths,
        "by_familiarity": evaluation.familiarity,
        "calibration": calibration
        and {
            "expected_calibration_error": calibration.expected_calibration_error,
            "bins": calibration._asdict(),
        },
        "errors": [
            {
                "outcome": group.outcome.value,
                "gold": group.gold,
                "predicted": group.predicted,
                "count": len(group.mistakes),
                "f1_gain": group.gain,
            }
            for group in evaluation.groups
        ],
    }
    if comparison is not None:
        metrics["comparison"] = {
            **{name: getattr(comparison.second, name) for name in names},
            "differences": comparison.overall,
            "f1_differences_of_types": comparison.types,
            "shuffles": comparison.n_shuffles,
        }
    return json.loads(json.dumps(metrics, default=_plain))


def _plain(value: Any) -> Any:
    """Convert a matrix, an array or a dataclass to lists and dicts for JSON."""
    if isinstance(value, pd.DataFrame):
        names = {"rows": list(value.index), "columns": list(value.columns)}
        return {**names, "counts": value.to_numpy().tolist()}
    return value.tolist() if isinstance(value, np.ndarray) else vars(value)


def render(
    template: str,
    evaluation: Evaluation,
    pictures: Mapping[str, bytes],
    comparison: Comparison | None = None,
) -> str:
    """Fill in one of the two templates, ``report.html.jinja`` or ``report.md.jinja``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ner_lstm_component.evaluation", package_path=""),
        autoescape=template.endswith(".html.jinja"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    colors = {label: _TINTS[k % len(_TINTS)] for k, label in enumerate(evaluation.labels)}
    environment.filters |= {
        "markdown": escape_markdown,
        "base64": lambda png: base64.b64encode(png).decode("ascii"),
        "score_table": _score_table,
        "comparison_table": _comparison_table,
        "robustness_table": robustness_table,
        "error_table": _error_table,
        "window": window,
        "brackets": _brackets,
        "displacy": partial(_displacy, colors=colors),
    }
    text = environment.get_template(template).render(
        evaluation=evaluation, comparison=comparison, pictures=pictures, pictures_folder=PICTURES
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def escape_markdown(text: str) -> str:
    """Escape text so that Markdown shows it unchanged."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)


# --- tables, as rows of cells; the first row is the header -----------------------------


def _score_table(scores: Mapping[str, Score], intervals: bool = True) -> list[list[str]]:
    rows = [["", "precision", "recall", "F1", "gold", "predicted", "correct"]]
    for name, score in scores.items():
        row = [name]
        for measure in MEASURES:
            bounds = score.intervals.get(measure) if intervals else None
            row.append(f"{100 * getattr(score, measure):.2f}{_within(bounds)}")
        rows.append([*row, f"{score.gold:,}", f"{score.predicted:,}", f"{score.correct:,}"])
    return rows


def _comparison_table(comparison: Comparison) -> list[list[str]]:
    first, second = comparison.first, comparison.second

    def row(name: str, measure: str, found: Difference, *scores: Score | None) -> list[str]:
        values = [f"{100 * getattr(score, measure):.2f}" if score else "–" for score in scores]
        difference = f"{100 * found.value:+.2f}{_within(found.bounds, '+')}"
        p_value = "" if found.p_value is None else f"{found.p_value:.4f}"
        return [f"{name} {measure.replace('f1', 'F1')}", *values, difference, p_value]

    rows = [["", first.model, second.model, "difference", "p"]]
    for average, differences in comparison.overall.items():
        scores = getattr(first, average), getattr(second, average)
        rows += [row(average, measure, found, *scores) for measure, found in differences.items()]
    for label, found in comparison.types.items():
        rows.append(row(label, "f1", found, first.types.get(label), second.types.get(label)))
    return rows


def robustness_table(evaluations: Sequence[Evaluation]) -> list[list[str]]:
    """Return the F1 of each variant, and its difference to the text as printed.

    :param evaluations: one or two evaluations with the same variants.
    :return: rows of cells, the first of them the header; three columns for each evaluation.
    """
    rows = [["variant"]]
    for evaluation in evaluations:
        rows[0] += [f"{evaluation.model} F1", "difference", "blank, edges"]
    for variants in zip(*(evaluation.robustness for evaluation in evaluations), strict=True):
        row = [variants[0].name]
        for variant in variants:
            row += [f"{100 * variant.score.f1:.2f}", f"{100 * variant.difference:+.2f}"]
            row.append(f"{variant.blank:,}, {variant.blank_edges:,}")
        rows.append(row)
    return rows


def _error_table(groups: Iterable[ErrorGroup]) -> list[list[str]]:
    rows = [["error", "number", "F1"]]
    for group in groups:
        types = " → ".join(dict.fromkeys(filter(None, (group.gold, group.predicted))))
        count, gain = f"{len(group.mistakes):,}", f"{100 * group.gain:+.2f}"
        rows.append([f"{group.outcome.value}: {types}", count, gain])
    return rows


def _within(bounds: tuple[float, float] | None, sign: str = "") -> str:
    if bounds is None:
        return ""
    low, high = (f"{100 * bound:{sign}.1f}" for bound in bounds)
    return f" ({low} to {high})"


# --- errors in their sentences ---------------------------------------------------------


def window(mistake: Mistake) -> Sentence:
    """Return the part of a document around an error, with the first of overlapping entities."""
    sentence, around = mistake.sentence, [ent for ent in mistake.pair if ent is not None]
    start = max(0, min(ent.start for ent in around) - CONTEXT)
    end = min(len(sentence.words), max(ent.end for ent in around) + CONTEXT)

    def inside(entities: Iterable[Entity]) -> tuple[Entity, ...]:
        kept: list[Entity] = []
        for ent in sorted(entities):
            is_free = not kept or kept[-1].end <= ent.start - start
            if start <= ent.start and ent.end <= end and is_free:
                kept.append(ent._replace(start=ent.start - start, end=ent.end - start))
        return tuple(kept)

    gold, predicted = inside(sentence.gold), inside(sentence.predicted)
    return replace(sentence, words=sentence.words[start:end], gold=gold, predicted=predicted)


def _brackets(entities: Sequence[Entity], sentence: Sentence) -> str:
    words = list(sentence.words)
    for ent in reversed(entities):
        words[ent.start : ent.end] = [f"[{sentence.text(ent)} {ent.label}]"]
    return " ".join(words)


def _displacy(entities: Iterable[Entity], sentence: Sentence, colors: dict[str, str]) -> Markup:
    starts = np.cumsum([0, *(len(word) + 1 for word in sentence.words)]).tolist()
    # displaCy escapes the text, but not the labels.
    spans = [
        {"start": starts[ent.start], "end": starts[ent.end] - 1, "label": escape(ent.label)}
        for ent in entities
    ]
    renderer = EntityRenderer({"colors": {escape(k): color for k, color in colors.items()}})
    return Markup(renderer.render([{"text": " ".join(sentence.words), "ents": spans}]))
