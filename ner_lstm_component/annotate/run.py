"""The annotation behind ``ner-lstm annotate``: from a file, or a folder, to a folder of parts."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .. import __version__
from ..locks import try_lock
from . import engines
from .job import Counts, Job
from .parts import AnnotateError, Part, Source, columns_of, kind_of
from .records import Record

MANIFEST = "annotate.json"
ENGINES = "local", "ray"


@dataclass(frozen=True)
class Summary:
    """What a run has written.

    :param former: the number of parts that earlier runs had written.
    :param bad_files: the files of records that could not be annotated, of all runs.
    """

    parts: int
    former: int
    records: int
    words: int
    entities: int
    seconds: float
    bad_files: list[Path]


def run(
    model: str,
    path: Path,
    output: Path,
    *,
    column: str = "text",
    suffix: str = "jsonl",
    scores: bool = True,
    precision: str | None = None,
    workers: int = 1,
    engine: str = "local",
    address: str | None = None,
) -> Summary:
    """Annotate all records of a file or folder that no earlier run has annotated.

    Each part of the input becomes a file in ``output``, which appears when it is whole.

    :param model: a pipeline's folder or name.
    :param output: created if it is missing.
    :param column: the field with the text.
    :param suffix: the format: ``jsonl``, ``parquet`` or ``spacy``.
    :param scores: whether to compute the probability of each entity.
    :param precision: that of the network, or None for that of the pipeline.
    :param workers: the number of processes.
    :param engine: ``local`` or ``ray``.
    :param address: the address of a Ray cluster.
    :raises AnnotateError: if the input, the pipeline or the folder cannot be used.
    """
    if address is not None and engine != "ray":
        raise AnnotateError("--address is that of a Ray cluster; expected --engine ray with it.")
    # Other processes, and a run that goes on, may have another working folder.
    path, output = path.resolve(), output.resolve()
    model = str(Path(model).resolve()) if Path(model).exists() else model
    source = Source(path, column)
    if engine == "ray" and not source.is_parquet:
        raise AnnotateError(
            f"{path}: --engine ray reads Parquet only, which each node can read from anywhere. "
            "Write Parquet, or use --workers on one machine."
        )
    schema = _schema(source) if suffix == "parquet" else None
    job = Job(model, column, output, suffix, scores, precision, schema)
    nlp = job.load()
    annotate = job.start(nlp)
    with _claimed(output, _manifest(job, source, nlp.path)):
        with _Report(source.size) as report:
            todo = (part for part in source.parts() if not report.skips(part, job))
            counts: Iterator[Counts]
            if engine == "ray":
                counts = engines.on_ray(job, todo, workers, address)
            elif workers > 1:
                counts = engines.in_pool(job, todo, workers)
            else:
                counts = map(annotate, todo)
            for one in counts:
                report.add(one)
        for left in output.glob(".part-*"):  # by a process that was killed
            left.unlink()
    return report.summary(sorted(output.glob("bad-*.jsonl")))


class _Report:
    """The progress bar, and the counts of a run."""

    def __init__(self, size: int) -> None:
        speed = TextColumn("{task.fields[speed]}")
        columns = BarColumn(), TaskProgressColumn(), speed, TimeRemainingColumn()
        console = Console(stderr=True)
        is_shown = console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=not is_shown)
        self._task = self._progress.add_task("", total=size, speed="")
        self._start = time.perf_counter()
        self._former = 0
        self._counts: list[Counts] = []

    def __enter__(self) -> _Report:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def skips(self, part: Part, job: Job) -> bool:
        """Return whether an earlier run has written a part, and count it."""
        if not job.is_done(part):
            return False
        self._former += 1
        self._progress.update(self._task, completed=part.done)
        return True

    def add(self, counts: Counts) -> None:
        """Count a part that was written."""
        self._counts.append(counts)
        words = sum(one.words for one in self._counts)
        speed = f"{words / (time.perf_counter() - self._start):,.0f} words/s"
        done = max(one.done for one in self._counts)
        self._progress.update(self._task, completed=done, speed=speed)

    def summary(self, bad_files: list[Path]) -> Summary:
        """Sum the counts."""
        return Summary(
            parts=len(self._counts),
            former=self._former,
            records=sum(one.records for one in self._counts),
            words=sum(one.words for one in self._counts),
            entities=sum(one.entities for one in self._counts),
            seconds=time.perf_counter() - self._start,
            bad_files=bad_files,
        )


def _schema(source: Source) -> Any:
    """Return the Arrow schema of the records' fields: of JSONL, those of the first part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = source.files[0]
    if source.is_parquet:
        return pq.read_schema(first).remove_metadata()
    if kind_of(first) in (".csv", ".tsv"):
        return pa.schema([(name, pa.string()) for name in columns_of(first)])
    part = next(source.parts(), None)
    read = part.records(source.column) if part is not None else iter(())
    fields = [dict(one.fields) for one in read if isinstance(one, Record)]
    try:
        return pa.Table.from_pylist(fields).schema if fields else pa.schema([])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise AnnotateError(
            f"{first}: its records have no types in common ({error}); expected the same fields of "
            "the same types, for Parquet. Use --format jsonl."
        ) from error


def _manifest(job: Job, source: Source, pipeline: Path) -> dict[str, Any]:
    """Return what must be the same for a run to go on with another."""
    sums = hashlib.sha256()
    for file in sorted(pipeline.rglob("*")):
        if file.is_file():
            sums.update(file.read_bytes())
    return {
        "version": __version__,
        "model": job.model,
        "model_sha256": sums.hexdigest(),
        "input": source.fingerprint(),
        "text": job.column,
        "format": job.suffix,
        "scores": job.scores,
        "precision": job.precision,
    }


@contextmanager
def _claimed(output: Path, manifest: dict[str, Any]) -> Iterator[None]:
    """Claim a folder for this run.

    :raises AnnotateError: if it has other files, if another process writes there, or if it cannot
        be written.
    """
    file = output / MANIFEST
    try:
        output.mkdir(parents=True, exist_ok=True)
        found = [item.name for item in output.iterdir() if not item.name.startswith(".")]
        if not file.exists():
            if found:
                raise AnnotateError(
                    f"{output}: has other files ({found[0]}); expected a new folder, or one that "
                    "an interrupted run left. Give another --output."
                )
            hidden = output / f".{MANIFEST}"
            hidden.write_text(json.dumps(manifest, indent=1))
            os.replace(hidden, file)
        elif (former := json.loads(file.read_text())) != manifest:
            differing = [name for name in manifest if former.get(name) != manifest[name]]
            raise AnnotateError(
                f"{output}: has the annotation of another run, which differs in: "
                f"{', '.join(differing)}. Give the same options to go on, or another --output."
            )
        lock = file.open()
    except OSError as error:
        raise AnnotateError(
            f"{output}: cannot be written ({error.strerror}); expected a folder with write "
            "permission and enough room. Give another --output."
        ) from error
    with lock:
        if not try_lock(lock):
            raise AnnotateError(
                f"{output}: another run is writing there; wait for its end, or give another "
                "--output."
            )
        yield
