"""The conversion of data files to text: archives, compression and encodings."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

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
        return f"{name}:{found[0]}", archive.read(found[0])


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
