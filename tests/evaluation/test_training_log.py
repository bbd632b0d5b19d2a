from __future__ import annotations

import pytest
import spacy
from spacy.training.loggers import console_logger_v3

from ner_lstm_component.evaluation.training_log import read_training_log


def test_reads_what_spacys_logger_writes(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    weights = {"ents_f": 1.0, "ents_p": 0.0, "ents_per_type": None}
    nlp.config["training"] = {"max_steps": 0, "eval_frequency": 1, "score_weights": weights}
    setup = console_logger_v3(console_output=False, output_file=tmp_path / "log.jsonl")
    log_step, finalize = setup(nlp)
    for step, score in ((0, 0.0), (250, 0.75)):
        info = {"epoch": 0, "step": step, "losses": {"ner": 12.5}, "score": score}
        log_step({**info, "other_scores": {"ents_f": score, "ents_p": 0.5}})
    log_step(None)
    finalize()
    first, last = read_training_log(tmp_path / "log.jsonl")
    assert (first.step, last.step) == (0, 250)
    assert last.losses == {"ner": 12.5}
    assert last.scores == {"ents_f": 75.0, "ents_p": 50.0, "ents_r": 0.0}
    assert last.score == 0.75


@pytest.mark.parametrize("content", ["", "{", "[]", "1", "{}", '{"step": 1, "losses": 2}', "\n"])
def test_something_else(tmp_path, content):
    path = tmp_path / "log.jsonl"
    path.write_text(content)
    message = r"log\.jsonl, line 1: not an evaluation" if content else "holds no evaluation"
    with pytest.raises(ValueError, match=message):
        read_training_log(path)
