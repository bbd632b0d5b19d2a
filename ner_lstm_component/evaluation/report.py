"""An evaluation as JSON for machines, as Markdown and as one HTML file for people.

What is said stands in :func:`sections`, once for both; the templates only lay it out.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from spacy.displacy import EntityRenderer

from ner_lstm_component.evaluation.alignment import Entity, Outcome
from ner_lstm_component.evaluation.confusion import Confusion
from ner_lstm_component.evaluation.errors import ErrorGroup, Mistake
from ner_lstm_component.evaluation.pictures import Picture
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.scores import MEASURES, Score
from ner_lstm_component.evaluation.summary import Comparison, Difference, Evaluation

METRICS, MARKDOWN, HTML = "metrics.json", "report.md", "report.html"
PICTURES = "report_files"  # the pictures of the Markdown report; replaced as a whole

# Groups of errors in the table, and how many of them are shown in how many sentences.
N_GROUPS, N_GROUPS_SHOWN, N_EXAMPLES = 15, 5, 3
# Tokens of a long document that are shown on either side of an error.
CONTEXT = 40

# Tints that dark text stays legible on, after Okabe and Ito.
_TINTS = ("#9AD0F5", "#F7CF86", "#8FD9BF", "#F3E999", "#F2B8D4", "#F0A882", "#C9C9F5", "#D0D0D0")

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


@dataclass(frozen=True)
class Table:
    """Rows of text; the first column names the row, numbers stand in the others."""

    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Shown:
    """An error in its sentence.

    :param heading: what is wrong.
    :param evidence: what else there is to say.
    :param gold: the sentence with its gold entities, in brackets.
    :param predicted: the same with the predicted ones.
    :param gold_html: by displaCy.
    :param predicted_html: by displaCy.
    """

    heading: str
    evidence: str
    gold: str
    predicted: str
    gold_html: Markup
    predicted_html: Markup


@dataclass(frozen=True)
class Section:
    """A part of the report; what it does not have is empty."""

    title: str
    text: str = ""
    table: Table | None = None
    pictures: list[Picture] = field(default_factory=list)
    errors: list[Shown] = field(default_factory=list)


def write_report(
    evaluation: Evaluation,
    pictures: Sequence[Picture],
    folder: Path,
    comparison: Comparison | None = None,
) -> list[Path]:
    """Write `METRICS`, `MARKDOWN` with its pictures, and `HTML`; each file in one move.

    :return: the paths of the three files.
    :raises OSError: if something cannot be written.
    """
    parts = sections(evaluation, pictures, comparison)
    files = {
        METRICS: json.dumps(as_json(evaluation, comparison), indent=2, ensure_ascii=False) + "\n",
        MARKDOWN: _render("report.md.jinja", evaluation, parts),
        HTML: _render("report.html.jinja", evaluation, parts),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".evaluate-", dir=folder) as scratch:
        drawn = Path(scratch) / PICTURES
        drawn.mkdir()
        for picture in pictures:
            (drawn / f"{picture.name}.png").write_bytes(picture.png)
        for name, text in files.items():
            (Path(scratch) / name).write_text(text, encoding="utf-8")
        shutil.rmtree(folder / PICTURES, ignore_errors=True)
        for name in (PICTURES, *files):
            os.replace(Path(scratch) / name, folder / name)
    return [folder / name for name in files]


def as_json(evaluation: Evaluation, comparison: Comparison | None = None) -> dict[str, Any]:
    """The figures, from 0 to 1.

    ``ents_p``, ``ents_r``, ``ents_f`` and ``ents_per_type`` are named as by spaCy.
    """
    micro, types = evaluation.micro, evaluation.types
    metrics: dict[str, Any] = {
        "model": evaluation.model,
        "data": evaluation.data,
        "ents_p": micro.precision,
        "ents_r": micro.recall,
        "ents_f": micro.f1,
        "ents_per_type": {
            label: {"p": s.precision, "r": s.recall, "f": s.f1} for label, s in types.items()
        },
        "documents": evaluation.documents,
        "tokens": evaluation.tokens,
        "entities": {label: score.gold for label, score in types.items() if score.gold},
        "notes": evaluation.notes,
        "micro": asdict(micro),
        "macro": asdict(evaluation.macro),
        "types": _scores(types),
        "relaxed": _scores(evaluation.relaxed),
        "tag_confusion": _confusion(evaluation.tags),
        "entity_confusion": _confusion(evaluation.entities),
        "by_sentence_length": _scores(evaluation.lengths),
        "by_familiarity": evaluation.familiarity and _scores(evaluation.familiarity),
        "calibration": None,
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
    if evaluation.calibration is not None:
        metrics["calibration"] = {
            "expected_calibration_error": evaluation.calibration.error,
            "bins": {
                name: values.tolist()
                for name, values in evaluation.calibration.bins._asdict().items()
            },
        }
    if comparison is not None:
        second = comparison.second
        metrics["comparison"] = {
            "model": second.model,
            "micro": asdict(second.micro),
            "macro": asdict(second.macro),
            "types": _scores(second.types),
            "differences": {
                name: {measure: asdict(difference) for measure, difference in row.items()}
                for name, row in comparison.overall.items()
            },
            "f1_differences_of_types": {
                label: asdict(difference) for label, difference in comparison.types.items()
            },
            "shuffles": comparison.n_shuffles,
        }
    return metrics


def sections(
    evaluation: Evaluation, pictures: Sequence[Picture], comparison: Comparison | None = None
) -> list[Section]:
    """What the reports say, in their order."""
    colors = {label: _TINTS[k % len(_TINTS)] for k, label in enumerate(evaluation.labels)}

    def drawn(*names: str) -> list[Picture]:
        return [picture for picture in pictures if picture.name in names]

    def shown(mistakes: Iterable[Mistake]) -> list[Shown]:
        return [_shown(mistake, colors) for mistake in mistakes]

    parts = [
        Section(
            "Strict scores",
            "An entity counts only with exactly its words and its type. Micro is over all "
            "entities, macro the mean of the types. In brackets: 95 % bootstrap intervals over "
            "sentences.",
            _score_table(
                {"all, micro": evaluation.micro, "all, macro": evaluation.macro, **evaluation.types}
            ),
            drawn("types"),
        ),
        Section(
            "Near misses",
            "Exact: the right words, whatever the type. Partial: the same, and half a point for "
            "some of the words. Type: the right type on some of the words (SemEval-2013, task "
            "9.1). Each gold entity answers to at most one predicted one.",
            _score_table({"strict": evaluation.micro, **evaluation.relaxed}, intervals=False),
        ),
    ]
    if comparison is not None:
        parts.append(_comparison_section(comparison, drawn("comparison")))
    parts += [
        Section(
            "Types that are confused",
            "Gold and predicted entities that share words are paired one to one: first those of "
            "the same words, then those of the same type, then those that share the most words.",
            pictures=drawn("entities"),
        ),
        Section("Tags that are confused", pictures=drawn("tags_counts", "tags_normalized")),
        Section(
            "Where it is harder",
            ""
            if evaluation.familiarity
            else "Without the training part (--train) this does not "
            "tell known entities from new ones.",
            pictures=drawn("lengths", "familiarity"),
        ),
    ]
    if evaluation.calibration is not None:
        parts.append(Section("How far confidences can be trusted", pictures=drawn("reliability")))
    parts.append(
        Section(
            "Most costly errors",
            "The last column is what F1 would rise by if all of them were right."
            if evaluation.groups
            else "There is no error.",
            _group_table(evaluation.groups) if evaluation.groups else None,
            errors=shown(
                mistake
                for group in evaluation.groups[:N_GROUPS_SHOWN]
                for mistake in group.mistakes[:N_EXAMPLES]
            ),
        )
    )
    if evaluation.has_confidences:
        parts.append(
            Section(
                "Most confident mistakes",
                "Predicted entities that are wrong by the data, the surest first.",
                errors=shown(evaluation.confident),
            )
        )
    parts.append(
        Section(
            "Likely errors of the annotation",
            "Here the data disagrees with the model, and with itself: the same words are "
            "annotated otherwise elsewhere."
            + ("" if evaluation.suspects else " There is no such place."),
            errors=shown(evaluation.suspects),
        )
    )
    if drawn("learning_curve"):
        parts.append(Section("Training", pictures=drawn("learning_curve")))
    return parts


def _comparison_section(comparison: Comparison, pictures: list[Picture]) -> Section:
    first, second = comparison.first, comparison.second
    rows = []
    for name, row in comparison.overall.items():
        scores = getattr(first, name), getattr(second, name)
        for measure in MEASURES:
            values = [_percent(getattr(score, measure)) for score in scores]
            rows.append([f"{name} {_name(measure)}", *values, *_difference(row[measure])])
    for label, difference in comparison.types.items():
        found = [evaluation.types.get(label) for evaluation in (first, second)]
        values = [_percent(score.f1) if score else "–" for score in found]
        rows.append([f"{label} F1", *values, *_difference(difference)])
    return Section(
        "Comparison",
        f"{first.model} and {second.model} on the same sentences. The difference is the second "
        "less the first, with the 95 % interval of the paired bootstrap. p: how often as large a "
        f"difference comes of exchanging the two pipelines' answers at random, in "
        f"{comparison.n_shuffles:,} trials (approximate randomization; Noreen 1989, Yeh 2000).",
        Table(["", first.model, second.model, "difference", "p"], rows),
        pictures,
    )


def _group_table(groups: Sequence[ErrorGroup]) -> Table:
    rows = [
        [_kind(group), f"{len(group.mistakes):,}", f"+{100 * group.gain:.2f}"]
        for group in groups[:N_GROUPS]
    ]
    return Table(["error", "number", "F1"], rows)


def _score_table(scores: dict[str, Score], *, intervals: bool = True) -> Table:
    rows = []
    for name, score in scores.items():
        values = []
        for measure in MEASURES:
            bounds = score.intervals.get(measure) if intervals else None
            within = f" ({_bounds(bounds)})" if bounds else ""
            values.append(_percent(getattr(score, measure)) + within)
        counts = (score.gold, score.predicted, score.correct)
        rows.append([name, *values, *(f"{count:,}" for count in counts)])
    return Table(["", "precision", "recall", "F1", "gold", "predicted", "correct"], rows)


def _difference(difference: Difference) -> list[str]:
    within = f" ({_bounds(difference.bounds, sign='+')})" if difference.bounds else ""
    p = "" if difference.p_value is None else f"{difference.p_value:.4f}"
    return [f"{100 * difference.value:+.2f}{within}", p]


def _bounds(bounds: tuple[float, float], sign: str = "") -> str:
    return " to ".join(f"{100 * bound:{sign}.1f}" for bound in bounds)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _name(measure: str) -> str:
    return "F1" if measure == "f1" else measure


def _kind(group: ErrorGroup) -> str:
    labels = [label for label in (group.gold, group.predicted) if label is not None]
    if group.outcome is Outcome.BOUNDARY:
        labels = labels[:1]
    return f"{group.outcome.value}: {' → '.join(labels)}"


# -- errors in their sentences


def _shown(mistake: Mistake, colors: dict[str, str]) -> Shown:
    sentence, pair = mistake.sentence, mistake.pair
    gold = _quoted(sentence, pair.gold) or "nothing"
    predicted = _quoted(sentence, pair.predicted) or "nothing"
    heading = f"{pair.outcome.value}: {gold} in the data, {predicted} predicted"
    if pair.predicted is not None and pair.predicted.confidence is not None:
        heading += f", confidence {100 * pair.predicted.confidence:.1f} %"
    window = _window(sentence, [ent for ent in pair if ent is not None])
    return Shown(
        heading,
        mistake.evidence,
        _brackets(window, window.gold),
        _brackets(window, window.predicted),
        _displacy(window, window.gold, colors),
        _displacy(window, window.predicted, colors),
    )


def _quoted(sentence: Sentence, entity: Entity | None) -> str | None:
    return entity and f"{entity.label} “{sentence.text(entity)}”"


def _window(sentence: Sentence, around: Sequence[Entity]) -> Sentence:
    """The part of a long document around an error; a sentence as a whole."""
    start = max(0, min(ent.start for ent in around) - CONTEXT)
    end = min(len(sentence.words), max(ent.end for ent in around) + CONTEXT)

    def inside(entities: Iterable[Entity]) -> tuple[Entity, ...]:
        return tuple(
            ent._replace(start=ent.start - start, end=ent.end - start)
            for ent in entities
            if start <= ent.start and ent.end <= end
        )

    return Sentence(sentence.words[start:end], inside(sentence.gold), inside(sentence.predicted))


def _apart(entities: Sequence[Entity]) -> list[Entity]:
    """From left to right, without those that overlap an earlier one."""
    kept: list[Entity] = []
    for ent in sorted(entities):
        if not kept or kept[-1].end <= ent.start:
            kept.append(ent)
    return kept


def _brackets(sentence: Sentence, entities: Sequence[Entity]) -> str:
    parts, position = [], 0
    for ent in _apart(entities):
        parts += [*sentence.words[position : ent.start], f"[{sentence.text(ent)} {ent.label}]"]
        position = ent.end
    return " ".join([*parts, *sentence.words[position:]])


def _displacy(sentence: Sentence, entities: Sequence[Entity], colors: dict[str, str]) -> Markup:
    offsets = [0]
    for word in sentence.words:
        offsets.append(offsets[-1] + len(word) + 1)
    # displaCy escapes the text, but not the labels.
    spans = [
        {
            "start": offsets[ent.start],
            "end": offsets[ent.end] - 1,
            "label": escape(ent.label),
        }
        for ent in _apart(entities)
    ]
    renderer = EntityRenderer({"colors": {escape(k): color for k, color in colors.items()}})
    return Markup(renderer.render([{"text": " ".join(sentence.words), "ents": spans}]))


# -- laying out


def _scores(scores: dict[str, Score]) -> dict[str, dict[str, Any]]:
    return {name: asdict(score) for name, score in scores.items()}


def _confusion(confusion: Confusion) -> dict[str, Any]:
    return {
        "rows": confusion.rows,
        "columns": confusion.columns,
        "counts": confusion.counts.tolist(),
    }


def _render(template: str, evaluation: Evaluation, parts: Sequence[Section]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ner_lstm_component.evaluation", package_path=""),
        autoescape=jinja2.select_autoescape(("html.jinja",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = escape_markdown
    environment.filters["data_uri"] = _data_uri
    return environment.get_template(template).render(
        evaluation=evaluation, sections=parts, pictures_folder=PICTURES
    )


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
