"""Score a pipeline's entities on annotated data, and report its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from spacy.util import import_file

from ner_lstm_component import logs
from ner_lstm_component.evaluation import report, summary
from ner_lstm_component.evaluation.pipeline import (
    EvaluationError,
    evaluate,
    read_log,
    read_training,
    score_table,
    short,
    write_report,
)
from ner_lstm_component.evaluation.summary import Evaluation

app = typer.Typer(add_completion=False)


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
        typer.Option(
            metavar="DIR",
            help=f"The folder for {report.METRICS}, {report.MARKDOWN} and {report.HTML}; created "
            "if missing.",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(metavar="MODEL2", help="A second pipeline to compare with the first."),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="TRAIN.spacy",
            help="The training data of MODEL. The report then separates known and new entities.",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="LOG.jsonl", help="The log of MODEL's training, for the learning curve."
        ),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also score variants of the text: wrapped, in capitals, marked up and so on.",
        ),
    ] = False,
    robustness_limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Make variants of the first N documents only. Default: all."
        ),
    ] = None,
    code: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.py", help="Python code to import first, such as perturbations of yours."
        ),
    ] = None,
    gpu_id: Annotated[int, typer.Option(help="The number of the GPU, or -1 for the CPU.")] = -1,
    log_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar=logs.FILE_VARIABLE,
            help="A rotating log file, such as logs/app.log.",
        ),
    ] = None,
) -> None:
    """Score a pipeline's entities, and report its errors.

    Prints strict precision, recall and F1, overall and per type: an entity is correct only with
    its exact span and type. With --output, also writes the figures as JSON, and a report with
    pictures and errors as Markdown and HTML.

    The tokens are those of the data if it has no text, as convert.py writes it. Otherwise the
    pipeline tokenizes the text.
    """
    logs.configure(file=log_file, stderr=False)
    settings = {"model": model, "data": str(data), "compare": compare, "gpu_id": gpu_id}
    try:
        with logs.recorded("evaluate", **settings) as logger:
            # Small files first: an error in them should not cost the time of tagging.
            steps = None if log is None else read_log(log)
            training = None if train is None else read_training(train)
            if code is not None:
                import_code(code)
            name, second_name = names(model, compare)
            variants = slice(robustness_limit if robustness else 0)
            tagged = evaluate(model, name, data, gpu_id, training, variants)
            comparison = None
            if compare is not None:
                second = evaluate(compare, second_name, data, gpu_id, training, variants)
                comparison = summary.compare(tagged, second)
            evaluation = tagged[0]
            written = [] if output is None else write_report(evaluation, comparison, steps, output)
            logger.info("Scores", extra=logs.fields(**scores_of(evaluation)))
    except EvaluationError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    console = Console()
    console.print(score_table(evaluation))
    if comparison is not None:
        console.print(score_table(comparison.second))
        difference = comparison.overall["micro"]["f1"]
        typer.echo(
            f"F1 of the second minus F1 of the first: {100 * difference.value:+.2f}, "
            f"p = {difference.p_value:.4f} (approximate randomization over sentences)"
        )
    if evaluation.robustness:
        second_too = [] if comparison is None else [comparison.second]
        console.print(variant_table([evaluation, *second_too]))
    for note in evaluation.notes:
        typer.echo(f"Note: {note}", err=True)
    for path in written:
        typer.echo(f"Written to {path}")


def scores_of(evaluation: Evaluation) -> dict[str, float]:
    """Return strict scores from 0 to 1: over all entities, and the F1 of each type."""
    micro = evaluation.micro
    overall = {"precision": micro.precision, "recall": micro.recall, "f1": micro.f1}
    return overall | {f"f1_{label}": score.f1 for label, score in evaluation.types.items()}


def import_code(path: Path) -> None:
    """Import a file that registers perturbations or a pipeline's functions.

    :raises EvaluationError: If it cannot be imported.
    """
    try:
        import_file("python_code", path)
    # Somebody else's code may raise anything.
    except Exception as error:
        raise EvaluationError(f"{path}: cannot be imported ({error!r})") from error


def names(model: str, compare: str | None) -> tuple[str, str]:
    """Return the names of two pipelines in titles: short, but different."""
    first, second = short(model), short(compare or "")
    return (model, compare or "") if first == second else (first, second)


def variant_table(evaluations: list[Evaluation]) -> Table:
    """Return the scores on variants of the text, in percent, for one or two pipelines."""
    _, *rows = report.robustness_table(evaluations)
    models = ", ".join(evaluation.model for evaluation in evaluations)
    title = f"{models} on variants of {evaluations[0].data}"
    table = Table("variant", title=escape(title), title_justify="left")
    for name in ("F1", "differ-\nence", "blank,\nedges") * len(evaluations):
        table.add_column(name, justify="right", min_width=6)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


if __name__ == "__main__":
    app()
