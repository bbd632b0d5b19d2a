"""Measure ``ner-lstm annotate`` on a corpus of any size.

    python scripts/scale.py corpus corpus/train.spacy big.parquet --sentences 2000000
    python scripts/scale.py measure training/model-best big.parquet --output scale

`corpus` repeats the sentences of a small corpus, and replaces some of the words by invented ones.
`measure` runs ``nlp.pipe`` and each engine one after the other, compares what the engines write,
and reads the peak memory of each process.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import spacy
import typer
from rich.console import Console
from rich.table import Table
from spacy.tokens import DocBin

from benchmarks.worker import peak_memory
from soak import new_word

_ROWS = 20_000

app = typer.Typer(add_completion=False)


@app.command()
def corpus(
    data: Annotated[Path, typer.Argument(metavar="DATA.spacy", help="Sentences to repeat.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A .txt or .parquet file.")],
    sentences: Annotated[int, typer.Option(min=1)] = 2_000_000,
    new: Annotated[float, typer.Option(help="The share of invented words.")] = 0.05,
    seed: Annotated[int, typer.Option(help="The seed of the invented words.")] = 0,
) -> None:
    """Write raw sentences in which some words were never seen before."""
    texts = islice(enlarged(data, new, seed), sentences)
    if output.suffix == ".parquet":
        schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
        with pq.ParquetWriter(output, schema) as writer:
            for start in range(0, sentences, _ROWS):
                some = list(islice(texts, _ROWS))
                ids = range(start, start + len(some))
                writer.write_table(pa.table({"id": ids, "text": some}, schema))
    else:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(f"{text}\n" for text in texts)
    typer.echo(f"{sentences:,} sentences written to {output}")


def enlarged(data: Path, new: float, seed: int) -> Iterator[str]:
    """Repeat the sentences of a DocBin for ever, each time with other words invented."""
    words = [
        [token.text for token in doc]
        for doc in DocBin().from_disk(data).get_docs(spacy.blank("xx").vocab)
    ]
    rng = random.Random(seed)
    for _ in count():
        for sentence in words:
            yield " ".join(new_word(rng) if rng.random() < new else word for word in sentence)


@app.command()
def measure(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A trained pipeline.")],
    data: Annotated[Path, typer.Argument(metavar="CORPUS.parquet")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="A new folder.")] = Path("scale"),
    workers: Annotated[int, typer.Option(min=1)] = 2,
    sample: Annotated[int, typer.Option(help="Sentences for nlp.pipe.")] = 200_000,
    ray: Annotated[bool, typer.Option(help="Measure Ray too.")] = True,
) -> None:
    """Compare words per second and memory of nlp.pipe, one worker, several workers and Ray."""
    output.mkdir(parents=True)
    script, annotate = [sys.executable, __file__], ["ner-lstm", "annotate", model, data]
    pipe = [*script, "pipe", model, data, "--sentences", sample]
    runs = {"nlp.pipe": pipe, f"{workers} workers": [*annotate, "--workers", workers]}
    if ray:
        runs["Ray"] = [*annotate, "--workers", workers, "--engine", "ray"]
    runs["nlp.pipe, again"] = pipe
    speeds, rows = {}, []
    for number, (name, command) in enumerate(runs.items()):
        folder = output / str(number)
        given = command if command is pipe else [*command, "--format", "parquet"]
        given = given if command is pipe else [*given, "--output", folder]
        seconds, words, peaks = watch([str(one) for one in given])
        speeds[name] = words / seconds
        digest = "" if command is pipe else sha256(folder)
        rows.append((name, words, seconds, peaks, digest))
    base = (speeds["nlp.pipe"] + speeds["nlp.pipe, again"]) / 2
    table = Table("", "words", "s", "words/s", "× nlp.pipe", "peak MiB of each process", "sha256")
    for name, words, seconds, peaks, digest in rows:
        memory = ", ".join(f"{peak / 2**20:,.0f}" for peak in sorted(peaks, reverse=True))
        speed = words / seconds
        numbers = (f"{words:,}", f"{seconds:,.1f}", f"{speed:,.0f}", f"{speed / base:.2f}")
        table.add_row(name, *numbers, memory, digest[:12])
    Console(width=160).print(table)


@app.command(hidden=True)
def pipe(model: Path, data: Path, sentences: Annotated[int, typer.Option()]) -> None:
    """Tag the first sentences with nlp.pipe, whose memory grows with the new words."""
    nlp = spacy.load(model)
    nlp("The runtime starts with the first text.")
    n_words, seconds = 0, 0.0
    for batch in pq.ParquetFile(data).iter_batches(2_000, columns=["text"]):
        texts = batch[0].to_pylist()
        start = time.perf_counter()
        n_words += sum(len(doc) for doc in nlp.pipe(texts))
        seconds += time.perf_counter() - start
        sentences -= len(texts)
        if sentences <= 0:
            break
    typer.echo(json.dumps({"words": n_words, "seconds": seconds, "peak": peak_memory()}))


def watch(command: list[str]) -> tuple[float, int, list[int]]:
    """Run a command; return seconds, words, and the peak memory of its larger processes."""
    peaks: dict[int, int] = {}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        for pid in descendants(process.pid):
            peaks[pid] = max(peaks.get(pid, 0), _peak_of(pid))
        time.sleep(0.5)
    assert process.stdout is not None
    printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    if printed.startswith("{"):
        found = json.loads(printed)
        return found["seconds"], found["words"], [found["peak"]]
    words = int(printed.split(" records, ")[1].split(" words")[0].replace(",", ""))
    seconds = float(printed.split(" in ")[1].split(" s ")[0].replace(",", ""))
    return seconds, words, [peak for peak in peaks.values() if peak > 100 * 2**20]


def descendants(pid: int) -> list[int]:
    """Return a process and all that it started. Only Linux tells."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:  # it has ended
                continue
    return found


def _peak_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def sha256(folder: Path) -> str:
    """Return the digest of all parts that a run has written."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("part-*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    app()
