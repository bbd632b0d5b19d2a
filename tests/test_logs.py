from __future__ import annotations

import json
import logging
import multiprocessing
import sys
from pathlib import Path

import pytest

from ner_lstm_component import logs


@pytest.fixture(autouse=True)
def restore():
    # An earlier test may have left the id of a request.
    token = logs.request_id.set("")
    yield
    logs.request_id.reset(token)
    root = logging.getLogger()
    for handler in logs._handlers:
        root.removeHandler(handler)
        handler.close()
    logs._handlers.clear()
    root.setLevel(logging.WARNING)
    for name in ("ner_lstm_component", "gunicorn.error"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_record_is_a_line_of_json(tmp_path):
    path = tmp_path / "logs" / "app.log"
    logs.configure(file=path, stderr=False)
    logger = logging.getLogger("ner_lstm_component.some")
    token = logs.request_id.set("an-id")
    logger.info("A %s\nmessage\u2028", "longer", extra=logs.fields(name="x", size=3, odd="\ud800"))
    logs.request_id.reset(token)
    logger.debug("below the level")
    logging.getLogger("another").info("of another package")
    try:
        raise KeyError("word")
    except KeyError:
        logger.exception("Failed")
    first, second = lines(path)
    assert first["message"] == "A longer\nmessage\u2028"
    names = ("level", "name", "size", "request_id")
    assert [first[name] for name in names] == ["info", "x", 3, "an-id"]
    assert first["time"].endswith("+00:00")
    assert "request_id" not in second
    assert "KeyError: 'word'" in second["exception"]


def test_handlers_of_others_stay_open(tmp_path):
    """TensorFlow's, for one, would close stderr with itself."""
    other = logging.FileHandler(tmp_path / "other.log")
    for _ in range(2):
        logs.configure(file=tmp_path / "app.log", stderr=False)
    assert not other.stream.closed
    other.close()
    logging.getLogger("ner_lstm_component.some").info("once")
    assert len(lines(tmp_path / "app.log")) == 1


def test_stderr_environment_and_level(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(logs.FILE_VARIABLE, str(tmp_path / "app.log"))
    monkeypatch.setenv(logs.LEVEL_VARIABLE, "debug")
    logs.configure()
    logging.getLogger("ner_lstm_component.some").debug("Here")
    assert json.loads(capsys.readouterr().err)["message"] == "Here"
    assert lines(tmp_path / "app.log")[0]["message"] == "Here"
    with pytest.raises(ValueError, match=r"one of debug, info, warning, error\. Received: 'loud'"):
        logs.configure(level="loud")


def test_recorded(tmp_path):
    logs.configure(file=tmp_path / "app.log", stderr=False)
    with logs.recorded("convert", seed=1) as logger:
        logger.info("Converted")

    with pytest.raises(ValueError, match="no such file"), logs.recorded("evaluate"):
        raise ValueError("no such file")
    found = lines(tmp_path / "app.log")
    messages = "Start, Converted, End, Start, Failed: ValueError"
    assert ", ".join(one["message"] for one in found) == messages
    assert found[0]["seed"] == 1
    assert "no such file" in found[-1]["exception"]


def write_many(path: Path, name: str) -> None:
    handler = logs.SharedRotatingFileHandler(path, maxBytes=10_000, backupCount=100)
    for n in range(500):
        handler.emit(logging.makeLogRecord({"msg": f"{name} {n} {'x' * 80}"}))
    handler.close()


@pytest.mark.skipif(sys.platform == "win32", reason="has no lock between processes")
def test_processes_share_a_rotating_file(tmp_path):
    path = tmp_path / "app.log"
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=write_many, args=(path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    files = list(tmp_path.glob("app.log*"))
    assert all(file.stat().st_size <= 10_000 for file in files)
    written = [line for file in files for line in file.read_text().splitlines()]
    expected = [f"{name} {n}" for name in "ab" for n in range(500)]
    assert sorted(line.rsplit(" ", 1)[0] for line in written) == sorted(expected)
