"""Score a pipeline's entities on annotated data: strict precision, recall and F1."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import spacy
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from spacy.language import Language
from spacy.training import Corpus, Example

METRICS = "metrics.json"

app = typer.Typer(add_completion=False)


class EvaluationError(ValueError):
    """Something that cannot be scored. The message says what, why, and the way out."""


@app.command()
def main(
    model: Annotated[
        str, typer.Argument(help="The folder of a trained pipeline, or an installed one's name.")
    ],
    data: Annotated[
        Path, typer.Argument(metavar="DATA.spacy", help="Annotated Docs, as convert.py writes.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=f"Where {METRICS} goes; created if missing."),
    ] = None,
    gpu_id: Annotated[int, typer.Option(help="Number of the GPU; -1: the CPU.")] = -1,
) -> None:
    """Score a pipeline's entities: strict precision, recall and F1, overall and per type.

    An entity counts as found only with its exact span and type. Tokens are those of the data
    where it holds tokens alone, as convert.py writes it; else the pipeline's own.
    """
    try:
        nlp = load_pipeline(model, gpu_id)
        examples = read_examples(nlp, data)
        with Console(stderr=True).status("Tagging …"):
            metrics = evaluate(nlp, examples)
        if output is not None:
            write_metrics(metrics, output)
    except EvaluationError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    Console().print(score_table(metrics, f"{model} on {data}"))
    if output is not None:
        typer.echo(f"Written to {output / METRICS}")


def load_pipeline(model: str, gpu_id: int) -> Language:
    """The pipeline at a path or of a name.

    :raises EvaluationError: if there is none, or no such GPU.
    """
    try:
        if gpu_id >= 0:
            spacy.require_gpu(gpu_id)
        return spacy.load(model)
    # Whatever is wrong with a folder's files comes out of the libraries that read them.
    except Exception as error:
        raise EvaluationError(
            f"{model}: cannot be loaded; expected the folder of a trained pipeline, or the name "
            f"of an installed one. {error}"
        ) from error


def read_examples(nlp: Language, data: Path) -> list[Example]:
    """The annotated Docs of a ``.spacy`` file, each with one for the pipeline to tag.

    :raises EvaluationError: if it cannot be read, or holds no entity.
    """
    if not data.is_file():
        raise EvaluationError(f"{data}: no such file; expected a .spacy file (DocBin)")
    if data.suffix != ".spacy":
        raise EvaluationError(
            f"{data}: expected a .spacy file (DocBin); scripts/convert.py makes them of CSV, "
            "spacy convert of other formats"
        )
    try:
        examples = list(Corpus(data)(nlp))
    # Corrupt bytes fail anywhere between zlib, msgpack and Doc.from_array().
    except Exception as error:
        raise EvaluationError(f"{data}: cannot be read as a DocBin ({error})") from error
    if not examples:
        raise EvaluationError(f"{data}: holds no tokens, so there is nothing to score")
    if not any(eg.reference.ents for eg in examples):
        raise EvaluationError(
            f"{data}: holds {len(examples):,} documents and not one entity; without gold "
            "entities there is no recall, and no F1"
        )
    return examples


def evaluate(nlp: Language, examples: list[Example]) -> dict[str, Any]:
    """Scores by spaCy's scorer, and the sizes of the data.

    :return: ``ents_p``, ``ents_r``, ``ents_f`` and ``ents_per_type`` as spaCy names them,
        from 0 to 1; ``documents``, ``tokens``; ``entities``: type → number in the data.
    :raises EvaluationError: if no component of the pipeline sets entities.
    """
    scores = nlp.evaluate(examples)
    if "ents_f" not in scores:
        raise EvaluationError(
            "the pipeline has no component that sets entities. Its components: "
            f"{', '.join(nlp.pipe_names) or 'none'}"
        )
    gold = Counter(ent.label_ for eg in examples for ent in eg.reference.ents)
    return {
        **{key: scores[key] for key in ("ents_p", "ents_r", "ents_f", "ents_per_type")},
        "documents": len(examples),
        "tokens": sum(len(eg.reference) for eg in examples),
        "entities": dict(gold.most_common()),
    }


def write_metrics(metrics: dict[str, Any], folder: Path) -> None:
    """Write ``metrics.json``, in one move.

    :raises EvaluationError: if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".evaluate-", dir=folder) as scratch:
            path = Path(scratch) / METRICS
            path.write_text(
                json.dumps(metrics, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            os.replace(path, folder / METRICS)
    except OSError as error:
        raise EvaluationError(f"{folder / METRICS}: cannot be written ({error})") from error


def score_table(metrics: dict[str, Any], title: str) -> Table:
    """Scores in percent, the most frequent type first."""
    table = Table("", title=escape(title), title_justify="left")
    for name in ("precision", "recall", "F1", "entities"):
        table.add_column(name, justify="right")
    per_type, entities = metrics["ents_per_type"], metrics["entities"]
    # Types that the pipeline predicts and the data does not have stand last.
    for kind in sorted(per_type, key=lambda kind: (-entities.get(kind, 0), kind)):
        scores = per_type[kind]
        table.add_row(
            escape(kind), *_row(scores["p"], scores["r"], scores["f"], entities.get(kind))
        )
    table.add_section()
    overall = (metrics["ents_p"], metrics["ents_r"], metrics["ents_f"])
    table.add_row("all", *_row(*overall, sum(entities.values())))
    return table


def _row(precision: float, recall: float, f1: float, entities: int | None) -> list[str]:
    return [*(f"{100 * score:.2f}" for score in (precision, recall, f1)), f"{entities or 0:,}"]


if __name__ == "__main__":
    app()
