"""The folder of a result: what happens to the former one, to other files, and after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ner_lstm_component.training import output as module
from ner_lstm_component.training.output import TrainingError, claim, replace

HOLD = """
import sys
from pathlib import Path
from ner_lstm_component.training.output import claim

with claim(Path(sys.argv[1])) as work:
    (work / "half").touch()
    print("claimed", flush=True)
    sys.stdin.read()
"""


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def output(tmp_path) -> Path:
    """A folder with a result, and a file of the user's."""
    path = tmp_path / "output"
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    write(path, "first")
    return path


def write(output: Path, text: str, error: type[BaseException] | None = None) -> None:
    """Write a result of files with a text, or fail before it is put into place."""
    with claim(output) as work:
        make(work, text)
        if error is not None:
            raise error
        replace(output, work / "result")


def make(work: Path, text: str) -> None:
    for name in ("pipeline/model", "corpus/train.spacy", "config.cfg", "log.jsonl"):
        path = work / "result" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (work / "result" / "report").mkdir()


def contents(output: Path) -> dict[str, str]:
    """The texts of all files, except those in hidden folders and the listing."""
    files = [p.relative_to(output) for p in output.rglob("*") if p.is_file()]
    visible = [p for p in files if p.parts[0][0] != "." and p.name != "files.txt"]
    return {path.as_posix(): (output / path).read_text() for path in visible}


def result(text: str) -> dict[str, str]:
    names = ("pipeline/model", "corpus/train.spacy", "config.cfg", "log.jsonl")
    return {**dict.fromkeys(names, text), "notes.txt": "mine"}


def test_a_new_result_replaces_the_former_and_nothing_else(output):
    with claim(output) as work:
        make(work, "second")
        (work / "result" / "pipeline" / "new").write_text("second")
        assert contents(output) == result("first")
        replace(output, work / "result")
    assert contents(output) == {**result("second"), "pipeline/new": "second"}
    assert [path.name for path in (output / ".ner-lstm").iterdir()] == ["lock"]
    write(output, "third")
    assert contents(output) == result("third")


def test_a_failed_run_leaves_nothing(output, tmp_path):
    for folder, expected in ((output, result("first")), (tmp_path / "a" / "b", None)):
        with pytest.raises(KeyboardInterrupt):
            write(folder, "second", error=KeyboardInterrupt)
        assert (contents(folder) if folder.exists() else None) == expected
        assert not (folder / ".ner-lstm" / "work").exists()


@pytest.mark.parametrize("n_moves", range(12))  # two for each item
def test_a_killed_run_is_completed_by_the_next(output, monkeypatch, n_moves):
    moves = iter(range(n_moves))
    real = os.replace

    def move(source: Path, target: Path) -> None:
        if next(moves, None) is None:
            raise Killed
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(module.os, "replace", move)
        patched.setattr(module, "_clean", lambda state: None)  # a killed process cleans nothing
        with pytest.raises(Killed):
            write(output, "second")
    with pytest.raises(KeyboardInterrupt):
        write(output, "third", error=KeyboardInterrupt)
    assert contents(output) == result("second")
    assert [path.name for path in (output / ".ner-lstm").iterdir()] == ["lock"]


def test_one_run_at_a_time_and_a_kill_frees_the_folder(output):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", HOLD, str(output)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, env=environment) as holder:
        assert holder.stdout.readline().strip() == b"claimed"
        with pytest.raises(TrainingError, match="another training is writing there"):
            write(output, "second")
        holder.kill()
    assert contents(output) == result("first")
    assert (output / ".ner-lstm" / "work" / "half").exists()
    write(output, "second")
    assert contents(output) == result("second")
    assert not (output / ".ner-lstm" / "work").exists()


@pytest.mark.parametrize("name", ["pipeline/mine", "report/a/mine"])
def test_other_files_where_the_result_goes_are_refused(output, name):
    (output / name).parent.mkdir(exist_ok=True)
    (output / name).write_text("mine")
    with pytest.raises(TrainingError, match=f"1 file that no training wrote, .*'{name}'"):
        write(output, "second")
    assert contents(output) == {**result("first"), name: "mine"}


@pytest.mark.parametrize("name", ["config.cfg", "corpus/train.csv", "files.txt"])
def test_a_folder_of_something_else_is_refused_and_stays_as_it_was(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(TrainingError, match=f"'{name}'"):
        write(tmp_path, "first")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert not (tmp_path / ".ner-lstm").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "x.csv").touch()
    with pytest.raises(TrainingError, match=r"x\.csv: cannot be written \(Not a directory\)"):
        write(tmp_path / "x.csv", "first")
