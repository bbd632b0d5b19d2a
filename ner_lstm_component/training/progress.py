"""A logger for training that shows a progress bar, and stops at a signal between two steps."""

# No postponed annotations here: spaCy reads those of registered functions.

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from spacy.language import Language

from .loggers import Logger, LogStep

_NUMBERS: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
_STOPPING = (
    b"\nStopping. The best pipeline so far is kept if it found an entity; the same signal again "
    b"drops it.\n"
)


class Stopped(KeyboardInterrupt):
    """Raised between two steps of a training after SIGINT or SIGTERM, whose `number` it has."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def progress_logger(output_file: str | Path, logger: Logger) -> Logger:
    """`ner_lstm_component.ProgressLogger.v1`: a progress bar and a log file, beside a logger.

    The bar ends where training would if the score did not rise any more. SIGINT and SIGTERM raise
    `Stopped` after the step at hand, when everything has been saved.

    :param output_file: the log, with a line of JSON for each evaluation, in the format of spaCy's
        ``ConsoleLogger``. It must not exist yet.
    :param logger: another logger, which is called first.
    """

    def set_up(nlp: Language, stdout: IO, stderr: IO) -> tuple[LogStep, Callable[[], None]]:
        other_log_step, finalize = logger(nlp, stdout, stderr)
        training = nlp.config["training"]
        run = ExitStack()
        run.callback(finalize)
        log = Path(output_file)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch(exist_ok=False)
        signals = run.enter_context(_Signals())
        columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn())
        console = Console(stderr=True)
        progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        run.enter_context(progress)
        task = progress.add_task("Training", total=None)

        def log_step(info: dict[str, Any] | None) -> None:
            other_log_step(info)
            progress.advance(task)
            if info is not None:
                # spaCy's own logger keeps lines in memory, where a kill would lose them.
                with log.open("a", encoding="utf-8") as file:
                    file.write(f"{json.dumps(_row(info, training['score_weights']))}\n")
                text, total = _describe(info, training["patience"], training["max_steps"])
                progress.update(task, description=text, total=total)
                if not console.is_terminal:
                    console.print(text, highlight=False, soft_wrap=True)
            if signals.received:
                raise Stopped(signals.received)

        return log_step, run.close

    return set_up


def _row(info: dict[str, Any], score_weights: dict[str, float | None]) -> dict[str, Any]:
    """Return what spaCy's ``ConsoleLogger`` writes about an evaluation."""
    names = [name for name, weight in score_weights.items() if weight is not None]
    scores = {name: float(info["other_scores"].get(name) or 0.0) for name in names}
    return {
        "epoch": info["epoch"],
        "step": info["step"],
        "losses": {name: float(loss) for name, loss in info["losses"].items()},
        "scores": {name: s if name == "speed" else 100 * s for name, s in scores.items()},
        "score": float(info["score"]),
    }


def _describe(info: dict[str, Any], patience: int, max_steps: int) -> tuple[str, int | None]:
    """Return an evaluation in words, and the number of steps after which training would end."""
    score, step = max((score, -step) for score, step in info["checkpoints"])
    name = "F1" if info["score"] == info["other_scores"].get("ents_f") else "score"
    text = (
        f"epoch {info['epoch'] + 1}, step {info['step']}: dev {name} {100 * info['score']:.1f}, "
        f"best {100 * score:.1f} at step {-step}"
    )
    limits = [max_steps] * (max_steps > 0) + [patience - step] * (patience > 0)
    return text, min(limits) + 1 if limits else None  # the first step is 0


@contextmanager
def raising_stopped() -> Iterator[None]:
    """Raise `Stopped` at once on SIGINT and SIGTERM, in the context."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    former = {number: signal.signal(number, stop) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class _Signals:
    """A context in which SIGINT and SIGTERM are noted; the second one acts as it did before."""

    received = 0

    def __enter__(self) -> "_Signals":
        self._former = {number: signal.signal(number, self._note) for number in _NUMBERS}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        signal.signal(number, self._former[number])
        os.write(2, _STOPPING)  # not a stream's method, which the signal may have interrupted

    def __exit__(self, *error: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
