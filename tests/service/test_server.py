"""The service as a process of its own, on loopback."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import httpx
import pytest
import spacy
from gunicorn.config import Config

from ner_lstm_component.service import worker
from ner_lstm_component.service.worker import Response, Worker

BODY = {"text": "Anna Berg lives in Oslo."}
ENTS = [("Anna Berg", "per"), ("Oslo", "geo")]


def ents(answer: dict) -> list[tuple[str, str]]:
    return [(ent["text"], ent["label"]) for ent in answer["ents"]]


class Load:
    """Clients that ask on and on, and how their requests ended.

    :param keeps_connection: whether each client uses one connection for all its requests.
    """

    def __init__(self, url: str, clients: int, keeps_connection: bool) -> None:
        self.url = url
        self.keeps_connection = keeps_connection
        self.answers = 0
        # A request that was sent, or may have been, and was not answered.
        self.lost: list[str] = []
        self.refused = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=int(self.keeps_connection))
        with httpx.Client(base_url=self.url, limits=limits, timeout=60) as client:
            while not self.stopping.is_set():
                try:
                    response = client.post("/predict", json=BODY)
                except httpx.ConnectError:
                    self.refused += 1
                    time.sleep(0.01)
                except httpx.TransportError as error:
                    self.lost.append(repr(error))
                else:
                    assert response.status_code == 200
                    assert ents(response.json()) == ENTS
                    self.answers += 1

    @contextmanager
    def running(self) -> Iterator[Load]:
        for thread in self.threads:
            thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            for thread in self.threads:
                thread.join()

    def wait_for(self, answers: int) -> None:
        """Wait until there are so many answers more."""
        wanted = self.answers + answers
        for _ in range(6000):
            if self.answers >= wanted:
                return
            time.sleep(0.01)
        raise AssertionError(f"{self.answers} answers, {self.lost}, {self.refused} refused")


def test_workers_share_the_figures(server):
    assert len(server.workers) == 2
    before = _requests(server.url)
    for _ in range(20):
        assert ents(httpx.post(f"{server.url}/predict", json=BODY).json()) == ENTS
    assert _requests(server.url) == before + 20


def _requests(url: str) -> float:
    wanted = 'ner_lstm_requests_total{endpoint="/predict",method="POST",status="200"}'
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))


def test_log_has_a_line_of_json_for_each_request(server):
    httpx.post(f"{server.url}/predict", json=BODY, headers={"X-Request-ID": "this-one"})
    for _ in range(100):
        lines = [json.loads(line) for line in server.log.splitlines()]
        found = [line for line in lines if line.get("request_id") == "this-one"]
        if found:
            break
        time.sleep(0.05)
    assert found[0]["status"] == 200
    assert found[0]["tokens"] == 6
    assert {line["message"] for line in lines} >= {"Start", "Ready", "Request"}
    assert "Anna" not in server.log


def test_body_beyond_the_limit(server):
    answer = httpx.post(f"{server.url}/predict", json={"text": "a " * 1_000_000})
    assert answer.status_code == 413
    assert "at most 1,048,576 bytes" in answer.json()["detail"]
    chunks = iter([b'{"text": "', *[b"a " * 50_000] * 20, b'"}'])
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{server.url}/predict", content=chunks, headers=headers)
    assert answer.status_code == 413
    assert ents(httpx.post(f"{server.url}/predict", json=BODY).json()) == ENTS


def test_a_head_goes_out_with_its_body():
    class Socket:
        def __init__(self):
            self.sent = []

        def sendall(self, data):
            self.sent.append(data)

    request = SimpleNamespace(version=(1, 1), method="GET", should_close=lambda: False)
    response = Response(request, connection := Socket(), Config())
    response.start_response("200 OK", [("Content-Length", "2"), ("X-Request-ID", "one")])
    response.write(b"{}")
    response.close()
    (sent,) = connection.sent
    head, body = sent.split(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    assert status == "HTTP/1.1 200 OK"
    assert parsedate_to_datetime(fields.pop("Date"))
    assert fields == {
        "Server": "gunicorn",
        "Connection": "keep-alive",
        "Content-Length": "2",
        "X-Request-ID": "one",
    }
    assert body == b"{}"


def test_who_has_fewer_connections_takes_the_next(monkeypatch):
    waited: list[float] = []
    taken: list[str] = []
    monkeypatch.setattr(worker, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setattr(worker.ThreadWorker, "accept", lambda self, one: taken.append(one))

    def accept(n_connections: int, workers: int = 2, alive: bool = True) -> list[float]:
        waited.clear()
        own = Worker.__new__(Worker)
        own.alive, own.nr_conns, own.cfg = alive, n_connections, SimpleNamespace(workers=workers)
        own.accept("listener")
        return list(waited)

    assert accept(0) < accept(1) < accept(8) < accept(100) == accept(1000)
    assert accept(8, workers=1) == accept(8, alive=False) == []
    assert taken == ["listener"] * 7


def test_a_connection_outlives_a_refused_body(server):
    """The body is refused unread, but its connection goes on."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(30):
            refused = client.post(
                "/predict", content=b"x" * 700_000, headers={"Content-Type": "text/plain"}
            )
            assert refused.status_code == 415
            assert ents(client.post("/predict", json=BODY).json()) == ENTS


def test_more_connections_than_threads(model, start_server):
    server = start_server(str(model), "--workers", "1", "--threads", "2").wait_until_ready()
    with Load(server.url, 1, keeps_connection=True).running() as load, ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=server.url)) for _ in range(5)]
        for client in [*clients, *clients]:
            assert ents(client.post("/predict", json=BODY).json()) == ENTS
        load.wait_for(1)
        assert not load.lost


def test_killed_worker_is_replaced_and_only_its_own_requests_fail(model, start_server):
    server = start_server(str(model)).wait_until_ready()
    clients = 8
    with Load(server.url, clients, keeps_connection=False).running() as load:
        load.wait_for(100)
        killed, other = server.workers
        os.kill(killed, signal.SIGKILL)
        load.wait_for(300)
        assert len(load.lost) <= clients  # each has one request on its way
        assert not load.refused
        assert len(server.workers) == 2
        assert other in server.workers
        assert killed not in server.workers
        lost = len(load.lost)
        load.wait_for(300)
        assert len(load.lost) == lost
    assert server.stop() == 0


@pytest.mark.parametrize("keeps_connection", [False, True])
def test_stop_loses_no_request(model, start_server, keeps_connection):
    server = start_server(str(model)).wait_until_ready()
    with Load(server.url, 8, keeps_connection).running() as load:
        load.wait_for(200)
        assert server.stop() == 0
        assert not load.lost
        load.stopping.set()
    assert load.answers >= 200


def test_recycling_loses_no_request(model, start_server):
    server = start_server(str(model), "--max-requests", "50").wait_until_ready()
    first = set(server.workers)
    with Load(server.url, 4, keeps_connection=False).running() as load:
        while first & set(server.workers):
            load.wait_for(50)
        load.wait_for(100)
        assert not load.lost
        assert not load.refused


def test_log_file(model, start_server, tmp_path):
    server = start_server(str(model), "--log-file", "logs/app.log", cwd=tmp_path)
    server.wait_until_ready()
    httpx.post(f"{server.url}/predict", json=BODY)
    server.stop()
    lines = (tmp_path / "logs" / "app.log").read_text(encoding="utf-8").splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert messages.count("Ready") == 2
    assert "Request" in messages


def _without_component(tmp_path) -> str:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "no-ner")
    return str(tmp_path / "no-ner")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: str(path / "missing"), "missing' cannot be found"),
        (lambda path: "no_such_package", "'no_such_package' cannot be found"),
        (str, "is not a pipeline"),
        (_without_component, "expected a component made by the factory 'ner_lstm'"),
    ],
)
def test_there_is_no_server_without_a_pipeline(start_server, tmp_path, make, message):
    server = start_server(make(tmp_path))
    assert server.process.wait(timeout=60) == 1
    assert message in server.log
    assert "Listening" not in server.log
    assert "Traceback" not in server.log


def test_port_in_use(server, model, start_server):
    other = start_server(str(model), port=server.port)
    assert other.process.wait(timeout=60) == 1
    assert "in use" in other.log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--log-level", "loud"], "must be one of debug"), (["--workers", "0"], "workers")],
)
def test_wrong_options(model, start_server, arguments, message):
    server = start_server(str(model), *arguments)
    assert server.process.wait(timeout=60) != 0
    assert message in server.log
    assert "Listening" not in server.log
