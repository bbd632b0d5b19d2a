"""The files that a benchmark reads, checked before hours are spent on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import typer
from spacy.tokens import DocBin
from spacy.util import load_config

from ner_lstm_component.training.raw_text import with_spaces

# Components whose output other components use through a listener.
_SHARED = ("tok2vec", "transformer", "curated_transformer")
_SEED = 0


def check_files(
    docbins: Sequence[Path | None], configs: Sequence[Path], environments: Sequence[Path]
) -> None:
    """Refuse files and folders that are missing.

    :raises typer.BadParameter: For the first of them.
    """
    for path in docbins:
        if path is not None and (not path.is_file() or path.suffix != ".spacy"):
            raise typer.BadParameter(
                f"{path}: expected a .spacy file (DocBin), as convert.py writes"
            )
    for path in configs:
        if not path.is_file():
            raise typer.BadParameter(f"{path}: no such config")
    for path in environments:
        if not site_packages(path):
            raise typer.BadParameter(
                f"--environment {path}: expected a virtual environment with site-packages"
            )


def factories(path: Path) -> dict[str, str]:
    """Return the factory of each component of a pipeline."""
    config = load_config(path / "config.cfg")
    return {name: config["components"][name]["factory"] for name in config["nlp"]["pipeline"]}


def unneeded(path: Path, argument: str) -> tuple[str, ...]:
    """Return the components that play no part in finding entities.

    Needed are the components that set entities and those that they listen to.

    :param path: The folder of a pipeline.
    :param argument: The argument that named the pipeline, for error messages.
    :raises typer.BadParameter: If it is no pipeline or sets no entities.
    """
    if not (path / "config.cfg").is_file() or not (path / "meta.json").is_file():
        raise typer.BadParameter(f"{argument}: {path} is not the folder of a trained pipeline")
    config = load_config(path / "config.cfg")
    nlp = spacy.blank(config["nlp"]["lang"])
    by_name = factories(path)
    needed = [
        name
        for name, factory in by_name.items()
        if nlp.has_factory(factory) and "doc.ents" in nlp.get_factory_meta(factory).assigns
    ]
    if not needed:
        raise typer.BadParameter(
            f"{argument}: {path} has no component that sets entities; it has "
            f"{', '.join(by_name) or 'none'}"
        )
    if any("Listener" in str(config["components"][name]) for name in needed):
        needed += [name for name, factory in by_name.items() if factory in _SHARED]
    return tuple(name for name in by_name if name not in needed)


def read_texts(path: Path, count: int) -> tuple[list[str], int]:
    """Draw texts at random, with spaces as in print.

    :param path: A DocBin.
    :param count: The number of texts. 0 stands for all, in their order.
    :return: The texts, and their number of words in the data.
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
    return [with_spaces(doc).text for doc in docs], sum(map(len, docs))


def site_packages(environment: Path) -> list[Path]:
    """List what is installed in a virtual environment, or in a folder named site-packages."""
    folders = [
        *environment.glob("lib/python3*/site-packages"),
        *environment.glob("Lib/site-packages"),
        *([environment] if environment.name == "site-packages" else []),
    ]
    return [path for folder in folders for path in folder.iterdir()]


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def read_results(path: Path) -> dict[str, Any]:
    """Read the results of earlier runs, if there are any."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise typer.BadParameter(f"{path}: not JSON ({error})") from error
