"""Records: a text with the other fields of its line or row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from spacy.tokens import Doc

#: The field that annotation adds.
ENTS = "ents"


class Record(NamedTuple):
    """A text to tag.

    :param place: the line or row in the input, such as ``line 3``.
    :param fields: all fields, the text among them.
    :param doc: the Doc, if the input has Docs.
    """

    place: str
    text: str
    fields: Mapping[str, Any]
    doc: Doc | None = None


class Bad(NamedTuple):
    r"""A record that cannot be annotated.

    :param data: what the input has there; bytes that are not UTF-8 are escaped as in ``\xff``.
    """

    place: str
    reason: str
    data: str


def from_line(place: str, line: bytes, number: int) -> Record | Bad:
    """Read a line of a text file, whose number is kept as the field ``line``."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(place, line, error)
    return from_fields(place, {"line": number, "text": text}, "text")


def from_json(place: str, line: bytes, column: str) -> Record | Bad | None:
    """Read a line of a JSONL file; None for a blank one."""
    if not line.strip():
        return None
    try:
        fields = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return _not_utf8(place, line, error)
    except (ValueError, RecursionError) as error:
        return Bad(place, f"not JSON ({error})", line.decode())
    if not isinstance(fields, dict):
        return Bad(place, "expected an object", line.decode())
    return from_fields(place, fields, column)


def from_fields(place: str, fields: Mapping[str, Any], column: str) -> Record | Bad:
    """Check the text of a record."""
    text = fields.get(column)
    if column not in fields:
        reason = f"no field {column!r}"
    elif not isinstance(text, str):
        reason = f"{column!r} is {'null' if text is None else 'no text'}"
    else:
        try:
            text.encode()
        except UnicodeEncodeError:
            reason = f"{column!r} has a lone surrogate, which is no character"
        else:
            return Record(place, text, fields)
    return Bad(place, reason, _dump(fields))


def from_rows(rows: Iterable[tuple[int, list[str]]], header: list[str], column: str) -> Iterator:
    """Read rows of a CSV, each with its number; the surrogates of bytes that are not UTF-8."""
    for number, row in rows:
        place = f"row {number}"
        joined = ",".join(row)
        if not joined.isascii() and any("\udc80" <= char <= "\udcff" for char in joined):
            data = joined.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            yield Bad(place, "not UTF-8", data)
        elif len(row) != len(header):
            yield Bad(place, f"{len(row)} fields, but {len(header)} columns", joined)
        else:
            yield from_fields(place, dict(zip(header, row, strict=True)), column)


def bad_record(record: Record, reason: str) -> Bad:
    """Return a record as one that cannot be annotated."""
    return Bad(record.place, reason, _dump(record.fields))


def _not_utf8(place: str, line: bytes, error: UnicodeDecodeError) -> Bad:
    byte = line[error.start]
    return Bad(place, f"not UTF-8: the byte 0x{byte:02x}", line.decode("utf-8", "backslashreplace"))


def _dump(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, default=str)
