"""The input in parts: every record once, whatever the format."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spacy.tokens import Doc, DocBin

from ner_lstm_component.annotate import parts as module
from ner_lstm_component.annotate.parts import AnnotateError, Source
from ner_lstm_component.annotate.records import Bad, Record

TEXTS = [f"Text {n} ü{'x' * (n % 7)}" for n in range(50)] + ['a "b", c', "", "e\u2028f", " "]


def write(path, texts, vocab):
    """Write a file of the format that its name says."""
    name = path.name
    if ".txt" in name:
        content = "".join(f"{text}\n" for text in texts).encode()
    elif ".jsonl" in name:
        content = "".join(json.dumps({"text": t, "n": n}) + "\n" for n, t in enumerate(texts))
        content = content.encode()
    elif ".parquet" in name:
        table = pa.table({"n": range(len(texts)), "text": texts})
        pq.write_table(table, path, row_group_size=20)
        return
    elif ".spacy" in name:
        docs = [Doc(vocab, words=text.split()) for text in texts]
        DocBin(docs=docs, store_user_data=True).to_disk(path)
        return
    else:
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            separator = "\t" if ".tsv" in name else ","
            rows = csv.writer(file, delimiter=separator)
            rows.writerows([("n", "text"), *enumerate(texts)])
        content = path.read_bytes()
    opener = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix)
    path.write_bytes(opener(content) if opener else content)


def read(source):
    return [one for part in source.parts() for one in part.records(source.column)]


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 100)
    monkeypatch.setattr(module, "PART_ROWS", 7)
    monkeypatch.setattr(module, "PART_DOCS", 7)


NAMES = ["a.txt", "a.txt.gz", "a.jsonl", "a.ndjson.jsonl.bz2", "a.csv", "a.CSV.xz", "a.tsv"]
NAMES += ["a.parquet", "a.spacy"]


@pytest.mark.parametrize("name", NAMES)
def test_every_record_once(tmp_path, vocab, small_parts, name):
    path = tmp_path / name.replace("CSV", "csv")
    write(path, TEXTS, vocab)
    source = Source(path)
    parts = list(source.parts())
    assert [part.number for part in parts] == list(range(len(parts)))
    assert len(parts) > 5
    done = [part.done for part in parts]
    assert done == sorted(done)
    assert done[-1] == source.size
    found = read(source)
    if name.endswith(".spacy"):
        assert [one.text.split() for one in found] == [text.split() for text in TEXTS]
    else:
        assert [one.text for one in found] == TEXTS
    if "csv" in name.lower() or "tsv" in name:
        assert [one.fields["n"] for one in found] == list(map(str, range(len(TEXTS))))
    elif "txt" in name:
        assert [one.fields["line"] for one in found] == list(range(1, len(TEXTS) + 1))
    elif "spacy" not in name:
        assert [one.fields["n"] for one in found] == list(range(len(TEXTS)))


def test_a_folder_is_its_files_in_order(tmp_path, vocab, small_parts):
    for name, texts in (("b.txt", ["3", "4"]), ("a.txt.gz", ["1", "2"]), (".c.txt", ["5"])):
        write(tmp_path / name, texts, vocab)
    (tmp_path / "README").write_text("no data")
    source = Source(tmp_path)
    assert [one.text for one in read(source)] == ["1", "2", "3", "4"]
    assert [part.number for part in source.parts()] == [0, 1]
    write(tmp_path / "c.csv", ["5"], vocab)
    with pytest.raises(AnnotateError, match=r"formats: \.csv, \.txt; expected"):
        Source(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "reasons"),
    [
        ("a.txt", b"fine\nbad \xff byte\r\nfine\r\n", {"line 2": "not UTF-8: the byte 0xff"}),
        (
            "a.jsonl",
            b'{"text": "a"}\n\n{"no": 1}\n{"text": null}\n[1]\n{"text": 3}\n{"te\n\xff\n'
            b'{"text": "\\ud800"}\n{"text": "b"}',
            {
                "line 3": "no field 'text'",
                "line 4": "'text' is null",
                "line 5": "expected an object",
                "line 6": "'text' is no text",
                "line 7": "not JSON",
                "line 8": "not UTF-8: the byte 0xff",
                "line 9": "a lone surrogate",
            },
        ),
        (
            "a.csv",
            b'n,text\n1,a\n2\n3,b,c\n4,"x\ny"\n5,\xff\n',
            {"row 2": "1 fields, but 2", "row 3": "3 fields, but 2", "row 5": "not UTF-8"},
        ),
    ],
)
def test_bad_records_say_why(tmp_path, name, content, reasons):
    path = tmp_path / name
    path.write_bytes(content)
    found = read(Source(path))
    bad = {one.place: one for one in found if isinstance(one, Bad)}
    assert bad.keys() == reasons.keys()
    assert all(reason in bad[place].reason for place, reason in reasons.items())
    assert all(one.data.encode() for one in bad.values())
    assert sum(isinstance(one, Record) for one in found) == 2


def test_nulls_in_parquet(tmp_path):
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "a.parquet")
    record, bad = read(Source(tmp_path / "a.parquet"))
    assert record.text == "a"
    assert (bad.place, bad.reason) == ("row 2", "'text' is null")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "no such file or folder"),
        ("a.pdf", b"", "the format is unknown; expected a name that ends in"),
        ("a.csv", b"id,body\n1,a\n", "no column 'text'; found 'id', 'body'. Name the one"),
        ("a.csv", b"", "no column 'text'; found"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_unusable_input_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AnnotateError, match=message):
        Source(tmp_path / name)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.spacy"])
def test_damaged_files(tmp_path, vocab, name):
    write(tmp_path / name, [f"{n}{n * 37 % 101}" * 50 for n in range(2_000)], vocab)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(AnnotateError, match="cannot be read to its end"):
        list(Source(path).parts())
