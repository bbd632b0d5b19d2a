"""The service as a process of its own, on loopback."""

from __future__ import annotations

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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server
from typer.testing import CliRunner

from ner_lstm_component.cli import app

JSON = {"Content-Type": "application/json"}
BODY = {"text": "Anna Berg lives in Oslo."}
ENTS = [("Anna Berg", "per"), ("Oslo", "geo")]


def ents(answer: dict) -> list[tuple[str, str]]:
    return [(ent["text"], ent["label"]) for ent in answer["ents"]]


class Load:
    """Clients that send one request after another, and count how they end.

    :param keeps_connection: whether each client uses one connection for all its requests.
    """

    def __init__(self, url: str, clients: int, keeps_connection: bool) -> None:
        self.address = url.removeprefix("http://")
        self.keeps_connection = keeps_connection
        self.answers = 0
        # Requests on connections that a worker has accepted, because it has answered before.
        self.lost: list[str] = []
        # Requests on new connections, which perhaps only the system has accepted.
        self.lost_new: list[str] = []
        self.refused = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        while not self.stopping.is_set():
            connection = http.client.HTTPConnection(self.address, timeout=60)
            try:
                connection.connect()
            except OSError:
                self.refused += 1
                time.sleep(0.01)
                continue
            self._ask_over(connection)
            connection.close()

    def _ask_over(self, connection: http.client.HTTPConnection) -> None:
        is_accepted = False
        while not self.stopping.is_set():
            try:
                connection.request("POST", "/predict", json.dumps(BODY), JSON)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException) as error:
                (self.lost if is_accepted else self.lost_new).append(repr(error))
                return
            assert response.status == 200
            assert ents(answer) == ENTS
            self.answers += 1
            is_accepted = True
            if response.will_close or not self.keeps_connection:
                return

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
        """Wait for this many more answers."""
        wanted = self.answers + answers
        for _ in range(6000):
            if self.answers >= wanted:
                return
            time.sleep(0.01)
        raise AssertionError(f"{self.answers} answers, {self.lost}, {self.refused} refused")

    @property
    def failures(self) -> tuple[list[str], list[str], int]:
        return self.lost, self.lost_new, self.refused


def check_answer(url: str, **options: Any) -> None:
    response = httpx.post(f"{url}/predict", json=BODY, **options)
    assert ents(response.json()) == ENTS


def first_answer(
    process: subprocess.Popen, url: str, transport: httpx.BaseTransport | None = None
) -> dict:
    """Wait for a server's first answer."""
    with httpx.Client(transport=transport) as client:
        for _ in range(600):
            assert process.poll() is None
            try:
                return client.post(f"{url}/predict", json=BODY).json()
            except httpx.TransportError:
                time.sleep(0.1)
    raise AssertionError("no answer")


def test_workers_share_their_metrics(server):
    assert len(server.workers) == 2
    before = _requests(server.url)
    for _ in range(20):
        check_answer(server.url)
    assert _requests(server.url) == before + 20


def _requests(url: str) -> float:
    name = 'ner_lstm_requests_total{endpoint="/predict",method="POST",status="200"}'
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_log_has_a_line_of_json_for_each_request(server):
    check_answer(server.url, headers={"X-Request-ID": "this-one"})
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
    check_answer(server.url)


def test_connection_is_kept_after_a_refused_body(server):
    """gunicorn reads the rest of a body that the application has refused."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(30):
            refused = client.post(
                "/predict", content=b"x" * 50_000, headers={"Content-Type": "text/plain"}
            )
            assert refused.status_code == 415
            assert ents(client.post("/predict", json=BODY).json()) == ENTS


def test_more_connections_than_threads(impatient):
    with Load(impatient.url, 1, keeps_connection=True).running() as load, ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=impatient.url)) for _ in range(5)]
        for client in [*clients, *clients]:
            assert ents(client.post("/predict", json=BODY).json()) == ENTS
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
        while httpx.get(f"{server.url}/readyz").status_code == 200:
            time.sleep(0.02)
        not_ready = httpx.get(f"{server.url}/readyz")
        assert (not_ready.status_code, not_ready.json()) == (503, {"status": "stopping"})
        for load in loads:
            load.wait_for(50)
            load.stopping.set()
    assert [load.failures for load in loads] == [([], [], 0)] * 2
    assert server.stop() == 0


def test_recycling_loses_no_request(model, start_server):
    server = start_server(str(model), "--max-requests", "50").wait_until_ready()
    first = set(server.workers)
    with Load(server.url, 4, keeps_connection=False).running() as load:
        while first & set(server.workers):
            load.wait_for(50)
        load.wait_for(100)
        assert load.failures == ([], [], 0)


def test_log_file_and_folder_of_metrics(model, start_server, tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "other").touch()
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    server = start_server(
        *(str(model), "--log-file", "logs/app.log", "--drain-seconds", "0.5"),
        cwd=tmp_path,
        env=environment,
    ).wait_until_ready()
    assert _requests(server.url) == 0
    check_answer(server.url)
    assert _requests(server.url) == 1
    assert server.stop() == 0
    assert {"other"} < {path.name for path in folder.iterdir()}
    lines = (tmp_path / "logs" / "app.log").read_text(encoding="utf-8").splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert messages.count("Ready") == 2
    assert "Request" in messages


def test_missing_pipeline(start_server, tmp_path):
    """It ends the program before there is a server; `test_application` has the other errors."""
    server = start_server(str(tmp_path / "missing"))
    assert server.process.wait(timeout=60) == 1
    assert "missing' cannot be loaded. Expected: the folder" in server.log
    assert "Listening" not in server.log
    assert "Traceback" not in server.log


def test_port_in_use(server, model, start_server):
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


# --- gunicorn's own settings ---------------------------------------------------------------


CONF = """
certfile = "cert.pem"
keyfile = "key.pem"
accesslog = "access.log"
threads = 3
workers = 2
raw_env = ["FROM_CONF=1"]

def when_ready(server):
    open("when_ready", "w").close()

def child_exit(server, worker):
    open("child_exit", "w").close()

def post_request(worker, req, environ, resp):
    open("post_request", "w").close()
"""


def test_configuration_file_and_tls(model, start_server, tmp_path):
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (tmp_path / "conf.py").write_text(CONF)
    server = start_server(
        *(str(model), "--gunicorn-conf", "conf.py", "--workers", "1", "--client-timeout", "1"),
        scheme="https",
        cwd=tmp_path,
    ).wait_until_ready()
    check_answer(server.url, verify=False)
    assert len(server.workers) == 1  # options override the file
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=15) as plain,
        context.wrap_socket(plain) as connection,
    ):
        fields = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        connection.sendall(f"POST /predict HTTP/1.1\r\n{fields}{{".encode())
        # At the deadline, OpenSSL cannot write an answer: its connection has been shut down.
        with pytest.raises(ssl.SSLError):
            connection.recv(100)
    check_answer(server.url, verify=False)
    assert server.stop() == 0
    assert {"when_ready", "child_exit", "post_request"} <= {p.name for p in tmp_path.iterdir()}
    assert "POST /predict" in (tmp_path / "access.log").read_text()


def test_unix_socket_from_the_environment(model, start_server, tmp_path):
    path = tmp_path / "ner.sock"
    arguments = {"GUNICORN_CMD_ARGS": f"--bind unix:{path} --workers 1"}
    server = start_server(str(model), takes_port=False, env=arguments)
    transport = httpx.HTTPTransport(uds=str(path))
    assert ents(first_answer(server.process, "http://localhost", transport)) == ENTS
    assert server.stop() == 0


COUNTING = """
import prometheus_client
from spacy.language import Language

COUNTED = prometheus_client.Counter("counted_docs", "Docs counted.")


@Language.component("counting")
def counting(doc):
    COUNTED.inc()
    return doc
"""


def test_a_pipeline_that_imports_prometheus_client(model, start_server, tmp_path):
    """The metrics still cover all workers, and include the pipeline's own."""
    package = tmp_path / "counting"
    shutil.copytree(model, package / "model")
    (package / "__init__.py").write_text(
        COUNTING + "\nfrom pathlib import Path\nfrom spacy import util\n\n"
        "def load(**overrides):\n"
        "    nlp = util.load_model(Path(__file__).parent / 'model', **overrides)\n"
        "    nlp.add_pipe('counting', first=True)\n"
        "    return nlp\n"
    )
    info = tmp_path / "counting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    server = start_server("counting", env={"PYTHONPATH": str(tmp_path)}).wait_until_ready()
    for _ in range(10):
        check_answer(server.url)
    assert _requests(server.url) == 10
    # Each worker has tagged a text to warm up.
    assert "counted_docs_total 12.0" in httpx.get(f"{server.url}/metrics").text


def test_preload(model, tmp_path):
    """Other servers take ``wsgi:app``. After a fork, each worker starts the network again."""
    port = Server.free_port()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--preload", "--workers", "2"),
                *("--threads", "2", "--bind", f"127.0.0.1:{port}", "wsgi:app"),
            ],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"NER_LSTM_MODEL": str(model)},
            stdout=log,
            stderr=log,
        )
    try:
        assert ents(first_answer(process, f"http://127.0.0.1:{port}")) == ENTS
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
    assert "WORKER TIMEOUT" not in (tmp_path / "log").read_text()


def test_waitress(model, tmp_path):
    """The server for Windows, as far as other systems can run it."""
    pytest.importorskip("waitress")
    port = Server.free_port()
    code = (
        "import sys\n"
        "from ner_lstm_component.service.limits import Limits\n"
        "from ner_lstm_component.service.server import ServerSettings, serve\n"
        "sys.platform = 'win32'\n"
        f"serve({str(model)!r}, Limits(), ServerSettings({{'bind': '127.0.0.1:{port}'}}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        url = f"http://127.0.0.1:{port}"
        assert ents(first_answer(process, url)) == ENTS
        response = httpx.post(f"{url}/predict", json={"text": "a " * 1_000_000})
        assert response.status_code == 413
    finally:
        process.kill()
        process.wait()
