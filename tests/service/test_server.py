"""The service as a process of its own, on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server, free_port
from typer.testing import CliRunner

from ner_lstm_component.cli import app

JSON = {"Content-Type": "application/json"}
BODY = {"text": "Anna Berg lives in Oslo."}


def check_answer(answer: dict) -> None:
    found = [(ent["text"], ent["label"]) for ent in answer["ents"]]
    assert found == [("Anna Berg", "per"), ("Oslo", "geo")]


def predict(server: Server, **options: Any) -> None:
    check_answer(server.request("POST", "/predict", json=BODY, **options).json())


class Load:
    """Clients that send one request after another, and count how they end.

    :param keeps_connection: whether each client uses one connection for all its requests.
    """

    def __init__(self, url: str, clients: int, keeps_connection: bool) -> None:
        self.address = url.removeprefix("http://")
        self.keeps_connection = keeps_connection
        self.answers = 0
        # Only the system may have accepted a new connection. Others, a worker has accepted.
        self.lost: list[str] = []
        self.lost_new: list[str] = []
        self.refused = 0
        self.stopping = threading.Event()
        self.clients = clients

    def _ask(self) -> None:
        while not self.stopping.is_set():
            with contextlib.closing(http.client.HTTPConnection(self.address, timeout=60)) as one:
                try:
                    one.connect()
                except OSError:
                    self.refused += 1
                    time.sleep(0.01)
                else:
                    self._ask_over(one)

    def _ask_over(self, connection: http.client.HTTPConnection) -> None:
        lost, is_kept = self.lost_new, True
        while is_kept and not self.stopping.is_set():
            try:
                connection.request("POST", "/predict", json.dumps(BODY), JSON)
                response = connection.getresponse()
                check_answer(json.loads(response.read()))
            except Exception as error:
                lost.append(repr(error))
                return
            self.answers += 1
            lost, is_kept = self.lost, self.keeps_connection and not response.will_close

    @contextlib.contextmanager
    def running(self) -> Iterator[Load]:
        with ThreadPoolExecutor(self.clients) as pool:
            for _ in range(self.clients):
                pool.submit(self._ask)
            try:
                yield self
            finally:
                self.stopping.set()

    def wait_for(self, answers: int) -> None:
        wanted = self.answers + answers
        for _ in range(6000):
            if self.answers >= wanted:
                return
            time.sleep(0.01)
        raise AssertionError(f"{self.answers} answers, {self.lost}, {self.refused} refused")

    def check_no_failures(self) -> None:
        assert (self.lost, self.lost_new, self.refused) == ([], [], 0)


def n_predicted(server: Server) -> float:
    name = 'ner_lstm_requests_total{endpoint="/predict",method="POST",status="200"}'
    lines = server.request("GET", "/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_body_beyond_the_limit(server):
    answer = server.request("POST", "/predict", json={"text": "a " * 1_000_000})
    assert answer.status_code == 413
    assert "at most 1,048,576 bytes" in answer.json()["detail"]
    chunks = iter([b'{"text": "', *[b"a " * 50_000] * 20, b'"}'])
    answer = server.request("POST", "/predict", content=chunks, headers=JSON)
    assert answer.status_code == 413
    predict(server)


def test_connection_is_kept_after_a_refused_body(server):
    """gunicorn reads the rest of a body that the application has refused."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(30):
            refused = client.post("/predict", content=b"x" * 50_000)
            assert refused.status_code == 415
            check_answer(client.post("/predict", json=BODY).json())


def test_more_connections_than_threads(impatient):
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(Load(impatient.url, 1, keeps_connection=True).running())
        clients = [stack.enter_context(httpx.Client(base_url=impatient.url)) for _ in range(5)]
        for client in [*clients, *clients]:
            check_answer(client.post("/predict", json=BODY).json())
        load.wait_for(1)
        assert not load.lost


def test_killed_worker_and_stop(model, start_server):
    """A killed worker is replaced and loses only its own requests. Stopping loses none."""
    server = start_server(str(model)).wait_until_ready()
    clients = 8
    with Load(server.url, clients, keeps_connection=False).running() as load:
        load.wait_for(100)
        killed, other = server.workers
        os.kill(killed, signal.SIGKILL)
        load.wait_for(300)
        assert len(load.lost_new) <= clients  # at most the current request of each
        assert not load.refused
        assert len(server.workers) == 2
        assert other in server.workers
        assert killed not in server.workers
        lost = len(load.lost_new)
        load.wait_for(300)
        assert len(load.lost_new) == lost
    with Load(server.url, clients, keeps_connection=True).running() as load:
        load.wait_for(200)
        assert server.stop() == 0
        assert not load.lost
        load.stopping.set()


def test_drain_loses_no_request(model, start_server):
    """Clients that ask /readyz, as load balancers do, turn away. A second SIGTERM ends the wait."""
    server = start_server(str(model), "--drain-seconds", "600").wait_until_ready()
    loads = [Load(server.url, 2, keeps_connection) for keeps_connection in (False, True)]
    with loads[0].running(), loads[1].running():
        server.process.terminate()
        while (readiness := server.request("GET", "/readyz")).status_code == 200:
            time.sleep(0.02)
        assert (readiness.status_code, readiness.json()) == (503, {"status": "stopping"})
        for load in loads:
            load.wait_for(50)
            load.stopping.set()
    for load in loads:
        load.check_no_failures()
    assert server.stop() == 0


def test_recycling_loses_no_request(model, start_server):
    server = start_server(str(model), "--max-requests", "50").wait_until_ready()
    first = set(server.workers)
    with Load(server.url, 4, keeps_connection=False).running() as load:
        while first & set(server.workers):
            load.wait_for(50)
        load.wait_for(100)
        load.check_no_failures()
    assert server.stop() == 0


def test_log_file_and_environment(model, start_server, tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "other").touch()
    path = str(tmp_path / "ner.sock")
    environment = {
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "GUNICORN_CMD_ARGS": f"--bind unix:{path} --workers 3",
    }
    options = ("--log-file", "logs/app.log", "--drain-seconds", "0.5")
    server = start_server(str(model), *options, uds=path, cwd=tmp_path, env=environment)
    predict(server.wait_until_ready(), headers={"X-Request-ID": "this-one"})
    assert n_predicted(server) == 1
    assert server.stop() == 0
    assert {"other"} < {path.name for path in (tmp_path / "metrics").iterdir()}
    log = (tmp_path / "logs" / "app.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["message"] for line in lines].count("Ready") == 3
    (found,) = (line for line in lines if line.get("request_id") == "this-one")
    assert (found["message"], found["status"], found["tokens"]) == ("Request", 200, 6)
    assert "Anna" not in log


def test_errors_end_the_program(server, model, start_server, tmp_path):
    """`test_application` has the other errors of loading a pipeline."""
    missing = start_server(str(tmp_path / "missing"))
    assert missing.process.wait(timeout=60) == 1
    assert "missing' cannot be loaded. Expected: the folder" in missing.log
    assert "Traceback" not in missing.log
    other = start_server(str(model), port=server.port)
    assert other.process.wait(timeout=60) == 1
    assert "in use" in other.log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--log-level", "loud"], "must be one of debug"),
        (["--workers", "0"], "workers"),
        (["--drain-seconds", "inf"], "drain-seconds"),
        (["--cors-origin", "https://*.example.com"], "'https://*.example.com'"),
        (["--gunicorn-conf", "/"], "is a directory"),
    ],
)
def test_wrong_options(arguments, message, monkeypatch):
    monkeypatch.setattr("ner_lstm_component.service.server.serve", pytest.fail)
    if "--log-level" not in arguments:
        monkeypatch.setattr("ner_lstm_component.logs.configure", lambda **_: None)
    result = CliRunner().invoke(app, ["serve", "model", *arguments])
    assert result.exit_code != 0
    assert message in result.output


CONF = """
certfile = "cert.pem"
keyfile = "key.pem"
accesslog = "access.log"
workers = 2

def when_ready(server):
    open("when_ready", "w").close()

def child_exit(server, worker):
    open("child_exit", "w").close()

def post_request(worker, req, environ, resp):
    open("post_request", "w").close()
"""


def test_configuration_file_and_tls(model, start_server, tmp_path):
    options = "-x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout key.pem"
    command = ["openssl", "req", *options.split(), "-out", "cert.pem"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "conf.py").write_text(CONF)
    options = ("--gunicorn-conf", "conf.py", "--workers", "1", "--client-timeout", "1")
    server = start_server(str(model), *options, scheme="https", cwd=tmp_path).wait_until_ready()
    predict(server)
    assert len(server.workers) == 1  # options override the file
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=15)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        fields = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        connection.sendall(f"POST /predict HTTP/1.1\r\n{fields}{{".encode())
        # At the deadline, OpenSSL cannot write an answer: its connection has been shut down.
        with pytest.raises(ssl.SSLError):
            connection.recv(100)
    predict(server)
    assert server.stop() == 0
    assert {"when_ready", "child_exit", "post_request"} <= {p.name for p in tmp_path.iterdir()}
    assert "POST /predict" in (tmp_path / "access.log").read_text()


COUNTING = """
from pathlib import Path

import prometheus_client
from spacy import util
from spacy.language import Language

COUNTED = prometheus_client.Counter("counted_docs", "Docs counted.")

@Language.component("counting")
def counting(doc):
    COUNTED.inc()
    return doc

def load(**overrides):
    nlp = util.load_model(Path(__file__).parent / "model", **overrides)
    nlp.add_pipe("counting", first=True)
    return nlp
"""


def test_a_pipeline_that_imports_prometheus_client(model, start_server, tmp_path):
    """The metrics still cover all workers, and include the pipeline's own."""
    shutil.copytree(model, tmp_path / "counting" / "model")
    (tmp_path / "counting" / "__init__.py").write_text(COUNTING)
    info = tmp_path / "counting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    server = start_server("counting", env={"PYTHONPATH": str(tmp_path)}).wait_until_ready()
    for _ in range(10):
        predict(server)
    assert n_predicted(server) == 10
    # Each worker has tagged a first text.
    assert "counted_docs_total 12.0" in server.request("GET", "/metrics").text
    assert server.stop() == 0


def test_preload(model, start_server):
    """Other servers take ``wsgi:app``. After a fork, each worker starts the network again."""
    port = free_port()
    options = f"--preload --workers 2 --threads 2 --bind 127.0.0.1:{port} wsgi:app"
    server = start_server(
        *(sys.executable, "-m", "gunicorn", *options.split()),
        command=True,
        port=port,
        cwd=Path(__file__).parents[2],
        env={"NER_LSTM_MODEL": str(model)},
    ).wait_until_ready()
    predict(server)
    assert server.stop() == 0
    assert "WORKER TIMEOUT" not in server.log


def test_waitress(model, start_server):
    """The server for Windows, as far as other systems can run it."""
    pytest.importorskip("waitress")
    port = free_port()
    code = (
        "import sys\n"
        "from ner_lstm_component.service.limits import Limits\n"
        "from ner_lstm_component.service.server import ServerSettings, serve\n"
        "sys.platform = 'win32'\n"
        f"serve({str(model)!r}, Limits(), ServerSettings({{'bind': '127.0.0.1:{port}'}}))\n"
    )
    server = start_server(sys.executable, "-c", code, command=True, port=port).wait_until_ready()
    predict(server)
    answer = server.request("POST", "/predict", json={"text": "a " * 1_000_000})
    assert answer.status_code == 413
    server.stop()
