from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import spacy
from loading import load_script, runner
from samples import noisy_docs
from spacy.tokens import DocBin
from spacy.training import Corpus

calibration = load_script("calibration")
run = runner(calibration)


@pytest.fixture(scope="module")
def model(tmp_path_factory, trained_nlp) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "model"
    trained_nlp.to_disk(path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory, train_examples) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "dev.spacy"
    DocBin(docs=noisy_docs(train_examples)).to_disk(path)
    return path


def test_report(model, data, tmp_path):
    result = run(model, data, "--output", tmp_path)
    report = json.loads((tmp_path / "calibration.json").read_text())
    assert sum(row["entities"] for row in report["reliability"]) == report["entities"]
    assert 0.1 < report["expected_calibration_error"] < 0.5
    assert f"{report['expected_calibration_error']:.4f}" in result.output
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_thresholds_are_the_components(model, data):
    """The figures of one run agree with spaCy's scorer for each threshold."""
    nlp = spacy.load(model)
    ruler = nlp.add_pipe("entity_ruler", before="ner_lstm")
    ruler.add_patterns([{"label": "geo", "pattern": "Oslo"}])
    predictions = calibration.predict(nlp, list(Corpus(data)(nlp)), "ner_lstm")
    assert predictions.others == 15  # entities without a confidence
    # Between two confidences, so that the threshold divides them.
    for threshold in np.quantile(predictions.confidence, [0.0, 0.3, 0.6, 0.9]):
        row = calibration.at_threshold(predictions, threshold - 1e-7)
        nlp.get_pipe("ner_lstm").threshold = threshold - 1e-7
        scores = nlp.evaluate(list(Corpus(data)(nlp)))
        for name, key in (("precision", "ents_p"), ("recall", "ents_r"), ("f1", "ents_f")):
            assert row[name] == pytest.approx(scores[key])


def test_fit_is_saved(model, data, tmp_path):
    spacy.load(model).to_disk(tmp_path / "model")
    reports = []
    for options in ([], ["--fit"]):
        run(tmp_path / "model", data, "--output", tmp_path, *options)
        reports.append(json.loads((tmp_path / "calibration.json").read_text()))
    before, after = reports
    assert after["temperature"] > 1
    overconfidence = [
        sum(row["entities"] * (row["confidence"] - row["accuracy"]) for row in one["reliability"])
        for one in reports
    ]
    assert abs(overconfidence[1]) < overconfidence[0]
    assert after["thresholds"][0] == before["thresholds"][0]
    fitted = spacy.load(tmp_path / "model").get_pipe("ner_lstm")
    assert fitted.temperature == after["temperature"]
    assert (fitted.confidence, fitted.threshold) == (False, 0.0)


def test_errors_say_what_is_wrong(model, data, tmp_path):
    blank = spacy.blank("en")
    blank.to_disk(tmp_path / "blank")
    DocBin(docs=[blank("No entity .")]).to_disk(tmp_path / "none.spacy")
    for arguments, message in (
        ((tmp_path / "missing", data), "cannot be read"),
        ((tmp_path / "blank", data), "no component 'ner_lstm'"),
        ((model, data, "--component", "other"), "Its components: ner_lstm"),
        ((model, tmp_path / "none.spacy"), "no annotated entity"),
    ):
        result = run(*arguments, "--output", tmp_path, exit_code=1)
        assert not (tmp_path / "calibration.json").exists()
        assert message in " ".join(result.stderr.split())
