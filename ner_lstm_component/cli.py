"""The command ``ner-lstm``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import spacy
import typer

from ner_lstm_component.export import export_network

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def main() -> None:
    """Commands for pipelines with the component ner_lstm."""


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(help="The folder of a trained pipeline, or an installed one's name.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the files go; created if missing.")
    ] = Path("models"),
) -> None:
    """Write the plain network for Keras and ONNX Runtime, its transitions, tags and a sample."""
    try:
        nlp = spacy.load(model)
    # Whatever is wrong with a folder's files comes out of the libraries that read them.
    except Exception as error:
        _fail(
            f"{model}: cannot be loaded; expected the folder of a trained pipeline, or the name "
            f"of an installed one. {error}"
        )
    try:
        for path in export_network(nlp, output):
            typer.echo(f"Written to {path}")
    except ValueError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{output}: the files cannot be written ({error})")


def _fail(message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
