"""Measure the service's requests a second with wrk, and those of the same service with spaCy's ner.

python scripts/benchmarks/load_test.py run MODEL TEST.spacy --compare OTHER_MODEL
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from ner_lstm_component import logs
from ner_lstm_component.component import Analysis, Prediction
from ner_lstm_component.decoding.iob2 import tag_names
from ner_lstm_component.service import models, responses, server
from ner_lstm_component.service.limits import Limits
from ner_lstm_component.service.server import ServerSettings

app = typer.Typer(add_completion=False)

# wrk sends the bodies in turn, again and again.
LUA = """
local bodies = {{ {bodies} }}
local n = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  n = n + 1
  -- Behind a gateway, every request has a different header.
  wrk.headers["X-Request-ID"] = "load-" .. n
  return wrk.format(nil, nil, nil, bodies[n % #bodies + 1])
end
"""
PATTERNS = {
    "requests": r"(\d+) requests in",
    "per_second": r"Requests/sec:\s+([\d.]+)",
    "median": r"(?m)^\s*50%\s+(\S+)",
    "p99": r"(?m)^\s*99%\s+(\S+)",
}


class Result(NamedTuple):
    """The figures that wrk prints."""

    requests: int
    per_second: float
    median: str
    p99: str
    errors: list[str]


@app.command()
def run(
    model: Annotated[str, typer.Argument(help="The folder of a trained pipeline.")],
    data: Annotated[Path, typer.Argument(help="A .spacy file with the sentences to tag.")],
    compare: Annotated[
        str | None, typer.Option(help="A pipeline with spaCy's ner to compare with.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="Duration of each measurement.")] = 60,
    connections: Annotated[int, typer.Option(min=1, help="Open connections.")] = 16,
    workers: Annotated[int, typer.Option(min=1, help="Workers of the service.")] = 2,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures here, as JSON.")
    ] = None,
) -> None:
    """Measure MODEL's service with requests of one sentence. Exit with 1 if any failed."""
    if shutil.which("wrk") is None:
        typer.echo("Error: wrk is not installed; run: apt-get install wrk", err=True)
        raise typer.Exit(1)
    docs = DocBin().from_disk(data).get_docs(spacy.blank("en").vocab)
    texts = [" ".join(token.text for token in doc) for doc in docs if len(doc)][:1000]
    commands = {"ner_lstm": [sys.executable, "-m", "ner_lstm_component.cli", "serve", model]}
    if compare:
        commands["spaCy's ner"] = [sys.executable, __file__, "serve", compare]
    results = {}
    for name, command in commands.items():
        with serving([*command, "--workers", str(workers)]) as url:
            load(url, texts, 3, connections)
            result = results[name] = load(url, texts, seconds, connections)
        typer.echo(
            f"{name}: {result.per_second:.0f} requests/s, "
            f"median {result.median}, p99 {result.p99}, "
            f"{result.requests} requests, errors: {', '.join(result.errors) or 'none'}"
        )
    if compare:
        ratio = results["ner_lstm"].per_second / results["spaCy's ner"].per_second
        typer.echo(f"{ratio:.2f} times as many")
    if output:
        figures = {name: result._asdict() for name, result in results.items()}
        output.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    if any(result.errors for result in results.values()):
        raise typer.Exit(1)


@contextmanager
def serving(command: Sequence[str]) -> Iterator[str]:
    """Start a server on a free port, and yield its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    options = ["--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen([*command, *options])
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise typer.Exit(1)
            try:
                urllib.request.urlopen(f"{url}/readyz")
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def load(url: str, texts: Sequence[str], seconds: int, connections: int) -> Result:
    """Send the texts in turn with wrk."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "sentences.lua")
        bodies = ", ".join(f"[==[{json.dumps({'text': text})}]==]" for text in texts)
        script.write_text(LUA.format(bodies=bodies), encoding="utf-8")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["--latency", "-s", str(script), f"{url}/predict"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {name: re.search(pattern, printed) for name, pattern in PATTERNS.items()}
    values = {name: match[1] for name, match in found.items() if match}
    return Result(
        int(values["requests"]),
        float(values["per_second"]),
        values["median"],
        values["p99"],
        re.findall(r"Socket errors:.*|Non-2xx.*", printed),
    )


class OtherRecognizer:
    """spaCy's ``ner`` with the interface that the service uses, without probabilities."""

    threshold = 0.0

    def __init__(self, ner: Any) -> None:
        self._ner = ner
        self.model = ner.model
        self.labels = ner.labels
        self.tags = tag_names(self.labels)

    def __call__(self, doc: Doc) -> Doc:
        return self._ner(doc)

    def analyse(
        self, docs: Sequence[Doc], *, thresholds: Sequence[float] | None, probabilities: bool
    ) -> list[Analysis]:
        """Set the Docs' entities. The tags that are returned are empty."""
        list(self._ner.pipe(docs, batch_size=len(docs)))
        return [
            Analysis(Prediction(np.zeros(len(doc), np.int64), np.zeros(0)), None) for doc in docs
        ]

    def set_annotations(self, docs: Sequence[Doc], scores: Sequence[Prediction]) -> None:
        """Do nothing, because the entities are set already."""


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="The folder of a pipeline with spaCy's ner.")],
    port: Annotated[int, typer.Option()],
    workers: Annotated[int, typer.Option()] = 2,
    log_level: Annotated[str, typer.Option()] = "warning",
) -> None:
    """Serve a pipeline with spaCy's ner like `ner-lstm serve`, for comparison only."""
    logs.configure(level=log_level)
    nlp = spacy.load(model)
    other = OtherRecognizer(nlp.get_pipe("ner"))
    Language.factory("load_test_ner", func=lambda nlp, name: other)
    nlp.replace_pipe("ner", "load_test_ner")
    responses.find_component = lambda nlp: other
    models.find_component = lambda nlp: other
    server.load_pipeline = lambda model: nlp
    server.serve(model, Limits(), ServerSettings({"bind": f"127.0.0.1:{port}", "workers": workers}))


if __name__ == "__main__":
    app()
