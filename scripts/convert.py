"""Convert a file of IOB2 tags into train.spacy, dev.spacy and test.spacy."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.status import Status
from rich.table import Table
from spacy.tokens import DocBin

from ner_lstm_component import logs
from ner_lstm_component.dataset import (
    AUTO,
    DEFAULT_SEED,
    MAX_SEED,
    PARTS,
    DatasetError,
    Sentence,
    Source,
    Split,
    count,
    read_csv,
    read_folder,
    split_sentences,
    to_docbin,
)
from ner_lstm_component.dataset.files import counted

app = typer.Typer(add_completion=False)


@app.command()
def main(
    input_path: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A CSV (Sentence #, Word, POS, Tag; also with tabs or semicolons) or a CoNLL "
            "file, plain, in a zip or gzipped, or a folder with train.csv, dev.csv and test.csv.",
        ),
    ],
    output_dir: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT_DIR",
            help="The folder for train.spacy, dev.spacy and test.spacy; created if missing.",
        ),
    ],
    split: Annotated[
        Split | None,
        typer.Option(
            help="deduplicated: 80/10/10, no text in two parts. community: the test part of the "
            "public results on ner_dataset.csv. Not for a folder.",
            show_default=Split.deduplicated.value,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_SEED,
            help="The seed of the random split. Not for a folder.",
            show_default=str(DEFAULT_SEED),
        ),
    ] = None,
    encoding: Annotated[
        str, typer.Option(help="The file's encoding. auto: UTF-8 if it is valid, else cp1252.")
    ] = AUTO,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read an I- tag that continues no entity as B-.")
    ] = False,
    log_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar=logs.FILE_VARIABLE,
            help="A rotating log file, such as logs/app.log.",
        ),
    ] = None,
    folder_as_is: Annotated[
        bool,
        typer.Option(
            "--folder-as-is",
            help="Ignore --split and --seed if INPUT is a folder, instead of refusing them. "
            "For callers that pass the same options for every INPUT.",
        ),
    ] = False,
) -> None:
    """Convert a file of IOB2 tags into train.spacy, dev.spacy and test.spacy."""
    if folder_as_is and input_path.is_dir():
        split = seed = None
        typer.echo(f"{input_path}: a folder, so its three files are the split")
    logs.configure(file=log_file, stderr=False)
    try:
        with logs.recorded(
            "convert",
            input=str(input_path),
            output=str(output_dir),
            split=split,
            seed=seed,
            encoding=encoding,
            repair=repair,
        ) as logger:
            parts = _read_parts(input_path, split, seed, encoding, repair)
            bins = {
                part: to_docbin(track(parts[part], part, console=Console(stderr=True)))
                for part in PARTS
            }
            write_bins(bins, output_dir)
            logger.info("Converted", extra=logs.fields(**{p: len(parts[p]) for p in PARTS}))
    except DatasetError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    Console().print(_summary(parts))
    typer.echo(f"Written to {output_dir}: {', '.join(f'{part}.spacy' for part in PARTS)}")


def _read_parts(
    path: Path, split: Split | None, seed: int | None, encoding: str, repair: bool
) -> dict[str, list[Sentence]]:
    if path.is_dir():
        _refuse_split(path, split, seed)
        with _reading():
            sources = read_folder(path, encoding=encoding, repair_tags=repair)
        for source in sources.values():
            _report(source, repair)
        return {part: list(source.sentences) for part, source in sources.items()}
    with _reading():
        source = read_csv(path, encoding=encoding, repair_tags=repair)
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
            "train.csv, dev.csv and test.csv. Leave the option out, or give one CSV."
        )


def _reading() -> Status:
    return Console(stderr=True).status("Reading …")


def _report(source: Source, repair: bool) -> None:
    separator = "" if source.separator == "commas" else f", separated by {source.separator}"
    sentences = counted(len(source.sentences), "sentence")
    typer.echo(f"{source.name}: {sentences}, read as {source.encoding}{separator}")
    for remark in source.remarks:
        typer.echo(f"{source.name}: {remark}")
    if repair:
        repaired = counted(source.mended, "tag")
        typer.echo(f"{source.name}: {repaired} repaired, I- without B-")


def write_bins(bins: dict[str, DocBin], folder: Path) -> None:
    """Write a ``.spacy`` file for each part. If writing fails, no file is changed.

    :param bins: The Docs of each part.
    :param folder: Created if it is missing.
    :raises DatasetError: If a file cannot be written.
    """
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


def _summary(parts: dict[str, list[Sentence]]) -> Table:
    counts = [count(parts[part]) for part in PARTS]
    total = count(sentence for part in PARTS for sentence in parts[part])
    columns = [*counts, total]
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


if __name__ == "__main__":
    app()
