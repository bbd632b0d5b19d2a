"""The evaluation of a pipeline on annotated data, from the files to the report."""

from __future__ import annotations

from pathlib import Path

import spacy
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus, Example

from . import pictures, predictions, report, summary, training_log
from .perturbations import perturbations
from .predictions import Sentence
from .robustness import Variant, annotated_texts, measure
from .scores import Score
from .summary import Comparison, Evaluation
from .training_log import LogStep


class EvaluationError(ValueError):
    """An error that prevents the evaluation. The message says why, and what to do."""


def evaluate(
    model: str,
    name: str,
    data: Path,
    gpu_id: int,
    training: list[Sentence] | None,
    variants: slice,
) -> tuple[Evaluation, list[Sentence]]:
    """Tag the data and evaluate the predictions.

    :param name: the pipeline's name in titles.
    :param variants: the documents to measure the robustness on; none for an empty slice.
    :return: the evaluation, and its sentences.
    :raises EvaluationError: if the pipeline or the data cannot be read, or if no component of
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

    :return: the scores; none without Docs.
    :raises EvaluationError: if a perturbation is faulty, or if all Docs lack annotation.
    """
    texts = annotated_texts(docs)
    if docs and not texts:
        raise EvaluationError(
            "robustness (--robustness) needs Docs that are annotated throughout, but each of the "
            f"{len(docs):,} Docs has tokens without annotation"
        )
    if not texts:
        return []
    try:
        return list(
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


def load_pipeline(model: str, gpu_id: int) -> Language:
    """Load the pipeline with a path or name.

    :raises EvaluationError: if the pipeline or the GPU is not available.
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

    :raises EvaluationError: if the file cannot be read, or contains no entity.
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

    :raises EvaluationError: if the path is not a ``.spacy`` file.
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

    :raises EvaluationError: if it cannot be read.
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

    :raises EvaluationError: if they cannot be read.
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

    :return: the files that were written.
    :raises EvaluationError: if they cannot be written.
    """
    with Console(stderr=True).status("Drawing …"):
        drawn = pictures.draw_all(evaluation, log=log, comparison=comparison)
    try:
        return report.write_report(evaluation, drawn, folder, comparison)
    except OSError as error:
        raise EvaluationError(f"{folder}: the report cannot be written ({error})") from error


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


def _row(score: Score) -> list[str]:
    values = (score.precision, score.recall, score.f1)
    return [*(f"{100 * value:.2f}" for value in values), f"{score.gold:,}"]
