"""The command ``ner-lstm``."""

from __future__ import annotations

from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Annotated, NoReturn

import spacy
import typer

from . import __version__, kernels, logs
from .export import export_network

app = typer.Typer(add_completion=False, no_args_is_help=True)


def _show_versions(wanted: bool) -> None:
    if not wanted:
        return
    # By what is imported: several distributions ship TensorFlow or ONNX Runtime.
    installed = packages_distributions()
    typer.echo(f"ner-lstm-component {__version__}")
    typer.echo(f"spaCy {spacy.__version__}")
    for name, module in (("TensorFlow", "tensorflow"), ("ONNX Runtime", "onnxruntime")):
        found = installed.get(module)
        typer.echo(f"{name} {version(found[0]) if found else 'is not installed'}")
    typer.echo(
        "Kernels: compiled"
        if kernels.IS_COMPILED
        else "Kernels: not compiled; NumPy computes them, several times slower"
    )
    raise typer.Exit


@app.callback()
def main(
    show_versions: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_versions,
            is_eager=True,
            help="Show the versions in use, and whether the kernels are compiled.",
        ),
    ] = False,
) -> None:
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


@app.command()
def serve(
    model: Annotated[
        str, typer.Argument(help="The folder of a trained pipeline, or an installed one's name.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 5000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of a process: requests tagged together.")
    ] = 16,
    timeout: Annotated[
        int, typer.Option(min=1, help="Seconds after which a hanging worker is replaced.")
    ] = 60,
    graceful_timeout: Annotated[
        int, typer.Option(min=1, help="Seconds for requests to finish when the server stops.")
    ] = 30,
    keep_alive: Annotated[
        int, typer.Option(min=1, help="Seconds that an idle connection is kept.")
    ] = 15,
    max_requests: Annotated[
        int, typer.Option(min=0, help="Requests after which a worker is replaced; 0 for never.")
    ] = 0,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request.")] = 1_048_576,
    max_texts: Annotated[int, typer.Option(min=1, help="Texts of a request.")] = 1_000,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a request.")] = 10_000,
    max_word: Annotated[
        int, typer.Option(min=1, help="Characters of a text without white space between.")
    ] = 1_000,
    log_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A rotating log, such as logs/app.log.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve MODEL over HTTP: POST /predict; a page at /, the API's documentation at /docs."""
    try:
        logs.configure(file=log_file, level=log_level)
    except (OSError, ValueError) as error:
        _fail(f"logging cannot be set up: {error}")
    # Not at the head: other commands do not need what serving needs.
    try:
        from .service.limits import Limits
        from .service.models import ModelError
        from .service.server import ServerSettings
        from .service.server import serve as serve_pipeline
    except ImportError as error:
        _fail(
            f"serving needs {error.name}, which is not installed; "
            "run: pip install 'ner-lstm-component[serve]'"
        )
    limits = Limits(max_body, max_texts, max_tokens, max_word)
    settings = ServerSettings(
        host, port, workers, threads, timeout, graceful_timeout, keep_alive, max_requests
    )
    try:
        serve_pipeline(model, limits, settings)
    except ModelError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
