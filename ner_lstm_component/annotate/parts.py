"""The input as parts, each of which one task annotates and writes.

A part's records and number depend only on the input, so that an interrupted run can go on. Parts of
text, JSONL, CSV and DocBin carry what was read; parts of Parquet name rows, which the task reads.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from spacy.tokens import DocBin
from spacy.vocab import Vocab

from .records import Bad, Record, from_fields, from_json, from_line, from_rows

PART_BYTES = 4_000_000
PART_ROWS = 20_000
PART_DOCS = 2_000

# Files that are compressed, by suffix.
_OPENERS: dict[str, Callable] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


class AnnotateError(ValueError):
    """An error that prevents the annotation. The message says why, and what to do."""


@dataclass(frozen=True)
class Part(ABC):
    """A piece of a file.

    :param number: its position among all parts, which names its output.
    :param done: the bytes of the input up to its end, for the progress.
    """

    number: int
    done: int

    @abstractmethod
    def records(self, column: str) -> Iterator[Record | Bad]:
        """Parse the records.

        :param column: the field with the text.
        """


@dataclass(frozen=True)
class Lines(Part):
    """Whole lines of a text file or of JSONL.

    :param first: the number of the first line.
    """

    data: bytes
    first: int
    is_json: bool

    def records(self, column: str) -> Iterator[Record | Bad]:
        """Parse each line."""
        lines = self.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, self.first):
            place, content = f"line {number}", line.removesuffix(b"\r")
            if not self.is_json:
                yield from_line(place, content, number)
            elif (record := from_json(place, content, column)) is not None:
                yield record


@dataclass(frozen=True)
class Rows(Part):
    """Rows of a CSV, each with its number; bytes that are not UTF-8 are surrogates."""

    rows: list[tuple[int, list[str]]]
    header: list[str]

    def records(self, column: str) -> Iterator[Record | Bad]:
        """Name the fields of each row."""
        return from_rows(self.rows, self.header, column)


@dataclass(frozen=True)
class RowRange(Part):
    """Rows of a row group of a Parquet file.

    :param start: the first row in the row group.
    :param first: the number of that row in the file.
    """

    path: str
    group: int
    start: int
    n_rows: int
    first: int

    def records(self, column: str) -> Iterator[Record | Bad]:
        """Read the rows."""
        import pyarrow.parquet as pq

        skip, left, first = self.start, self.n_rows, self.first
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(PART_ROWS, row_groups=[self.group]):
                found = batch.slice(skip, left)
                skip = max(0, skip - len(batch))
                left -= len(found)
                for number, fields in enumerate(found.to_pylist(), first):
                    yield from_fields(f"row {number}", fields, column)
                first += len(found)
                if not left:
                    return


@dataclass(frozen=True)
class Docs(Part):
    """Docs of a DocBin.

    :param first: the number of the first Doc.
    """

    data: bytes
    first: int

    def records(self, column: str) -> Iterator[Record | Bad]:
        """Read the Docs, with a vocab of their own."""
        docs = DocBin(store_user_data=True).from_bytes(self.data).get_docs(Vocab())
        for number, doc in enumerate(docs, self.first):
            yield Record(f"Doc {number}", doc.text, {"text": doc.text}, doc)


# What is known of an input: parts of a file, from a number and a count of bytes on.
_Reader = Callable[[Path, int, int], Iterator[Part]]


class Source:
    """The files of an input, and the parts that they are read in.

    :param path: a file, or a folder, of which all files with a known suffix are read.
    :param column: the field with the text.
    :raises AnnotateError: if the input is missing, of no known format, or lacks the column.
    """

    def __init__(self, path: Path, column: str = "text") -> None:
        self.path, self.column = path, column
        self.files = sorted(_files(path))
        self.size = sum(file.stat().st_size for file in self.files)
        for file in self.files:
            if kind_of(file) in (".csv", ".tsv", ".parquet"):
                columns = columns_of(file)
                if column not in columns:
                    raise AnnotateError(
                        f"{file}: no column {column!r}; found {', '.join(map(repr, columns))}. "
                        "Name the one with the text (--text)."
                    )

    @property
    def is_parquet(self) -> bool:
        """Whether all files are Parquet, which any process can read from anywhere."""
        return all(kind_of(file) == ".parquet" for file in self.files)

    def fingerprint(self) -> list[list[Any]]:
        """Return name, size and time of change of each file."""
        stats = [(file, file.stat()) for file in self.files]
        return [[str(file), stat.st_size, stat.st_mtime_ns] for file, stat in stats]

    def parts(self) -> Iterator[Part]:
        """Read the parts of all files, in order.

        :raises AnnotateError: if a file is damaged.
        """
        number = done = 0
        for file in self.files:
            try:
                for part in _READERS[kind_of(file)](file, number, done):
                    number = part.number + 1
                    yield part
            # A damaged file fails anywhere in zlib, msgpack or Arrow.
            except (OSError, EOFError, ValueError, lzma.LZMAError, csv.Error) as error:
                raise AnnotateError(
                    f"{file}: cannot be read to its end ({error}); expected an intact file. What "
                    "was read is annotated. Mend the file, and give another --output."
                ) from error
            done += file.stat().st_size


def columns_of(path: Path) -> list[str]:
    """Return the columns of a CSV or Parquet file."""
    if kind_of(path) == ".parquet":
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(path).names)
        except (OSError, ValueError) as error:
            raise AnnotateError(f"{path}: cannot be read as Parquet ({error})") from error
    try:
        with _opened(path) as (stream, _):
            return next(_csv_rows(stream, path), [])
    except (OSError, EOFError, lzma.LZMAError, csv.Error) as error:
        raise AnnotateError(f"{path}: cannot be read ({error})") from error


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in path.rglob("*") if kind_of(file) in _READERS and file.is_file()]
        found = [file for file in found if not file.name.startswith(".")]
        if len({kind_of(file) for file in found}) == 1:
            return found
        kinds = ", ".join(sorted({kind_of(file) for file in found})) or "none"
        raise AnnotateError(
            f"{path}: found files of these formats: {kinds}; expected files of one of "
            f"{', '.join(_READERS)}. Give a folder of one format, or a file."
        )
    if not path.is_file():
        raise AnnotateError(f"{path}: no such file or folder")
    if kind_of(path) not in _READERS:
        raise AnnotateError(
            f"{path}: the format is unknown; expected a name that ends in one of "
            f"{', '.join(_READERS)}, or in one of these and {', '.join(_OPENERS)}. Rename it."
        )
    return [path]


def kind_of(path: Path) -> str:
    """Return the suffix that names the format, without that of the compression."""
    name = path.name.lower()
    for packed in _OPENERS:
        name = name.removesuffix(packed)
    return os.path.splitext(name)[1]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file that may be compressed; the second stream tells how much of it was read."""
    with path.open("rb") as raw:
        opener = _OPENERS.get(path.suffix.lower())
        stream = opener(raw, "rb") if opener else raw
        if stream.peek(3)[:3] == b"\xef\xbb\xbf":  # the byte order mark of UTF-8
            stream.read(3)
        yield stream, raw


def _read_lines(path: Path, number: int, done: int, *, is_json: bool) -> Iterator[Part]:
    with _opened(path) as (stream, raw):
        first = 1
        while data := stream.read(PART_BYTES):
            data += stream.readline() if not data.endswith(b"\n") else b""
            yield Lines(number, done + raw.tell(), data, first, is_json)
            number += 1
            first += data.count(b"\n")


def _read_text(path: Path, number: int, done: int) -> Iterator[Part]:
    return _read_lines(path, number, done, is_json=False)


def _read_jsonl(path: Path, number: int, done: int) -> Iterator[Part]:
    return _read_lines(path, number, done, is_json=True)


def _csv_rows(stream: BinaryIO, path: Path) -> Iterator[list[str]]:
    csv.field_size_limit(2**31 - 1)
    text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
    return csv.reader(text, delimiter="\t" if kind_of(path) == ".tsv" else ",")


def _read_csv(path: Path, number: int, done: int) -> Iterator[Part]:
    with _opened(path) as (stream, raw):
        reader = _csv_rows(stream, path)
        header = next(reader)
        rows: list[tuple[int, list[str]]] = []
        size = 0
        for count, row in enumerate(reader, 1):
            if not row:
                continue
            rows.append((count, row))
            size += sum(map(len, row))
            if size >= PART_BYTES:
                yield Rows(number, done + raw.tell(), rows, header)
                number, rows, size = number + 1, [], 0
        if rows:
            yield Rows(number, done + raw.tell(), rows, header)


def _read_parquet(path: Path, number: int, done: int) -> Iterator[Part]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    size, first = path.stat().st_size, 1
    for group in range(metadata.num_row_groups):
        n_rows = metadata.row_group(group).num_rows
        for start in range(0, n_rows, PART_ROWS):
            n = min(PART_ROWS, n_rows - start)
            end = done + size * (first + n - 1) // metadata.num_rows
            yield RowRange(number, end, str(path), group, start, n, first)
            number, first = number + 1, first + n


def _read_docbin(path: Path, number: int, done: int) -> Iterator[Part]:
    docbin = DocBin(store_user_data=True).from_disk(path)
    size, n_docs = path.stat().st_size, len(docbin)
    docs = docbin.get_docs(Vocab())
    for first in range(1, n_docs + 1, PART_DOCS):
        some = DocBin(store_user_data=True)
        for doc in islice(docs, PART_DOCS):
            some.add(doc)
        end = done + size * min(n_docs, first + PART_DOCS - 1) // n_docs
        yield Docs(number, end, some.to_bytes(), first)
        number += 1


_READERS: dict[str, _Reader] = {
    ".txt": _read_text,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
    ".spacy": _read_docbin,
}
