"""The service as a process of its own, for tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx


class Server:
    """``ner-lstm serve``, or another command, on a free port of loopback.

    :param arguments: of ``ner-lstm serve``, or with ``command`` the whole command.
    :param uds: the path of the Unix socket that the server listens on instead of the port.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        command: bool = False,
        port: int | None = None,
        uds: str | None = None,
        scheme: str = "http",
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.uds = uds
        self.log_path = folder / f"stderr-{self.port}.log"
        if not command:
            serve = (sys.executable, "-m", "ner_lstm_component.cli", "serve")
            arguments = (*serve, *arguments, *([] if uds else ["--port", str(self.port)]))
        with self.log_path.open("w") as log:
            environment = os.environ | {"OMP_NUM_THREADS": "1"} | (env or {})
            self.process = subprocess.Popen(
                arguments, stdout=log, stderr=log, cwd=cwd, env=environment
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    @property
    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        """Send a request on a new connection."""
        transport = httpx.HTTPTransport(uds=self.uds, verify=False)
        with httpx.Client(transport=transport, base_url=self.url, timeout=60) as client:
            return client.request(method, path, **options)

    def wait_until_ready(self) -> Server:
        for _ in range(600):
            assert self.process.poll() is None, self.log
            try:
                if self.request("GET", "/readyz").status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(f"not ready: {self.log}")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
