"""What benchmark.py measures: speed, memory and size, in rounds that the systems share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.inputs import site_packages, size_of
from benchmarks.processes import Process, System, ask_all
from benchmarks.steps import STEPS

FLOOR = "import spacy"
KERAS = "Keras fit"
# Docs of a length are tagged until at least so many tokens are timed.
_TIMED_TOKENS = 20_000
_LARGEST_PACKAGES = 6
# A round of single sentences consists of so many turns of each system.
_TURNS = 10
_MEGABYTE = 1e6

# A task is done once a round, and returns a value or several.
Tasks = Mapping[tuple[str, str], Callable[[], Any]]


class Series(NamedTuple):
    """A system's values in a case, one for each round."""

    case: str
    unit: str
    system: str
    values: list[float]


class Measured(NamedTuple):
    """The result of a measurement.

    :param compare: How its table compares: ``systems`` with each other, or a system's ``cases``.
    """

    compare: str
    series: list[Series]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Setup:
    """What is measured.

    :param systems: The pipeline, the same with TensorFlow, and the peer; the last two optional.
    :param texts: The texts to tag.
    :param words: Their number of words.
    :param text_file: The texts as JSON.
    :param options: The options of ``benchmark.py run``.
    """

    systems: Sequence[System]
    texts: Sequence[str]
    words: int
    text_file: Path
    options: SimpleNamespace

    @property
    def two(self) -> list[System]:
        """The pipeline and the peer, each with its default runtime."""
        return [system for system in self.systems if system.runtime is None]

    def process(self) -> Process:
        """Start a process with the number of threads and the clock of the options."""
        return Process(self.options.threads, self.options.clock)

    @contextmanager
    def loaded(self, systems: Sequence[System]) -> Iterator[dict[str, Process]]:
        """Start a process for each system, with its pipeline and the texts loaded."""
        with ExitStack() as stack:
            processes = {}
            for system in systems:
                processes[system.name] = stack.enter_context(self.process())
                processes[system.name].load(system, self.text_file)
            yield processes

    def repeat(self, tasks: Mapping[Any, Callable[[], Any]], turns: int = 1) -> dict[Any, list]:
        """Do each task once a round, in order. Warm-up rounds are not returned."""
        return repeat(tasks, self.options.rounds * turns, self.options.warm_up * turns)

    def measure(self, tasks: Tasks, *columns: tuple[str, str]) -> list[Series]:
        """Repeat tasks whose values have several columns.

        :param tasks: By case and system.
        :param columns: What is appended to the case, and the unit.
        """
        found = self.repeat(tasks)
        return [
            Series(case + suffix, unit, system, [values[k] for values in by_round])
            for k, (suffix, unit) in enumerate(columns)
            for (case, system), by_round in found.items()
        ]


def repeat(tasks: Mapping[Any, Callable[[], Any]], rounds: int, warm_up: int) -> dict[Any, list]:
    """Do each task once a round, in order. The first rounds are not returned."""
    found: dict[Any, list] = {key: [] for key in tasks}
    for number in range(warm_up + rounds):
        for key, task in tasks.items():
            value = task()
            if number >= warm_up:
                found[key].append(value)
    return found


def measure_pipe(setup: Setup) -> Measured:
    """Words a second of `nlp.pipe`, by the size of batches."""

    def tag(process: Process, size: int) -> list[float]:
        return [setup.words / process.ask("pipe", batch_size=size)]

    with setup.loaded(setup.systems) as processes:
        tasks = {
            (f"batches of {size}", name): partial(tag, process, size)
            for size in setup.options.batch_size
            for name, process in processes.items()
        }
        return Measured("systems", setup.measure(tasks, ("", "words/s")))


def measure_single(setup: Setup) -> Measured:
    """Milliseconds for one sentence. In each round the systems take several turns."""
    count = -(-setup.options.calls // _TURNS)
    with setup.loaded(setup.systems) as processes:
        tasks = {name: partial(one.ask, "single", count=count) for name, one in processes.items()}
        found = setup.repeat(tasks, _TURNS)
    series = []
    for case, percentile in (("median", 50), ("99th percentile", 99)):
        for name, by_turn in found.items():
            by_round = np.reshape(by_turn, (setup.options.rounds, -1))
            values = (1000 * np.percentile(by_round, percentile, axis=1)).tolist()
            series.append(Series(case, "ms", name, values))
    return Measured("systems", series)


def measure_load(setup: Setup) -> Measured:
    """Time from the start of a process to its first entities, and its peak memory."""

    def first(system: System | None) -> tuple[float, float]:
        start = time.perf_counter()
        with setup.process() as process:
            if system is None:
                peak = process.ask("import_spacy")
            else:
                process.ask("load", **system.load_arguments())
                peak = process.ask("first", text=setup.texts[0])
            return time.perf_counter() - start, peak / _MEGABYTE

    tasks = {("", system.name): partial(first, system) for system in setup.systems}
    tasks["", FLOOR] = partial(first, None)
    return Measured("systems", setup.measure(tasks, ("time", "s"), ("peak memory", "MB")))


def measure_size(setup: Setup) -> Measured:
    """Megabytes on the disk of pipelines and virtual environments."""
    series = [
        Series("pipeline's folder", "MB", system.name, [size_of(system.path) / _MEGABYTE])
        for system in setup.two
    ]
    notes = []
    for environment in setup.options.environment:
        packages = {path.name: size_of(path) / _MEGABYTE for path in site_packages(environment)}
        name = f"environment {environment.name}"
        series.append(Series("site-packages", "MB", name, [sum(packages.values())]))
        largest = sorted(packages, key=lambda package: -packages[package])[:_LARGEST_PACKAGES]
        series += [Series(f"of that {one}", "MB", name, [packages[one]]) for one in largest]
        has_tensorflow = "tensorflow" in packages
        notes.append(f"TensorFlow in {name}: {'installed' if has_tensorflow else 'absent'}.")
    return Measured("cases", series, notes)


def measure_train(setup: Setup) -> Measured:
    """Tokens a second of training, without evaluations."""
    options = setup.options
    ours, *peers = (system.name for system in setup.two)
    kinds = {ours: ("spacy", options.config), KERAS: ("keras", options.config)}
    kinds |= dict.fromkeys(peers, ("spacy", options.peer_config))

    def train(process: Process) -> list[float]:
        seconds, tokens = process.ask("train", tokens=options.train_tokens)
        return [tokens / seconds]

    with ExitStack() as stack:
        tasks = {}
        for name, (kind, config) in kinds.items():
            process = stack.enter_context(setup.process())
            paths = {"config": str(config), "train": str(options.train)}
            process.ask("prepare_training", kind=kind, limit=options.limit, **paths)
            tasks["training", name] = partial(train, process)
        return Measured("systems", setup.measure(tasks, ("", "tokens/s")))


def measure_length(setup: Setup) -> Measured:
    """Time for a token and memory in addition to the Doc, by the Doc's length."""

    def tag(system: System, tokens: int) -> tuple[float, float]:
        with setup.process() as process:
            process.load(system, setup.text_file)
            seconds, memory = process.ask("doc", tokens=tokens, least=_TIMED_TOKENS)
            return 1e6 * seconds / tokens, memory / _MEGABYTE

    tasks = {
        (f"{tokens:,} tokens", system.name): partial(tag, system, tokens)
        for system in setup.two
        for tokens in sorted(setup.options.length)
        if system is setup.systems[0] or tokens <= setup.options.peer_length
    }
    columns = (("", "µs/token"), (", memory beyond it", "MB"))
    return Measured("cases", setup.measure(tasks, *columns))


def measure_stream(setup: Setup) -> Measured:
    """Sentences a second and growth of memory, by the length of a stream."""

    def tag(system: System, sentences: int) -> tuple[float, float]:
        with setup.process() as process:
            process.load(system, setup.text_file)
            seconds, memory = process.ask("stream", sentences=sentences, batch_size=256)
            return sentences / seconds, memory / _MEGABYTE

    tasks = {
        (f"{sentences:,} sentences", system.name): partial(tag, system, sentences)
        for system in setup.two
        for sentences in sorted(setup.options.stream)
    }
    columns = (("", "sentences/s"), (", peak of memory above that before", "MB"))
    return Measured("cases", setup.measure(tasks, *columns))


def measure_workers(setup: Setup) -> Measured:
    """Sentences a second of one process, and of two that share the sentences."""
    ours = setup.systems[0]

    def tag(count: int) -> tuple[float, float]:
        with ExitStack() as stack:
            start = time.perf_counter()
            processes = [stack.enter_context(setup.process()) for _ in range(count)]
            ask_all(processes, "load", **ours.load_arguments())
            ask_all(processes, "read", path=str(setup.text_file))
            loaded_at = time.perf_counter()
            share = setup.options.shared // count
            ask_all(processes, "share", sentences=share, batch_size=256)
            end = time.perf_counter()
            return count * share / (end - loaded_at), count * share / (end - start)

    found = setup.repeat({"1 process": partial(tag, 1), "2 processes": partial(tag, 2)})
    return Measured(
        "cases",
        [
            Series(case, "sentences/s", name, [values[k] for values in by_round])
            for k, name in enumerate((ours.name, f"{ours.name}, loading included"))
            for case, by_round in found.items()
        ],
    )


def measure_n_process(setup: Setup) -> Measured:
    """Words a second of `nlp.pipe` with one and with two processes."""

    def tag(process: Process, n: int) -> list[float]:
        return [setup.words / process.ask("pipe", batch_size=256, n_process=n)]

    with setup.loaded(setup.two) as processes:
        tasks = {
            (f"n_process={n}", name): partial(tag, process, n)
            for name, process in processes.items()
            for n in (1, 2)
        }
        return Measured("cases", setup.measure(tasks, ("", "words/s")))


def measure_budget(setup: Setup) -> Measured:
    """Time of each step of the component, in batches and for single sentences."""
    size, calls = 256, setup.options.calls
    with setup.loaded(setup.systems[:1]) as processes:
        (process,) = processes.values()
        tokens = process.ask("count_tokens")
        found = setup.repeat(
            {
                ("stream", "timed"): partial(process.ask, "steps", batch_size=size),
                ("stream", "bare"): partial(process.ask, "pipe", batch_size=size),
                ("single", "timed"): partial(process.ask, "steps_of_single", count=calls),
                ("single", "bare"): partial(process.ask, "single", count=calls),
            }
        )
    series = []
    for kind, title, unit, count in (
        ("stream", f"batches of {size}", "µs/token", tokens),
        ("single", "one sentence", "µs/call", calls),
    ):
        by_round = [with_rest(seconds) for seconds in found[kind, "timed"]]
        for step in by_round[0]:
            values = [1e6 * seconds[step] / count for seconds in by_round]
            series.append(Series(step, unit, title, values))
        values = [1e6 * float(np.sum(seconds)) / count for seconds in found[kind, "bare"]]
        series.append(Series("whole, without timers", unit, title, values))
    return Measured("cases", series)


def with_rest(seconds: Mapping[str, float]) -> dict[str, float]:
    """Add the time that belongs to no step."""
    rest = seconds["whole"] - sum(seconds[step] for step in STEPS)
    return {**seconds, "everything else": rest}


MEASUREMENTS: dict[str, Callable[[Setup], Measured]] = {
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
# Their work is done by several processes, or by none, so they always use wall time.
BY_WALL = ("load", "size", "workers", "n_process")
