"""Loggers for ``spacy train``, beside spaCy's own console logger: our log, and TensorBoard.

Only training needs this module; its factories are found by the entry point ``spacy_loggers``.
"""

# No postponed annotations here: spaCy reads those of the logger to check a config.

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.training.loggers import console_logger_v3

from .. import logs

LogStep = Callable[[dict[str, Any] | None], None]


def training_logger(
    progress_bar: str | None = None,
    console_output: bool = True,
    output_file: str | Path | None = None,
    log_file: str | Path | None = None,
) -> Callable[[Language, IO, IO], tuple[LogStep, Callable[[], None]]]:
    """The logger ``ner_lstm_component.Logger.v1``.

    It does what ``spacy.ConsoleLogger.v3`` does, and records the start with the settings, each
    evaluation, the end or the error, as `logs` says.

    :param progress_bar: for the console: ``eval``, ``train``, or None for none.
    :param console_output: whether to print spaCy's table.
    :param output_file: where the table goes as JSON lines, too.
    :param log_file: the rotating log, such as ``logs/app.log``; by default what the
        environment variable ``NER_LSTM_LOG_FILE`` names, if anything.
    """
    console = console_logger_v3(progress_bar, console_output, output_file)

    def set_up(nlp: Language, stdout: IO, stderr: IO) -> tuple[LogStep, Callable[[], None]]:
        logs.configure(file=log_file, stderr=False)
        console_step, console_finalize = console(nlp, stdout, stderr)
        run = ExitStack()
        settings = {name: nlp.config[name] for name in ("paths", "training", "components")}
        logger = run.enter_context(logs.recorded("train", **settings))

        def log_step(info: dict[str, Any] | None) -> None:
            console_step(info)
            if info is not None:
                of_step = {"epoch": info["epoch"], "step": info["step"], **_scalars(info)}
                logger.info("Evaluation", extra=logs.fields(**of_step))

        def finalize() -> None:
            console_finalize()
            # Of the error that ends the training, if there is one.
            run.__exit__(*sys.exc_info())

        return log_step, finalize

    return set_up


def tensorboard_logger(
    log_dir: str,
    progress_bar: str | None = None,
    console_output: bool = True,
    output_file: str | Path | None = None,
    log_file: str | Path | None = None,
) -> Callable[[Language, IO, IO], tuple[LogStep, Callable[[], None]]]:
    """The logger ``ner_lstm_component.TensorBoardLogger.v1``.

    At each evaluation it writes the losses, the scores and the F1 of each entity type, and does
    what ``spacy.ConsoleLogger.v3`` does. To look: ``tensorboard --logdir LOG_DIR``.

    :param log_dir: the folder of the event files; each training of its own is best.
    :param progress_bar: for the console: ``eval``, ``train``, or None for none.
    :param console_output: whether to print spaCy's table.
    :param output_file: where the table goes as JSON lines, too.
    :param log_file: the rotating log.
    """
    console = training_logger(progress_bar, console_output, output_file, log_file)

    def set_up(nlp: Language, stdout: IO, stderr: IO) -> tuple[LogStep, Callable[[], None]]:
        writer = _writer(log_dir)
        console_step, console_finalize = console(nlp, stdout, stderr)

        def log_step(info: dict[str, Any] | None) -> None:
            console_step(info)
            if info is None:  # a step without an evaluation
                return
            for name, value in _scalars(info).items():
                writer.add_scalar(name, value, info["step"])

        def finalize() -> None:
            console_finalize()
            writer.close()

        return log_step, finalize

    return set_up


def _writer(log_dir: str) -> Any:
    # Not at the head: spaCy loads every logger there is in order to list their names.
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "Logging for TensorBoard needs tensorboardX, which is not installed; "
            "run: pip install 'ner-lstm-component[tensorboard]'"
        ) from error
    return SummaryWriter(log_dir)


def _scalars(info: dict[str, Any]) -> dict[str, float]:
    """What is plotted of an evaluation; scores are from 0 to 1."""
    scalars = {"score": info["score"]}
    scalars |= {f"loss/{name}": value for name, value in info["losses"].items()}
    for name, value in info["other_scores"].items():
        if isinstance(value, (int, float)):
            scalars[f"scores/{name}"] = value
    types = info["other_scores"].get("ents_per_type") or {}
    scalars |= {f"types_f1/{label}": scores["f"] for label, scores in types.items()}
    return {name: float(value) for name, value in scalars.items()}
