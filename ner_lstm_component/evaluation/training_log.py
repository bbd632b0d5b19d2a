"""The JSON lines that ``spacy.ConsoleLogger.v3`` writes in training, one an evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class LogStep(NamedTuple):
    """One evaluation in training.

    :param step: updates so far.
    :param losses: component → loss summed since the evaluation before.
    :param scores: name → score in percent, on the dev part.
    :param score: the weighted score that the best pipeline is chosen by, from 0 to 1.
    """

    step: int
    losses: dict[str, float]
    scores: dict[str, float]
    score: float


def read_training_log(path: Path) -> list[LogStep]:
    """The evaluations of a training.

    :raises ValueError: naming the line, if the file is not such a log or holds no evaluation.
    :raises OSError: if it cannot be read.
    """
    steps = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                steps.append(_step(json.loads(line)))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(
                    f"{path}, line {number}: not an evaluation as spacy.ConsoleLogger.v3 writes "
                    "them (a JSON object with step, losses, scores and score). Received: "
                    f"{line.strip()[:80]!r}"
                ) from error
    if not steps:
        raise ValueError(f"{path}: holds no evaluation; training writes one at its first step")
    return steps


def loss_names(steps: Sequence[LogStep]) -> list[str]:
    """The components that report a loss."""
    return sorted({name for step in steps for name in step.losses})


def _step(row: dict[str, Any]) -> LogStep:
    losses, scores = (
        {str(name): float(value) for name, value in row[key].items()}
        for key in ("losses", "scores")
    )
    return LogStep(int(row["step"]), losses, scores, float(row["score"]))
