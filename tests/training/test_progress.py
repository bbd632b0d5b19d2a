from __future__ import annotations

import io
import json
import os
import signal

import pytest
import spacy
from spacy.language import Language

from ner_lstm_component.training import progress
from ner_lstm_component.training.progress import Stopped, progress_logger

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def nlp() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    nlp.config["training"] = {
        "max_steps": 900,
        "patience": 500,
        "eval_frequency": 250,
        "score_weights": {"ents_f": 1.0},
    }
    return nlp


def evaluation(*scores: float, name: str = "ents_f") -> dict:
    """Make the information that spaCy passes on after these scores, 250 steps apart."""
    checkpoints = [(score, 250 * number) for number, score in enumerate(scores)]
    return {
        **{"epoch": 2, "step": checkpoints[-1][1], "score": scores[-1], "losses": {"ner": 1.0}},
        **{"other_scores": {name: scores[-1]}, "checkpoints": checkpoints},
    }


@pytest.mark.parametrize(
    ("scores", "best", "total"),
    [
        ((0.0,), "best 0.0 at step 0", 501),
        ((0.0, 0.5), "best 50.0 at step 250", 751),
        ((0.0, 0.5, 0.5), "best 50.0 at step 250", 751),  # patience counts from the first
        ((0.0, 0.5, 0.6), "best 60.0 at step 500", 901),  # max_steps
    ],
)
def test_the_bar_ends_where_training_would(scores, best, total):
    info = evaluation(*scores)
    text = f"epoch 3, step {info['step']}: dev F1 {100 * scores[-1]:.1f}, {best}"
    assert progress._describe(info, 500, 900) == (text, total)
    assert progress._describe(info, 0, 0) == (text, None)


def test_another_score_is_not_called_f1():
    assert "dev score 50.0" in progress._describe(evaluation(0.5, name="cats_score"), 0, 0)[0]


def test_writes_the_log_and_calls_the_other_logger(nlp, tmp_path, capsys):
    calls: list[object] = []

    def other(*arguments):
        calls.append(arguments)
        return calls.append, lambda: calls.append("end")

    out, path = io.StringIO(), tmp_path / "log.jsonl"
    log_step, finalize = progress_logger(path, other)(nlp, out, out)
    infos = [evaluation(0.0), None, evaluation(0.0, 0.5)]
    for info in infos:
        log_step(info)
    rows = [json.loads(line) for line in path.read_text().splitlines()]  # a kill loses none
    assert [row["score"] for row in rows] == [0.0, 0.5]
    assert {name: rows[1][name] for name in ("epoch", "step", "losses")} == {
        "epoch": 2,
        "step": 250,
        "losses": {"ner": 1.0},
    }
    assert rows[1]["scores"]["ents_f"] == 50.0
    finalize()
    assert calls == [(nlp, out, out), *infos, "end"]
    with pytest.raises(FileExistsError):
        progress_logger(path, other)(nlp, out, out)
    assert "dev F1 50.0" in capsys.readouterr().err  # no terminal: a line for each evaluation
    assert spacy.registry.loggers.get("ner_lstm_component.ProgressLogger.v1") is progress_logger


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_after_the_step_and_the_second_at_once(nlp, tmp_path, number):
    received: list[int] = []
    before = [signal.signal(n, lambda number, frame: received.append(number)) for n in SIGNALS]
    ours = [signal.getsignal(n) for n in SIGNALS]
    try:
        none = (lambda info: None, lambda: None)
        log_step, finalize = progress_logger(tmp_path / "log", lambda *_: none)(nlp, None, None)
        log_step(None)
        os.kill(os.getpid(), number)
        assert received == []
        with pytest.raises(Stopped) as raised:
            log_step(None)
        assert (raised.value.number, str(raised.value)) == (number, number.name)
        os.kill(os.getpid(), number)
        assert received == [number]
        finalize()
        assert [signal.getsignal(n) for n in SIGNALS] == ours
    finally:
        for n, handler in zip(SIGNALS, before, strict=True):
            signal.signal(n, handler)
