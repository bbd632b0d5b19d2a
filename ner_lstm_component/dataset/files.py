"""Data files → text: archives, compression and encodings."""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

AUTO = "auto"

# What a file that holds annotated sentences may be called, alone or in a zip.
SUFFIXES = (".csv", ".tsv", ".conll", ".iob", ".iob2", ".bio")

_ZIP, _GZIP, _OLE = b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
# What the zip of a workbook holds: Excel, OpenDocument, Numbers.
_WORKBOOK_MEMBERS = ("xl/", "content.xml", "Index/Document.iwa")
_MOST_LAYERS = 3
_UNPACK_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # encrypted; its subclass NotImplementedError: unknown compression
    ValueError,
)


class DatasetError(ValueError):
    """Data that cannot be used. The message names the place, the fault and the way out."""


def read_text(path: Path, encoding: str = AUTO) -> tuple[str, str, str]:
    """Read a text file, which may be compressed by gzip or alone in a zip.

    :param encoding: a name that Python knows; ``auto`` is UTF-16 where a byte order mark
        says so, UTF-8 where the bytes are valid UTF-8, else cp1252.
    :return: the file's name (of a zip's member, ``path:member``), its text without a byte
        order mark, and the encoding used.
    :raises DatasetError: if the file is missing, unreadable, a workbook or undecodable.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path}: no such file; expected a CSV, a zip that holds one CSV, or a folder "
            "with train.csv, dev.csv and test.csv. Check the path."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror}); expected a readable CSV or zip. "
            "Check the path and its permissions."
        ) from error
    name, data = _unpacked(str(path), data, is_zip=path.suffix.lower() == ".zip")
    return name, *_decode(name, data, encoding)


def _unpacked(name: str, data: bytes, *, is_zip: bool = False, layer: int = 0) -> tuple[str, bytes]:
    if data.startswith(_OLE):
        raise _is_workbook(name)
    is_zip = is_zip or data.startswith(_ZIP)
    if not is_zip and not data.startswith(_GZIP):
        return name, data
    if layer == _MOST_LAYERS:
        raise DatasetError(
            f"{name}: packed {layer} times over; expected a CSV, packed once. Unpack it."
        )
    try:
        name, data = _member(name, data) if is_zip else (name, gzip.decompress(data))
    except DatasetError:
        raise
    except _UNPACK_ERRORS as error:
        raise DatasetError(
            f"{name}: cannot be unpacked ({error}); expected an intact "
            f"{'zip' if is_zip else 'gzip'} without a password. Fetch the file again, or unpack "
            "it and give the CSV."
        ) from error
    return _unpacked(name, data, layer=layer + 1)


def _member(name: str, data: bytes) -> tuple[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if any(member.startswith(_WORKBOOK_MEMBERS) for member in names):
            raise _is_workbook(name)
        member = _only_data_file(name, names)
        return f"{name}:{member}", archive.read(member)


def _only_data_file(name: str, names: Sequence[str]) -> str:
    # macOS puts a "._" companion of each file into the zips it makes.
    own = [member for member in names if not member.rpartition("/")[2].startswith("._")]
    found = [member for member in own if member.lower().removesuffix(".gz").endswith(SUFFIXES)]
    if len(found) == 1:
        return found[0]
    workbooks = [member for member in own if member.lower().endswith(_WORKBOOKS)]
    if workbooks and not found:
        raise _is_workbook(f"{name}:{workbooks[0]}")
    listed = shorten(found or names) if names else "no member at all"
    raise DatasetError(
        f"{name}: the zip holds {len(found)} CSV files; found {listed}; expected exactly one "
        "CSV. Unpack it and give the right file."
    )


def _is_workbook(name: str) -> DatasetError:
    return DatasetError(
        f"{name}: found a workbook of a spreadsheet program; expected a CSV. Open it there, save "
        "the sheet as 'CSV UTF-8' (File > Save As), and give that file."
    )


def shorten(names: Sequence[str], most: int = 5) -> str:
    """Quote the first names, and count the others."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest


def _decode(name: str, data: bytes, encoding: str) -> tuple[str, str]:
    if encoding != AUTO:
        return _decode_as(name, data, encoding, f"valid {encoding}"), encoding
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        expected = "valid UTF-16, as the file's byte order mark announces"
        return _decode_as(name, data, "utf-16", expected), "utf-16"
    if data.startswith(codecs.BOM_UTF8):
        expected = "valid UTF-8, as the file's byte order mark announces"
        return _decode_as(name, data, "utf-8-sig", expected), "utf-8-sig"
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return _decode_as(name, data, "cp1252", "valid UTF-8 or cp1252"), "cp1252"


def _decode_as(name: str, data: bytes, encoding: str, expected: str) -> str:
    try:
        # A byte order mark would stand before the first column's name.
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        # error.object, not data: utf-8-sig counts from behind the byte order mark.
        before = error.object[: error.start].decode(encoding, errors="replace")
        raise DatasetError(
            f"{name}, line {_line_at_end(before)}: found the byte "
            f"0x{error.object[error.start]:02x}; expected {expected}. Name the file's encoding "
            "in encoding (--encoding), or save the file as UTF-8."
        ) from error
    except (LookupError, UnicodeError) as error:
        raise DatasetError(
            f"encoding (--encoding): {encoding!r} cannot decode {name} ({error}); expected "
            f"'{AUTO}' or the name of a text encoding that Python knows, such as 'utf-8'."
        ) from error


def _line_at_end(text: str) -> int:
    # Counts what csv counts: str.splitlines would also break at U+0085 and others.
    return text.count("\n") + text.count("\r") - text.count("\r\n") + 1
