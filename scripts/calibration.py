"""Report how well the confidence of a pipeline's entities is calibrated."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import spacy
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from spacy.language import Language
from spacy.training import Corpus, Example

from ner_lstm_component.evaluation.pictures import draw_reliability
from ner_lstm_component.evaluation.reliability import Reliability, reliability
from ner_lstm_component.training.calibration import calibrate
from ner_lstm_component.training.matching import annotated

REPORT = "calibration.json"
DIAGRAM = "reliability.png"
BINS = 10
THRESHOLDS = (*(n / 10 for n in range(10)), 0.95)

app = typer.Typer(add_completion=False)


class CalibrationError(ValueError):
    """An error that prevents the report. The message says why, and what to do."""


class Predictions(NamedTuple):
    """The entities of a pipeline, compared with the annotation.

    :param confidence: The confidences of entities, if set. *Shape:* ``(n_entities,)``
    :param correct: Whether the same span and type are annotated. *Shape:* ``(n_entities,)``
    :param others: Number of entities without confidence, set by other components.
    :param others_correct: Number of the others that are annotated.
    :param gold: Number of annotated entities.
    """

    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    others: int
    others_correct: int
    gold: int


@app.command()
def main(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A trained pipeline's folder.")],
    data: Annotated[Path, typer.Argument(metavar="DATA.spacy", help="Annotated Docs.")],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help=f"The folder for {REPORT} and {DIAGRAM}.")
    ] = Path("metrics"),
    component: Annotated[str, typer.Option(help="The component's name.")] = "ner_lstm",
    fit: Annotated[
        bool,
        typer.Option("--fit", help="Fit the temperature to DATA first, and save it in MODEL."),
    ] = False,
) -> None:
    """Report the calibration of entities: expected error, reliability, and effect of thresholds.

    An entity is correct only with its exact span and type. For --fit, use data that neither the
    training nor the final report uses.
    """
    try:
        nlp, examples = load(model, data, component)
        if fit:
            calibrate(nlp, examples, component)
            nlp.to_disk(model)
            examples = list(Corpus(data)(nlp))
        temperature = nlp.get_pipe(component).temperature
        report = {"temperature": temperature, **report_on(predict(nlp, examples, component))}
        write(report, output)
    except CalibrationError as error:
        typer.secho(f"Error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from None
    show(report, f"{model} on {data}")
    typer.echo(f"Written to {output / REPORT} and {output / DIAGRAM}")


def load(model: Path, data: Path, component: str) -> tuple[Language, list[Example]]:
    """Load the pipeline and the annotated Docs.

    :raises CalibrationError: If a file cannot be read, or the component or entities are missing.
    """
    try:
        nlp = spacy.load(model)
        examples = list(Corpus(data)(nlp))
    # Broken files raise many kinds of errors in the libraries that read them.
    except Exception as error:
        raise CalibrationError(
            f"{model} or {data} cannot be read; expected the folder of a trained pipeline and a "
            f".spacy file (DocBin). {error}"
        ) from error
    if component not in nlp.pipe_names or not hasattr(nlp.get_pipe(component), "confidence"):
        raise CalibrationError(
            f"{model} has no component {component!r} with a confidence. Its components: "
            f"{', '.join(nlp.pipe_names) or 'none'}; name one with --component"
        )
    if not any(eg.reference.ents for eg in examples):
        raise CalibrationError(f"{data}: holds no annotated entity")
    return nlp, examples


def predict(nlp: Language, examples: list[Example], component: str) -> Predictions:
    """Run the pipeline with confidences and without a threshold."""
    pipe = nlp.get_pipe(component)
    pipe.confidence, pipe.threshold = True, 0.0
    confidence: list[float] = []
    correct: list[bool] = []
    others: list[bool] = []
    docs = nlp.pipe(eg.predicted for eg in examples)
    for doc, example in zip(docs, examples, strict=True):
        gold = annotated(example.reference)
        for ent in doc.ents:
            is_correct = (ent.start_char, ent.end_char, ent.label_) in gold
            if ent._.confidence is None:
                others.append(is_correct)
            else:
                confidence.append(ent._.confidence)
                correct.append(is_correct)
    return Predictions(
        np.array(confidence),
        np.array(correct, bool),
        len(others),
        sum(others),
        sum(len(eg.reference.ents) for eg in examples),
    )


def report_on(predictions: Predictions) -> dict[str, Any]:
    """Return the figures as shares from 0 to 1."""
    if not len(predictions.confidence):
        raise CalibrationError(
            "no entity with a confidence was predicted, so there is nothing to report"
        )
    table = reliability(predictions.confidence, predictions.correct, BINS)
    return {
        "entities": len(predictions.confidence),
        "entities_without_confidence": predictions.others,
        "annotated": predictions.gold,
        "expected_calibration_error": table.expected_calibration_error,
        "reliability": [
            {"entities": int(n), "confidence": float(c), "accuracy": float(a)}
            for n, c, a in zip(*table, strict=True)
        ],
        "thresholds": [at_threshold(predictions, threshold) for threshold in THRESHOLDS],
    }


def at_threshold(predictions: Predictions, threshold: float) -> dict[str, float]:
    """Return precision, recall and F1 with a threshold of the component."""
    kept = predictions.confidence >= threshold
    right = int(predictions.correct[kept].sum()) + predictions.others_correct
    predicted = int(kept.sum()) + predictions.others
    return {
        "threshold": threshold,
        "precision": right / predicted if predicted else 0.0,
        "recall": right / predictions.gold,
        "f1": 2 * right / (predicted + predictions.gold),
    }


def write(report: dict[str, Any], folder: Path) -> None:
    """Write the report and the diagram. Neither file is ever incomplete.

    :raises CalibrationError: If they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".calibration-", dir=folder) as scratch:
            path = Path(scratch) / REPORT
            path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
            rows = report["reliability"]
            columns = ("entities", "confidence", "accuracy")
            bins = Reliability(*(np.array([row[name] for row in rows]) for name in columns))
            title = f"Reliability at temperature {report['temperature']:.3f}"
            draw_reliability(bins, title).savefig(Path(scratch) / DIAGRAM, dpi=150)
            for name in (REPORT, DIAGRAM):
                os.replace(Path(scratch) / name, folder / name)
    except OSError as error:
        raise CalibrationError(f"{folder}: cannot be written ({error})") from error


def show(report: dict[str, Any], title: str) -> None:
    """Print both tables in percent."""
    bins = Table("entities", "confidence", "accuracy", title=title, title_justify="left")
    for row in report["reliability"]:
        bins.add_row(f"{row['entities']:,}", _percent(row["confidence"]), _percent(row["accuracy"]))
    thresholds = Table("threshold", "precision", "recall", "F1")
    for row in report["thresholds"]:
        scores = (_percent(row[name]) for name in ("precision", "recall", "f1"))
        thresholds.add_row(f"{row['threshold']:.2f}", *scores)
    console = Console()
    console.print(bins)
    console.print(f"Expected calibration error: {report['expected_calibration_error']:.4f}")
    console.print(f"Temperature: {report['temperature']:.3f}")
    console.print(thresholds)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


if __name__ == "__main__":
    app()
