"""Fixtures of the service's tests: a pipeline on disk, and servers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import Server


@pytest.fixture(scope="session")
def model(trained_nlp, tmp_path_factory) -> Path:
    """The folder of `trained_nlp`."""
    path = tmp_path_factory.mktemp("service") / "model"
    trained_nlp.to_disk(path)
    return path


@contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server.wait_until_ready()
    finally:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(model, tmp_path_factory) -> Iterator[Server]:
    """A server that tests share; they must not harm it."""
    with running(Server(tmp_path_factory.mktemp("server"), str(model))) as server:
        yield server


@pytest.fixture(scope="session")
def impatient(model, tmp_path_factory) -> Iterator[Server]:
    """A server with one worker, two threads, and one second for clients."""
    options = ("--workers", "1", "--threads", "2", "--client-timeout", "1")
    with running(Server(tmp_path_factory.mktemp("server"), str(model), *options)) as server:
        yield server


@pytest.fixture
def start_server(tmp_path) -> Iterator[Callable[..., Server]]:
    """Starts servers, and kills them after the test."""
    servers: list[Server] = []

    def start(*arguments: str, **kwargs) -> Server:
        servers.append(Server(tmp_path, *arguments, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()
