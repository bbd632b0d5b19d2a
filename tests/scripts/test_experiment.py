"""Runs, their rows, and the tables that are made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from loading import load_script
from spacy.tokens import Doc, DocBin, Span
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def experiment():
    return load_script("experiment")


# As convert.py has them.
ATTRIBUTES = ["ORTH", "SPACY", "TAG", "ENT_IOB", "ENT_TYPE"]
SENTENCES = ["He left Rome .", "She saw al-Qaida men .", "Rome is n't here ."]
ENTITIES = [[(2, 3, "geo")], [(2, 3, "org")], [(0, 1, "geo")]]


@pytest.fixture
def data(tmp_path):
    nlp = spacy.blank("en")
    docs = []
    for text, entities in zip(SENTENCES, ENTITIES, strict=True):
        doc = Doc(nlp.vocab, words=text.split())
        doc.ents = [Span(doc, start, end, label=label) for start, end, label in entities]
        docs.append(doc)
    for part in ("train", "dev", "test"):
        DocBin(ATTRIBUTES, docs=docs).to_disk(tmp_path / f"{part}.spacy")
    return tmp_path


@pytest.fixture
def ruler(tmp_path):
    """Knows Rome everywhere, al-Qaida only where it is one token."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(
        [
            {"label": "geo", "pattern": [{"ORTH": "Rome"}]},
            {"label": "org", "pattern": [{"ORTH": "al-Qaida"}]},
        ]
    )
    nlp.to_disk(tmp_path / "ruler")
    return str(tmp_path / "ruler")


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_pipeline_is_scored_all_ways(experiment, data, ruler, tmp_path):
    runs = tmp_path / "runs.jsonl"
    arguments = ["score", ruler, str(data), "--split", "own", "--system", "ruler"]
    arguments += ["--part", "dev", "--part", "test"]
    for _ in range(2):
        result = CliRunner().invoke(experiment.app, [*arguments, "--runs", str(runs)])
        assert result.exit_code == 0, result.output
    first, second = rows_of(runs)
    assert first == second
    assert (first["system"], first["split"], first["seed"]) == ("ruler", "own", 0)
    for part in ("dev", "test"):
        scores = first[part]
        assert (scores["ents_p"], scores["ents_r"], scores["ents_f"]) == (100.0, 100.0, 100.0)
        assert scores["per_type_f"] == {"geo": 100.0, "org": 100.0}
        # spaCy's tokenizer takes al-Qaida apart: two of three entities are found.
        assert scores["raw_text_f"] == scores["raw_paragraphs_f"] == 80.0
        assert scores["paragraphs_f"] == 100.0
        assert scores["inside_tokens"] == 0.0


def test_borders_inside_tokens_are_counted(experiment):
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, words=["the", "U.", "S."], spaces=[True, False, False])
    doc.ents = [Span(doc, 1, 2, label="geo")]
    assert experiment._borders_inside_tokens(nlp.make_doc(doc.text), doc) == 1


def test_training_appends_a_row(experiment, data, tmp_path):
    config = tmp_path / "own.cfg"
    config.write_text((ROOT / "configs" / "spacy_ner.cfg").read_text())
    runs = tmp_path / "runs.jsonl"
    arguments = ["train", str(config), str(data), "--split", "own", "--seed", "3"]
    arguments += ["--sentences", "2", "--note", "two steps", "--runs", str(runs)]
    result = CliRunner().invoke(
        experiment.app, [*arguments, "--training.max_steps", "2", "--training.eval_frequency", "1"]
    )
    assert result.exit_code == 0, result.output
    (row,) = rows_of(runs)
    assert (row["system"], row["config"], row["seed"]) == ("spaCy ner", "own.cfg", 3)
    assert (row["sentences"], row["note"]) == (2, "two steps")
    assert "--training.max_steps 2" in row["command"]
    assert str(tmp_path) not in json.dumps(row)
    assert "dev" in row
    assert "test" not in row


@pytest.mark.slow
def test_a_final_training_takes_dev_too_and_the_temperature_of_the_first(
    experiment, data, tmp_path
):
    nlp = spacy.blank("en")
    new = Doc(nlp.vocab, words=["Oslo"])
    new.ents = [Span(new, 0, 1, label="city")]
    DocBin(ATTRIBUTES, docs=[new]).to_disk(data / "dev.spacy")
    first = spacy.blank("en")
    first.add_pipe("ner_lstm").add_label("geo")
    first.initialize()
    first.get_pipe("ner_lstm").temperature = 1.75
    first.to_disk(tmp_path / "first")
    runs, output = tmp_path / "runs.jsonl", tmp_path / "out"
    arguments = ["final", str(ROOT / "configs" / "default.cfg"), str(data), str(tmp_path / "first")]
    arguments += ["--split", "own", "--steps", "2", "--output", str(output), "--runs", str(runs)]
    result = CliRunner().invoke(experiment.app, arguments)
    assert result.exit_code == 0, result.output
    (row,) = rows_of(runs)
    assert row["system"] == "ner_lstm, trained on dev too"
    assert "test" in row
    assert "dev" not in row
    component = spacy.load(output / "model-last").get_pipe("ner_lstm")
    assert component.temperature == 1.75
    assert "city" in component.labels


def test_a_threshold_is_set_in_the_scored_pipeline(experiment, data, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm").add_label("geo")
    nlp.initialize()
    nlp.to_disk(tmp_path / "own")
    runs = tmp_path / "runs.jsonl"
    arguments = ["score", str(tmp_path / "own"), str(data), "--split", "own", "--system", "own"]
    arguments += ["--threshold", "1.0", "--part", "test", "--runs", str(runs)]
    result = CliRunner().invoke(experiment.app, arguments)
    assert result.exit_code == 0, result.output
    assert spacy.load(tmp_path / "own").get_pipe("ner_lstm").threshold == 1.0
    (row,) = rows_of(runs)
    assert row["test"]["ents_r"] == 0.0
    assert "dev" not in row


def test_a_part_is_one_of_three(experiment, data, ruler):
    arguments = ["score", ruler, str(data), "--split", "own", "--system", "own", "--part", "all"]
    result = CliRunner().invoke(experiment.app, arguments)
    assert result.exit_code == 2
    assert "--part all" in result.output


def test_a_larger_draw_holds_the_smaller(experiment, data, tmp_path):
    nlp = spacy.blank("en")
    texts = []
    for n in (1, 2):
        experiment.write_subset(data / "train.spacy", n, tmp_path / "subset.spacy")
        docs = DocBin().from_disk(tmp_path / "subset.spacy").get_docs(nlp.vocab)
        texts.append([doc.text for doc in docs])
    assert texts[1][:1] == texts[0]
    assert len(texts[1]) == 2


@pytest.mark.parametrize("options", [["--sentences", "4"], ["--sentences", "0"]])
def test_what_cannot_be_run_is_refused_first(experiment, data, options):
    arguments = ["train", str(ROOT / "configs" / "spacy_ner.cfg"), str(data), "--split", "own"]
    result = CliRunner().invoke(experiment.app, [*arguments, *options])
    assert result.exit_code == 2
    assert "holds 3" in result.output


def test_data_without_a_part_is_refused(experiment, data, ruler):
    (data / "test.spacy").unlink()
    arguments = ["score", ruler, str(data), "--split", "own", "--system", "ruler"]
    result = CliRunner().invoke(experiment.app, arguments)
    assert result.exit_code == 2
    assert "test.spacy" in result.output


def scored(system, seed, f1, **more):
    scores = {"ents_f": f1, "raw_text_f": f1 - 1, "paragraphs_f": f1, "raw_paragraphs_f": f1}
    scores |= {"inside_tokens": 0.5, "per_type_f": {"geo": f1 + 2, "org": f1 - 2}}
    row = {"system": system, "split": "community", "seed": seed, "note": "", "megabytes": 5.0}
    return row | {"dev": scores, "test": scores, "minutes": 7} | more


def test_tables_are_made_of_the_rows(experiment, tmp_path):
    rows = [
        scored("ours", 0, 85.0),
        scored("ours", 1, 86.0),
        scored("theirs", 0, 84.0),
        scored("ours", 0, 70.0, sentences=500),
        scored("ours", 0, 80.0, note="something else"),
    ]
    runs, page = tmp_path / "runs.jsonl", tmp_path / "page.md"
    runs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = ("community", "deduplicated", "types", "ways", "sizes", "tried")
    page.write_text("".join(f"{n}:\n<!-- table {n} -->\nstale\n<!-- end -->\n" for n in names))
    for _ in range(2):  # the second time changes nothing
        result = CliRunner().invoke(
            experiment.app, ["tables", "--runs", str(runs), "--page", str(page)]
        )
        assert result.exit_code == 0, result.output
    text = page.read_text()
    assert "stale" not in text
    assert "| ours | 0, 1 | 85.00, 86.00 | 85.50 ± 0.50 | 85.00, 86.00 | 7, 7 | 5 |" in text
    assert "| ours | 87.5 | 83.5 |" in text
    assert "| theirs | 84.00 | 83.00 | 84.00 | 84.00 | 0.50 |" in text
    assert "| ours | 70.00 | 85.00 |\n| theirs |  | 84.00 |" in text
    assert "| something else | ours | 80.00 | 79.00 | 7 |" in text


def test_the_page_has_a_place_for_each_table(experiment, tmp_path):
    text = experiment.PAGE.read_text(encoding="utf-8")
    assert text.count("<!-- table ") == text.count("<!-- end -->") == 6
    page = tmp_path / "page.md"
    page.write_text("nothing")
    runs = tmp_path / "runs.jsonl"
    runs.write_text("")
    result = CliRunner().invoke(
        experiment.app, ["tables", "--runs", str(runs), "--page", str(page)]
    )
    assert result.exit_code == 2
