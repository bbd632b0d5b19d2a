"""Fixtures of the service's tests: a pipeline on disk, and a real server that serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Server


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
