"""The command ``ner-lstm``."""

from __future__ import annotations

import json
import re
import shlex
import signal
from enum import Enum
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NoReturn

import spacy
import typer

from . import __version__, kernels, logs
from .export import export_network
from .service import CLIENT_TIMEOUT, HOST, KEEP_ALIVE, PORT, STOP_TIMEOUT, THREADS, TIMEOUT, WORKERS

app = typer.Typer(add_completion=False, no_args_is_help=True)


class Format(str, Enum):
    """The formats that ``annotate`` writes."""

    jsonl = "jsonl"
    parquet = "parquet"
    spacy = "spacy"


class Precision(str, Enum):
    """The precisions of a network in ONNX Runtime."""

    float32 = "float32"
    int8 = "int8"


class Engine(str, Enum):
    """What runs the processes of ``annotate``."""

    local = "local"
    ray = "ray"


Model = Annotated[str, typer.Argument(help="A trained pipeline's folder, or an installed name.")]


def _option(help: str, *, default: object = None, **settings: Any) -> Any:
    """Declare an option; ``--help`` shows ``default`` if the option's own default is None."""
    shown = True if default is None else str(default)
    return typer.Option(help=help, show_default=shown, **settings)


def _show_versions(wanted: bool) -> None:
    if not wanted:
        return
    # Several distributions contain the modules of TensorFlow and ONNX Runtime.
    installed = packages_distributions()
    typer.echo(f"ner-lstm-component {__version__}")
    typer.echo(f"spaCy {spacy.__version__}")
    for name, module in (("TensorFlow", "tensorflow"), ("ONNX Runtime", "onnxruntime")):
        found = installed.get(module)
        typer.echo(f"{name} {version(found[0]) if found else 'is not installed'}")
    slower = "not compiled; NumPy computes them, several times slower"
    typer.echo(f"Kernels: {'compiled' if kernels.IS_COMPILED else slower}")
    raise typer.Exit


@app.callback()
def main(
    show_versions: Annotated[
        bool,
        typer.Option("--version", callback=_show_versions, is_eager=True, help="Show versions."),
    ] = False,
) -> None:
    """Commands for pipelines with the component ner_lstm."""


@app.command()
def export(
    model: Model,
    output: Annotated[Path, _option("Folder of the files; created if missing.")] = Path("models"),
) -> None:
    """Write the network alone for Keras and ONNX Runtime, with transitions and sample inputs."""
    try:
        nlp = spacy.load(model)
    # Damaged files raise any error from the libraries that read them.
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
    model: Model,
    host: Annotated[str | None, _option("Address; 0.0.0.0 for all.", default=HOST)] = None,
    port: Annotated[
        int | None, _option("0 takes a free one.", min=0, max=65535, default=PORT)
    ] = None,
    bind: Annotated[str | None, _option("Instead of both, such as unix:/run/ner.sock.")] = None,
    workers: Annotated[int | None, _option("Processes.", min=1, default=WORKERS)] = None,
    threads: Annotated[int | None, _option("Threads of a process.", min=1, default=THREADS)] = None,
    timeout: Annotated[
        int | None, _option("Seconds until a hanging worker is replaced.", min=1, default=TIMEOUT)
    ] = None,
    graceful_timeout: Annotated[
        int | None,
        _option("Seconds for requests to finish on shutdown.", min=1, default=STOP_TIMEOUT),
    ] = None,
    drain_seconds: Annotated[
        float,
        _option("Seconds between SIGTERM and shutdown, while /readyz says 503.", min=0, max=86_400),
    ] = 0.0,
    keep_alive: Annotated[
        int | None, _option("Seconds that an idle connection is kept.", min=1, default=KEEP_ALIVE)
    ] = None,
    client_timeout: Annotated[
        float, _option("Seconds for a client to send a body, or take its answer.", min=0.1)
    ] = CLIENT_TIMEOUT,
    max_requests: Annotated[
        int | None,
        _option("Requests after which a worker is replaced; 0 for never.", min=0, default=0),
    ] = None,
    max_body: Annotated[int, _option("Bytes of a request.", min=1)] = 1_048_576,
    max_texts: Annotated[int, _option("Texts of a request.", min=1)] = 1_000,
    max_tokens: Annotated[int, _option("Tokens of a request.", min=1)] = 10_000,
    max_word: Annotated[int, _option("Characters without white space between.", min=1)] = 1_000,
    max_scan: Annotated[int, _option("Characters scanned for punctuation.", min=1)] = 2_000_000,
    proxies: Annotated[
        int, _option("Proxies in front whose X-Forwarded-* headers count.", min=0)
    ] = 0,
    cors_origin: Annotated[
        list[str] | None,
        _option("Site whose pages may use it, such as https://a.example; * for all. Repeatable."),
    ] = None,
    precision: Annotated[
        Precision | None, _option("Of the network; int8 is faster.", default="the pipeline's")
    ] = None,
    gunicorn_conf: Annotated[
        Path | None, _option("A configuration file for gunicorn.", exists=True, dir_okay=False)
    ] = None,
    log_file: Annotated[Path | None, _option("A rotating log, such as logs/app.log.")] = None,
    log_level: Annotated[str, _option("debug, info, warning or error.")] = "info",
) -> None:
    """Serve MODEL over HTTP: POST /predict; a page at /, the API's documentation at /docs.

    GUNICORN_CMD_ARGS and --gunicorn-conf reach all settings of gunicorn; options override them.
    """
    try:
        logs.configure(file=log_file, level=log_level)
    except (OSError, ValueError) as error:
        _fail(f"logging cannot be set up: {error}")
    # Imported here, because other commands do not need the extra "serve".
    try:
        from .service.limits import Limits
        from .service.server import ServerSettings, address
        from .service.server import serve as serve_pipeline
    except ImportError as error:
        _fail(
            f"serving needs {error.name}, which is not installed; "
            "run: pip install 'ner-lstm-component[serve]'"
        )
    for origin in cors_origin or ():
        if not re.fullmatch(r"\*|https?://[^/*\s]+", origin):
            _fail(
                "--cors-origin is a scheme, a host and perhaps a port, such as "
                f"https://example.com, or * for all. Received: {origin!r}"
            )
    has_address = host is not None or port is not None
    gunicorn: dict[str, Any] = {
        "bind": bind or (address(host, port) if has_address else None),
        "workers": workers,
        "threads": threads,
        "timeout": timeout,
        "graceful_timeout": graceful_timeout,
        "keepalive": keep_alive,
        "max_requests": max_requests,
    }
    app = {
        "client_timeout": client_timeout,
        "proxies": proxies,
        "cors_origins": cors_origin or [],
        "precision": precision and precision.value,
    }
    settings = ServerSettings(gunicorn, gunicorn_conf, drain_seconds, app)
    try:
        serve_pipeline(model, Limits(max_body, max_texts, max_tokens, max_word, max_scan), settings)
    except ValueError as error:  # in the pipeline, or in gunicorn's settings
        _fail(str(error))


# The exit code of a run that could not annotate all records.
SOME_BAD = 3


@app.command()
def annotate(
    model: Model,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A .txt (a text on each line), .jsonl, .csv, .tsv, .parquet or .spacy file, also "
            "with .gz, .bz2 or .xz, or a folder of such files.",
        ),
    ],
    output: Annotated[Path, _option("Folder of the result, a file for each part of INPUT.")],
    text: Annotated[str, _option("Field or column with the text.")] = "text",
    format: Annotated[Format, _option("Of the result.")] = Format.jsonl,
    scores: Annotated[bool, _option("Compute the probability of each entity.")] = True,
    precision: Annotated[
        Precision | None, _option("Of the network; int8 is faster.", default="the pipeline's")
    ] = None,
    workers: Annotated[int, _option("Processes.", min=1)] = 1,
    engine: Annotated[Engine, _option("local, or ray for Parquet on a cluster.")] = Engine.local,
    address: Annotated[
        str | None, _option("Address of a Ray cluster.", default="this machine")
    ] = None,
) -> None:
    """Find the entities of all records of INPUT with MODEL.

    A run that was interrupted goes on when it is started again with the same options. Records that
    cannot be annotated are written to files named bad-*, and the exit code is then 3.
    """
    is_parquet = path.suffix.lower() == ".parquet" or any(path.rglob("*.parquet"))
    needed = ["pyarrow"] if is_parquet or format is Format.parquet else []
    needed += ["ray"] if engine is Engine.ray else []
    for name in needed:
        if find_spec(name) is None:
            extra = "ray" if name == "ray" else "annotate"
            _fail(
                f"this needs {name}, which is not installed; "
                f"run: pip install 'ner-lstm-component[{extra}]'"
            )
    from .annotate.parts import AnnotateError
    from .annotate.run import run as annotate_all

    try:
        found = annotate_all(
            model,
            path,
            output,
            column=text,
            suffix=format.value,
            scores=scores,
            precision=precision and precision.value,
            workers=workers,
            engine=engine.value,
            address=address,
        )
    except AnnotateError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{output}: cannot be written ({error}). Run the command again to go on.")
    except KeyboardInterrupt:
        typer.echo("Stopped. Run the command again to go on.", err=True)
        raise typer.Exit(128 + signal.SIGINT) from None
    typer.echo(
        f"{found.records:,} records, {found.words:,} words, {found.entities:,} entities in "
        f"{found.seconds:,.1f} s ({found.words / found.seconds:,.0f} words/s)"
    )
    if found.former:
        typer.echo(f"{found.former:,} parts had been written before")
    typer.echo(f"Written to {output}")
    if found.bad_files:
        typer.echo(
            f"Some records could not be annotated: see {found.bad_files[0]}"
            + (f" and {len(found.bad_files) - 1} more" if len(found.bad_files) > 1 else ""),
            err=True,
        )
        raise typer.Exit(SOME_BAD)


# What the extra "train" installs, by the names of its modules.
_TRAINING = (
    "tensorflow",
    "keras",
    "pandas",
    "sklearn",
    "matplotlib",
    "rich",
    "jinja2",
    "sacremoses",
)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A CSV (Sentence #, Word, POS, Tag; any delimiter), a CoNLL, IOB or .spacy file, "
            "or a folder with train, dev and test of these. A file is split 80/10/10.",
        ),
    ],
    output: Annotated[
        Path | None, _option("Folder for the result.", default="training/ and DATA's name")
    ] = None,
    lang: Annotated[str | None, _option("Language, such as de.", default="en")] = None,
    config: Annotated[
        Path | None,
        _option(
            "A config for spacy train.", default="the built-in one", exists=True, dir_okay=False
        ),
    ] = None,
    gpu_id: Annotated[int, _option("The number of the GPU, or -1 for the CPU.", min=-1)] = -1,
    seed: Annotated[
        int | None, _option("Seed of the split. Not for a folder.", min=0, default=0)
    ] = None,
    encoding: Annotated[
        str, _option("The file's encoding. auto: UTF-8 if it is valid, else cp1252.")
    ] = "auto",
    repair: Annotated[
        bool, typer.Option("--repair", help="Read an I- tag that continues no entity as B-.")
    ] = False,
    tune_thresholds: Annotated[
        bool,
        typer.Option(
            "--tune-thresholds",
            help="Find a threshold for each type on the dev part, for a better F1.",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the last checkpoint if a training with the same arguments was killed.",
        ),
    ] = False,
) -> None:
    """Train a pipeline on DATA, which is checked first, and evaluate it on the test part.

    Values of the config follow their names, as for spacy train: --training.dropout 0.5

    Ctrl-C ends the training and keeps the best pipeline so far.
    """
    missing = [name for name in _TRAINING if find_spec(name) is None]
    if missing:
        _fail(
            f"training needs {', '.join(missing)}, which is not installed; "
            "run: pip install 'ner-lstm-component[train]'"
        )
    # Imported here, because other commands do not need the extra "train".
    from rich.console import Console

    from .dataset import DatasetError
    from .evaluation.pipeline import score_table
    from .training.output import TrainingError
    from .training.progress import Stopped
    from .training.run import run

    name = data.resolve().name
    stem = re.sub(r"(\.(csv|tsv|txt|conll|iob2?|bio|spacy))?(\.(gz|zip))?$", "", name, flags=re.I)
    folder = output or Path("training") / (stem or name)
    former = f"{folder} is as it was before."
    try:
        result = run(
            data,
            folder,
            lang=lang,
            config=config,
            overrides=_overrides(context.args),
            gpu_id=gpu_id,
            seed=seed,
            encoding=encoding,
            repair=repair,
            tune_thresholds=tune_thresholds,
            resume=resume,
        )
    except (DatasetError, TrainingError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{folder}: cannot be written ({error}). {former}")
    except KeyboardInterrupt as error:
        typer.echo(f"Stopped. Nothing is kept: {former}", err=True)
        raise typer.Exit(128 + getattr(error, "number", signal.SIGINT)) from None
    ended = result.interruption
    if ended is not None:
        reason = str(ended) or repr(ended)
        typer.echo(f"Training ended early ({reason}): this is the best pipeline so far.")
    if result.evaluation is not None:
        Console().print(score_table(result.evaluation))
    if result.problem:
        typer.echo(f"No {'report' if result.evaluation else 'scores'}: {result.problem}")
    else:
        typer.echo(f"Report:         {folder / 'report' / 'report.html'}")
    pipeline = folder / "pipeline"
    typer.echo(f"Load it with:   spacy.load({str(pipeline)!r})")
    typer.echo(f"Serve it with:  ner-lstm serve {shlex.quote(str(pipeline))}")
    if ended is not None:
        raise typer.Exit(128 + ended.number if isinstance(ended, Stopped) else 1)


def _overrides(arguments: list[str]) -> dict[str, Any]:
    """Parse values of a config: ``--a.b 1``, ``--a.b=1``, or ``--a.b`` for true."""
    overrides: dict[str, Any] = {}
    remaining = list(arguments)
    while remaining:
        name, has_value, value = remaining.pop(0).partition("=")
        if not name.startswith("--") or "." not in name:
            _fail(
                f"found {name!r}; expected an option (see --help), or a value of the config with "
                "its section's name, such as --training.dropout 0.5"
            )
        if not has_value:
            flag = not remaining or remaining[0].startswith("--")
            value = "true" if flag else remaining.pop(0)
        try:
            overrides[name[2:]] = json.loads(value)
        except json.JSONDecodeError:
            overrides[name[2:]] = value  # a string without quotes
    return overrides


def _fail(message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
