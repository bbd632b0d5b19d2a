"""Score a pipeline on whole documents of twenty kinds, from e-mail to subtitles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import spacy
import typer
from rich.console import Console
from rich.table import Table
from spacy.tokens import Doc

from ner_lstm_component.evaluation.robustness import visible_span
from ner_lstm_component.text.characters import is_invisible, strip_invisible

DOCUMENTS = Path(__file__).parent / "documents"
TYPES = ("art", "eve", "geo", "gpe", "nat", "org", "per", "tim")
MEASURES = ("precision", "recall", "f1")

_ENTITY = re.compile(r"⟦([^⟦⟧]+)\|(\w+)⟧")

app = typer.Typer(add_completion=False)


class Entity(NamedTuple):
    """An entity by its characters in the text; `end` is the index after its last one."""

    start: int
    end: int
    label: str


class Counts(NamedTuple):
    """The entities of a document, or the sums over several.

    :param blank: Predicted entities of invisible characters alone.
    :param blank_edges: Other predicted entities that begin or end with an invisible character.
    """

    gold: int
    predicted: int
    correct: int
    blank: int
    blank_edges: int

    def scores(self) -> dict[str, float]:
        """Return precision, recall and F1 from 0 to 1."""
        return {
            "precision": self.correct / self.predicted if self.predicted else 0.0,
            "recall": self.correct / self.gold if self.gold else 0.0,
            "f1": 2 * self.correct / (self.predicted + self.gold or 1),
        }


@app.command()
def main(
    model: Annotated[
        str, typer.Argument(help="The folder of a trained pipeline, or an installed one's name.")
    ],
    compare: Annotated[
        str | None,
        typer.Option(metavar="MODEL2", help="A second pipeline, scored beside the first."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")
    ] = None,
) -> None:
    """Score a pipeline's entities on the texts in scripts/documents.

    The pipeline reads each file as one text. An entity is correct only with its exact type and
    characters, where invisible characters at its edges don't count.
    """
    models = [model] if compare is None else [model, compare]
    try:
        figures = [score(name) for name in models]
        if output is not None:
            output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    show(figures)


def parse(annotated: str) -> tuple[str, list[Entity]]:
    """Separate a text from its entities, which stand in brackets as ``⟦Maria Costa|per⟧``.

    :return: The text without brackets and types, otherwise unchanged, and the entities in it.
    :raises ValueError: If a type is unknown, or a bracket belongs to no entity.
    """
    text, position = "", 0
    entities = []
    for match in _ENTITY.finditer(annotated):
        name, label = match.groups()
        if label not in TYPES:
            raise ValueError(f"{match[0]}: unknown type {label!r}; expected {', '.join(TYPES)}")
        text += annotated[position : match.start()]
        entities.append(Entity(len(text), len(text) + len(name), label))
        text += name
        position = match.end()
    text += annotated[position:]
    if stray := re.search("[⟦⟧].{,20}", text):
        raise ValueError(f"{stray[0]!r}: expected ⟦name|type⟧ around each entity")
    return text, entities


def read_documents() -> dict[str, tuple[str, list[Entity]]]:
    """Read the documents in alphabetical order: by name, text and entities.

    :raises ValueError: If an annotation cannot be read.
    """
    # Bytes, because text files would lose their carriage returns.
    return {
        path.stem: parse(path.read_bytes().decode("utf-8"))
        for path in sorted(DOCUMENTS.glob("*.txt"))
    }


def score(model: str) -> dict[str, Any]:
    """Score one pipeline.

    :return: The scores of each document, of all together (overall), and their mean; the counts.
    :raises ValueError: If the pipeline cannot be loaded.
    """
    try:
        nlp = spacy.load(model)
    # Broken files raise many kinds of errors in the libraries that read them.
    except Exception as error:
        raise ValueError(
            f"{model}: cannot be loaded; expected the folder of a trained pipeline, or the name "
            f"of an installed one. {error}"
        ) from error
    counts = {name: count(nlp(text), gold) for name, (text, gold) in read_documents().items()}
    overall = Counts(*map(sum, zip(*counts.values(), strict=True)))
    documents = {name: {**one._asdict(), **one.scores()} for name, one in counts.items()}
    return {
        "model": model,
        "documents": documents,
        "overall": {**overall._asdict(), **overall.scores()},
        "mean": {
            measure: sum(one[measure] for one in documents.values()) / len(documents)
            for measure in MEASURES
        },
    }


def count(doc: Doc, gold: list[Entity]) -> Counts:
    """Compare a Doc's entities with the annotation."""
    visible = [ent for ent in doc.ents if not is_invisible(ent.text)]
    spans = (visible_span(doc.text, e.start_char, e.end_char, e.label_) for e in visible)
    predicted = {Entity(*span) for span in spans}
    return Counts(
        gold=len(gold),
        predicted=len(doc.ents),
        correct=len(predicted.intersection(gold)),
        blank=len(doc.ents) - len(visible),
        blank_edges=sum(strip_invisible(ent.text) != ent.text for ent in visible),
    )


def show(figures: list[dict[str, Any]]) -> None:
    """Print the scores in percent, pipelines side by side."""
    names = " beside ".join(one["model"] for one in figures)
    table = Table("document", "gold", title=names, title_justify="left")
    for _ in figures:
        for measure in ("P", "R", "F1"):
            table.add_column(measure, justify="right")
    for name, document in figures[0]["documents"].items():
        scores = [one["documents"][name] for one in figures]
        table.add_row(name, str(document["gold"]), *_percent(scores))
    table.add_section()
    gold = str(figures[0]["overall"]["gold"])
    table.add_row("overall", gold, *_percent([one["overall"] for one in figures]))
    table.add_row("mean", "", *_percent([one["mean"] for one in figures]))
    Console().print(table)
    for one in figures:
        overall = one["overall"]
        typer.echo(
            f"{one['model']}: F1 {100 * overall['f1']:.2f}; {overall['predicted']} entities, "
            f"{overall['blank']} of them blank, {overall['blank_edges']} with blank edges"
        )


def _percent(scores: list[dict[str, float]]) -> list[str]:
    return [f"{100 * one[measure]:.2f}" for one in scores for measure in MEASURES]


if __name__ == "__main__":
    app()
