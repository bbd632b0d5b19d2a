"""The training log of ``spacy.ConsoleLogger.v3``, with a line of JSON for each evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class LogStep(NamedTuple):
    """One evaluation during training."""

    step: int
    losses: dict[str, float]  # for each component, summed since the last evaluation
    scores: dict[str, float]  # on the dev part, in percent
    score: float  # the weighted score that selects the best pipeline, from 0 to 1


def read_training_log(path: Path) -> list[LogStep]:
    """Read the evaluations from a training log.

    :raises ValueError: if a line is not an evaluation, or the file has none. The message names the
        line.
    :raises OSError: if the file cannot be read.
    """
    steps = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                losses, scores = (
                    {str(name): float(value) for name, value in row[key].items()}
                    for key in ("losses", "scores")
                )
                steps.append(LogStep(int(row["step"]), losses, scores, float(row["score"])))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(
                    f"{path}, line {number}: not an evaluation as spacy.ConsoleLogger.v3 writes "
                    "them (a JSON object with step, losses, scores and score). Received: "
                    f"{line.strip()[:80]!r}"
                ) from error
    if not steps:
        raise ValueError(f"{path}: holds no evaluation; training writes one at its first step")
    return steps
