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

import httpx
import pytest
import spacy
from serving import Server

JSON = {"Content-Type": "application/json"}
BODY = {"text": "Anna Berg lives in Oslo."}
ENTS = [("Anna Berg", "per"), ("Oslo", "geo")]


def ents(answer: dict) -> list[tuple[str, str]]:
    return [(ent["text"], ent["label"]) for ent in answer["ents"]]


class Load:
    """Clients that ask on and on, and how their requests ended.

    :param keeps_connection: whether each client uses one connection for all its requests.
    """

    def __init__(self, url: str, clients: int, keeps_connection: bool) -> None:
        self.address = url.removeprefix("http://")
        self.keeps_connection = keeps_connection
        self.answers = 0
        # Of requests on a connection that had been answered before, which a worker has accepted.
        self.lost: list[str] = []
        # Of requests on new connections: it may be that the system alone has accepted them.
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


def test_a_connection_outlives_a_refused_body(server):
    """gunicorn reads what is left of a body that the application has refused."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(30):
            refused = client.post(
                "/predict", content=b"x" * 50_000, headers={"Content-Type": "text/plain"}
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
        assert len(load.lost_new) <= clients  # each has one request on its way
        assert not load.refused
        assert len(server.workers) == 2
        assert other in server.workers
        assert killed not in server.workers
        lost = len(load.lost_new)
        load.wait_for(300)
        assert len(load.lost_new) == lost
    assert server.stop() == 0


def test_stop_loses_no_request(model, start_server):
    """Connections that a worker has accepted are answered, then closed."""
    server = start_server(str(model)).wait_until_ready()
    with Load(server.url, 8, keeps_connection=True).running() as load:
        load.wait_for(200)
        assert server.stop() == 0
        assert not load.lost
        load.stopping.set()
    assert load.answers >= 200


@pytest.mark.parametrize("keeps_connection", [False, True])
def test_drain_loses_no_request(model, start_server, keeps_connection):
    """Who asks /readyz, as load balancers do, turns away in time."""
    server = start_server(str(model), "--drain-seconds", "2").wait_until_ready()
    with Load(server.url, 4, keeps_connection).running() as load:
        load.wait_for(100)
        server.process.terminate()
        while httpx.get(f"{server.url}/readyz").status_code == 200:
            time.sleep(0.02)
        not_ready = httpx.get(f"{server.url}/readyz")
        assert (not_ready.status_code, not_ready.json()) == (503, {"status": "stopping"})
        load.wait_for(50)
        load.stopping.set()
        assert server.process.poll() is None
    assert not load.lost
    assert not load.lost_new
    assert not load.refused
    assert server.process.wait(timeout=60) == 0


def test_a_second_sigterm_ends_the_drain(model, start_server):
    server = start_server(str(model), "--drain-seconds", "600").wait_until_ready()
    server.process.terminate()
    while httpx.get(f"{server.url}/readyz").status_code == 200:
        time.sleep(0.02)
    assert ents(httpx.post(f"{server.url}/predict", json=BODY).json()) == ENTS
    assert server.stop() == 0


def test_recycling_loses_no_request(model, start_server):
    server = start_server(str(model), "--max-requests", "50").wait_until_ready()
    first = set(server.workers)
    with Load(server.url, 4, keeps_connection=False).running() as load:
        while first & set(server.workers):
            load.wait_for(50)
        load.wait_for(100)
        assert not load.lost
        assert not load.lost_new
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
        (lambda path: str(path / "missing"), "missing' cannot be loaded. Expected: the folder"),
        (lambda path: "no_such_package", "'no_such_package' cannot be loaded"),
        (str, "cannot be loaded"),
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
    [
        (["--log-level", "loud"], "must be one of debug"),
        (["--workers", "0"], "workers"),
        (["--drain-seconds", "inf"], "drain-seconds"),
        (["--cors-origin", "https://*.example.com"], "'https://*.example.com'"),
        (["--gunicorn-conf", "/"], "is a directory"),
    ],
)
def test_wrong_options(model, start_server, arguments, message):
    server = start_server(str(model), *arguments)
    assert server.process.wait(timeout=60) != 0
    assert message in server.log
    assert "Listening" not in server.log


# --- gunicorn's own settings ---------------------------------------------------------------


CONF = """
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


def test_gunicorns_configuration_file(model, start_server, tmp_path):
    (tmp_path / "conf.py").write_text(CONF)
    server = start_server(
        *(str(model), "--gunicorn-conf", "conf.py", "--workers", "1"), cwd=tmp_path
    ).wait_until_ready()
    assert ents(httpx.post(f"{server.url}/predict", json=BODY).json()) == ENTS
    assert len(server.workers) == 1  # an option goes before the file
    assert server.stop() == 0
    assert {"when_ready", "child_exit", "post_request"} <= {p.name for p in tmp_path.iterdir()}
    assert "POST /predict" in (tmp_path / "access.log").read_text()


def test_unix_socket_by_gunicorns_variable(model, start_server, tmp_path, monkeypatch):
    path = tmp_path / "ner.sock"
    monkeypatch.setenv("GUNICORN_CMD_ARGS", f"--bind unix:{path} --workers 1")
    server = start_server(str(model), port=None, takes_port=False)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        for _ in range(600):
            assert server.process.poll() is None, server.log
            try:
                answer = client.post("http://localhost/predict", json=BODY)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert ents(answer.json()) == ENTS
    assert server.stop() == 0


def test_tls(model, start_server, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "tls.py").write_text(f"certfile = {str(certificate)!r}\nkeyfile = {str(key)!r}\n")
    server = start_server(
        *(str(model), "--gunicorn-conf", str(tmp_path / "tls.py"), "--client-timeout", "1"),
        scheme="https",
    ).wait_until_ready()
    with httpx.Client(base_url=server.url, verify=False) as client:
        assert ents(client.post("/predict", json=BODY).json()) == ENTS
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=15) as plain,
        context.wrap_socket(plain) as connection,
    ):
        fields = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        connection.sendall(f"POST /predict HTTP/1.1\r\n{fields}{{".encode())
        # OpenSSL does not write after the end of what it reads.
        with pytest.raises(ssl.SSLError):
            connection.recv(100)
    with httpx.Client(base_url=server.url, verify=False) as client:
        assert ents(client.post("/predict", json=BODY).json()) == ENTS


def test_own_folder_of_figures_stays(model, start_server, tmp_path, monkeypatch):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "other").touch()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    server = start_server(str(model)).wait_until_ready()
    assert _requests(server.url) == 0
    httpx.post(f"{server.url}/predict", json=BODY)
    assert _requests(server.url) == 1
    assert server.stop() == 0
    assert {"other"} < {path.name for path in folder.iterdir()}


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
    """Figures are those of all workers, and the pipeline's own are among them."""
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
        assert ents(httpx.post(f"{server.url}/predict", json=BODY).json()) == ENTS
    assert _requests(server.url) == 10
    # Each worker was warmed up by a text.
    assert "counted_docs_total 12.0" in httpx.get(f"{server.url}/metrics").text


def first_answer(process: subprocess.Popen, port: int) -> dict:
    """What a server answers as soon as it answers."""
    for _ in range(600):
        assert process.poll() is None
        try:
            return httpx.post(f"http://127.0.0.1:{port}/predict", json=BODY).json()
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("no answer")


def test_preload(model, tmp_path):
    """An application that was made before the fork starts its network anew in each worker."""
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
        assert ents(first_answer(process, port)) == ENTS
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
    assert "WORKER TIMEOUT" not in (tmp_path / "log").read_text()


def test_waitress(model, tmp_path):
    """What Windows gets, as far as it can be run elsewhere."""
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
        assert ents(first_answer(process, port)) == ENTS
        body = httpx.post(f"http://127.0.0.1:{port}/predict", json={"text": "a " * 1_000_000})
        assert body.status_code == 413
    finally:
        process.kill()
        process.wait()
