"""A training that is killed, and the next that goes on with it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import spacy
from samples import SENTENCES
from spacy.util import load_config

from ner_lstm_component.training.resume import (
    Checkpoint,
    attempts_in,
    best_checkpoint,
    going_on,
    last_checkpoint,
    new_attempt,
    write_log,
)
from ner_lstm_component.training.run import DEFAULT, read_config

MODEL = "--components.ner_lstm.model"
SMALL = (
    *("--training.max_steps", "40", "--training.eval_frequency", "4"),
    *(f"{MODEL}.width", "8", f"{MODEL}.hidden_width", "8", f"{MODEL}.embed_width", "4"),
    *(f"{MODEL}.batch_tokens", "256"),
)


# -- attempts


@pytest.fixture
def attempts(tmp_path):
    """Three attempts, of which the first was killed at step 6, and the second at once."""
    for number, (first, scores) in enumerate([(0, [0.1, 0.6, 0.4]), (4, []), (4, [0.4, 0.5])]):
        attempt = new_attempt(tmp_path, number, first)
        for step, score in enumerate(scores):
            nlp = spacy.blank("en", meta={"description": f"{number}, {step}"})
            nlp.to_disk(attempt.checkpoints / "model-last")
            if score == max(scores[: step + 1]):
                nlp.to_disk(attempt.checkpoints / "model-best")
        rows = [{"step": 2 * step, "score": score} for step, score in enumerate(scores)]
        attempt.log.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return attempts_in(tmp_path)


def read_log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def described(checkpoint: Checkpoint | None) -> tuple[str, int, float] | None:
    if checkpoint is None:
        return None
    description = spacy.load(checkpoint.path).meta["description"]
    return description, checkpoint.step, checkpoint.score


def test_the_last_checkpoint_and_the_best(attempts):
    assert [(one.folder.name, one.first_step) for one in attempts] == [("0", 0), ("1", 4), ("2", 4)]
    assert described(last_checkpoint(attempts)) == ("2, 1", 6, 0.5)
    assert described(last_checkpoint(attempts[:2])) == ("0, 2", 4, 0.4)
    assert described(last_checkpoint(attempts[1:2])) is None
    assert described(best_checkpoint(attempts)) == ("0, 1", 2, 0.6)
    assert described(best_checkpoint(attempts[1:])) == ("2, 1", 6, 0.5)
    assert best_checkpoint([]) is None


def test_torn_checkpoints_are_left_out(attempts):
    checkpoints = attempts[0].checkpoints
    (checkpoints / "model-last" / "config.cfg").write_text("[nlp")
    assert described(last_checkpoint(attempts[:1])) == ("0, 1", 2, 0.6)
    shutil.rmtree(checkpoints / "model-best")
    assert last_checkpoint(attempts[:1]) is None
    assert best_checkpoint(attempts[:1]) is None


def test_a_best_that_was_being_copied_is_the_last(attempts):
    shutil.rmtree(attempts[0].checkpoints / "model-best")
    assert described(best_checkpoint(attempts)) == ("0, 2", 2, 0.6)


def test_the_log_has_the_steps_that_led_to_the_end(attempts, tmp_path):
    with attempts[2].log.open("a") as file:
        file.write('{"step": 4, "sc')  # killed here
    write_log(attempts, tmp_path / "log.jsonl")
    rows = read_log(tmp_path)
    assert [(row["step"], row["score"]) for row in rows] == [(0, 0.1), (2, 0.6), (4, 0.4), (6, 0.5)]


def test_a_training_goes_on_with_its_schedule(tmp_path):
    config = read_config(DEFAULT, {"training.max_steps": 100})
    found = going_on(config, Checkpoint(tmp_path, 30, 0.5))
    assert found["components"] == {"ner_lstm": {"source": str(tmp_path)}}
    assert found["training"]["max_steps"] == 70
    assert found["training"]["optimizer"]["learn_rate"]["t"] == 30
    assert config["training"]["optimizer"]["learn_rate"]["t"] == 0
    config["training"] |= {"max_steps": 0, "frozen_components": ["ner_lstm"]}
    config["training"]["optimizer"]["learn_rate"] = 0.001
    found = going_on(config, Checkpoint(tmp_path, 30, 0.5))
    assert found["components"] == config["components"]
    assert found["training"]["max_steps"] == 0
    assert found["training"]["optimizer"]["learn_rate"] == 0.001


# -- kills


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.iob"
    tokens = [[token.partition("/") for token in s.split()] for s in SENTENCES]
    texts = ["\n".join(f"{word} {tag or 'O'}" for word, _, tag in words) for words in tokens]
    path.write_text("\n\n".join([*texts, *(f"Town{n} B-geo\nsleeps O" for n in range(8))]) + "\n")
    return path


CONVERT = Path(__file__).parents[2] / "scripts" / "convert.py"


def start(name: str, *arguments: object) -> subprocess.Popen:
    """Start `ner-lstm train` or `scripts/convert.py` in a process of its own."""
    train = ("-c", "from ner_lstm_component.cli import app; app()", name)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    called = train if name == "train" else (CONVERT,)
    command = [sys.executable, *map(str, (*called, *arguments))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def finish(process: subprocess.Popen, exit_code: int = 0) -> tuple[str, str]:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == exit_code, errors
    return output, errors


def kill_after(n_evaluations: int, process: subprocess.Popen, log: Path) -> None:
    while not log.exists() or log.read_bytes().count(b"\n") < n_evaluations:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()


def contents(folder: Path) -> dict[str, bytes]:
    """What a folder has, without the hidden folder in which a run works."""
    files = (path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder): path for path in files}
    return {name.as_posix(): p.read_bytes() for name, p in named.items() if name.parts[0][0] != "."}


@pytest.mark.slow
def test_a_killed_training_goes_on(data, tmp_path):
    command = ("train", data, "--output", tmp_path, *SMALL)
    log = tmp_path / ".ner-lstm" / "work" / "attempts" / "0" / "log.jsonl"
    kill_after(3, start(*command), log)
    assert contents(tmp_path) == {}

    # Other settings are refused, and cost nothing.
    _, errors = finish(start(*command, "--resume", "--training.dropout", 0.2), exit_code=1)
    assert "--resume: the data, the split or the settings are not those" in errors
    assert log.exists()

    output, errors = finish(start(*command, "--resume"))
    step = int(errors.partition("Going on from step ")[2].split()[0])
    assert step >= 8
    steps = [row["step"] for row in read_log(tmp_path)]
    assert steps == list(range(0, 41, 4))
    config = load_config(tmp_path / "config.cfg")
    assert config["training"]["max_steps"] == 40
    assert config["training"]["optimizer"]["learn_rate"]["t"] == 0
    assert config["components"]["ner_lstm"]["factory"] == "ner_lstm"
    assert spacy.load(tmp_path / "pipeline").pipe_names == ["ner_lstm"]
    assert "│ all" in output
    assert [path.name for path in (tmp_path / ".ner-lstm").iterdir()] == ["lock"]

    # With nothing to go on with, a training begins anew.
    _, errors = finish(start(*command[:4], "--resume", *SMALL, "--training.max_steps", "2"))
    assert "Going on" not in errors


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing(data, tmp_path):
    """Whenever a training is killed, the former result or the new one is whole."""
    rng = random.Random(0)
    command = ("train", data, "--output", tmp_path, *SMALL)
    began = time.monotonic()
    finish(start(*command))
    took = time.monotonic() - began
    former = contents(tmp_path)
    n_resumed = 0
    for number in range(30):
        options = ["--resume"] * rng.randrange(2)
        # The settings of those that may go on with each other.
        seed = ("--training.seed", number // 3)
        process = start(*command, *seed, *options)
        time.sleep(rng.uniform(0.3, 1.1) * took)
        process.kill()
        process.communicate()
        found = contents(tmp_path)
        if found != former and not (tmp_path / ".ner-lstm" / "next").exists():
            spacy.load(tmp_path / "pipeline")
            # The result lists its files, of which some depend on what was found.
            assert found["files.txt"].decode().splitlines() == sorted(found)
            former = found
        attempts = tmp_path / ".ner-lstm" / "work" / "attempts"
        is_left = attempts.exists() and last_checkpoint(attempts_in(attempts)) is not None
        if number % 3 == 2:
            _, errors = finish(start(*command, *seed, "--resume"))
            n_resumed += "Going on" in errors
            assert is_left == ("Going on" in errors)
            spacy.load(tmp_path / "pipeline")
            former = contents(tmp_path)
    assert n_resumed > 0


@pytest.mark.slow
def test_kills_of_a_conversion_lose_nothing(tmp_path):
    rows = [f"Sentence: {n},Town{n},NNP,B-geo" for n in range(20_000)]
    for name in ("first", "second"):
        words = "\n".join(row.replace("Town", name) for row in rows)
        (tmp_path / f"{name}.csv").write_text(f"Sentence #,Word,POS,Tag\n{words}\n")
    output = tmp_path / "corpus"
    whole = []
    for name in ("first", "second"):
        began = time.monotonic()
        finish(start("convert", tmp_path / f"{name}.csv", output))
        took = time.monotonic() - began
        whole.append(contents(output))
    rng = random.Random(0)
    n_kept = 0
    for number in range(30):
        process = start("convert", tmp_path / f"{('first', 'second')[number % 2]}.csv", output)
        time.sleep(rng.uniform(0.1, 1.05) * took)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = contents(output)
        assert sorted(found) == sorted(whole[0])
        assert set(found.items()) <= set(whole[0].items()) | set(whole[1].items())
        n_kept += found in whole
    assert n_kept >= 29
