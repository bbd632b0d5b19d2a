"""Fixtures of the service's tests: a pipeline on disk, and servers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Server


@pytest.fixture(scope="session")
def model(trained_nlp, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("service") / "model"
    trained_nlp.to_disk(path)
    return path


@pytest.fixture(scope="session")
def start_server(tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """Starts servers, and kills those that are left after all tests."""
    servers: list[Server] = []

    def start(*arguments: str, **options) -> Server:
        servers.append(Server(tmp_path_factory.mktemp("server"), *arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(model, start_server) -> Server:
    """A server that tests share; they must not harm it."""
    return start_server(str(model)).wait_until_ready()


@pytest.fixture(scope="session")
def impatient(model, start_server) -> Server:
    """A server with one worker, two threads, and one second for clients."""
    options = ("--workers", "1", "--threads", "2", "--client-timeout", "1")
    return start_server(str(model), *options).wait_until_ready()
