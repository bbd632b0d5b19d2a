"""Pipelines saved by earlier versions give the entities that they gave then."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Doc

FOLDER = Path(__file__).parent


def from_folder(saved: Path) -> Language:
    return spacy.load(saved / "pipeline")


def from_bytes(saved: Path) -> Language:
    config = spacy.util.load_config(saved / "pipeline" / "config.cfg")
    data = (saved / "pipeline.bytes").read_bytes()
    return spacy.util.load_model_from_config(config).from_bytes(data)


def from_wheel(saved: Path) -> Language:
    """The folder packaged, and imported from where the wheel is unpacked."""
    command = [sys.executable, "-m", "spacy", "package", saved / "pipeline", saved]
    options = ["--name", "saved_0_1_0", "--version", "0.1.0", "--build", "wheel"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    (wheel,) = saved.glob("*/dist/*.whl")
    zipfile.ZipFile(wheel).extractall(saved / "site")
    sys.path.insert(0, str(saved / "site"))
    try:
        return spacy.load("en_saved_0_1_0")
    finally:
        sys.path.remove(str(saved / "site"))


@pytest.mark.parametrize("load", [from_folder, from_bytes, from_wheel])
@pytest.mark.parametrize("archive", sorted(FOLDER.glob("*.zip")), ids=lambda path: path.stem)
def test_entities_are_those_of_before(
    tmp_path: Path, archive: Path, load: Callable[[Path], Language]
) -> None:
    zipfile.ZipFile(archive).extractall(tmp_path)
    nlp = load(tmp_path)
    records = without_white_space(nlp, tmp_path)
    assert len(records) > 400
    assert any(not record["text"].isascii() for record in records)
    assert_entities(records, nlp.pipe(record["text"] for record in records))


@pytest.mark.parametrize("blank", ["\n", "\u2003"], ids=["line breaks", "spaces as wide as an em"])
@pytest.mark.parametrize("archive", sorted(FOLDER.glob("*.zip")), ids=lambda path: path.stem)
def test_entities_do_not_depend_on_white_space(tmp_path: Path, archive: Path, blank: str) -> None:
    """Every blank replaced: names are found across lines, in the same places."""
    zipfile.ZipFile(archive).extractall(tmp_path)
    nlp = from_folder(tmp_path)
    records = without_white_space(nlp, tmp_path)[:200]
    assert any(" " in one["text"][ent[0] : ent[1]] for one in records for ent in one["ents"])
    assert_entities(records, nlp.pipe(one["text"].replace(" ", blank) for one in records))


def without_white_space(nlp: Language, saved: Path) -> list[dict[str, Any]]:
    """Read texts without tokens of white space, which were words to the code of before."""
    records = list(srsly.read_jsonl(saved / "entities.jsonl"))
    assert len(records) == 500
    return [one for one in records if not any(t.is_space for t in nlp.make_doc(one["text"]))]


def assert_entities(records: list[dict[str, Any]], docs: Iterable[Doc]) -> None:
    for record, doc in zip(records, docs, strict=True):
        spans = [[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents]
        assert spans == [ent[:3] for ent in record["ents"]], json.dumps(record)
        confidences = [ent._.confidence for ent in doc.ents]
        assert confidences == pytest.approx([ent[3] for ent in record["ents"]], abs=2e-4)
