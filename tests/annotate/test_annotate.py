"""``ner-lstm annotate``, from the file to the folder of parts."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from samples import SENTENCES, run_app
from spacy.tokens import DocBin

from ner_lstm_component import cli
from ner_lstm_component.annotate import annotator, engines
from ner_lstm_component.annotate import parts as module
from ner_lstm_component.annotate.job import Job
from ner_lstm_component.annotate.parts import Source

TEXTS = [" ".join(token.partition("/")[0] for token in s.split()) for s in SENTENCES]
annotate = partial(run_app, cli.app, "annotate")


@pytest.fixture(scope="module")
def model(trained_nlp, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("annotate") / "pipeline"
    trained_nlp.to_disk(folder)
    return folder


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """Sixty records in six parts, with a field beside the text."""
    monkeypatch.setattr(module, "PART_ROWS", 10)
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"id": range(60), "body": TEXTS * 5}), path)
    return path


def entities_of(nlp, text):
    return [(ent.text, ent.label_, ent.start_char, ent.end_char) for ent in nlp(text).ents]


def tuples(ents):
    return [(ent["text"], ent["label"], ent["start"], ent["end"]) for ent in ents]


def read_jsonl(folder, pattern="part-*"):
    lines = [line for path in sorted(folder.glob(pattern)) for line in path.open()]
    return list(map(json.loads, lines))


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("part-*")}


def test_jsonl(model, trained_nlp, data, tmp_path):
    result = annotate(model, data, "--output", tmp_path / "out", "--text", "body")
    assert result.stdout.startswith("60 records, ")
    assert len(list((tmp_path / "out").glob("part-*.jsonl"))) == 6
    records = read_jsonl(tmp_path / "out")
    assert [one["id"] for one in records] == list(range(60))
    for one in records:
        assert tuples(one["ents"]) == entities_of(trained_nlp, one["body"])
        assert all(0.2 < ent["score"] <= 1 for ent in one["ents"])
    assert sum(len(one["ents"]) for one in records) > 60


def test_parquet_keeps_types_and_order(model, data, tmp_path):
    for form in ("parquet", "jsonl"):
        options = ("--text", "body", "--format", form, "--no-scores")
        annotate(model, data, "--output", tmp_path / form, *options)
    table = pa.concat_tables(map(pq.read_table, sorted((tmp_path / "parquet").glob("part-*"))))
    assert table.schema.names == ["id", "body", "ents"]
    assert table.schema.field("id").type == pa.int64()
    assert table.to_pylist() == read_jsonl(tmp_path / "jsonl")
    assert table.to_pylist()[0]["ents"][0]["score"] is None


def test_docbin_in_and_out(model, trained_nlp, data, tmp_path):
    annotate(model, data, "--output", tmp_path / "out", "--text", "body", "--format", "spacy")
    first = sorted((tmp_path / "out").glob("part-*.spacy"))[0]
    docs = list(DocBin(store_user_data=True).from_disk(first).get_docs(trained_nlp.vocab))
    assert [doc.text for doc in docs] == TEXTS[:10]
    assert json.loads(docs[3].user_data["fields"]) == {"id": 3}
    assert docs[0].ents[0]._.confidence > 0.2
    # Docs keep their entities.
    kept = trained_nlp.make_doc("Nobody said a word .")
    kept.set_ents([kept[0:1]], default="outside")
    kept.ents = [spacy.tokens.Span(kept, 0, 1, "mine")]
    docs[0].user_data["source"] = "x"
    DocBin(docs=[docs[0], kept], store_user_data=True).to_disk(tmp_path / "docs.spacy")
    annotate(model, tmp_path / "docs.spacy", "--output", tmp_path / "b", "--format", "spacy")
    (part,) = (tmp_path / "b").glob("part-*")
    again, mine = DocBin(store_user_data=True).from_disk(part).get_docs(trained_nlp.vocab)
    assert again.user_data["source"] == "x"
    assert [(ent.text, ent.label_) for ent in mine.ents] == [("Nobody", "mine")]


def test_fields_of_jsonl_and_csv_as_columns(model, tmp_path):
    lines = [{"text": "Oslo and Paris", "n": 1, "tags": ["a"]}, {"text": "It", "n": None}]
    lines += [{"text": "Oslo", "n": "x"}, {"text": "Oslo", "other": 1}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    annotate(model, path, "--output", tmp_path / "out", "--format", "parquet")
    rows = pq.read_table(tmp_path / "out" / "part-000000.parquet").to_pylist()
    assert [(row["n"], row["tags"]) for row in rows] == [(1, ["a"]), (None, None)]
    # A later part's fields are held to those of the first part.
    job = Job(str(model), "text", tmp_path / "more", "parquet", True, None, rows_schema(path))
    (tmp_path / "more").mkdir()
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (counts,) = map(job.start(job.load()), Source(path).parts())
    assert (counts.records, counts.bad) == (2, 2)
    reasons = [one["reason"] for one in read_jsonl(tmp_path / "more", "bad-*")]
    assert "not of the type" in reasons[0]
    assert reasons[1] == "fields that the first records lack: other"
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "n"), ("Oslo", 1)])
    annotate(model, tmp_path / "a.csv", "--output", tmp_path / "c", "--format", "parquet")
    (row,) = pq.read_table(tmp_path / "c" / "part-000000.parquet").to_pylist()
    assert (row["n"], row["ents"][0]["label"]) == ("1", "geo")


def rows_schema(path):
    from ner_lstm_component.annotate.run import _schema

    return _schema(Source(path))


def test_engines_write_the_same(model, data, tmp_path):
    for name, options in {"one": (), "two": ("--workers", 2)}.items():
        options = (*options, "--text", "body", "--format", "parquet")
        annotate(model, data, "--output", tmp_path / name, *options)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 6


def test_goes_on_where_it_stopped(model, data, tmp_path):
    out = tmp_path / "out"
    options = (model, data, "--output", out, "--text", "body")
    annotate(*options)
    expected = files(out)
    for name in sorted(expected)[2:5]:
        (out / name).unlink()
    (out / ".part-000003").write_text("half")
    kept = (out / "part-000000.jsonl").stat().st_mtime_ns
    result = annotate(*options)
    assert result.stdout.startswith("30 records, ")
    assert "3 parts had been written before" in result.stdout
    assert files(out) == expected
    assert (out / "part-000000.jsonl").stat().st_mtime_ns == kept
    assert not list(out.glob(".part-*"))
    assert annotate(*options).stdout.startswith("0 records, ")
    result = annotate(*options, "--no-scores", exit_code=1)
    assert "annotation of another run, which differs in: scores" in result.stderr
    data.touch()
    assert "differs in: input" in annotate(*options, exit_code=1).stderr
    assert files(out) == expected


def test_bad_records_are_kept_aside(model, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "Oslo"}\n{"text": null}\n{"text": "Paris"}\n\xff\n')
    result = annotate(model, path, "--output", tmp_path / "out", exit_code=3)
    assert [one["text"] for one in read_jsonl(tmp_path / "out")] == ["Oslo", "Paris"]
    bad = read_jsonl(tmp_path / "out", "bad-*")
    assert [one["place"] for one in bad] == ["line 2", "line 4"]
    assert bad[0]["data"] == '{"text": null}'
    assert "bad-000000.jsonl" in result.stderr
    # Also if there was nothing left to do.
    annotate(model, path, "--output", tmp_path / "out", exit_code=3)


def test_a_text_that_breaks_a_component(trained_nlp, monkeypatch):
    annotate_records = annotator.Annotator(spacy.blank("en"), scores=True)
    make_doc = annotate_records.nlp.make_doc

    def failing(text):
        if "bomb" in text:
            raise RuntimeError("boom")
        return make_doc(text)

    monkeypatch.setattr(annotate_records.nlp, "make_doc", failing)
    texts = ["fine", "a bomb", "fine too"]
    records = [annotator.Record(str(n), text, {"text": text}) for n, text in enumerate(texts)]
    first, bad, last = annotate_records(records)
    assert (bad.place, bad.reason) == ("1", "the pipeline failed: RuntimeError('boom')")
    assert first.ents == last.ents == []


def test_long_texts_are_read_in_parts_at_sentence_borders(model, trained_nlp, monkeypatch):
    monkeypatch.setattr(annotator, "LONG", 300)
    text = " ".join(TEXTS * 6) + " \n\n" + "x" * 1_000 + " Oslo ."
    annotate_records = annotator.Annotator(spacy.load(model), scores=True, keeps_docs=True)
    record = annotator.Record("1", text, {"text": text})
    for found in annotate_records([record]):  # its Doc is valid here only
        assert found.doc.text == text
        assert tuples(found.ents) == entities_of(trained_nlp, text)
        assert len(found.ents) > 60
        assert all(ent["score"] for ent in found.ents)


@pytest.mark.slow
def test_a_document_of_100_MB(model, tmp_path):
    filler = "Incomprehensibilities notwithstanding, internationalization disproportionately "
    paragraph = f"{filler * 4}counterrevolutionaries. {' '.join(TEXTS[:3])} "
    path = tmp_path / "a.txt"
    path.write_text(paragraph * (100_000_000 // len(paragraph) + 1) + "\nOslo .\n")
    annotate(model, path, "--output", tmp_path / "out", "--no-scores")
    long, short = read_jsonl(tmp_path / "out")
    assert len(long["text"]) > 100_000_000
    assert len(long["ents"]) > 500_000
    assert all(long["text"][e["start"] : e["end"]] == e["text"] for e in long["ents"][-1_000:])
    assert short["ents"][0]["label"] == "geo"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{model} {data}.csv --output out", "data.parquet.csv: no such file"),
        ("{model} {data} --output out", "no column 'text'; found 'id', 'body'"),
        ("none {data} --output out --text body", "none: cannot be loaded"),
        ("{model} {data} --output {data} --text body", "data.parquet: cannot be written"),
        ("{model} {data} --output . --text body", "has other files"),
        ("{model} {txt} --output out --engine ray", "--engine ray reads Parquet only"),
        ("{model} {txt} --output out --address x", "--address is that of a Ray cluster"),
    ],
)
def test_errors_come_before_the_work(model, data, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("Oslo\n")
    given = arguments.format(model=model, data=data, txt="a.txt").split()
    result = annotate(*given, exit_code=1)
    assert message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(model, data, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    arguments = (model, data, "--output", tmp_path / "closed" / "out", "--text", "body")
    assert "cannot be written" in annotate(*arguments, exit_code=1).stderr


def test_what_is_not_installed_is_named(model, data, tmp_path, monkeypatch):
    find = cli.find_spec
    for missing, extra in (("pyarrow", "annotate"), ("ray", "ray")):
        monkeypatch.setattr(cli, "find_spec", lambda n, m=missing: None if n == m else find(n))
        result = annotate(model, data, "--output", tmp_path / "o", "--engine", "ray", exit_code=1)
        assert f"needs {missing}, which is not installed" in result.stderr
        assert f"ner-lstm-component[{extra}]" in result.stderr


def test_one_run_at_a_time(model, data, tmp_path):
    out = tmp_path / "out"
    options = (model, data, "--output", out, "--text", "body")
    annotate(*options)

    fcntl = pytest.importorskip("fcntl")
    with (out / "annotate.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = annotate(*options, exit_code=1)
    assert "another run is writing there" in result.stderr


def test_a_worker_that_is_killed(model, data, tmp_path):
    job = Job(str(model), "body", tmp_path, "jsonl", True, None)

    def parts():
        for part in Source(data, "body").parts():
            if part.number == 5:  # the workers have started
                for child in multiprocessing.active_children():
                    os.kill(child.pid, signal.SIGKILL)
            yield part

    with pytest.raises(module.AnnotateError, match="A worker was killed"):
        list(engines.in_pool(job, parts(), 2))


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_with_whole_parts(model, tmp_path, workers):
    path = tmp_path / "data.txt"
    path.write_text("".join(f"{n} {text}\n" for n in range(30_000) for text in TEXTS))
    command = [sys.executable, "-m", "ner_lstm_component.cli", "annotate", str(model), str(path)]
    command += ["--workers", workers, "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not files(tmp_path / "out") and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 130
    assert printed == "Stopped. Run the command again to go on.\n"
    assert 0 < len(files(tmp_path / "out")) < 5


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_nothing_is_lost_or_doubled(model, tmp_path, workers):
    """Five kills for each number of workers, at random moments."""
    path = tmp_path / "data.parquet"
    texts = [f"{n} {text}" for n in range(2_500) for text in TEXTS]
    pq.write_table(pa.table({"id": range(len(texts)), "text": texts}), path, row_group_size=1_000)
    command = [sys.executable, "-m", "ner_lstm_component.cli", "annotate", str(model), str(path)]
    command += ["--workers", str(workers), "--output"]
    start = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    seconds = time.monotonic() - start
    expected = files(tmp_path / "whole")
    assert len(expected) == 30
    rng = random.Random(workers)
    for n in range(5):
        out = tmp_path / str(n)
        process = subprocess.Popen(
            [*command, str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(rng.uniform(0, seconds))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        subprocess.run([*command, str(out)], check=True, capture_output=True)
        assert files(out) == expected
        assert {path.name for path in out.iterdir()} == {*expected, "annotate.json"}
