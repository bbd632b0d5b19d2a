"""Annotated records to the file of a part."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from spacy.tokens import DocBin

from .annotator import Annotated
from .records import ENTS, Bad, bad_record

# What `Doc.user_data` has the fields of a record under.
FIELDS = "fields"


# The fields of an entity in Parquet, and the functions of Arrow that make their types.
_TYPES = {
    "text": "string",
    "label": "string",
    "start": "int64",
    "end": "int64",
    "score": "float64",
}


class Writer(Protocol):
    """A file that is written record by record."""

    def add(self, annotated: Annotated) -> None:
        """Add a record."""

    def save(self, path: Path) -> list[Bad]:
        """Write the file, and return the records that don't fit into it."""


class JsonlWriter:
    """An object for each record: its fields, and ``ents``."""

    suffix = "jsonl"

    def __init__(self, schema: Any = None) -> None:
        self._lines: list[str] = []

    def add(self, annotated: Annotated) -> None:
        """Add a line."""
        fields = {**annotated.record.fields, ENTS: annotated.ents}
        # Dates and bytes, as Parquet has them, are written as strings.
        self._lines.append(json.dumps(fields, ensure_ascii=False, default=str) + "\n")

    def save(self, path: Path) -> list[Bad]:
        """Write the lines as UTF-8."""
        # Fields other than the text may have lone surrogates.
        with path.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.writelines(self._lines)
        return []


class ParquetWriter:
    """A row for each record: its fields, and ``ents``, a list of structs.

    :param schema: the types of the fields, an Arrow schema.
    """

    suffix = "parquet"

    def __init__(self, schema: Any) -> None:
        # Of a field of that name, entities take the place.
        self._schema = schema.remove(at) if (at := schema.get_field_index(ENTS)) >= 0 else schema
        self._records: list[Annotated] = []

    def add(self, annotated: Annotated) -> None:
        """Add a row."""
        self._records.append(annotated)

    def save(self, path: Path) -> list[Bad]:
        """Write the rows whose fields are of the columns' types."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        records, bad = self._records, []
        names = {*self._schema.names, ENTS}
        try:
            if not all(one.record.fields.keys() <= names for one in records):
                raise pa.ArrowInvalid  # Arrow itself would leave out the others
            table = self._table(records)
        except _misfits():
            reasons = [self._misfit(one) for one in records]
            pairs = list(zip(records, reasons, strict=True))
            bad = [bad_record(one.record, reason) for one, reason in pairs if reason]
            table = self._table([one for one, reason in pairs if not reason])
        pq.write_table(table, path, compression="zstd")
        return bad

    def _table(self, records: Sequence[Annotated]) -> Any:
        import pyarrow as pa

        fields = pa.Table.from_pylist([one.record.fields for one in records], self._schema)
        ents = [ent for one in records for ent in one.ents]
        columns = [
            pa.array([ent[name] for ent in ents], getattr(pa, type_name)())
            for name, type_name in _TYPES.items()
        ]
        offsets = np.cumsum([0, *(len(one.ents) for one in records)])
        structs = pa.StructArray.from_arrays(columns, list(_TYPES))
        return fields.append_column(ENTS, pa.LargeListArray.from_arrays(offsets, structs))

    def _misfit(self, annotated: Annotated) -> str | None:
        """Return why a row doesn't fit the columns, or None if it does."""
        fields = annotated.record.fields
        if unknown := fields.keys() - {*self._schema.names, ENTS}:
            return f"fields that the first records lack: {', '.join(sorted(unknown))}"
        try:
            self._table([annotated])
        except _misfits() as error:
            return f"a field is not of the type that the first records have: {error}"
        return None


class DocBinWriter:
    """A Doc for each record, with its other fields in ``doc.user_data["fields"]``."""

    suffix = "spacy"

    def __init__(self, schema: Any = None) -> None:
        self._docbin = DocBin(store_user_data=True)

    def add(self, annotated: Annotated) -> None:
        """Add a Doc."""
        doc, record = annotated.doc, annotated.record
        assert doc is not None
        if record.doc is None:
            text = record.text
            fields = {name: value for name, value in record.fields.items() if value is not text}
            doc.user_data[FIELDS] = json.dumps(fields, default=str)
        self._docbin.add(doc)

    def save(self, path: Path) -> list[Bad]:
        """Write the Docs."""
        self._docbin.to_disk(path)
        return []


WRITERS: dict[str, Callable[..., Writer]] = {
    writer.suffix: writer for writer in (JsonlWriter, ParquetWriter, DocBinWriter)
}


def _misfits() -> tuple[type[Exception], ...]:
    """Return the errors that Arrow raises for a value of another type than the column's."""
    import pyarrow as pa

    return pa.ArrowInvalid, pa.ArrowTypeError, OverflowError


def write_bad(bad: list[Bad], path: Path) -> None:
    """Write records that could not be annotated, with their reasons, as JSONL."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(one._asdict()) + "\n" for one in bad)
