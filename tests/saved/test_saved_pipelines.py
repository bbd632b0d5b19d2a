"""Pipelines saved by earlier versions give the entities that they gave then."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
import srsly
from spacy.language import Language

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
    records = list(srsly.read_jsonl(tmp_path / "entities.jsonl"))
    assert len(records) == 500
    # White space was a word to the code of before.
    records = [one for one in records if not any(t.is_space for t in nlp.make_doc(one["text"]))]
    assert len(records) > 400
    assert any(not record["text"].isascii() for record in records)
    for record, doc in zip(records, nlp.pipe(r["text"] for r in records), strict=True):
        spans = [[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents]
        assert spans == [ent[:3] for ent in record["ents"]], json.dumps(record)
        confidences = [ent._.confidence for ent in doc.ents]
        assert confidences == pytest.approx([ent[3] for ent in record["ents"]], abs=2e-4)
