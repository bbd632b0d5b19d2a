from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from ner_lstm_component.dataset import DatasetError, read_csv

TEXT = "Sentence #,Word,Tag\n1,café…,O\n,5\xa0storm,O\n,€,O\n"
WORDS = ("café…", "5\xa0storm", "€")
DATA = TEXT.encode()


def zipped(**members: bytes | str) -> bytes:
    """A zip; the names of its members with ``__`` for a point."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


@pytest.mark.parametrize("written", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encoding_is_recognized(read, written, line_end):
    source = read(TEXT.replace("\n", line_end).encode(written))
    assert (source.encoding, source.sentences[0].words) == (written, WORDS)


@pytest.mark.parametrize(("encoding", "word"), [("cp1251", "Ж"), ("utf-16-le", "é")])
def test_named_encoding(read, encoding, word):
    source = read(f"Sentence #,Word,Tag\n1,{word},O\n".encode(encoding), encoding=encoding)
    assert (source.encoding, source.sentences[0].words) == (encoding, (word,))
    # A byte order mark is no part of the header.
    assert read(TEXT.encode("utf-8-sig"), encoding="utf-8").sentences[0].words == WORDS


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "wrong", "encoding"),
    [(b"", b"\xe9", "utf-8"), (b"", b"\x81", "auto"), (b"\xef\xbb\xbf", b"\x81", "auto")],
)
def test_undecodable_bytes_are_refused_with_their_line(read, mark, wrong, encoding, line_end):
    text = mark + b"Sentence #,Word,Tag\n1,a,O\n,b" + wrong + b",O\n,c,O\n"
    with pytest.raises(DatasetError) as error:
        read(text.replace(b"\n", line_end.encode()), encoding=encoding)
    assert f"data.csv, line 3: found the byte 0x{wrong.hex()}; expected valid" in str(error.value)
    assert "--encoding" in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-99", "rot13", "base64", ""])
def test_unknown_encoding_is_refused(read, encoding):
    with pytest.raises(DatasetError, match=r"^encoding \(--encoding\): .*expected 'auto' or"):
        read(DATA, encoding=encoding)


@pytest.mark.parametrize("name", ["data.csv.gz", "data.csv"])
def test_gzip(read, tmp_path, name):
    source = read(gzip.compress(DATA), name)
    assert (source.sentences[0].words, source.name) == (WORDS, str(tmp_path / name))


@pytest.mark.parametrize("name", ["data.zip", "data.csv"])
def test_zip_with_one_csv(read, tmp_path, name):
    source = read(zipped(**{"in/ner.csv": DATA, "a.txt": "?", "__MACOSX/in/._ner.csv": "?"}), name)
    assert source.sentences[0].words == WORDS
    assert source.name == f"{tmp_path / name}:in/ner.csv"

    # An error in its content names the member.
    with pytest.raises(DatasetError, match=r"data\.zip:ner\.csv, line 2: found the tag 'U-geo'"):
        read(zipped(ner__csv="Sentence #,Word,Tag\n1,b,U-geo\n"), "data.zip")


EXCEL = zipped(**{"[Content_Types].xml": "<x/>", "xl/worksheets/sheet1.xml": "<x/>"})
WORKBOOKS = {
    "Excel": EXCEL,
    "old Excel": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(100),
    "OpenDocument": zipped(mimetype="application/vnd.oasis", content__xml="<x/>"),
}


@pytest.mark.parametrize("name", ["book.xlsx", "data.csv", "data.zip", "data.csv.gz"])
@pytest.mark.parametrize("kind", WORKBOOKS)
def test_workbooks_are_refused_with_the_way_out(read, name, kind):
    data = WORKBOOKS[kind]
    with pytest.raises(DatasetError, match=rf"/{name}: found a workbook.*CSV UTF-8"):
        read(gzip.compress(data) if name.endswith(".gz") else data, name)
    for member in ("book.xlsx", "data.csv"):
        with pytest.raises(DatasetError, match=rf"data\.zip:{member}: found a workbook"):
            read(zipped(**{member: EXCEL}), "data.zip")


def test_parquet_is_refused_with_the_way_out(read):
    with pytest.raises(DatasetError, match=r"data\.csv: found a Parquet file.*to_csv"):
        read(b"PAR1\x15\x81PAR1")
    assert read(b"PAR1 B-gene\n").sentences[0].words == ("PAR1",)


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({}, "0 CSV files; found no member at all"),
        ({"a.txt": "?"}, "0 CSV files; found 'a.txt'"),
        ({"a.csv": DATA, "b.csv": DATA}, "2 CSV files; found 'a.csv', 'b.csv'"),
    ],
)
def test_zip_without_exactly_one_csv(read, members, found):
    message = f"data.zip: the zip holds {found}; expected exactly one CSV"
    with pytest.raises(DatasetError, match=message):
        read(zipped(**members), "data.zip")


ZIP = zipped(ner__csv=DATA)
MIDDLE, DIRECTORY = ZIP.index(b"ner.csv") + len(b"ner.csv") + 5, ZIP.index(b"PK\x01\x02")
DAMAGED = {
    "cut": ZIP[: len(ZIP) // 2],
    "content": ZIP[:MIDDLE] + bytes([ZIP[MIDDLE] ^ 0xFF]) + ZIP[MIDDLE + 1 :],
    # The flag in the local header and in the directory.
    "encrypted": ZIP[:6] + b"\1" + ZIP[7 : DIRECTORY + 8] + b"\1" + ZIP[DIRECTORY + 9 :],
    "other": b"no zip at all",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_zip(read, data):
    with pytest.raises(DatasetError, match=r"data\.zip: cannot be unpacked \(.*intact zip"):
        read(data, "data.zip")


def test_damaged_gzip_and_archives_in_archives(read):
    with pytest.raises(DatasetError, match=r"data\.csv: cannot be unpacked .* an intact gzip"):
        read(gzip.compress(DATA)[:-12])
    data = DATA
    for _ in range(5):
        data = gzip.compress(data)
    with pytest.raises(DatasetError, match="packed 3 times over"):
        read(data)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"data\.csv: no such file"):
        read_csv(tmp_path / "data.csv")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_csv(tmp_path)
