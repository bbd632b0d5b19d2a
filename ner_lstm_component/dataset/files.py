"""The conversion of data files to text: archives, compression and encodings."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

AUTO = "auto"

# The suffixes of files with annotated sentences, also inside a zip.
SUFFIXES = (".csv", ".tsv", ".conll", ".iob", ".iob2", ".bio")

_ZIP, _GZIP, _OLE = b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
_WORKBOOK_MEMBERS = ("xl/", "content.xml", "Index/Document.iwa")  # Excel, OpenDocument, Numbers
_IS_WORKBOOK = (
    "found a workbook of a spreadsheet program; expected a CSV. Open it there, save the sheet as "
    "'CSV UTF-8' (File > Save As), and use that file."
)
_PARQUET = b"PAR1"  # at both ends
_MAX_LAYERS = 3
_AT_ONCE = 1 << 20


class DatasetError(ValueError):
    """An error for unusable data. The message names the place, the fault and the solution."""


def read_text(path: Path, encoding: str = AUTO) -> tuple[str, str, str]:
    """Read a text file, which may be compressed with gzip or be the only data file in a zip.

    :return: the file's name (``path:member`` if it is in a zip), its text without a byte order
        mark, and the encoding used.
    :raises DatasetError: if the file is missing, unreadable, a workbook or undecodable.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        found = "no such file" if is_missing else f"cannot be read ({error.strerror})"
        raise DatasetError(
            f"{path}: {found}; expected a CSV, a zip that holds one CSV, or a folder with "
            "train.csv, dev.csv and test.csv. Check the path and its permissions."
        ) from error
    name, data = _unpack(str(path), data, is_zip=path.suffix.lower() == ".zip")
    return name, *_decode(name, data, encoding)


def open_text(path: Path, encoding: str = AUTO) -> tuple[str, Callable[[], Iterator[str]]]:
    """Prepare to read a text file, of any size, line by line.

    The file may be compressed with gzip, or be the only data file in a zip. With ``auto``, this
    reads the file once to find its encoding.

    :return: the file's name, as in :func:`read_text`, and a function that returns its lines with
        their ends.
    :raises DatasetError: as :func:`read_text`, when the bytes at fault are read.
    """
    name = str(path)
    open_bytes: Callable[[], Any] = partial(path.open, "rb")
    with _reporting(name, path):
        with path.open("rb") as file:
            start = file.read(8)
        if start.startswith(_ZIP):
            with zipfile.ZipFile(path) as archive:
                name, member = _only_member(name, archive)
            open_bytes = partial(_open_member, path, member)
        elif start.startswith(_GZIP):
            open_bytes = partial(gzip.open, path, "rb")
        with open_bytes() as file:
            start = file.read(8)
    if start.startswith((_OLE, _PARQUET, _ZIP, _GZIP)):
        raise DatasetError(
            f"{name}: neither a table nor a CoNLL file; expected text, packed at most once"
        )
    if encoding == AUTO:
        with _reporting(name, path):
            encoding = _detect_in(open_bytes, start)

    def lines() -> Iterator[str]:
        number = 0
        with _reporting(name, path), open_bytes() as file:
            try:
                text = io.TextIOWrapper(file, encoding, newline="")
            except LookupError as error:
                raise DatasetError(
                    f"encoding (--encoding): {encoding!r} is unknown; expected '{AUTO}' or the "
                    "name of a text encoding that Python knows, such as 'utf-8'."
                ) from error
            try:
                for number, line in enumerate(text, 1):
                    yield line.removeprefix("\ufeff") if number == 1 else line
            except UnicodeDecodeError as error:
                raise DatasetError(
                    f"{name}, after line {number}: found the byte "
                    f"0x{error.object[error.start]:02x}; expected valid {encoding}. Name the "
                    "file's encoding in encoding (--encoding), or save the file as UTF-8."
                ) from error

    return name, lines


def _open_member(path: Path, member: str) -> IO[bytes]:
    return zipfile.ZipFile(path).open(member)


@contextmanager
def _reporting(name: str, path: Path) -> Iterator[None]:
    """Turn the errors of reading and unpacking a file into a DatasetError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file; expected a CSV or a zip. Check it.") from error
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise DatasetError(
            f"{name}: cannot be read ({error}); expected an intact file. Fetch it again, or unpack "
            "it and use the CSV."
        ) from error


def _detect_in(open_bytes: Callable[[], Any], start: bytes) -> str:
    """Return the encoding of a file, of which all bytes are read."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes() as file:
        try:
            while data := file.read(_AT_ONCE):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _unpack(name: str, data: bytes, *, is_zip: bool = False, layer: int = 0) -> tuple[str, bytes]:
    if data.startswith(_OLE):
        raise DatasetError(f"{name}: {_IS_WORKBOOK}")
    if data.startswith(_PARQUET) and data.endswith(_PARQUET):
        raise DatasetError(
            f"{name}: found a Parquet file; expected a CSV. Write one, for instance with "
            "pandas.read_parquet(…).to_csv(…, index=False)."
        )
    is_zip = is_zip or data.startswith(_ZIP)
    if not is_zip and not data.startswith(_GZIP):
        return name, data
    if layer == _MAX_LAYERS:
        raise DatasetError(
            f"{name}: packed {layer} times over; expected a CSV, packed once. Unpack it."
        )
    try:
        name, data = _member(name, data) if is_zip else (name, gzip.decompress(data))
    except DatasetError:
        raise
    except Exception as error:  # corrupt bytes fail anywhere in zipfile, zlib and lzma
        raise DatasetError(
            f"{name}: cannot be unpacked ({error}); expected an intact "
            f"{'zip' if is_zip else 'gzip'} without a password. Fetch the file again, or unpack "
            "it and use the CSV."
        ) from error
    return _unpack(name, data, layer=layer + 1)


def _member(name: str, data: bytes) -> tuple[str, bytes]:
    """Return the name and content of the only data file in a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        full_name, member = _only_member(name, archive)
        return full_name, archive.read(member)


def _only_member(name: str, archive: zipfile.ZipFile) -> tuple[str, str]:
    """Return the name of the only data file in a zip, with and without the zip's."""
    names = archive.namelist()
    if any(member.startswith(_WORKBOOK_MEMBERS) for member in names):
        raise DatasetError(f"{name}: {_IS_WORKBOOK}")
    # macOS adds a "._" companion for each file to the zips that it makes.
    files = [member for member in names if not member.rpartition("/")[2].startswith("._")]
    found = [m for m in files if m.lower().removesuffix(".gz").endswith(SUFFIXES)]
    workbooks = [member for member in files if member.lower().endswith(_WORKBOOKS)]
    if workbooks and not found:
        raise DatasetError(f"{name}:{workbooks[0]}: {_IS_WORKBOOK}")
    if len(found) != 1:
        listed = shorten(found or names) if names else "no member at all"
        raise DatasetError(
            f"{name}: the zip holds {counted(len(found), 'CSV file')}; found {listed}; "
            "expected exactly one CSV. Unpack it and give the right file."
        )
    return f"{name}:{found[0]}", found[0]


def shorten(names: Sequence[str], most: int = 5) -> str:
    """Quote the first `most` names, and count the others."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: ``1 row``, ``2 rows``, ``2 entities``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{n:,} {noun if n == 1 else plural}"


def _decode(name: str, data: bytes, encoding: str) -> tuple[str, str]:
    expected = f"valid {encoding}"
    if encoding == AUTO:
        encoding, expected = _detect(data)
    try:
        # A byte order mark would become part of the first column's name.
        return data.decode(encoding).removeprefix("\ufeff"), encoding
    except UnicodeDecodeError as error:
        # Not data, because utf-8-sig removes the byte order mark from error.object.
        before = error.object[: error.start].decode(encoding, errors="replace")
        # Count line ends as csv does: str.splitlines would also split at U+0085 and others.
        line = before.count("\n") + before.count("\r") - before.count("\r\n") + 1
        raise DatasetError(
            f"{name}, line {line}: found the byte 0x{error.object[error.start]:02x}; expected "
            f"{expected}. Name the file's encoding in encoding (--encoding), or save the file as "
            "UTF-8."
        ) from error
    except (LookupError, UnicodeError) as error:
        raise DatasetError(
            f"encoding (--encoding): {encoding!r} cannot decode {name} ({error}); expected "
            f"'{AUTO}' or the name of a text encoding that Python knows, such as 'utf-8'."
        ) from error


def _detect(data: bytes) -> tuple[str, str]:
    """Return the encoding of a file, and in words the bytes that are expected."""
    announced = "as the file's byte order mark announces"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", f"valid UTF-16, {announced}"
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", f"valid UTF-8, {announced}"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252", "valid UTF-8 or cp1252"
    return "utf-8", "valid UTF-8"
