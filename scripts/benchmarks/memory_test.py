"""Measure the service's memory over very many requests with words that it has never seen.

python scripts/benchmarks/memory_test.py MODEL
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import urllib.parse
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from load_test import serving

app = typer.Typer(add_completion=False)

WORDS = 20


@app.command()
def main(
    model: Annotated[str, typer.Argument(help="The folder of a trained pipeline.")],
    requests: Annotated[int, typer.Option(min=2, help="Number of requests.")] = 200_000,
    first: Annotated[int, typer.Option(min=1, help="Requests between two figures.")] = 10_000,
    most: Annotated[float, typer.Option(help="Allowed growth after the first figure.")] = 1.1,
    clients: Annotated[int, typer.Option(min=1, help="Concurrent clients.")] = 8,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures here, as JSON.")
    ] = None,
) -> None:
    """Measure the only worker of MODEL's service, never restarted. Exit with 1 if it grows."""
    measured: dict[int, int] = {}
    command = [sys.executable, "-m", "ner_lstm_component.cli", "serve", model]
    with serving([*command, "--workers", "1", "--max-requests", "0"]) as url:
        worker = worker_of(url)
        numbers = count()
        done = 0
        while done < requests:
            step = min(first, requests - done)
            ask(url, numbers, step, clients)
            done += step
            measured[done] = resident_bytes(worker)
            typer.echo(f"{done:>9,} requests: {measured[done] / 2**20:.1f} MiB")
    growth = measured[done] / measured[min(measured)]
    typer.echo(f"{growth:.3f} times the memory after the first {min(measured):,}")
    if output:
        output.write_text(json.dumps({"bytes": measured, "growth": growth}), encoding="utf-8")
    if growth > most:
        raise typer.Exit(1)


def ask(url: str, numbers: count[int], requests: int, clients: int) -> None:
    """Send requests with new words, and check each answer."""
    address = urllib.parse.urlsplit(url).netloc
    failed: list[str] = []

    def client(share: int) -> None:
        connection = http.client.HTTPConnection(address)
        headers = {"Content-Type": "application/json"}
        try:
            for _ in range(share):
                number = next(numbers)
                text = " ".join(f"word{number}x{k}" for k in range(WORDS))
                connection.request("POST", "/predict", json.dumps({"text": text}), headers)
                answer = json.loads(connection.getresponse().read())
                if len(answer["tokens"]) < WORDS:
                    raise ValueError(f"{len(answer['tokens'])} tokens")
        except Exception as error:
            failed.append(repr(error))

    shares = [requests // clients + (n < requests % clients) for n in range(clients)]
    threads = [threading.Thread(target=client, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        typer.echo(f"Error: {failed[0]}", err=True)
        raise typer.Exit(1)


def worker_of(url: str) -> int:
    """Return the process id of the worker that listens on the URL's port."""
    port = urllib.parse.urlsplit(url).port
    for children in Path("/proc").glob("[0-9]*/task/*/children"):
        command = (children.parents[2] / "cmdline").read_text().split("\0")
        pids = children.read_text().split()
        if "serve" in command and str(port) in command and pids:
            return int(pids[0])
    raise RuntimeError(f"no server with workers listens on port {port}")


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    app()
