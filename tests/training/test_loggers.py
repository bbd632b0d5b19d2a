from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest
import spacy
import tensorflow as tf
from samples import run_app
from spacy.cli import app as cli
from spacy.tokens import DocBin
from spacy.util import registry

from ner_lstm_component.training.loggers import tensorboard_logger, training_logger

CONFIG = Path(__file__).parents[2] / "configs" / "spacy_ner.cfg"

INFO = {
    "epoch": 1,
    "step": 250,
    "score": 0.75,
    "losses": {"ner": 12.5},
    "other_scores": {
        "ents_f": 0.75,
        "pos_acc": None,
        "ents_per_type": {"geo": {"p": 1.0, "r": 0.5, "f": 0.667}},
    },
}


@pytest.fixture
def nlp():
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    training = {"max_steps": 0, "eval_frequency": 250, "score_weights": {"ents_f": 1.0}}
    nlp.config["training"] = training
    return nlp


def records(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def scalars(folder) -> dict[tuple[int, str], float]:
    (path,) = folder.iterdir()
    return {
        (event.step, value.tag): pytest.approx(value.simple_value, rel=1e-5)
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }


def test_tensorboard_logger_also_logs_to_the_console(nlp, tmp_path):
    out = io.StringIO()
    assert registry.loggers.get("ner_lstm_component.TensorBoardLogger.v1") is tensorboard_logger
    log_step, finalize = tensorboard_logger(str(tmp_path), progress_bar="eval")(nlp, out, out)
    for info in ({**INFO, "step": 0, "score": 0.0}, None, INFO):
        log_step(info)
    finalize()
    found = scalars(tmp_path)
    assert {name: value for (step, name), value in found.items() if step == 250} == {
        "score": 0.75,
        "loss/ner": 12.5,
        "scores/ents_f": 0.75,
        "types_f1/geo": 0.667,
    }
    assert found[0, "score"] == 0
    assert "LOSS NER" in out.getvalue()


def test_without_tensorboardx_the_way_out_is_named(nlp, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"ner-lstm-component\[tensorboard\]"):
        tensorboard_logger(str(tmp_path))(nlp, io.StringIO(), io.StringIO())


def test_is_reached_from_the_command_line(train_examples, tmp_path, monkeypatch):
    """Override the logger of a config that names spaCy's."""
    monkeypatch.chdir(tmp_path)
    DocBin(docs=[eg.reference for eg in train_examples]).to_disk("data.spacy")
    options = (
        "--paths.train data.spacy --paths.dev data.spacy --paths.log log.jsonl "
        "--training.max_steps 2 --training.eval_frequency 1 --training.logger.log_dir runs "
        "--training.logger.@loggers ner_lstm_component.TensorBoardLogger.v1 "
        "--components.tok2vec.model.encode.width 16 "
        "--components.tok2vec.model.embed.rows [100,100,100,100]"
    )
    run_app(cli, "train", CONFIG, *options.split())
    assert {step for step, _ in scalars(tmp_path / "runs")} == {0, 1, 2}
    assert [line["step"] for line in records(tmp_path / "log.jsonl")] == [0, 1, 2]


def test_our_log_has_settings_scores_and_the_end_or_error(nlp, tmp_path):
    assert registry.loggers.get("ner_lstm_component.Logger.v1") is training_logger
    path = tmp_path / "logs" / "app.log"
    set_up = training_logger(console_output=False, log_file=path)
    log_step, finalize = set_up(nlp, io.StringIO(), io.StringIO())
    log_step(None)
    log_step(INFO)
    finalize()
    with contextlib.suppress(ValueError):
        _, finalize = set_up(nlp, io.StringIO(), io.StringIO())
        try:  # as spaCy's loop does
            raise ValueError("no more disk")
        finally:
            finalize()
    start, evaluation, end, _, failed = records(path)
    assert (start["message"], end["message"], failed["level"]) == ("Start", "End", "error")
    assert start["training"]["eval_frequency"] == 250
    names = ("step", "scores/ents_f", "types_f1/geo")
    assert [evaluation[name] for name in names] == [250, 0.75, 0.667]
    assert "no more disk" in failed["exception"]
