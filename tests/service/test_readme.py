"""What the README says of the API, run against a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
API = README[README.index("\n## API\n") : README.index("\n## Serving\n")]
SERVING = README[README.index("\n## Serving\n") : README.index("\n## Training\n")]
CURLS = [block for block in re.findall(r"```bash\n(.*?)```", API, re.S) if block.startswith("curl")]
SNIPPETS = re.findall(r"```python\n(.*?)```", API, re.S)
ADDRESS = "http://127.0.0.1:5000"


def test_there_are_calls():
    assert len(CURLS) == 4
    assert len(SNIPPETS) == 2


@pytest.mark.parametrize("call", CURLS)
def test_curl(server, call):
    command = [
        "bash",
        "-c",
        call.replace(ADDRESS, server.url).replace("curl", "curl -sS --fail", 1),
    ]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    body = json.loads(re.search(r"-d '(.*)'", call)[1])
    is_list = not body.keys().isdisjoint({"texts", "sentences"})
    assert isinstance(answer, list) == is_list
    has_prediction = "sentence" in body or body.get("probabilities", False)
    for one in answer if is_list else [answer]:
        expected = ["tokens", "tags", "ents", "labels"] + ["prediction"] * has_prediction
        assert list(one) == expected


@pytest.mark.parametrize("code", SNIPPETS)
def test_python(server, code):
    command = [sys.executable, "-c", code.replace(ADDRESS, server.url)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Maria" in result.stdout


def test_problem(server):
    documented = json.loads(re.search(r"```json\n(.*?)```", API, re.S)[1])
    answer = httpx.post(f"{server.url}/predict", json={"sentence": ["a", 1]}).json()
    assert answer | {"request_id": ""} == documented | {"request_id": ""}


@pytest.mark.parametrize(
    "path", re.findall(r"`(?:GET )?(/[a-z.]*)`", API.split("`POST /predict` takes")[0])
)
def test_paths(server, path):
    assert httpx.get(f"{server.url}{path}").status_code == 200


def test_answer_has_the_documented_fields(server):
    documented = set(re.findall(r'"(\w+)":', re.search(r"```\n(\{.*?)```", API, re.S)[1]))
    answer = httpx.post(f"{server.url}/predict", json={"sentence": ["Anna", "Berg"]}).json()
    assert documented == set(answer) | set(answer["ents"][0])


def test_limits_and_options():
    result = subprocess.run(
        [sys.executable, "-m", "ner_lstm_component.cli", "serve", "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
    )
    options = set(re.findall(r"`(--[a-z-]+)", API + SERVING))
    assert options >= {"--max-body", "--workers", "--max-requests"}
    for option in options - {"--compare", "--help"}:
        assert option in result.stdout
    for number, option in re.findall(r"\| ([\d,]+) \| `(--max-\w+)`", API):
        assert re.search(rf"{option} .*default: {number.replace(',', '')}\]", result.stdout)


def test_metrics(server):
    documented = set(re.findall(r"`(ner_lstm_\w+)`", SERVING))
    assert len(documented) == 6
    found = httpx.get(f"{server.url}/metrics").text
    for name in documented:
        assert f"\n{name}" in f"\n{found}"
