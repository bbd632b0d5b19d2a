"""Print the robustness of a pipeline as a Markdown table, as the mean over trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ner_lstm_component.evaluation.report import escape_markdown

app = typer.Typer(add_completion=False)


@app.command()
def main(
    metrics: Annotated[
        list[Path],
        typer.Argument(
            metavar="METRICS.json...", help="What evaluate.py --robustness wrote for each training."
        ),
    ],
    name: Annotated[str, typer.Option(help="The pipeline's name.")] = "ner_lstm",
    second: Annotated[
        str, typer.Option(help="The name of the pipelines that it was compared with, if any.")
    ] = "second",
) -> None:
    """Print the mean F1 on each variant, its difference to the text as printed, and blank entities.

    Blank entities, and those with blank edges, are sums over the trainings.
    """
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in metrics]
    if not all(run.get("robustness") for run in runs):
        raise typer.BadParameter("each must be written by evaluate.py with --robustness")
    systems = {name: [run["robustness"] for run in runs]}
    compared = [run["comparison"]["robustness"] for run in runs if "comparison" in run]
    if compared:
        systems[second] = compared
    header = [f"{system} | difference | blank, edges" for system in systems]
    typer.echo(f"| variant | {' | '.join(header)} |")
    typer.echo("| --- |" + " ---: |" * 3 * len(systems))
    columns = [zip(*variants, strict=True) for variants in systems.values()]
    for row in zip(*columns, strict=True):
        typer.echo(f"| {escape_markdown(row[0][0]['name'])} | {' | '.join(map(_cells, row))} |")


def _cells(trainings: tuple[dict[str, Any], ...]) -> str:
    f1 = 100 * np.mean([variant["score"]["f1"] for variant in trainings])
    difference = 100 * np.mean([variant["difference"] for variant in trainings])
    blank, edges = (sum(v[key] for v in trainings) for key in ("blank", "blank_edges"))
    return f"{f1:.2f} | {difference:+.2f} | {blank:,}, {edges:,}"


if __name__ == "__main__":
    app()
