"""Measure a pipeline's speed, memory and size against a peer's and the TensorFlow runtime's.

    python scripts/benchmark.py run MODEL TEST.spacy --peer PEER --train TRAIN.spacy
    python scripts/benchmark.py run MODEL TEST.spacy --peer PEER --only pipe --only single
    python scripts/benchmark.py tables

Each system lives in a process of its own. In every round each does its part, one after the
other, so that what slows the machine down for a while slows all of them down; ratios are
taken round by round. Results go to docs/results/performance.json, and the tables and the
picture of docs/performance.md are made of that file.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import spacy
import typer
from rich.console import Console
from spacy.tokens import Doc, DocBin
from spacy.util import load_config

from benchmark_steps import STEPS
from benchmark_tables import TITLES, draw, machine_text, page_text, rich_table
from ner_lstm_component.tensorflow_wrapper.onnx_runtime import THREADS_VARIABLE
from ner_lstm_component.training.raw_text import with_spaces
from result_pages import ROOT, commit, fill

WORKER = Path(__file__).with_name("benchmark_worker.py")
RESULTS = ROOT / "docs" / "results" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.png"

# What libraries read the number of their threads from. All must be set before they start.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    THREADS_VARIABLE,
)
VERSIONS = ("spacy", "thinc", "numpy", "onnxruntime", "tensorflow", "keras")
# Components that others listen to.
_SHARED = ("tok2vec", "transformer", "curated_transformer")
_FLOOR = "import spacy"
# Tokens that are tagged to time Docs of a length, at least: more than one of short Docs.
_TIMED_TOKENS = 20_000
_LARGEST_PACKAGES = 6
# Turns that the systems take with single sentences in a round.
_TURNS = 10
_SEED = 0
_MEGABYTE = 1e6

BATCH_SIZES = [32, 128, 256, 1000]
LENGTHS = [2_000, 10_000, 100_000, 1_000_000]
STREAMS = [1_000, 10_000, 50_000]

app = typer.Typer(add_completion=False)

Name = Enum("Name", {name: name for name in TITLES}, type=str)  # type: ignore[misc]


class Clock(str, Enum):
    """By what time is measured, where one process does all of the work."""

    wall = "wall"
    cpu = "cpu"


# Several processes work in these, or none does.
_BY_WALL = ("load", "size", "workers", "n_process")


class System(NamedTuple):
    """A pipeline as it is measured.

    :param name: what it is called in tables.
    :param path: of its folder.
    :param exclude: components that are not loaded.
    :param runtime: what the network runs on; None for what it would by itself.
    """

    name: str
    path: Path
    exclude: tuple[str, ...]
    runtime: str | None = None


class Series(NamedTuple):
    """A system's values in a case, one a round."""

    case: str
    unit: str
    system: str
    values: list[float]


class Settings(NamedTuple):
    """What was asked for: the options of `run`, checked, and what was read of the data."""

    ours: System
    tensorflow: System | None
    peer: System | None
    texts: list[str]
    words: int
    rounds: int
    warm_up: int
    threads: int
    clock: str
    batch_sizes: list[int]
    calls: int
    lengths: list[int]
    peer_length: int
    streams: list[int]
    shared: int
    train: Path | None
    config: Path
    peer_config: Path
    limit: int
    train_tokens: int
    environments: list[Path]
    text_file: Path

    @property
    def systems(self) -> list[System]:
        """All of them, ours first."""
        return [s for s in (self.ours, self.tensorflow, self.peer) if s is not None]

    @property
    def two(self) -> list[System]:
        """Ours and the peer."""
        return [s for s in (self.ours, self.peer) if s is not None]


# ---------------------------------------------------------------- commands


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
    peer_name: Annotated[str, typer.Option(help="What it is called in tables.")] = "spaCy ner",
    only: Annotated[
        list[Name] | None, typer.Option(help="Measure this and not all; more than once.")
    ] = None,
    tensorflow: Annotated[
        bool, typer.Option(help="Compare with the TensorFlow runtime, too.")
    ] = True,
    threads: Annotated[int, typer.Option(min=1, help="Of each process.")] = 1,
    clock: Annotated[
        Clock, typer.Option(help="cpu: processor time, for a machine with other work.")
    ] = Clock.wall,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
    warm_up: Annotated[int, typer.Option(min=0, help="Rounds before them.")] = 1,
    sentences: Annotated[
        int, typer.Option(min=0, help="Texts in a round, drawn at random; 0 for all.")
    ] = 2000,
    batch_size: Annotated[
        list[int], typer.Option(min=1, help="Of nlp.pipe; more than once.")
    ] = BATCH_SIZES,
    calls: Annotated[int, typer.Option(min=1, help="Single sentences in a round.")] = 300,
    length: Annotated[
        list[int], typer.Option(min=1, help="Tokens of a Doc; more than once.")
    ] = LENGTHS,
    peer_length: Annotated[
        int, typer.Option(min=0, help="Longest Doc that the peer is given.")
    ] = 100_000,
    stream: Annotated[
        list[int], typer.Option(min=1, help="Sentences of a stream; more than once.")
    ] = STREAMS,
    shared: Annotated[
        int, typer.Option(min=2, help="Sentences that two processes share.")
    ] = 50_000,
    train: Annotated[
        Path | None, typer.Option(metavar="TRAIN.spacy", help="What is trained on.")
    ] = None,
    config: Annotated[Path, typer.Option(metavar="CONFIG", help="Of our training.")] = ROOT
    / "configs"
    / "default.cfg",
    peer_config: Annotated[
        Path, typer.Option(metavar="CONFIG", help="Of the peer's training.")
    ] = ROOT / "configs" / "spacy_ner.cfg",
    limit: Annotated[
        int, typer.Option(min=0, help="Examples of TRAIN.spacy to train on; 0 for all.")
    ] = 0,
    train_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens that a round of training goes on for.")
    ] = 30_000,
    environment: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A virtual environment to weigh; more than once."),
    ] = None,
    results: Annotated[
        Path, typer.Option(metavar="FILE", help="Where results are added.")
    ] = RESULTS,
) -> None:
    """Measure, print tables, and put the figures into the results."""
    chosen = [name.value for name in only or Name]
    environments = environment or []
    check_files(data, train, config, peer_config, environments)
    ours = System("ner_lstm", model, unneeded(model, "MODEL"))
    if "ner_lstm" not in factories(model).values():
        raise typer.BadParameter(f"MODEL: {model} has no component of the factory 'ner_lstm'")
    if "train" in chosen and train is None:
        raise typer.BadParameter("to measure training, name --train TRAIN.spacy; else use --only")
    with_tensorflow = None
    if tensorflow:
        if find_spec("tensorflow") is None:
            raise typer.BadParameter(
                "TensorFlow is not installed: install the extra 'train', or give --no-tensorflow"
            )
        with_tensorflow = ours._replace(name="ner_lstm, TensorFlow", runtime="tensorflow")
    other = None if peer is None else System(peer_name, peer, unneeded(peer, "--peer"))
    if peer_name in (ours.name, "ner_lstm, TensorFlow", "Keras fit", _FLOOR):
        raise typer.BadParameter(f"--peer-name {peer_name!r} is what another system is called")
    old = read_results(results)
    texts, words = read_texts(data, sentences)
    # A file has no width of its own.
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        text_file = Path(scratch) / "texts.json"
        text_file.write_text(json.dumps(texts), encoding="utf-8")
        settings = Settings(
            ours=ours,
            tensorflow=with_tensorflow,
            peer=other,
            texts=texts,
            words=words,
            rounds=rounds,
            warm_up=warm_up,
            threads=threads,
            clock=clock.value,
            batch_sizes=batch_size,
            calls=calls,
            lengths=sorted(length),
            peer_length=peer_length,
            streams=sorted(stream),
            shared=shared,
            train=train,
            config=config,
            peer_config=peer_config,
            limit=limit,
            train_tokens=train_tokens,
            environments=environments,
            text_file=text_file,
        )
        for name in chosen:
            machine = machine_now()
            try:
                with Console(stderr=True).status(f"{TITLES[name]} …"):
                    compare, series, notes = MEASUREMENTS[name](settings)
            except WorkerError as error:
                typer.echo(f"Error: {name} could not be measured. {error}", err=True)
                raise typer.Exit(1) from None
            old[name] = {
                "command": command_line(context),
                "commit": commit(),
                "threads": threads,
                "clock": "wall" if name in _BY_WALL else clock.value,
                "rounds": 1 if name == "size" else rounds,
                "machine": machine,
                "compare": compare,
                "notes": notes,
                "series": [one._asdict() for one in series],
            }
            # At once: what follows may take an hour.
            write_results(old, results)
            console.print(rich_table(name, old[name]))
            for note in notes:
                typer.echo(note)


@app.command()
def tables(
    results: Annotated[Path, typer.Option(metavar="FILE", help="Where the results are.")] = RESULTS,
    page: Annotated[
        Path, typer.Option(metavar="FILE", help="The page whose tables are written anew.")
    ] = PAGE,
    picture: Annotated[Path, typer.Option(metavar="FILE", help="What is drawn.")] = PICTURE,
) -> None:
    """Write the tables of a page, and draw its picture, from the results."""
    found = read_results(results)
    if not found:
        raise typer.BadParameter(f"{results} holds no results; 'benchmark.py run' writes them")
    fill(page, {"machine": machine_text(found)} | {n: page_text(found.get(n)) for n in TITLES})
    draw(found, picture)


# ---------------------------------------------------------------- what is measured

Measured = tuple[str, list[Series], list[str]]


def measure_pipe(settings: Settings) -> Measured:
    """Words a second of `nlp.pipe`, at some sizes of batches."""
    with loaded(settings, settings.systems) as processes:
        seconds = interleave(
            settings,
            {
                (size, system.name): partial(process.ask, "pipe", batch_size=size)
                for size in settings.batch_sizes
                for system, process in processes.items()
            },
        )
    return (
        "systems",
        [
            Series(f"batches of {size}", "words/s", name, rates(settings.words, values))
            for (size, name), values in seconds.items()
        ],
        [],
    )


def measure_single(settings: Settings) -> Measured:
    """How long one sentence takes; in a round the systems take several turns."""
    turns = settings._replace(rounds=settings.rounds * _TURNS, warm_up=settings.warm_up * _TURNS)
    count = -(-settings.calls // _TURNS)
    with loaded(settings, settings.systems) as processes:
        found = interleave(
            turns,
            {
                system.name: partial(process.ask, "single", count=count)
                for system, process in processes.items()
            },
        )
    series = []
    for case, percentile in (("median", 50), ("99th percentile", 99)):
        for name, by_turn in found.items():
            by_round = np.reshape(by_turn, (settings.rounds, -1))
            values = (1000 * np.percentile(by_round, percentile, axis=1)).tolist()
            series.append(Series(case, "ms", name, values))
    return "systems", series, []


def measure_load(settings: Settings) -> Measured:
    """A fresh process from its start to the first entities, and the most memory it held."""

    def first(system: System | None) -> tuple[float, float]:
        start = time.perf_counter()
        with Process(settings.threads) as process:
            if system is None:
                peak = process.ask("import_spacy")["peak"]
            else:
                process.load(system)
                peak = process.ask("first", text=settings.texts[0])["peak"]
            return time.perf_counter() - start, peak / _MEGABYTE

    tasks = {system.name: partial(first, system) for system in settings.systems}
    found = interleave(settings, {**tasks, _FLOOR: partial(first, None)})
    return (
        "systems",
        [
            Series(case, unit, name, [value[k] for value in by_round])
            for k, (case, unit) in enumerate((("time", "s"), ("peak memory", "MB")))
            for name, by_round in found.items()
        ],
        [],
    )


def measure_size(settings: Settings) -> Measured:
    """Bytes on the disk, of pipelines and environments."""
    series = [
        Series("pipeline's folder", "MB", system.name, [size_of(system.path) / _MEGABYTE])
        for system in settings.two
    ]
    notes = []
    for environment in settings.environments:
        packages = {path.name: size_of(path) / _MEGABYTE for path in site_packages(environment)}
        name = f"environment {environment.name}"
        series.append(Series("site-packages", "MB", name, [sum(packages.values())]))
        largest = sorted(packages, key=lambda package: -packages[package])[:_LARGEST_PACKAGES]
        series += [Series(f"of that {one}", "MB", name, [packages[one]]) for one in largest]
        has_tensorflow = "tensorflow" in packages
        notes.append(f"TensorFlow in {name}: {'installed' if has_tensorflow else 'absent'}.")
    return "cases", series, notes


def measure_train(settings: Settings) -> Measured:
    """Tokens a second of training, without evaluations."""
    kinds = {"ner_lstm": ("spacy", settings.config), "Keras fit": ("keras", settings.config)}
    if settings.peer is not None:
        kinds[settings.peer.name] = ("spacy", settings.peer_config)
    with ExitStack() as stack:
        tasks = {}
        for name, (kind, config) in kinds.items():
            process = stack.enter_context(Process(settings.threads, settings.clock))
            process.ask(
                "prepare_training",
                kind=kind,
                config=str(config),
                train=str(settings.train),
                limit=settings.limit,
            )
            tasks[name] = partial(process.ask, "train", tokens=settings.train_tokens)
        found = interleave(settings, tasks)
    return (
        "systems",
        [
            Series("training", "tokens/s", name, [tokens / seconds for seconds, tokens in by_round])
            for name, by_round in found.items()
        ],
        [],
    )


def measure_length(settings: Settings) -> Measured:
    """Time for a token and memory beyond the Doc by its length, each in a fresh process."""

    def tag(system: System, tokens: int) -> tuple[float, float]:
        with Process(settings.threads, settings.clock) as process:
            process.load(system, settings.text_file)
            found = process.ask("doc", tokens=tokens, least=_TIMED_TOKENS)
            return 1e6 * found["seconds"] / tokens, found["beyond"] / _MEGABYTE

    found = interleave(
        settings,
        {
            (system.name, tokens): partial(tag, system, tokens)
            for system in settings.two
            for tokens in settings.lengths
            if system is settings.ours or tokens <= settings.peer_length
        },
    )
    return (
        "cases",
        [
            Series(f"{tokens:,} tokens{case}", unit, name, [value[k] for value in by_round])
            for k, (case, unit) in enumerate((("", "µs/token"), (", memory beyond it", "MB")))
            for (name, tokens), by_round in found.items()
        ],
        [],
    )


def measure_stream(settings: Settings) -> Measured:
    """Words a second and growth of memory of ever longer streams, each in a fresh process."""

    def tag(system: System, sentences: int) -> tuple[float, float]:
        with Process(settings.threads, settings.clock) as process:
            process.load(system, settings.text_file)
            found = process.ask("stream", sentences=sentences, batch_size=256)
            return sentences / found["seconds"], found["grown"] / _MEGABYTE

    found = interleave(
        settings,
        {
            (system.name, sentences): partial(tag, system, sentences)
            for system in settings.two
            for sentences in settings.streams
        },
    )
    return (
        "cases",
        [
            Series(f"{sentences:,} sentences{case}", unit, name, [value[k] for value in by_round])
            for k, (case, unit) in enumerate(
                (("", "sentences/s"), (", peak of memory above that before", "MB"))
            )
            for (name, sentences), by_round in found.items()
        ],
        [],
    )


def measure_workers(settings: Settings) -> Measured:
    """Sentences a second of one process, and of two that share them."""

    def tag(count: int) -> tuple[float, float]:
        with ExitStack() as stack:
            start = time.perf_counter()
            processes = [stack.enter_context(Process(settings.threads)) for _ in range(count)]
            together(processes, "load", **load_arguments(settings.ours))
            together(processes, "read", path=str(settings.text_file))
            loaded_at = time.perf_counter()
            share = settings.shared // count
            together(processes, "share", sentences=share, batch_size=256)
            end = time.perf_counter()
            return count * share / (end - loaded_at), count * share / (end - start)

    cases = {"1 process": partial(tag, 1), "2 processes": partial(tag, 2)}
    found = interleave(settings, cases)
    names = (settings.ours.name, f"{settings.ours.name}, loading included")
    return (
        "cases",
        [
            Series(case, "sentences/s", name, [value[k] for value in by_round])
            for k, name in enumerate(names)
            for case, by_round in found.items()
        ],
        [],
    )


def measure_n_process(settings: Settings) -> Measured:
    """Words a second of `nlp.pipe` with one and two processes, of ours and the peer."""
    # The processes that it starts take their own time.
    with loaded(settings._replace(clock="wall"), settings.two) as processes:
        seconds = interleave(
            settings,
            {
                (system.name, n): partial(process.ask, "pipe", batch_size=256, n_process=n)
                for system, process in processes.items()
                for n in (1, 2)
            },
        )
    return (
        "cases",
        [
            Series(f"n_process={n}", "words/s", name, rates(settings.words, values))
            for (name, n), values in seconds.items()
        ],
        [],
    )


def measure_budget(settings: Settings) -> Measured:
    """Where the time of a batch and of a single sentence goes, by step."""
    size = 256
    with loaded(settings, [settings.ours]) as processes:
        (process,) = processes.values()
        tokens = process.ask("count_tokens")
        found = interleave(
            settings,
            {
                ("stream", "timed"): partial(process.ask, "steps", batch_size=size),
                ("stream", "bare"): partial(process.ask, "pipe", batch_size=size),
                ("single", "timed"): partial(process.ask, "steps_of_single", count=settings.calls),
                ("single", "bare"): partial(process.ask, "single", count=settings.calls),
            },
        )
    series = []
    for kind, title, unit, count in (
        ("stream", f"batches of {size}", "µs/token", tokens),
        ("single", "one sentence", "µs/call", settings.calls),
    ):
        by_round = [parts_of(seconds) for seconds in found[kind, "timed"]]
        bare = [float(np.sum(seconds)) for seconds in found[kind, "bare"]]
        for part in by_round[0]:
            values = [1e6 * seconds[part] / count for seconds in by_round]
            series.append(Series(part, unit, title, values))
        series.append(Series("whole, without timers", unit, title, [1e6 * s / count for s in bare]))
    return "cases", series, []


MEASUREMENTS: Mapping[str, Callable[[Settings], Measured]] = {
    "pipe": measure_pipe,
    "single": measure_single,
    "load": measure_load,
    "size": measure_size,
    "train": measure_train,
    "length": measure_length,
    "stream": measure_stream,
    "workers": measure_workers,
    "n_process": measure_n_process,
    "budget": measure_budget,
}


def interleave(
    settings: Settings, tasks: Mapping[Hashable, Callable[[], Any]]
) -> dict[Any, list[Any]]:
    """Do each task once a round, in order, and keep what the rounds after warm-up give."""
    found: dict[Any, list[Any]] = {key: [] for key in tasks}
    for number in range(settings.warm_up + settings.rounds):
        for key, task in tasks.items():
            value = task()
            if number >= settings.warm_up:
                found[key].append(value)
    return found


def rates(count: int, seconds: Sequence[float]) -> list[float]:
    """So many of something in each of some times: how many a second."""
    return [count / one for one in seconds]


def parts_of(seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds by step, with what no step accounts for."""
    rest = seconds["whole"] - sum(seconds[step] for step in STEPS)
    return {**seconds, "everything else": rest}


# ---------------------------------------------------------------- processes


class WorkerError(RuntimeError):
    """A process that failed. The message has what it said."""


class Process:
    """A process of `benchmark_worker.py`.

    :param threads: what its libraries compute with.
    :param clock: by what it measures time.
    """

    def __init__(self, threads: int, clock: str = "wall") -> None:
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), clock],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=environment_of(threads),
        )

    def tell(self, do: str, **arguments: Any) -> None:
        """Have it begin something."""
        assert self._process.stdin is not None
        # That it is dead, and why, is told when its answer is waited for.
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for what it was told last.

        :raises WorkerError: if that failed.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._log.seek(0)
            raise WorkerError(f"A process ended with exit code {code}: {self._log.read()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["result"]

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have it do something, and wait for it."""
        self.tell(do, **arguments)
        return self.answer()

    def load(self, system: System, texts: Path | None = None) -> None:
        """Have it load a pipeline, and read texts if there is a file."""
        self.ask("load", **load_arguments(system))
        if texts is not None:
            self.ask("read", path=str(texts))

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        # It holds nothing that killing would lose.
        self._process.kill()
        self._process.communicate()
        self._log.close()


def together(processes: Sequence[Process], do: str, **arguments: Any) -> None:
    """Have several processes do the same at once."""
    for process in processes:
        process.tell(do, **arguments)
    for process in processes:
        process.answer()


@contextmanager
def loaded(settings: Settings, systems: Sequence[System]) -> Iterator[dict[System, Process]]:
    """A process with its pipeline and the texts for each system."""
    with ExitStack() as stack:
        processes = {}
        for system in systems:
            process = stack.enter_context(Process(settings.threads, settings.clock))
            process.load(system, settings.text_file)
            processes[system] = process
        yield processes


def load_arguments(system: System) -> dict[str, Any]:
    """What a process is told to load."""
    return {"path": str(system.path), "exclude": system.exclude, "runtime": system.runtime}


def environment_of(threads: int) -> dict[str, str]:
    """This process' environment, with the number of threads."""
    return {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
    }


# ---------------------------------------------------------------- what is given


def check_files(
    data: Path,
    train: Path | None,
    config: Path,
    peer_config: Path,
    environments: Sequence[Path],
) -> None:
    """Refuse files that are missing, before hours are spent."""
    for path in (data, *([] if train is None else [train])):
        if not path.is_file() or path.suffix != ".spacy":
            raise typer.BadParameter(
                f"{path}: expected a .spacy file (DocBin), as convert.py writes"
            )
    for path in (config, peer_config):
        if not path.is_file():
            raise typer.BadParameter(f"{path}: no such config")
    for path in environments:
        if not site_packages(path):
            raise typer.BadParameter(
                f"--environment {path}: expected a virtual environment, with site-packages in it"
            )


def factories(path: Path) -> dict[str, str]:
    """The factories of a pipeline's components, by their names."""
    config = load_config(path / "config.cfg")
    return {name: config["components"][name]["factory"] for name in config["nlp"]["pipeline"]}


def unneeded(path: Path, argument: str) -> tuple[str, ...]:
    """The components that take no part in finding entities: all but what sets them, and what
    that listens to.

    :param argument: that named the pipeline, for the message if it is none or finds none.
    """
    if not (path / "config.cfg").is_file() or not (path / "meta.json").is_file():
        raise typer.BadParameter(f"{argument}: {path} is not the folder of a trained pipeline")
    config = load_config(path / "config.cfg")
    nlp = spacy.blank(config["nlp"]["lang"])
    by_name = factories(path)
    setting = [
        name
        for name, factory in by_name.items()
        if nlp.has_factory(factory) and "doc.ents" in nlp.get_factory_meta(factory).assigns
    ]
    if not setting:
        raise typer.BadParameter(
            f"{argument}: {path} has no component that sets entities; it has "
            f"{', '.join(by_name) or 'none'}"
        )
    listens = any("Listener" in str(config["components"][name]) for name in setting)
    return tuple(
        name
        for name, factory in by_name.items()
        if name not in setting and not (listens and factory in _SHARED)
    )


def read_texts(path: Path, count: int) -> tuple[list[str], int]:
    """Texts as they stand in print, drawn at random.

    :param path: a DocBin.
    :param count: of texts; 0 for all, in their order.
    :return: the texts, and how many words the data has in them.
    """
    vocab = spacy.blank("en").vocab
    try:
        docs = [doc for doc in DocBin().from_disk(path).get_docs(vocab) if len(doc)]
    # Corrupt bytes fail anywhere between zlib, msgpack and Doc.from_array().
    except Exception as error:
        raise typer.BadParameter(f"{path}: cannot be read as a DocBin ({error})") from error
    if len(docs) < max(1, count):
        raise typer.BadParameter(f"--sentences {count}: {path} holds {len(docs)}")
    if count:
        order = np.random.default_rng(_SEED).permutation(len(docs))[:count]
        docs = [docs[k] for k in order]
    return [_text(doc) for doc in docs], sum(map(len, docs))


def _text(doc: Doc) -> str:
    return with_spaces(doc).text


def site_packages(environment: Path) -> list[Path]:
    """What is installed in a virtual environment, or in a folder named site-packages."""
    folders = [
        *environment.glob("lib/python3*/site-packages"),
        *environment.glob("Lib/site-packages"),
        *([environment] if environment.name == "site-packages" else []),
    ]
    return [path for folder in folders for path in folder.iterdir()]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def read_results(path: Path) -> dict[str, Any]:
    """What was measured before."""
    if not path.is_file():
        return {}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise typer.BadParameter(f"{path}: not JSON ({error})") from error
    return results


def write_results(results: Mapping[str, Any], path: Path) -> None:
    """Keep what was measured, in the order of the page."""
    ordered = {name: results[name] for name in TITLES if name in results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ordered, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def machine_now() -> dict[str, Any]:
    """What is measured on, and how busy it is."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = {"Python": platform.python_version()}
    for package in VERSIONS:
        if find_spec(package) is not None:
            versions[package] = importlib.metadata.version(package)
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": versions,
    }


def command_line(context: typer.Context) -> str:
    """The command with the options that were given, metavariables standing for paths."""
    words = [f"python scripts/benchmark.py {context.info_name}"]
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name == "results" or source is None or source.name == "DEFAULT":
            continue
        value = context.params[name]
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, bool):
                words.append(parameter.opts[0] if one else parameter.secondary_opts[0])
                continue
            if parameter.param_type_name == "option":
                words.append(parameter.opts[0])
            shown = one.value if isinstance(one, Enum) else one
            words.append(str(parameter.metavar if isinstance(one, Path) else shown))
    return " ".join(words)


if __name__ == "__main__":
    app()
