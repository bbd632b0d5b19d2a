"""What README.md and docs/ say about the service, run against a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))]
SECTIONS = r"^## (?:API|Serving)\n.*?(?=^## |\Z)"
TEXT = "".join("".join(re.findall(SECTIONS, page, re.M | re.S)) for page in PAGES)
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.S)
CURLS = [code for language, code in BLOCKS if language == "bash" and code.startswith("curl")]
SNIPPETS = [code for language, code in BLOCKS if language == "python"]
PATHS = re.findall(r"`(?:GET )?(/[a-z.]*)`", "".join(re.findall(r"^\| `GET .*$", TEXT, re.M)))
ADDRESS = "http://127.0.0.1:5000"


@pytest.mark.parametrize("call", CURLS)
def test_curl(server, call):
    command = call.replace(ADDRESS, server.url).replace("curl", "curl -sS --fail", 1)
    output = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
    answer, body = json.loads(output), json.loads(re.search(r"-d '(.*)'", call)[1])
    is_list = not body.keys().isdisjoint({"texts", "sentences"})
    assert isinstance(answer, list) == is_list
    has_prediction = "sentence" in body or body.get("probabilities", False)
    for one in answer if is_list else [answer]:
        assert list(one) == ["tokens", "tags", "ents", "labels"] + ["prediction"] * has_prediction


@pytest.mark.parametrize("code", SNIPPETS)
def test_python(server, code):
    command = [sys.executable, "-c", code.replace(ADDRESS, server.url)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Maria" in result.stdout


def test_answer_problem_paths_and_metrics(server):
    answer = httpx.post(f"{server.url}/predict", json={"sentence": ["Anna", "Berg"]}).json()
    (documented,) = (code for _, code in BLOCKS if '"tokens"' in code and "curl" not in code)
    assert set(re.findall(r'"(\w+)":', documented)) == {*answer, *answer["ents"][0]}

    problem = httpx.post(f"{server.url}/predict", json={"sentence": ["a", 1]}).json()
    (documented,) = (json.loads(code) for language, code in BLOCKS if language == "json")
    assert problem | {"request_id": ""} == documented | {"request_id": ""}

    assert len(CURLS) >= 4
    assert len(SNIPPETS) == 2
    assert len(PATHS) >= 7
    for path in PATHS:
        assert httpx.get(f"{server.url}{path}").status_code == 200

    metrics = httpx.get(f"{server.url}/metrics").text
    documented = set(re.findall(r"`(ner_lstm_\w+)`", TEXT))
    assert len(documented) == 6
    for name in documented:
        assert f"\n{name}" in metrics


def test_limits_and_options():
    result = subprocess.run(
        [sys.executable, "-m", "ner_lstm_component.cli", "serve", "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
    )
    options = set(re.findall(r"`(--[a-z-]+)", TEXT))
    assert options >= {"--max-body", "--workers", "--max-requests"}
    for option in options:
        assert option in result.stdout
    for number, option in re.findall(r"\| ([\d,]+) \| `(--max-\w+)`", TEXT):
        assert re.search(rf"{option} .*default: {number.replace(',', '')}\]", result.stdout)
