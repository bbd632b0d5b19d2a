"""Runs, their rows, and the tables made from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from loading import flat, load_script, runner
from samples import make_doc
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

ROOT = Path(__file__).parents[2]
TABLES = ("any", "community", "deduplicated", "types", "ways", "tried")
experiment = load_script("experiment")
run = runner(experiment)


def write(path: Path, *sentences: str) -> None:
    """Write Docs as convert.py does."""
    docs = [make_doc(Vocab(), sentence) for sentence in sentences]
    DocBin(["ORTH", "SPACY", "TAG", "ENT_IOB", "ENT_TYPE"], docs=docs).to_disk(path)


@pytest.fixture
def data(tmp_path):
    sentences = ("He left Rome/B-geo .", "She saw al-Qaida/B-org men .", "Rome/B-geo is n't here .")
    for part in ("train", "dev", "test"):
        write(tmp_path / f"{part}.spacy", *sentences)
    return tmp_path


@pytest.fixture
def ruler(tmp_path):
    """A pipeline that finds al-Qaida only where it is one token."""
    nlp = spacy.blank("en")
    found = [("geo", "Rome"), ("org", "al-Qaida")]
    patterns = [{"label": label, "pattern": [{"ORTH": word}]} for label, word in found]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)
    nlp.to_disk(tmp_path / "ruler")
    return tmp_path / "ruler"


@pytest.fixture
def untrained(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm").add_label("geo")
    nlp.initialize()
    nlp.get_pipe("ner_lstm").temperature = 1.75
    nlp.to_disk(tmp_path / "untrained")
    return tmp_path / "untrained"


def rows_of(command: str, *arguments: object, runs: Path) -> list[dict]:
    run(command, *arguments, "--split", "own", "--runs", runs)
    return [json.loads(line) for line in runs.read_text().splitlines()]


def test_a_pipeline_is_scored_on_all_inputs(data, ruler, tmp_path):
    arguments = ("score", ruler, data, "--system", "ruler", "--part", "dev", "--part", "test")
    (row,) = rows_of(*arguments, runs=tmp_path / "runs.jsonl")
    # spaCy's tokenizer splits al-Qaida: two of three entities are found.
    expected = {"ents_f": 100, "paragraphs_f": 100, "raw_text_f": 80, "raw_paragraphs_f": 80}
    expected |= {"per_type_f": {"geo": 100, "org": 100}, "inside_tokens": 0}
    for part in ("dev", "test"):
        assert row[part].items() >= expected.items()


def test_boundaries_inside_tokens_are_counted(tmp_path):
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, words=["the", "U.", "S."], spaces=[True, False, False])
    doc.ents = [Span(doc, 1, 2, label="geo")]
    DocBin(docs=[doc]).to_disk(tmp_path / "dev.spacy")
    assert experiment.score_all_inputs(nlp, tmp_path / "dev.spacy")["inside_tokens"] == 50.0


def test_training_appends_a_row(data, tmp_path):
    config = tmp_path / "own.cfg"
    config.write_text((ROOT / "configs" / "spacy_ner.cfg").read_text())
    arguments = ["train", config, data, "--seed", 3, "--sentences", 2, "--note", "two steps"]
    arguments += ["--training.max_steps", 2, "--training.eval_frequency", 1]
    (row,) = rows_of(*arguments, runs=tmp_path / "runs.jsonl")
    expected = {"system": "spaCy ner", "config": "own.cfg", "seed": 3, "sentences": 2}
    assert row.items() >= {**expected, "note": "two steps"}.items()
    assert "--training.max_steps 2" in row["command"]
    assert str(tmp_path) not in json.dumps(row)
    assert ("dev" in row, "test" in row) == (True, False)


@pytest.mark.slow
def test_a_final_training_uses_dev_and_the_earlier_temperature(data, untrained, tmp_path):
    write(data / "dev.spacy", "Oslo/B-city")
    arguments = ["final", ROOT / "configs" / "default.cfg", data, untrained, "--steps", 2]
    arguments += ["--output", tmp_path / "out"]
    (row,) = rows_of(*arguments, runs=tmp_path / "runs.jsonl")
    assert row["system"] == "ner_lstm, trained on dev too"
    assert ("dev" in row, "test" in row) == (False, True)
    component = spacy.load(tmp_path / "out" / "model-last").get_pipe("ner_lstm")
    assert component.temperature == 1.75
    assert "city" in component.labels


def test_a_threshold_is_set_in_the_scored_pipeline(data, untrained, tmp_path):
    arguments = ["score", untrained, data, "--system", "own", "--threshold", 1.0, "--part", "test"]
    (row,) = rows_of(*arguments, runs=tmp_path / "runs.jsonl")
    assert spacy.load(untrained).get_pipe("ner_lstm").threshold == 1.0
    assert row["test"]["ents_r"] == 0.0


def test_a_larger_sample_contains_the_smaller(data, tmp_path):
    samples = []
    for n in (1, 2):
        experiment.write_subset(data / "train.spacy", n, tmp_path / "subset.spacy")
        docs = DocBin().from_disk(tmp_path / "subset.spacy").get_docs(Vocab())
        samples.append({doc.text for doc in docs})
    assert samples[0] < samples[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("score {}/ruler {} --system own --split own --part all", "--part all"),
        ("train configs/spacy_ner.cfg {}/ruler --split own", "lacks train.spacy"),
        ("train configs/spacy_ner.cfg {} --split own --sentences 4", "--sentences 4"),
    ],
)
def test_bad_arguments_are_refused(data, ruler, arguments, message):
    result = run(*arguments.replace("{}", str(data)).split(), exit_code=2)
    assert message in flat(result.output)


def scored(system, seed, f, **more):
    row = {"split": "community", "system": system, "seed": seed, "note": "", "megabytes": 5.0}
    scores = {"ents_f": f, "raw_text_f": f - 1, "paragraphs_f": f, "raw_paragraphs_f": f}
    scores |= {"inside_tokens": 0.5, "per_type_f": {"geo": f + 2, "tim": f - 2}}
    return row | {"dev": scores, "test": scores, "minutes": 7} | more


def test_tables_are_made_from_the_rows(tmp_path):
    rows = [
        scored("ours", 0, 85.0),
        scored("ours", 1, 86.0),
        scored("theirs", 0, 84.0),
        scored("ours", 0, 70.0, sentences=500),
        scored("ours", 0, 80.0, note="something else"),
    ]
    runs, page = tmp_path / "runs.jsonl", tmp_path / "page.md"
    runs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page.write_text("".join(f"{n}:\n<!-- table {n} -->\nstale\n<!-- end -->\n" for n in TABLES))
    run("tables", "--runs", runs, "--page", page)
    text = page.read_text()
    assert "stale" not in text
    assert "| ours | 0, 1 | 85.00, 86.00 | 85.50 ± 0.50 | 85.00, 86.00 | 7, 7 | 5 |" in text
    assert "| ours | 87.5 | 83.5 |" in text
    assert "| theirs | 84.00 | 83.00 | 84.00 | 84.00 | 0.50 |" in text
    assert "| something else | ours | 80.00 | 79.00 | 7 |" in text
    # Of other data, only what both systems have been trained on.
    assert "community, all |" not in text
    page.write_text("no place for a table")
    run("tables", "--runs", runs, "--page", page, exit_code=2)
    text = experiment.PAGE.read_text(encoding="utf-8")
    assert text.count("<!-- table ") == text.count("<!-- end -->") == len(TABLES)


def test_the_default_config_is_compared_with_spacy(tmp_path):
    rows = [
        scored("ner_lstm", 0, 70.0, sentences=2000),
        scored("ner_lstm", 1, 71.0, sentences=2000),
        scored("spaCy ner", 0, 69.0, sentences=2000),
        scored("spaCy ner", 0, 50.0, sentences=2000, note="something else"),
        scored("ner_lstm", 0, 60.0, split="tweets"),
        scored("spaCy ner", 0, 61.0, split="tweets"),
        scored("ner_lstm", 0, 60.0, split="books"),
    ]
    expected = [
        "| data | ner_lstm | seeds | spaCy ner | seeds | difference |",
        "| tweets | 60.00 ± 0.00 | 60.00 | 61.00 ± 0.00 | 61.00 | -1.00 |",
        "| community, 2,000 sentences | 70.50 ± 0.50 | 70.00, 71.00 | 69.00 ± 0.00 | 69.00 "
        "| +1.50 |",
    ]
    lines = experiment.any_table(rows).splitlines()
    assert [lines[0], *lines[2:]] == expected


def test_settings_that_follow_from_the_data(data):
    options = experiment.recipe_options(ROOT / "configs" / "default.cfg", data / "train.spacy")
    assert options == ["--training.eval_frequency", "25", "--training.patience", "250"]
    assert experiment.recipe_options(ROOT / "configs" / "gpu.cfg", data / "train.spacy") == []
