"""Score a pipeline's entities on annotated data, and report its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import spacy
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus, Example
from spacy.util import import_file

from ner_lstm_component import logs
from ner_lstm_component.evaluation import pictures, predictions, report, summary, training_log
from ner_lstm_component.evaluation.perturbations import perturbations
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.robustness import Variant, annotated_texts, measure
from ner_lstm_component.evaluation.scores import Score
from ner_lstm_component.evaluation.summary import Comparison, Evaluation
from ner_lstm_component.evaluation.training_log import LogStep

app = typer.Typer(add_completion=False)


class EvaluationError(ValueError):
    """An error that prevents the evaluation. The message says why, and what to do."""


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


def evaluate(
    model: str,
    name: str,
    data: Path,
    gpu_id: int,
    training: list[Sentence] | None,
    variants: slice,
) -> tuple[Evaluation, list[Sentence]]:
    """Tag the data and evaluate the predictions.

    :param name: The pipeline's name in titles.
    :param variants: The documents to measure the robustness on; none for an empty slice.
    :return: The evaluation, and its sentences.
    :raises EvaluationError: If the pipeline or the data cannot be read, or if no component of
        the pipeline sets entities.
    """
    nlp = load_pipeline(model, gpu_id)
    examples = read_examples(nlp, data)
    docs = list(
        track(
            predictions.predict(nlp, examples),
            f"Tagging with {escape(name)} …",
            total=len(examples),
            console=Console(stderr=True),
            transient=True,
        )
    )
    if not predictions.sets_entities(nlp) and not any(doc.ents for doc in docs):
        raise EvaluationError(
            "the pipeline has no component that sets entities. Its components: "
            f"{', '.join(nlp.pipe_names) or 'none'}"
        )
    measured = measure_robustness(nlp, name, [eg.reference for eg in examples[variants]])
    with Console(stderr=True).status("Counting …"):
        confidences = predictions.confidences(nlp, docs)
        sentences = predictions.sentences_of(examples, confidences)
        evaluation = summary.summarize(
            sentences,
            name,
            short(str(data)),
            training=training,
            robustness=measured,
        )
    return evaluation, sentences


def measure_robustness(nlp: Language, name: str, docs: list[Doc]) -> list[Variant]:
    """Score the pipeline on variants of the text of annotated Docs.

    :return: The scores; none without Docs.
    :raises EvaluationError: If a perturbation is faulty, or if all Docs lack annotation.
    """
    texts = annotated_texts(docs)
    if docs and not texts:
        raise EvaluationError(
            f"--robustness needs Docs that are annotated throughout, but each of the {len(docs):,} "
            "Docs has tokens without annotation"
        )
    try:
        return texts and list(
            track(
                measure(nlp, texts),
                f"Tagging variants with {escape(name)} …",
                total=1 + len(perturbations.get_all()),
                console=Console(stderr=True),
                transient=True,
            )
        )
    except ValueError as error:
        raise EvaluationError(str(error)) from error


def import_code(path: Path) -> None:
    """Import a file that registers perturbations or a pipeline's functions.

    :raises EvaluationError: If it cannot be imported.
    """
    try:
        import_file("python_code", path)
    # Somebody else's code may raise anything.
    except Exception as error:
        raise EvaluationError(f"{path}: cannot be imported ({error!r})") from error


def load_pipeline(model: str, gpu_id: int) -> Language:
    """Load the pipeline with a path or name.

    :raises EvaluationError: If the pipeline or the GPU is not available.
    """
    try:
        if gpu_id >= 0:
            spacy.require_gpu(gpu_id)
        return spacy.load(model)
    # Broken files raise many kinds of errors in the libraries that read them.
    except Exception as error:
        raise EvaluationError(
            f"{model}: cannot be loaded; expected the folder of a trained pipeline, or the name "
            f"of an installed one. {error}"
        ) from error


def read_examples(nlp: Language, data: Path) -> list[Example]:
    """Read the annotated Docs of a ``.spacy`` file, each with a Doc for the pipeline to tag.

    :raises EvaluationError: If the file cannot be read, or contains no entity.
    """
    check_is_docbin(data)
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
            "entities there is no recall and no F1"
        )
    return examples


def check_is_docbin(path: Path) -> None:
    """Refuse a path that cannot be a DocBin.

    :raises EvaluationError: If the path is not a ``.spacy`` file.
    """
    if not path.is_file():
        raise EvaluationError(f"{path}: no such file; expected a .spacy file (DocBin)")
    if path.suffix != ".spacy":
        raise EvaluationError(
            f"{path}: expected a .spacy file (DocBin); scripts/convert.py makes them from CSV, "
            "spacy convert from other formats"
        )


def read_training(path: Path) -> list[Sentence]:
    """Read the annotated sentences of the training data.

    :raises EvaluationError: If it cannot be read.
    """
    check_is_docbin(path)
    try:
        return predictions.gold_sentences(
            DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab)
        )
    # Corrupt bytes fail anywhere between zlib, msgpack and Doc.from_array().
    except Exception as error:
        raise EvaluationError(f"{path}: cannot be read as a DocBin ({error})") from error


def read_log(path: Path) -> list[LogStep]:
    """Read the evaluations in a training log.

    :raises EvaluationError: If they cannot be read.
    """
    try:
        return training_log.read_training_log(path)
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read ({error})") from error
    except ValueError as error:
        raise EvaluationError(str(error)) from error


def write_report(
    evaluation: Evaluation, comparison: Comparison | None, log: list[LogStep] | None, folder: Path
) -> list[Path]:
    """Draw the pictures and write the report.

    :return: The files that were written.
    :raises EvaluationError: If they cannot be written.
    """
    with Console(stderr=True).status("Drawing …"):
        drawn = pictures.draw_all(evaluation, log=log, comparison=comparison)
    try:
        return report.write_report(evaluation, drawn, folder, comparison)
    except OSError as error:
        raise EvaluationError(f"{folder}: the report cannot be written ({error})") from error


def names(model: str, compare: str | None) -> tuple[str, str]:
    """Return the names of two pipelines in titles: short, but different."""
    first, second = short(model), short(compare or "")
    return (model, compare or "") if first == second else (first, second)


def short(path: str) -> str:
    """Return the last two parts of a path."""
    return "/".join(Path(path).parts[-2:]).lstrip("/")


def score_table(evaluation: Evaluation) -> Table:
    """Return the scores in percent, the most frequent type first."""
    title = escape(f"{evaluation.model} on {evaluation.data}")
    table = Table("", title=title, title_justify="left")
    for name in ("precision", "recall", "F1", "entities"):
        table.add_column(name, justify="right")
    # Types that only the pipeline has come last.
    for label, score in evaluation.types.items():
        table.add_row(escape(label), *_row(score))
    table.add_section()
    table.add_row("all", *_row(evaluation.micro))
    return table


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


def _row(score: Score) -> list[str]:
    values = (score.precision, score.recall, score.f1)
    return [*(f"{100 * value:.2f}" for value in values), f"{score.gold:,}"]


if __name__ == "__main__":
    app()
