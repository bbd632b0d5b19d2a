"""Fixtures of the service's tests: a pipeline on disk, and a real server that serves it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest


class Server:
    """``ner-lstm serve`` as a process of its own, on a free port of loopback."""

    def __init__(
        self, folder: Path, *arguments: str, port: int | None = None, cwd: Path | None = None
    ) -> None:
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / f"stderr-{self.port}.log"
        command = [sys.executable, "-m", "ner_lstm_component.cli", "serve"]
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [*command, *arguments, "--port", str(self.port)],
                stdout=log,
                stderr=log,
                cwd=cwd,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )

    @property
    def log(self) -> str:
        """What the server has printed."""
        return self.log_path.read_text(encoding="utf-8")

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def wait_until_ready(self) -> Server:
        """Wait for the first answer."""
        for _ in range(600):
            assert self.process.poll() is None, self.log
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(f"not ready: {self.log}")

    def stop(self) -> int:
        """Have it end, and give its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=60)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="session")
def model(trained_nlp, tmp_path_factory) -> Path:
    """The folder of the pipeline that knows the sentences of `tests/conftest.py`."""
    path = tmp_path_factory.mktemp("service") / "model"
    trained_nlp.to_disk(path)
    return path


@pytest.fixture
def start_server(tmp_path) -> Iterator[Callable[..., Server]]:
    """Starts servers, which are gone after the test."""
    servers: list[Server] = []

    def start(*arguments: str, **kwargs) -> Server:
        servers.append(Server(tmp_path, *arguments, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(model, tmp_path_factory) -> Iterator[Server]:
    """A server that tests share; they must not harm it."""
    server = Server(tmp_path_factory.mktemp("server"), str(model))
    yield server.wait_until_ready()
    server.process.kill()
    server.process.wait()
