"""What convert.py adds to the package's reading and splitting: options, messages, files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from loading import flat, load_script, runner
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

HEADER = "Sentence #,Word,POS,Tag\n"
NAMES = ("train.spacy", "dev.spacy", "test.spacy")
convert = load_script("convert")
run = runner(convert)


def rows(n: int, tag: str = "B-geo") -> str:
    return "".join(f"Sentence: {i},Town{i},NNP,{tag}\n,sleeps,VBZ,O\n" for i in range(n))


def docs(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(Vocab()))


def sizes(folder: Path) -> list[int]:
    return [len(docs(folder / name)) for name in NAMES]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(HEADER + rows(50), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "parts"
    path.mkdir()
    (path / "dev.csv").write_text(HEADER + "1,Äô,X,O\n", encoding="cp1252")
    for part, n in {"train": 3, "test": 2}.items():
        (path / f"{part}.csv").write_text(HEADER + rows(n), encoding="utf-8")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "corpus"


def test_writes_three_files_and_a_summary_and_keeps_others(data, out):
    out.mkdir(parents=True)
    (out / "train.spacy").write_bytes(b"old")
    (out / "notes.txt").write_bytes(b"keep")
    output = run(data, out).output
    assert contents(out).keys() == {*NAMES, "notes.txt"}
    assert sizes(out) == [40, 5, 5]
    assert f"{data}: 50 sentences, read as utf-8" in output
    table = flat(output)
    assert "sentences 40 5 5 50 without entity 0 0 0 0 tokens 80 10 10 100" in table
    assert "entities 40 5 5 50 geo 40 5 5 50" in table
    for doc in docs(out / "dev.spacy"):
        assert doc.has_unknown_spaces
        annotation = [(token.tag_, token.ent_iob_, token.ent_type_) for token in doc]
        assert annotation == [("NNP", "B", "geo"), ("VBZ", "O", "")]


def test_same_seed_writes_the_same_bytes(tmp_path, data):
    found = []
    for number, options in enumerate(([1], [1, "--folder-as-is"], [2], [1, "--split=community"])):
        run(data, tmp_path / str(number), "--seed", *options)
        found.append(contents(tmp_path / str(number)))
    assert found[0] == found[1]
    assert found[0] not in found[2:]
    assert sizes(tmp_path / "3") == [36, 4, 10]


def test_folder_keeps_its_split_and_refuses_another(folder, out):
    options = ["--split", "community", "--seed", "3"]
    result = run(folder, out, *options, exit_code=1)
    assert f"Error: {folder}: found a folder and --split and --seed; " in result.output
    output = run(folder, out, *options, "--folder-as-is").output
    assert f"{folder}: a folder, so its three files are the split" in output
    assert sizes(out) == [3, 1, 2]
    assert f"{folder / 'train.csv'}: 3 sentences, read as utf-8" in output
    assert f"{folder / 'dev.csv'}: 1 sentence, read as cp1252" in output


def test_encoding_repair_and_remarks(data, out):
    text = HEADER + rows(50, tag="I-[red]").replace("sleeps", "спит\xa0") + ",,,\n"
    data.write_text(text.replace(",", ";"), encoding="cp1251")
    output = run(data, out, "--repair", "--encoding", "cp1251").output
    for remark in ("50 sentences, read as cp1251, separated by semicolons\n", "50 tags repaired"):
        assert f"{data}: {remark}" in output
    assert "[red]" in output  # the name of a type is no markup
    assert [(t.text, t.ent_iob_) for t in docs(out / "test.spacy")[0]][1] == ("спит", "O")
    assert all(doc[0].ent_iob_ == "B" for doc in docs(out / "train.spacy"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Sentence #,Word,Tag\n1,a,X\n", ", line 2: found the tag 'X'"),
        (HEADER + rows(2), ": too few sentences to split: found 2 distinct texts"),
    ],
)
def test_bad_input_leaves_earlier_files(data, out, content, message):
    run(data, out)
    before = contents(out)
    data.write_text(content)
    assert f"Error: {data}{message}" in run(data, out, exit_code=1).stderr
    assert contents(out) == before


def test_targets_that_cannot_be_replaced(tmp_path, data, out):
    (tmp_path / "file").touch()
    (out / "dev.spacy").mkdir(parents=True)
    (out / "train.spacy").write_bytes(b"old")
    for target in (tmp_path / "file", out):
        result = run(data, target, exit_code=1)
        assert f"Error: {target}: cannot be written" in result.output
    assert contents(out) == {"train.spacy": b"old"}


def test_failure_restores_earlier_files(monkeypatch, data, out):
    out.mkdir(parents=True)
    (out / "train.spacy").write_bytes(b"old")
    replace = os.replace

    def fail_on_test(source: Path, target: Path) -> None:
        if target == out / "test.spacy":
            raise PermissionError(13, "The file is in use")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_on_test)
    assert "in use" in run(data, out, exit_code=1).output
    assert contents(out) == {"train.spacy": b"old"}


def test_files_that_exceed_the_memory(tmp_path: Path) -> None:
    path, output = tmp_path / "data.csv", tmp_path / "out"
    path.write_text(HEADER + rows(100), encoding="utf-8")
    assert "Written to" in run(path, output, "--stream").stdout
    assert sorted(item.name for item in output.iterdir()) == ["dev", "test", "train"]
    found = [len(docs(output / part / "000000.spacy")) for part in ("train", "dev", "test")]
    assert sum(found) == 100
    again = run(path, output, "--stream", exit_code=1)
    assert "exists; expected a new folder" in again.stderr
    wrong = run(path, "x", "--stream", "--split", "community", exit_code=1)
    assert "--stream cannot split as --split community" in wrong.stderr
    folder = run(output, tmp_path / "new", "--stream", exit_code=1)
    assert "found a folder; expected a table" in folder.stderr
    path.write_text(HEADER + rows(2), encoding="utf-8")
    few = run(path, tmp_path / "new", "--stream", exit_code=1)
    assert "too few sentences" in few.stderr
