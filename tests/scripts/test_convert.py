from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from loading import load_script
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

SCRIPT = Path(__file__).parents[2] / "scripts" / "convert.py"
HEADER = "Sentence #,Word,POS,Tag\n"
NAMES = ("train.spacy", "dev.spacy", "test.spacy")


convert = load_script("convert")


def run(*arguments: object):
    return CliRunner().invoke(convert.app, [str(argument) for argument in arguments])


def rows(n: int, tag: str = "B-geo") -> str:
    return "".join(f"Sentence: {i},Town{i},NNP,{tag}\n,sleeps,VBZ,O\n" for i in range(n))


def docs(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(Vocab()))


def first_words(folder: Path, name: str) -> list[str]:
    return [doc[0].text for doc in docs(folder / name)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(HEADER + rows(50), encoding="utf-8")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "corpus"


def flat(output: str) -> str:
    return " ".join(output.split())


# --- what is written -------------------------------------------------------------------


def test_writes_three_files_and_a_summary(data, out):
    result = run(data, out)
    assert result.exit_code == 0, result.output
    assert sorted(contents(out)) == sorted(NAMES)
    assert [len(docs(out / name)) for name in NAMES] == [40, 5, 5]
    assert f"{data}: 50 sentences, read as utf-8" in result.output
    table = flat(result.output.replace("│", " "))
    assert "train dev test all" in flat(result.output.replace("┃", " "))
    assert "sentences 40 5 5 50" in table
    assert "without entity 0 0 0 0" in table
    assert "tokens 80 10 10 100" in table
    assert "entities 40 5 5 50 geo 40 5 5 50" in table


def test_docs(data, out):
    run(data, out)
    for name in NAMES:
        for doc in docs(out / name):
            assert doc.has_unknown_spaces
            assert [token.tag_ for token in doc] == ["NNP", "VBZ"]
            assert [token.ent_iob_ for token in doc] == ["B", "O"]
            assert [ent.label_ for ent in doc.ents] == ["geo"]


def test_zip_gives_the_same_as_its_csv(tmp_path, data, out):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(data, "data.csv")
    assert run(data, out).exit_code == 0
    assert run(archive, tmp_path / "other").exit_code == 0
    assert contents(tmp_path / "other") == contents(out)


def test_same_seed_writes_the_same_bytes(tmp_path, data):
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        assert run(data, tmp_path / name, "--seed", seed).exit_code == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_parts_share_no_text(tmp_path, out):
    path = tmp_path / "data.csv"
    copies = rows(50).replace("Sentence: ", "Copy: ")
    path.write_text(HEADER + rows(50) + copies, encoding="utf-8")
    assert run(path, out).exit_code == 0
    parts = [set(first_words(out, name)) for name in NAMES]
    assert [len(part) for part in parts] == [40, 5, 5]
    assert len(set().union(*parts)) == 50


def test_community_test_is_fixed_while_dev_moves(tmp_path, data):
    a, b = tmp_path / "a", tmp_path / "b"
    assert run(data, a, "--split", "community", "--seed", 1).exit_code == 0
    assert run(data, b, "--split", "community", "--seed", 2).exit_code == 0
    assert [len(docs(a / name)) for name in NAMES] == [36, 4, 10]
    assert (a / "test.spacy").read_bytes() == (b / "test.spacy").read_bytes()
    assert first_words(a, "dev.spacy") != first_words(b, "dev.spacy")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "parts"
    path.mkdir()
    for part, n in {"train": 3, "dev": 1, "test": 2}.items():
        (path / f"{part}.csv").write_text(HEADER + rows(n), encoding="utf-8")
    return path


def test_folder_keeps_its_own_split(folder, out):
    (folder / "dev.csv").write_text(HEADER + "1,Äô,X,O\n", encoding="cp1252")
    result = run(folder, out)
    assert result.exit_code == 0, result.output
    assert [len(docs(out / name)) for name in NAMES] == [3, 1, 2]
    assert f"{folder / 'train.csv'}: 3 sentences, read as utf-8" in result.output
    assert f"{folder / 'dev.csv'}: 1 sentences, read as cp1252" in result.output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--split", "deduplicated"], "--split"),
        (["--seed", "0"], "--seed"),
        (["--split", "community", "--seed", "3"], "--split and --seed"),
    ],
)
def test_folder_refuses_split_and_seed(folder, out, options, named):
    result = run(folder, out, *options)
    assert result.exit_code == 1
    assert f"Error: {folder}: found a folder and {named}; " in result.output
    assert not out.exists()


def test_folder_as_is_passes_over_split_and_seed(folder, out):
    result = run(folder, out, "--split", "community", "--seed", "3", "--folder-as-is")
    assert result.exit_code == 0, result.output
    assert f"{folder}: a folder, whose split is its three files" in result.output
    assert [len(docs(out / name)) for name in NAMES] == [3, 1, 2]


def test_folder_as_is_leaves_a_file_to_be_split(tmp_path, data):
    for name, options in {"a": ["--folder-as-is"], "b": []}.items():
        assert run(data, tmp_path / name, "--seed", "7", *options).exit_code == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_encoding_is_printed(data, out, encoding):
    text = HEADER + rows(50).replace("sleeps", "café…").replace("\n", "\r\n")
    data.write_bytes(text.encode(encoding))
    result = run(data, out)
    assert result.exit_code == 0, result.output
    assert f"read as {encoding}\n" in result.output
    assert docs(out / "test.spacy")[0][1].text == "café…"


def test_named_encoding(data, out):
    data.write_bytes((HEADER + rows(50).replace("sleeps", "спит")).encode("cp1251"))
    assert run(data, out, "--encoding", "cp1251").exit_code == 0
    assert docs(out / "test.spacy")[0][1].text == "спит"


def test_repair_says_how_many(data, out):
    data.write_text(HEADER + rows(50, tag="I-geo"), encoding="utf-8")
    result = run(data, out, "--repair")
    assert result.exit_code == 0, result.output
    assert f"{data}: 50 tags mended" in result.output
    assert all(doc[0].ent_iob_ == "B" for doc in docs(out / "train.spacy"))


def test_what_was_done_to_read_the_data_is_printed(data, out):
    text = HEADER + rows(50).replace("sleeps", "sleeps\u200b") + ",,,\n"
    data.write_text(text.replace(",", ";"), encoding="utf-8")
    result = run(data, out)
    assert result.exit_code == 0, result.output
    assert f"{data}: 50 sentences, read as utf-8, separated by semicolons\n" in result.output
    assert (
        f"{data}: removed blanks or invisible characters at the ends of 50 words" in result.output
    )
    assert f"{data}: left out 1 row without content\n" in result.output
    assert docs(out / "test.spacy")[0][1].text == "sleeps"


def test_conll(tmp_path, out):
    path = tmp_path / "data.conll"
    path.write_text("".join(f"Town{i} B-geo\nsleeps O\n\n" for i in range(50)), encoding="utf-8")
    result = run(path, out)
    assert result.exit_code == 0, result.output
    assert [len(docs(out / name)) for name in NAMES] == [40, 5, 5]
    assert "(CoNLL)" in result.output


def test_type_names_are_not_taken_for_markup(data, out):
    data.write_text(HEADER + rows(50, tag="B-[red]"), encoding="utf-8")
    assert "[red]" in run(data, out).output


def test_earlier_outputs_are_replaced_and_others_left(data, out):
    out.mkdir(parents=True)
    (out / "train.spacy").write_bytes(b"old")
    (out / "notes.txt").write_bytes(b"keep")
    assert run(data, out).exit_code == 0
    assert len(docs(out / "train.spacy")) == 40
    assert sorted(contents(out)) == sorted((*NAMES, "notes.txt"))
    assert (out / "notes.txt").read_bytes() == b"keep"


# --- what is refused -------------------------------------------------------------------

# name of the file, content, options, what the message must say after the file's name
BAD: dict[str, tuple[str, bytes | None, list[str], str]] = {
    "missing file": ("data.csv", None, [], ": no such file"),
    "empty file": ("data.csv", b"", [], ": the file is empty"),
    "no rows": ("data.csv", HEADER.encode(), [], ": found a header and no rows"),
    "missing column": ("data.csv", b"Sentence #,Word\n1,a\n", [], ", line 1: the header lacks"),
    "first row without id": ("data.csv", b"Sentence #,Word,Tag\n,a,O\n", [], ", line 2: the first"),
    "empty word": ("data.csv", b"Sentence #,Word,Tag\n1,,O\n", [], ", line 2: found the empty"),
    "unknown tag": ("data.csv", b"Sentence #,Word,Tag\n1,a,X\n", [], ", line 2: found the tag 'X'"),
    "lone I-": ("data.csv", b"Sentence #,Word,Tag\n1,a,I-x\n", [], ", line 2: found the tag 'I-x'"),
    "bad bytes": (
        "data.csv",
        b"Sentence #,Word,Tag\n1,a\xe9,O\n",
        ["--encoding", "utf-8"],
        ", line 2: found the byte 0xe9; expected valid utf-8",
    ),
    "corrupt zip": ("data.zip", b"PK\x03\x04?", [], ": cannot be unpacked"),
    "zip without CSV": ("data.zip", b"PK\x05\x06" + bytes(18), [], ": the zip holds 0 CSV files"),
    "too few": (
        "data.csv",
        (HEADER + rows(2)).encode(),
        [],
        ": too few sentences to split: found 2 distinct texts; expected at least 3",
    ),
    "too few for community": (
        "data.csv",
        (HEADER + rows(2)).encode(),
        ["--split", "community"],
        ": too few sentences to split: found 2 sentence ids; expected at least 3",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_leaves_earlier_outputs(tmp_path, data, out, case):
    assert run(data, out).exit_code == 0
    before = contents(out)
    name, content, options, message = BAD[case]
    path = tmp_path / "bad" / name
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    result = run(path, out, *options)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert f"Error: {path}{message}" in result.output
    assert contents(out) == before


def test_bad_input_creates_no_folder(tmp_path, out):
    assert run(tmp_path / "missing.csv", out).exit_code == 1
    assert not out.exists()


def test_folder_without_a_part(folder, out):
    (folder / "test.csv").unlink()
    result = run(folder, out)
    assert result.exit_code == 1
    assert f"Error: {folder / 'test.csv'}: no such file" in result.output
    assert not out.exists()


def test_unknown_encoding(data, out):
    result = run(data, out, "--encoding", "utf-99")
    assert result.exit_code == 1
    assert "encoding (--encoding): 'utf-99' cannot decode" in result.output


def test_output_folder_that_is_a_file(tmp_path, data):
    out = tmp_path / "corpus"
    out.write_bytes(b"keep")
    result = run(data, out)
    assert result.exit_code == 1
    assert f"Error: {out}: cannot be written" in result.output
    assert out.read_bytes() == b"keep"


def test_target_that_is_a_folder(data, out):
    (out / "dev.spacy").mkdir(parents=True)
    (out / "train.spacy").write_bytes(b"old")
    result = run(data, out)
    assert result.exit_code == 1
    assert f"Error: {out}: cannot be written" in result.output
    assert (out / "train.spacy").read_bytes() == b"old"
    assert sorted(path.name for path in out.iterdir()) == ["dev.spacy", "train.spacy"]


def test_failure_while_writing_leaves_nothing(monkeypatch, data, out):
    out.mkdir(parents=True)
    (out / "train.spacy").write_bytes(b"old")
    written = DocBin.to_disk

    def to_disk(self: DocBin, path: Path) -> None:
        if path.name == "test.spacy":
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        written(self, path)

    monkeypatch.setattr(DocBin, "to_disk", to_disk)
    result = run(data, out)
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert contents(out) == {"train.spacy": b"old"}


def test_failure_while_moving_restores_what_was_there(monkeypatch, data, out):
    out.mkdir(parents=True)
    (out / "train.spacy").write_bytes(b"old")
    replace = os.replace

    def fail_on_test(source: Path, target: Path) -> None:
        if target == out / "test.spacy":
            raise PermissionError(13, "The file is in use")
        replace(source, target)

    monkeypatch.setattr(convert.os, "replace", fail_on_test)
    result = run(data, out)
    assert result.exit_code == 1
    assert "The file is in use" in result.output
    assert contents(out) == {"train.spacy": b"old"}


def test_as_a_program_the_message_goes_to_stderr(tmp_path, out):
    path = tmp_path / "missing.csv"
    done = subprocess.run(
        [sys.executable, SCRIPT, path, out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"Error: {path}: no such file" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


# --- the real file ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.real
def test_real_file(tmp_path, real_path, real_entities):
    result = run(real_path, tmp_path, "--split", "community")
    assert result.exit_code == 0, result.output
    assert "47,959 sentences, read as cp1252" in result.output
    found = {name: docs(tmp_path / name) for name in NAMES}
    assert len(found["test.spacy"]) == 9_592
    assert sum(len(doc.ents) for doc in found["test.spacy"]) == 22_532
    everything = [doc for name in NAMES for doc in found[name]]
    assert len(everything) == 47_959
    assert sum(len(doc) for doc in everything) == 1_048_575
    assert sum(not doc.ents for doc in everything) == 7_042
    assert Counter(ent.label_ for doc in everything for ent in doc.ents) == real_entities
    assert all(doc.has_unknown_spaces for doc in everything)
