"""Going on with a training that was killed.

A training has one or more attempts, each in a folder of its own with checkpoints and a log. A new
attempt begins with the weights of the last checkpoint, and the best checkpoint of all is kept.
Nothing of an attempt is changed by a later one, so that a kill costs no more than the steps since
the last checkpoint.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import spacy
import srsly
from spacy.training.loop import DIR_MODEL_BEST, DIR_MODEL_LAST
from thinc.api import Config

_START = "start.json"


class Checkpoint(NamedTuple):
    """A saved pipeline with its score, and with its step from the first attempt on."""

    path: Path
    step: int
    score: float


@dataclass(frozen=True)
class Attempt:
    """A part of a training.

    :param first_step: the number of steps in earlier attempts that led to this one.
    """

    folder: Path
    first_step: int

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, as spaCy names them."""
        return self.folder / "checkpoints"

    @property
    def log(self) -> Path:
        """The file of the evaluations, with the steps of this attempt."""
        return self.folder / "log.jsonl"

    def evaluations(self) -> list[dict[str, Any]]:
        """Read the evaluations, with their steps from the first attempt on."""
        if not self.log.exists():
            return []
        # What follows the last line end was being written.
        lines = self.log.read_text("utf-8").split("\n")[:-1]
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [{**row, "step": row["step"] + self.first_step} for row in rows]

    def checkpoint(self, *, best: bool) -> Checkpoint | None:
        """Return the best or the last checkpoint, or the other one if that cannot be loaded.

        spaCy writes the last first, and copies it if it is the best.
        """
        rows = self.evaluations()
        if not rows:
            return None
        at_best = max(rows, key=lambda row: row["score"])  # the first of equal ones, as in spaCy
        found = [(DIR_MODEL_BEST, at_best), (DIR_MODEL_LAST, at_best if best else rows[-1])]
        for name, row in found if best else reversed(found):
            if _is_whole(path := self.checkpoints / name):
                return Checkpoint(path, row["step"], row["score"])
        return None


def _is_whole(pipeline: Path) -> bool:
    try:
        spacy.load(pipeline)
    # What was being written fails anywhere.
    except Exception:
        return False
    return True


def attempts_in(folder: Path) -> list[Attempt]:
    """Return the attempts in a folder, in their order."""
    found = sorted(folder.glob(f"*/{_START}"), key=lambda path: int(path.parent.name))
    return [Attempt(path.parent, srsly.read_json(path)["first_step"]) for path in found]


def new_attempt(folder: Path, number: int, first_step: int) -> Attempt:
    """Create the folder of an attempt."""
    attempt = Attempt(folder / str(number), first_step)
    attempt.checkpoints.mkdir(parents=True, exist_ok=True)
    scratch = attempt.folder / f"{_START}.new"
    srsly.write_json(scratch, {"first_step": first_step})
    scratch.rename(attempt.folder / _START)
    return attempt


def last_checkpoint(attempts: Sequence[Attempt]) -> Checkpoint | None:
    """Return the checkpoint from which to go on."""
    found = (attempt.checkpoint(best=False) for attempt in reversed(attempts))
    return next(filter(None, found), None)


def best_checkpoint(attempts: Sequence[Attempt]) -> Checkpoint | None:
    """Return the checkpoint with the best score, the first of equal ones."""
    found = filter(None, (attempt.checkpoint(best=True) for attempt in attempts))
    return max(found, key=lambda checkpoint: checkpoint.score, default=None)


def write_log(attempts: Sequence[Attempt], path: Path) -> None:
    """Write the evaluations on the way from the first attempt to the last."""
    rows: list[dict[str, Any]] = []
    end = math.inf
    for attempt in reversed(attempts):
        rows = [row for row in attempt.evaluations() if row["step"] < end] + rows
        end = attempt.first_step
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


def going_on(config: Config, checkpoint: Checkpoint) -> Config:
    """Return a config whose components begin with a checkpoint's weights.

    The learning rate goes on where it was, if its schedule has a place ``t`` to begin at. The
    optimizer's moments and averages begin anew.
    """
    config = config.copy()
    training = config["training"]
    for name in config["nlp"]["pipeline"]:
        if name not in training.get("frozen_components", []):
            config["components"][name] = {"source": str(checkpoint.path)}
    if training.get("max_steps", 0) > 0:
        training["max_steps"] = max(1, training["max_steps"] - checkpoint.step)
    rate = training.get("optimizer", {}).get("learn_rate")
    if isinstance(rate, dict) and "t" in rate:
        rate["t"] += checkpoint.step
    return config
