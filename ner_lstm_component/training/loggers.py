"""Loggers for ``spacy train`` that extend spaCy's console logger: a log file, and TensorBoard."""

# No postponed annotations here: spaCy reads those of registered functions.

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.training.loggers import console_logger_v3

from .. import logs

LogStep = Callable[[dict[str, Any] | None], None]
Logger = Callable[[Language, IO, IO], tuple[LogStep, Callable[[], None]]]


def training_logger(
    progress_bar: str | None = None,
    console_output: bool = True,
    output_file: str | Path | None = None,
    log_file: str | Path | None = None,
) -> Logger:
    """`ner_lstm_component.Logger.v1`: ``spacy.ConsoleLogger.v3`` with a log file.

    It logs the start with the settings, each evaluation, and the end or the error (see `logs`).

    The other parameters are those of spaCy's logger.

    :param log_file: a rotating log file, such as ``logs/app.log``; by default the value of
        the environment variable ``NER_LSTM_LOG_FILE``, if set.
    """
    console = console_logger_v3(progress_bar, console_output, output_file)

    def set_up(nlp: Language, stdout: IO, stderr: IO) -> tuple[LogStep, Callable[[], None]]:
        logs.configure(file=log_file, stderr=False)
        log_to_console, finalize_console = console(nlp, stdout, stderr)
        run = ExitStack()
        settings = {name: nlp.config[name] for name in ("paths", "training", "components")}
        logger = run.enter_context(logs.recorded("train", **settings))

        def log_step(info: dict[str, Any] | None) -> None:
            log_to_console(info)
            if info is not None:
                values = {"epoch": info["epoch"], "step": info["step"], **_scalars(info)}
                logger.info("Evaluation", extra=logs.fields(**values))

        def finalize() -> None:
            finalize_console()
            # spaCy calls finalize in a finally clause, where an error may be ending the training.
            run.__exit__(*sys.exc_info())

        return log_step, finalize

    return set_up


def tensorboard_logger(
    log_dir: str,
    progress_bar: str | None = None,
    console_output: bool = True,
    output_file: str | Path | None = None,
    log_file: str | Path | None = None,
) -> Logger:
    """`ner_lstm_component.TensorBoardLogger.v1`: :func:`training_logger` with TensorBoard.

    Each evaluation writes the losses, the scores and the F1 of each entity type.

    :param log_dir: the folder for the event files; each training should have a new folder.
    """
    log = training_logger(progress_bar, console_output, output_file, log_file)

    def set_up(nlp: Language, stdout: IO, stderr: IO) -> tuple[LogStep, Callable[[], None]]:
        # Imported here, because spaCy imports all loggers to list their names.
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "Logging for TensorBoard needs tensorboardX, which is not installed; "
                "run: pip install 'ner-lstm-component[tensorboard]'"
            ) from error
        writer = SummaryWriter(log_dir)
        log_to_file, finalize_log = log(nlp, stdout, stderr)

        def log_step(info: dict[str, Any] | None) -> None:
            log_to_file(info)
            if info is not None:
                for name, value in _scalars(info).items():
                    writer.add_scalar(name, value, info["step"])

        def finalize() -> None:
            finalize_log()
            writer.close()

        return log_step, finalize

    return set_up


def _scalars(info: dict[str, Any]) -> dict[str, float]:
    """Flatten the figures from an evaluation; scores are from 0 to 1."""
    scores = info["other_scores"]
    scalars = {"score": info["score"]}
    scalars |= {f"loss/{name}": value for name, value in info["losses"].items()}
    scalars |= {
        f"scores/{name}": value for name, value in scores.items() if isinstance(value, (int, float))
    }
    types = scores.get("ents_per_type") or {}
    scalars |= {f"types_f1/{label}": of_type["f"] for label, of_type in types.items()}
    return {name: float(value) for name, value in scalars.items()}
