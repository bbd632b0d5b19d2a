"""Compare a pipeline's speed, memory and size with those of a peer and of TensorFlow.

    python scripts/benchmark.py run MODEL TEST.spacy --peer PEER --train TRAIN.spacy
    python scripts/benchmark.py run MODEL TEST.spacy --peer PEER --only pipe --only single
    python scripts/benchmark.py tables

Each system runs in its own process. In every round the systems work one after the other, so
that whatever slows the machine down slows all of them down. Ratios are computed round by round.
Results go to docs/results/performance.json; the tables and the picture of docs/performance.md
are made from that file. The measurements are in benchmarks/.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.inputs import check_files, factories, read_results, read_texts, unneeded
from benchmarks.measurements import BY_WALL, FLOOR, KERAS, MEASUREMENTS, Setup
from benchmarks.pages import ROOT, commit, fill
from benchmarks.processes import System, WorkerError
from benchmarks.tables import TITLES, draw, machine_text, page_text, rich_table

RESULTS = ROOT / "docs" / "results" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.png"
VERSIONS = ("spacy", "thinc", "numpy", "onnxruntime", "tensorflow", "keras")
OURS = "ner_lstm"
WITH_TENSORFLOW = "ner_lstm, TensorFlow"

BATCH_SIZES = [32, 128, 256, 1000]
LENGTHS = [2_000, 10_000, 100_000, 1_000_000]
STREAMS = [1_000, 10_000, 50_000]

app = typer.Typer(add_completion=False)

Name = Enum("Name", {name: name for name in TITLES}, type=str)  # type: ignore[misc]


class Clock(str, Enum):
    """The clock for measurements in which a single process does all of the work."""

    wall = "wall"
    cpu = "cpu"


ResultsOption = Annotated[Path, typer.Option(metavar="FILE", help="The file of results.")]


@app.command()
def run(
    context: typer.Context,
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="The folder of a pipeline with ner_lstm.")
    ],
    data: Annotated[
        Path, typer.Argument(metavar="TEST.spacy", help="Docs whose texts are tagged.")
    ],
    peer: Annotated[
        Path | None,
        typer.Option(metavar="PEER", help="The folder of a pipeline to compare with."),
    ] = None,
    peer_name: Annotated[str, typer.Option(help="The peer's name in tables.")] = "spaCy ner",
    only: Annotated[
        list[Name] | None,
        typer.Option(help="Measure this instead of everything. Can be repeated."),
    ] = None,
    tensorflow: Annotated[
        bool, typer.Option(help="Compare with the TensorFlow runtime, too.")
    ] = True,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
    clock: Annotated[
        Clock, typer.Option(help="cpu: processor time, for a busy machine.")
    ] = Clock.wall,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
    warm_up: Annotated[int, typer.Option(min=0, help="Rounds before them.")] = 1,
    sentences: Annotated[
        int, typer.Option(min=0, help="Texts in a round, drawn at random; 0 for all.")
    ] = 2000,
    batch_size: Annotated[
        list[int], typer.Option(min=1, help="Of nlp.pipe. Can be repeated.")
    ] = BATCH_SIZES,
    calls: Annotated[int, typer.Option(min=1, help="Single sentences in a round.")] = 300,
    length: Annotated[
        list[int], typer.Option(min=1, help="Tokens of a Doc. Can be repeated.")
    ] = LENGTHS,
    peer_length: Annotated[
        int, typer.Option(min=0, help="The longest Doc for the peer, in tokens.")
    ] = 100_000,
    stream: Annotated[
        list[int], typer.Option(min=1, help="Sentences of a stream. Can be repeated.")
    ] = STREAMS,
    shared: Annotated[
        int, typer.Option(min=2, help="Sentences that two processes share.")
    ] = 50_000,
    train: Annotated[
        Path | None, typer.Option(metavar="TRAIN.spacy", help="Training data.")
    ] = None,
    config: Annotated[Path, typer.Option(metavar="CONFIG", help="For our training.")] = ROOT
    / "configs"
    / "default.cfg",
    peer_config: Annotated[
        Path, typer.Option(metavar="CONFIG", help="For the peer's training.")
    ] = ROOT / "configs" / "spacy_ner.cfg",
    limit: Annotated[
        int, typer.Option(min=0, help="Examples of TRAIN.spacy to train on; 0 for all.")
    ] = 0,
    train_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens in a round of training.")
    ] = 30_000,
    environment: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A virtual environment to weigh. Can be repeated."),
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Measure, print tables, and add the figures to the file of results."""
    chosen = [name.value for name in only or Name]
    environments = environment or []
    check_files([data, train], [config, peer_config], environments)
    systems = [System(OURS, model, unneeded(model, "MODEL"))]
    if OURS not in factories(model).values():
        raise typer.BadParameter(f"MODEL: {model} has no component of the factory {OURS!r}")
    if "train" in chosen and train is None:
        raise typer.BadParameter("to measure training, name --train TRAIN.spacy; else use --only")
    if tensorflow:
        if find_spec("tensorflow") is None:
            raise typer.BadParameter(
                "TensorFlow is not installed: install the extra 'train', or give --no-tensorflow"
            )
        systems.append(systems[0]._replace(name=WITH_TENSORFLOW, runtime="tensorflow"))
    if peer_name in (OURS, WITH_TENSORFLOW, KERAS, FLOOR):
        raise typer.BadParameter(f"--peer-name {peer_name!r} is the name of another system")
    if peer is not None:
        systems.append(System(peer_name, peer, unneeded(peer, "--peer")))
    found = read_results(results)
    texts, words = read_texts(data, sentences)
    # A file has no width of its own.
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        text_file = Path(scratch) / "texts.json"
        text_file.write_text(json.dumps(texts), encoding="utf-8")
        options = SimpleNamespace(**context.params | {"environment": environments})
        for name in chosen:
            options.clock = "wall" if name in BY_WALL else clock.value
            setup = Setup(systems, texts, words, text_file, options)
            machine = machine_now()
            try:
                with Console(stderr=True).status(f"{TITLES[name]} …"):
                    measured = MEASUREMENTS[name](setup)
            except WorkerError as error:
                typer.echo(f"Error: {name} could not be measured. {error}", err=True)
                raise typer.Exit(1) from None
            found[name] = {
                "command": command_line(context),
                "commit": commit(),
                "threads": threads,
                "clock": options.clock,
                "rounds": 1 if name == "size" else rounds,
                "machine": machine,
                "compare": measured.compare,
                "notes": measured.notes,
                "series": [one._asdict() for one in measured.series],
            }
            # At once: the measurements that follow may take an hour.
            write_results(found, results)
            console.print(rich_table(name, found[name]))
            for note in measured.notes:
                typer.echo(note)


@app.command()
def tables(
    results: ResultsOption = RESULTS,
    page: Annotated[
        Path, typer.Option(metavar="FILE", help="The page whose tables are replaced.")
    ] = PAGE,
    picture: Annotated[Path, typer.Option(metavar="FILE", help="The picture.")] = PICTURE,
) -> None:
    """Write the tables and the picture of a page from the results."""
    found = read_results(results)
    if not found:
        raise typer.BadParameter(f"{results} holds no results; 'benchmark.py run' writes them")
    fill(page, {"machine": machine_text(found)} | {n: page_text(found.get(n)) for n in TITLES})
    draw(found, picture)


def write_results(results: Mapping[str, Any], path: Path) -> None:
    """Write the results in the order of the page."""
    ordered = {name: results[name] for name in TITLES if name in results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ordered, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def machine_now() -> dict[str, Any]:
    """Return a description of the machine, and of how busy it is."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    installed = [package for package in VERSIONS if find_spec(package) is not None]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": {"Python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in installed},
    }


def command_line(context: typer.Context) -> str:
    """Return the command with the options that were given, and metavariables for paths."""
    words = [f"python scripts/benchmark.py {context.info_name}"]
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name == "results" or source is None or source.name == "DEFAULT":
            continue
        value = context.params[name]
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, bool):
                words.append(parameter.opts[0] if one else parameter.secondary_opts[0])
                continue
            if parameter.param_type_name == "option":
                words.append(parameter.opts[0])
            shown = one.value if isinstance(one, Enum) else one
            words.append(str(parameter.metavar or shown))  # paths have a metavariable
    return " ".join(words)


if __name__ == "__main__":
    app()
