"""Convert a file of IOB2 tags into train.spacy, dev.spacy and test.spacy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ner_lstm_component import logs
from ner_lstm_component.dataset import (
    AUTO,
    DEFAULT_SEED,
    MAX_SEED,
    PARTS,
    DatasetError,
    Split,
    count,
)
from ner_lstm_component.dataset.parts import read_parts, table_of, write_parts
from ner_lstm_component.dataset.shards import write_shards

app = typer.Typer(add_completion=False)


@app.command()
def main(
    input_path: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A CSV (Sentence #, Word, POS, Tag; also with tabs or semicolons) or a CoNLL "
            "file, plain, in a zip or gzipped, a .spacy file, or a folder with train.csv, dev.csv "
            "and test.csv.",
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
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="For a file that exceeds the memory: write folders of many .spacy files, which "
            "spacy train can stream. OUTPUT_DIR must be new.",
        ),
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
    if stream and split not in (None, Split.deduplicated):
        typer.echo(f"Error: --stream cannot split as --split {split.value}; leave it out", err=True)
        raise typer.Exit(1)
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
            if stream:
                counts = write_shards(
                    input_path,
                    output_dir,
                    seed=DEFAULT_SEED if seed is None else seed,
                    encoding=encoding,
                    repair=repair,
                )
            else:
                parts = read_parts(
                    input_path, split=split, seed=seed, encoding=encoding, repair=repair
                )
                write_parts(parts, output_dir)
                counts = {part: count(parts[part]) for part in PARTS}
            logger.info("Converted", extra=logs.fields(**{p: counts[p].sentences for p in PARTS}))
    except DatasetError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    Console().print(table_of(counts))
    written = PARTS if stream else [f"{part}.spacy" for part in PARTS]
    typer.echo(f"Written to {output_dir}: {', '.join(written)}")


if __name__ == "__main__":
    app()
