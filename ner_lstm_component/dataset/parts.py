"""Data as commands take it: read and split into parts, reported, counted and written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import reduce
from operator import add
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.status import Status
from rich.table import Table

from .docs import Counts, Sentence, count, to_docbin
from .files import AUTO, DatasetError, counted
from .reader import Source, read_file, read_folder
from .splits import DEFAULT_SEED, PARTS, Split, split_sentences

Parts = dict[str, list[Sentence]]  # the sentences of ``train``, ``dev`` and ``test``


def read_parts(
    path: Path,
    *,
    split: Split | None = None,
    seed: int | None = None,
    encoding: str = AUTO,
    repair: bool = False,
) -> Parts:
    """Read a file and split it, or read a folder of three files, and print what was read.

    :param split: how a file is split; ``deduplicated`` if None. A folder is split already.
    :param seed: the seed of the split.
    :param encoding: see `reader.read_csv`.
    :param repair: whether to read each ``I-`` that continues no entity as ``B-``.
    :raises DatasetError: if the data cannot be read or split.
    """
    if path.is_dir():
        _refuse_split(path, split, seed)
        with _reading():
            sources = read_folder(path, encoding=encoding, repair_tags=repair)
        for source in sources.values():
            _report(source, repair)
        return {part: list(source.sentences) for part, source in sources.items()}
    with _reading():
        source = read_file(path, encoding=encoding, repair_tags=repair)
    _report(source, repair)
    try:
        return split_sentences(
            source.sentences,
            Split.deduplicated if split is None else split,
            DEFAULT_SEED if seed is None else seed,
        )
    except DatasetError as error:
        raise DatasetError(f"{source.name}: {error}") from error


def _refuse_split(path: Path, split: Split | None, seed: int | None) -> None:
    given = [
        option for option, value in (("--split", split), ("--seed", seed)) if value is not None
    ]
    if given:
        raise DatasetError(
            f"{path}: found a folder and {' and '.join(given)}; a folder is already split into "
            "train.csv, dev.csv and test.csv. Leave the option out, or give one file."
        )


def _reading() -> Status:
    return Console(stderr=True).status("Reading …")


def _report(source: Source, repair: bool) -> None:
    is_usual = source.separator in ("commas", "")
    separator = "" if is_usual else f", separated by {source.separator}"
    sentences = counted(len(source.sentences), "sentence")
    typer.echo(f"{source.name}: {sentences}, read as {source.encoding}{separator}")
    for remark in source.remarks:
        typer.echo(f"{source.name}: {remark}")
    if repair:
        repaired = counted(source.mended, "tag")
        typer.echo(f"{source.name}: {repaired} repaired, I- without B-")


def write_parts(parts: Parts, folder: Path) -> None:
    """Write a ``.spacy`` file for each part. If writing fails, no file is changed.

    :param folder: created if it is missing.
    :raises DatasetError: if a file cannot be written.
    """
    console = Console(stderr=True)
    bins = {
        part: to_docbin(track(parts[part], part, console=console, transient=True)) for part in PARTS
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # In a hidden folder, which spaCy's Corpus ignores if the program is killed, and on the
        # same file system, where moving a file is atomic.
        with tempfile.TemporaryDirectory(prefix=".convert-", dir=folder) as scratch:
            for part, docbin in bins.items():
                docbin.to_disk(Path(scratch) / f"{part}.spacy")
            _move_all(Path(scratch), folder, [f"{part}.spacy" for part in bins])
    except OSError as error:
        raise DatasetError(
            f"{folder}: cannot be written ({error}); expected a folder with write permission "
            "and enough room. Earlier files there were left as they were."
        ) from error


def _move_all(source: Path, target: Path, names: list[str]) -> None:
    # Keep copies of the earlier files: if a move fails after another one has succeeded (on
    # Windows, for an open file), the folder would contain files of two splits.
    earlier = source / "earlier"
    earlier.mkdir()
    for name in names:
        if (target / name).exists():
            shutil.copy2(target / name, earlier / name)
    moved: list[str] = []
    try:
        for name in names:
            os.replace(source / name, target / name)
            moved.append(name)
    except BaseException:
        for name in moved:
            (target / name).unlink()
            if (earlier / name).exists():
                os.replace(earlier / name, target / name)
        raise


def summary(parts: Parts) -> Table:
    """Return the counts of sentences, tokens, entities and types in each part, and in all."""
    return table_of({part: count(parts[part]) for part in PARTS})


def table_of(counts: Mapping[str, Counts]) -> Table:
    """Return the counts of each part, and their sums, as a table."""
    by_part = [counts[part] for part in PARTS]
    total = reduce(add, by_part)
    columns = [*by_part, total]
    table = Table("", *PARTS, "all")
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, numbers: list[int]) -> None:
        table.add_row(escape(name), *(f"{number:,}" for number in numbers))

    row("sentences", [c.sentences for c in columns])
    row("  without entity", [c.without_entity for c in columns])
    row("tokens", [c.tokens for c in columns])
    row("entities", [sum(c.entities.values()) for c in columns])
    for kind in total.entities:
        row(f"  {kind}", [c.entities.get(kind, 0) for c in columns])
    return table
