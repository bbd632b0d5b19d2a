from __future__ import annotations

from pathlib import Path

import pytest
import spacy
import srsly
from loading import load_script, runner
from spacy.cli.package import package

run = runner(load_script("model_card"))


def score(f1: float, gold: int, **more: object) -> dict[str, object]:
    return {"precision": f1, "recall": f1, "f1": f1, "gold": gold, "intervals": {}, **more}


METRICS = {
    "documents": 1200,
    "tokens": 20000,
    "micro": score(0.851, 3000, intervals={"f1": [0.841, 0.862]}),
    "types": {"geo": score(0.9, 2500), "per": score(0.5, 480), "art": score(0.7, 20)},
    "relaxed": {"partial": score(0.94, 3000), "exact": score(0.92, 3000)},
    "by_familiarity": {"never seen": score(0.617, 400)},
    "calibration": {"expected_calibration_error": 0.05},
    "notes": ["Types of the data that were never predicted: nat."],
}
OPTIONS = ("--split", "community, seed 0", "--name", "ner_lstm", "--version", "1.2.3")


@pytest.fixture
def model(tmp_path) -> Path:
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner")
    for label in ("geo", "per", "a|b"):
        ner.add_label(label)
    nlp.initialize()
    nlp.to_disk(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def metrics(tmp_path) -> Path:
    srsly.write_json(tmp_path / "metrics.json", METRICS)
    return tmp_path / "metrics.json"


def test_says_data_scores_limits_and_licence(model, metrics):
    run(model, metrics, "--dataset", "assets/ner_dataset.csv.zip", *OPTIONS)
    card = " ".join((model / "README.md").read_text(encoding="utf-8").split())
    for text in (
        "# en_ner_lstm 1.2.3",
        'spacy.load("en_ner_lstm")',
        "types a\\|b, geo, per (components: `ner`)",
        "Groningen Meaning Bank",
        "Split: community, seed 0.",
        "1,200 sentences, 20,000 tokens, 3,000 entities",
        "| all | 85.1 | 85.1 | 85.1 (84.1–86.2) | 3,000 |",
        "| per | 50.0 | 50.0 | 50.0 | 480 |",
        "have a low F1: per (F1 50.0, 480 entities), art (F1 70.0, 20 entities).",
        "an F1 of 61.7 (400 of the test entities)",
        "off by 5.0 percentage points",
        "never predicted: nat.",
        "MIT licence",
        "its own terms",
    ):
        assert text in card


def test_spacy_package_includes_it(model, metrics, tmp_path):
    run(model, metrics, "--dataset", "mine/other.csv", *OPTIONS)
    assert "Trained on `other.csv`." in (model / "README.md").read_text(encoding="utf-8")
    assert "legend" not in spacy.load(model).meta
    run(model, metrics, "--dataset", "corpus", *OPTIONS)
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "This pipeline is an example" in card
    (tmp_path / "out").mkdir()
    package(model, tmp_path / "out", name="ner_lstm", version="1.2.3", create_sdist=False)
    root = tmp_path / "out" / "en_ner_lstm-1.2.3"
    inside = root / "en_ner_lstm" / "en_ner_lstm-1.2.3"
    for folder in (root, inside):  # the first becomes the wheel's description
        assert (folder / "README.md").read_text(encoding="utf-8") == card
    assert srsly.read_json(inside / "meta.json")["legend"]["tim"] == "Times"


def test_files_that_cannot_be_read(model, metrics, tmp_path):
    srsly.write_json(tmp_path / "other.json", {"documents": 5})
    for *arguments, message in (
        (tmp_path / "none", metrics, "cannot be written"),
        (model, tmp_path / "none.json", "cannot be written"),
        (model, tmp_path / "other.json", "lacks 'types'"),
    ):
        result = run(*arguments, "--dataset", "corpus", *OPTIONS, exit_code=1)
        assert message in result.output
    assert not (model / "README.md").exists()
