"""Train a pipeline or take a trained one, score it, and append the run to docs/results.

    python scripts/experiment.py train configs/default.cfg DATA --split community --seed 1
    python scripts/experiment.py score FOLDER DATA --split community --system "spaCy ner"
    python scripts/experiment.py tables

DATA is a folder that convert.py wrote. A run is one line of JSON in runs.jsonl: what was
run, on which commit, how long it took and what it scored. The tables of docs/accuracy.md
are made from those lines, so that no figure there is typed by hand.
"""

from __future__ import annotations

import json
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from ner_lstm_component.dataset import PARTS

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "docs" / "results" / "runs.jsonl"
# Which sentences a smaller training part holds: the first of this shuffling.
_SUBSET_SEED = 0

app = typer.Typer(add_completion=False)

DataOption = Annotated[Path, typer.Argument(metavar="DATA", help="A folder that convert.py wrote.")]
SplitOption = Annotated[str, typer.Option(help="What the split is called in the tables.")]
RunsOption = Annotated[Path, typer.Option(metavar="FILE", help="Where the run is appended.")]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG")],
    data: DataOption,
    split: SplitOption,
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    sentences: Annotated[
        int | None, typer.Option(help="Train on so many sentences, drawn at random, not on all.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the trained pipelines here.")
    ] = None,
    note: Annotated[str, typer.Option(help="What is different in this run.")] = "",
    with_test: Annotated[
        bool, typer.Option("--test", help="Score the test part too, not only dev.")
    ] = False,
    runs: RunsOption = RUNS,
) -> None:
    """Run `spacy train`; every further option overrides a value of the config."""
    check_data(data)
    with tempfile.TemporaryDirectory(prefix="experiment-") as scratch:
        part = data / "train.spacy"
        if sentences is not None:
            part = Path(scratch) / "train.spacy"
            write_subset(data / "train.spacy", sentences, part)
        folder = output or Path(scratch) / "training"
        options = ["--system.seed", str(seed), *context.args]
        command = [sys.executable, "-m", "spacy", "train", str(config), "--output", str(folder)]
        command += ["--paths.train", str(part), "--paths.dev", str(data / "dev.spacy"), *options]
        start, cpu = time.monotonic(), _cpu_of_children()
        if subprocess.run(command, check=False).returncode != 0:
            raise typer.Exit(1)
        row = {
            "commit": commit(),
            "system": system_of(config),
            "config": config.name,
            "split": split,
            "seed": seed,
            "sentences": sentences,
            "command": shlex.join(["spacy", "train", config.name, *options]),
            "minutes": round((time.monotonic() - start) / 60, 1),
            "cpu_minutes": round((_cpu_of_children() - cpu) / 60, 1),
            "note": note,
        }
        append(row | scores_of(folder / "model-best", data, with_test), runs)


@app.command()
def score(
    model: Annotated[str, typer.Argument(help="A trained pipeline's folder or package.")],
    data: DataOption,
    split: SplitOption,
    system: Annotated[str, typer.Option(help="What it is called in the tables.")],
    seed: Annotated[int, typer.Option(help="It was trained with.")] = 0,
    note: Annotated[str, typer.Option()] = "",
    with_test: Annotated[
        bool, typer.Option("--test", help="Score the test part too, not only dev.")
    ] = False,
    runs: RunsOption = RUNS,
) -> None:
    """Score a pipeline that is trained already."""
    check_data(data)
    row = {"commit": commit(), "system": system, "split": split, "seed": seed, "note": note}
    append(row | scores_of(model, data, with_test), runs)


def check_data(data: Path) -> None:
    """Refuse a folder that lacks a part, before hours are spent."""
    missing = [part for part in PARTS if not (data / f"{part}.spacy").is_file()]
    if missing:
        names = ", ".join(f"{part}.spacy" for part in missing)
        raise typer.BadParameter(f"{data} lacks {names}; scripts/convert.py writes them")


def write_subset(path: Path, sentences: int, output: Path) -> None:
    """Write some Docs of a DocBin, drawn at random; a larger draw holds a smaller one."""
    nlp = spacy.blank("en")
    docs = list(DocBin().from_disk(path).get_docs(nlp.vocab))
    if not 0 < sentences <= len(docs):
        raise typer.BadParameter(f"--sentences {sentences}: {path} holds {len(docs)}")
    order = np.random.default_rng(_SUBSET_SEED).permutation(len(docs))
    DocBin(docs=[docs[k] for k in order[:sentences]], store_user_data=True).to_disk(output)


def scores_of(model: str | Path, data: Path, with_test: bool) -> dict[str, Any]:
    """Strict scores in percent on the parts' own tokens, dev and if asked for test."""
    nlp = spacy.load(model)
    size = sum(f.stat().st_size for f in Path(nlp.path).rglob("*") if f.is_file())
    row: dict[str, Any] = {"megabytes": round(size / 1e6, 1)}
    for part in ("dev", "test") if with_test else ("dev",):
        row[part] = _scores(nlp, data / f"{part}.spacy")
        typer.echo(f"{part}: {row[part]}")
    return row


def _scores(nlp: Language, path: Path) -> dict[str, Any]:
    gold = list(DocBin().from_disk(path).get_docs(nlp.vocab))
    bare = (Doc(nlp.vocab, words=[token.text for token in doc]) for doc in gold)
    found: dict[str, np.ndarray] = {}
    for doc, predicted in zip(gold, nlp.pipe(bare), strict=True):
        expected = {(ent.start, ent.end, ent.label_) for ent in doc.ents}
        given = {(ent.start, ent.end, ent.label_) for ent in predicted.ents}
        for column, entities in enumerate((expected & given, expected, given)):
            for *_, label in entities:
                found.setdefault(label, np.zeros(3, int))[column] += 1
    total = sum(found.values(), np.zeros(3, int))
    both, n_gold, n_given = (int(n) for n in total)
    return {
        "ents_p": _percent(both, n_given),
        "ents_r": _percent(both, n_gold),
        "ents_f": _percent(2 * both, n_gold + n_given),
        "per_type_f": {
            label: _percent(2 * n[0], n[1] + n[2]) for label, n in sorted(found.items())
        },
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def commit() -> str:
    """The commit that is checked out, marked where the tree differs from it."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def system_of(config: Path) -> str:
    """What a config trains, for the tables."""
    return "ner_lstm" if "ner_lstm" in config.read_text(encoding="utf-8") else "spaCy ner"


def append(row: dict[str, Any], runs: Path) -> None:
    """Add a line to the runs."""
    runs.parent.mkdir(parents=True, exist_ok=True)
    with runs.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    app()
