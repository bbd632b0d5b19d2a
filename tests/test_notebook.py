from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
PATH = ROOT / "notebooks" / "ner-using-lstm-with-iob2.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(PATH, as_version=4)


def outputs(notebook) -> list[dict]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_is_kept_as_it_ran_and_small(notebook):
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert PATH.stat().st_size < 400_000
    assert not [o for o in outputs(notebook) if o["output_type"] == "error"]
    assert not [o for o in outputs(notebook) if o.get("name") == "stderr"]


@pytest.mark.slow
def test_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("project.yml", "configs", "corpus"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "notebooks").mkdir()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    assert sum("image/png" in o.get("data", {}) for o in outputs(notebook)) == 5
    assert (tmp_path / "training" / "notebook" / "model-best").is_dir()
    # It has learned something, and finds it in the sentence at its end.
    assert "Maria Costa" in str(outputs(notebook)[-1]["data"])
