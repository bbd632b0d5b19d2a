"""Train a pipeline or take a trained one, score it, and append the run to docs/results.

    python scripts/experiment.py train configs/default.cfg DATA --split community --seed 1
    python scripts/experiment.py final configs/default.cfg DATA TRAINED --steps 3000 --split …
    python scripts/experiment.py score FOLDER DATA --split community --system "spaCy ner"
    python scripts/experiment.py tables

DATA is a folder that convert.py wrote. A run is one line of JSON in runs.jsonl: its command,
commit, duration and scores. The tables of docs/accuracy.md are made from those lines, so that
no figure there is typed by hand.
"""

from __future__ import annotations

import json
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from thinc.api import Config

from benchmarks.pages import ROOT, commit, fill, markdown
from ner_lstm_component.dataset import PARTS, count
from ner_lstm_component.dataset.reader import read_file
from ner_lstm_component.training.matching import annotated
from ner_lstm_component.training.raw_text import with_spaces
from ner_lstm_component.training.recipe import overrides_for

RUNS = ROOT / "docs" / "results" / "runs.jsonl"
PAGE = ROOT / "docs" / "accuracy.md"
# Sentences of a paragraph.
PARAGRAPH = 10
# A smaller training part consists of the first sentences in the order of this seed.
_SUBSET_SEED = 0

app = typer.Typer(add_completion=False)

Row = dict[str, Any]

DataOption = Annotated[Path, typer.Argument(metavar="DATA", help="A folder that convert.py wrote.")]
SplitOption = Annotated[str, typer.Option(help="The name of the split in the tables.")]
TestOption = Annotated[bool, typer.Option("--test", help="Score the test part, too.")]
RunsOption = Annotated[Path, typer.Option(metavar="FILE", help="The file of runs.")]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG")],
    data: DataOption,
    split: SplitOption,
    seed: Annotated[int, typer.Option(help="The seed of the training.")] = 0,
    sentences: Annotated[
        int | None, typer.Option(help="Train on a random sample of this size.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the trained pipelines here.")
    ] = None,
    note: Annotated[str, typer.Option(help="What is different in this run.")] = "",
    with_test: TestOption = False,
    runs: RunsOption = RUNS,
) -> None:
    """Run `spacy train`. Other options override values of the config."""
    check_data(data)
    with tempfile.TemporaryDirectory(prefix="experiment-") as scratch:
        part = data / "train.spacy"
        if sentences is not None:
            part = Path(scratch) / "train.spacy"
            write_subset(data / "train.spacy", sentences, part)
        folder = output or Path(scratch) / "training"
        options = ["--system.seed", str(seed), *recipe_options(config, part), *context.args]
        row = run_training(config, part, data / "dev.spacy", folder, options)
        row |= {"split": split, "seed": seed, "sentences": sentences, "note": note}
        parts = ("dev", "test") if with_test else ("dev",)
        append(row | scores_of(folder / "model-best", data, parts), runs)


@app.command()
def final(
    config: Annotated[Path, typer.Argument(metavar="CONFIG")],
    data: DataOption,
    trained: Annotated[
        Path,
        typer.Argument(
            metavar="TRAINED", help="The pipeline that was trained without dev: model-best."
        ),
    ],
    split: SplitOption,
    steps: Annotated[int, typer.Option(help="The step at which that pipeline scored best.")],
    seed: Annotated[int, typer.Option(help="The seed of the training.")] = 0,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the trained pipelines here.")
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Train on train and dev together, after dev has been used for all decisions.

    The number of steps, the temperature and the entity bias are those of the training without dev,
    because a pipeline that was trained on dev cannot be calibrated on it. Only test is scored.
    """
    check_data(data)
    fitted = spacy.load(trained).get_pipe("ner_lstm")
    with tempfile.TemporaryDirectory(prefix="experiment-") as scratch:
        both = Path(scratch) / "both.spacy"
        joined = DocBin().from_disk(data / "train.spacy")
        joined.merge(DocBin().from_disk(data / "dev.spacy"))
        joined.to_disk(both)
        folder = output or Path(scratch) / "training"
        limits = {"max_steps": steps, "patience": 0, "eval_frequency": steps}
        options = [o for name, n in limits.items() for o in (f"--training.{name}", str(n))]
        options = ["--system.seed", str(seed), *options]
        row = run_training(config, both, data / "dev.spacy", folder, options)
        nlp = spacy.load(folder / "model-last")
        component = nlp.get_pipe("ner_lstm")
        component.temperature, component.entity_bias = fitted.temperature, fitted.entity_bias
        nlp.to_disk(folder / "model-last")
        row |= {"split": split, "seed": seed, "note": ""}
        row["system"] += ", trained on dev too"
        append(row | scores_of(folder / "model-last", data, ("test",)), runs)


def recipe_options(config: Path, part: Path) -> list[str]:
    """Return the options that ``ner-lstm train`` adds to the default config for some data."""
    if config.resolve() != ROOT / "configs" / "default.cfg":
        return []
    overrides = overrides_for(count(read_file(part).sentences))
    return [option for name, value in overrides.items() for option in (f"--{name}", str(value))]


def run_training(config: Path, part: Path, dev: Path, folder: Path, options: Sequence[str]) -> Row:
    """Run `spacy train`, and return a row with its command and duration."""
    command = [sys.executable, "-m", "spacy", "train", str(config), "--output", str(folder)]
    command += ["--paths.train", str(part), "--paths.dev", str(dev), *options]
    started_on = commit()
    start, cpu = time.monotonic(), _cpu_of_children()
    if subprocess.run(command, check=False).returncode != 0:
        raise typer.Exit(1)
    return {
        "commit": started_on,
        "system": system_of(config),
        "config": config.name,
        "command": shlex.join(["spacy", "train", config.name, *options]),
        "minutes": round((time.monotonic() - start) / 60, 1),
        "cpu_minutes": round((_cpu_of_children() - cpu) / 60, 1),
    }


@app.command()
def score(
    model: Annotated[str, typer.Argument(help="A trained pipeline's folder or package.")],
    data: DataOption,
    split: SplitOption,
    system: Annotated[str, typer.Option(help="The name of the system in the tables.")],
    seed: Annotated[int, typer.Option(help="The seed that it was trained with.")] = 0,
    note: Annotated[str, typer.Option(help="What is different in this run.")] = "",
    threshold: Annotated[
        float | None, typer.Option(help="A threshold to set in the saved pipeline's ner_lstm.")
    ] = None,
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", help="A part to score. Can be repeated. Default: dev."),
    ] = None,
    runs: RunsOption = RUNS,
) -> None:
    """Score a trained pipeline."""
    check_data(data)
    parts = parts or ["dev"]
    if unknown := set(parts) - set(PARTS):
        raise typer.BadParameter(f"--part {min(unknown)}: expected one of {', '.join(PARTS)}")
    if threshold is not None:
        nlp = spacy.load(model)
        nlp.get_pipe("ner_lstm").threshold = threshold
        nlp.to_disk(nlp.path)
    row = {"commit": commit(), "system": system, "split": split, "seed": seed, "note": note}
    append(row | scores_of(model, data, parts), runs)


@app.command()
def tables(
    runs: RunsOption = RUNS,
    page: Annotated[
        Path, typer.Option(metavar="FILE", help="The page whose tables are replaced.")
    ] = PAGE,
) -> None:
    """Write the tables of a page from the runs."""
    rows = [json.loads(line) for line in runs.read_text(encoding="utf-8").splitlines()]
    fill(
        page,
        {
            "any": any_table(rows),
            "community": split_table(rows, "community"),
            "deduplicated": split_table(rows, "deduplicated"),
            "types": type_table(rows, "community"),
            "ways": inputs_table(rows),
            "tried": tried_table(rows),
        },
    )


def any_table(rows: Sequence[Row]) -> str:
    """Return the test F1 of the default config and of spaCy's ner on all kinds of data."""
    cells: dict[tuple, dict[str, list[float]]] = {}
    for row in rows:
        is_default = row["system"] in ("ner_lstm", "spaCy ner") and not row["note"]
        if is_default and "test" in row and row["split"] != "deduplicated":
            # The community split comes last, and all of its sentences after fewer.
            size = row.get("sentences") or np.inf
            data = row["split"] == "community", row["split"], size
            cells.setdefault(data, {}).setdefault(row["system"], []).append(row["test"]["ents_f"])
    table = [("data", "ner_lstm", "seeds", "spaCy ner", "seeds", "difference")]
    for (_, split, size), by_system in sorted(cells.items()):
        ours, other = (by_system.get(system, []) for system in ("ner_lstm", "spaCy ner"))
        data = split if size == np.inf else f"{split}, {size:,} sentences"
        if ours and other:
            table.append(
                (
                    data,
                    _with_deviation(ours),
                    ", ".join(f"{score:.2f}" for score in ours),
                    _with_deviation(other),
                    ", ".join(f"{score:.2f}" for score in other),
                    f"{np.mean(ours) - np.mean(other):+.2f}",
                )
            )
    return markdown(table)


def split_table(rows: Sequence[Row], split: str) -> str:
    """Return the test F1 of each system and seed, trained on the whole training part."""
    table = [("system", "seeds", "test F1", "mean ± deviation", "dev F1", "minutes", "MB")]
    for system, found in _by_system(_whole(rows, split)).items():
        scores = [row["test"]["ents_f"] for row in found]
        table.append(
            (
                system,
                ", ".join(str(row["seed"]) for row in found),
                ", ".join(f"{score:.2f}" for score in scores),
                _with_deviation(scores),
                ", ".join(f"{row['dev']['ents_f']:.2f}" for row in found if "dev" in row),
                ", ".join(f"{row['minutes']:g}" for row in found if "minutes" in row),
                f"{found[0]['megabytes']:g}",
            )
        )
    return markdown(table)


def _with_deviation(scores: Sequence[float]) -> str:
    return f"{np.mean(scores):.2f} ± {np.std(scores):.2f}"


def type_table(rows: Sequence[Row], split: str) -> str:
    """Return the test F1 of each type, as the mean of the seeds."""
    found = _by_system(_whole(rows, split))
    types = sorted({label for rows in found.values() for label in rows[0]["test"]["per_type_f"]})
    table = [("system", *types)]
    for system, seeds in found.items():
        means = [np.mean([row["test"]["per_type_f"].get(t, 0) for row in seeds]) for t in types]
        table.append((system, *(f"{mean:.1f}" for mean in means)))
    return markdown(table)


def inputs_table(rows: Sequence[Row]) -> str:
    """Return the test F1 on tokens, raw text and paragraphs, as the mean of the seeds."""
    keys = ("ents_f", "raw_text_f", "paragraphs_f", "raw_paragraphs_f", "inside_tokens")
    table = [("system", "gold tokens", "raw text", "paragraphs", "raw paragraphs", "borders lost")]
    for system, seeds in _by_system(_whole(rows, "community")).items():
        means = [np.mean([row["test"][key] for row in seeds]) for key in keys]
        table.append((system, *(f"{mean:.2f}" for mean in means)))
    return markdown(table)


def tried_table(rows: Sequence[Row]) -> str:
    """Return the dev F1 of everything that was tried, in the order of the runs."""
    table = [("what", "made with", "dev F1", "on raw text", "minutes")]
    for row in rows:
        if row.get("note"):
            dev = row["dev"]
            raw = f"{dev['raw_text_f']:.2f}" if "raw_text_f" in dev else ""
            cells = (row["note"], row["system"], f"{dev['ents_f']:.2f}", raw)
            table.append((*cells, f"{row.get('minutes', ''):}"))
    return markdown(table)


def _whole(rows: Sequence[Row], split: str) -> list[Row]:
    return [
        row
        for row in rows
        if row["split"] == split and "test" in row and not row.get("sentences") and not row["note"]
    ]


def _by_system(rows: Sequence[Row]) -> dict[str, list[Row]]:
    systems = dict.fromkeys(row["system"] for row in rows)
    return {system: [row for row in rows if row["system"] == system] for system in systems}


def check_data(data: Path) -> None:
    """Raise an error if a part of the data is missing, before the training starts."""
    missing = [part for part in PARTS if not (data / f"{part}.spacy").is_file()]
    if missing:
        names = ", ".join(f"{part}.spacy" for part in missing)
        raise typer.BadParameter(f"{data} lacks {names}; scripts/convert.py writes them")


def write_subset(path: Path, sentences: int, output: Path) -> None:
    """Write a random sample of a DocBin. A larger sample contains the smaller ones."""
    nlp = spacy.blank("en")
    docs = list(DocBin().from_disk(path).get_docs(nlp.vocab))
    if not 0 < sentences <= len(docs):
        raise typer.BadParameter(f"--sentences {sentences}: {path} holds {len(docs)}")
    order = np.random.default_rng(_SUBSET_SEED).permutation(len(docs))
    DocBin(docs=[docs[k] for k in order[:sentences]], store_user_data=True).to_disk(output)


def scores_of(model: str | Path, data: Path, parts: Sequence[str]) -> dict[str, Any]:
    """Return strict scores in percent on some parts of the data."""
    nlp = spacy.load(model)
    size = sum(f.stat().st_size for f in Path(nlp.path).rglob("*") if f.is_file())
    row: dict[str, Any] = {"megabytes": round(size / 1e6, 1)}
    for part in parts:
        row[part] = score_all_inputs(nlp, data / f"{part}.spacy")
        typer.echo(f"{part}: {row[part]}")
    return row


def score_all_inputs(nlp: Language, path: Path) -> dict[str, Any]:
    """Return strict scores of a DocBin's entities, compared by characters.

    :return: The scores on the data's own tokens, and the F1 on ``raw_text`` that the pipeline
        tokenizes, on ``paragraphs`` of ten sentences without boundaries, and on both.
        ``inside_tokens`` is the percentage of entity boundaries inside a token of the pipeline.
    """
    gold = [with_spaces(doc) for doc in DocBin().from_disk(path).get_docs(nlp.vocab)]
    paragraphs = [Doc.from_docs(gold[k : k + PARAGRAPH]) for k in range(0, len(gold), PARAGRAPH)]
    boundaries = sum(2 * len(doc.ents) for doc in gold)
    inside = sum(_boundaries_inside_tokens(nlp.make_doc(doc.text), doc) for doc in gold)
    return _scores(gold, nlp.pipe(_bare(doc) for doc in gold)) | {
        "raw_text_f": _scores(gold, nlp.pipe(doc.text for doc in gold))["ents_f"],
        "paragraphs_f": _scores(paragraphs, nlp.pipe(_bare(doc) for doc in paragraphs))["ents_f"],
        "raw_paragraphs_f": _scores(paragraphs, nlp.pipe(doc.text for doc in paragraphs))["ents_f"],
        "inside_tokens": _percent(inside, boundaries),
    }


def _bare(doc: Doc) -> Doc:
    words = [token.text for token in doc]
    return Doc(doc.vocab, words=words, spaces=[bool(token.whitespace_) for token in doc])


def _boundaries_inside_tokens(tokens: Doc, doc: Doc) -> int:
    starts = {token.idx for token in tokens}
    ends = {token.idx + len(token) for token in tokens}
    return sum((ent.start_char not in starts) + (ent.end_char not in ends) for ent in doc.ents)


def _scores(gold: Sequence[Doc], tagged: Iterable[Doc]) -> dict[str, Any]:
    found: dict[str, np.ndarray] = {}
    for doc, predicted in zip(gold, tagged, strict=True):
        expected, given = annotated(doc), annotated(predicted)
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
    return round(float(100 * part / whole), 2) if whole else 0.0


def system_of(config: Path) -> str:
    """Return the name in the tables of the system that a config trains."""
    factories = {pipe.get("factory") for pipe in Config().from_disk(config)["components"].values()}
    return "ner_lstm" if "ner_lstm" in factories else "spaCy ner"


def append(row: dict[str, Any], runs: Path) -> None:
    """Append a line to the runs."""
    runs.parent.mkdir(parents=True, exist_ok=True)
    with runs.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    app()
