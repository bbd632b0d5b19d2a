"""Processes that run worker.py, one for each system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ner_lstm_component.tensorflow_wrapper.onnx_runtime import THREADS_VARIABLE

SCRIPTS = Path(__file__).resolve().parents[1]
# Libraries read their number of threads from these variables when they are imported.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    THREADS_VARIABLE,
)


class System(NamedTuple):
    """A pipeline to measure.

    :param name: Its name in tables.
    :param path: Its folder.
    :param exclude: Components that are not loaded.
    :param runtime: What the network runs on. None leaves the choice to the component.
    """

    name: str
    path: Path
    exclude: tuple[str, ...]
    runtime: str | None = None

    def load_arguments(self) -> dict[str, Any]:
        """Return the arguments of `Worker.load`."""
        return {"path": str(self.path), "exclude": self.exclude, "runtime": self.runtime}


class WorkerError(RuntimeError):
    """A process failed. The message contains its output."""


class Process:
    """A process of worker.py.

    :param threads: The number of threads of its libraries.
    :param clock: How it measures time: ``wall`` or ``cpu``.
    """

    def __init__(self, threads: int, clock: str = "wall") -> None:
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", clock],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=environment_of(threads),
        )

    def tell(self, do: str, **arguments: Any) -> None:
        """Start a method of `Worker`."""
        assert self._process.stdin is not None
        # If the process is dead, answer() says so, and why.
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the result of the method that was started last.

        :raises WorkerError: If it failed.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._log.seek(0)
            raise WorkerError(f"A process ended with exit code {code}: {self._log.read()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["result"]

    def ask(self, do: str, **arguments: Any) -> Any:
        """Run a method of `Worker` and return its result."""
        self.tell(do, **arguments)
        return self.answer()

    def load(self, system: System, texts: Path) -> None:
        """Load a pipeline, and read the texts to tag."""
        self.ask("load", **system.load_arguments())
        self.ask("read", path=str(texts))

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        # Killing it loses nothing.
        self._process.kill()
        self._process.communicate()
        self._log.close()


def ask_all(processes: Sequence[Process], do: str, **arguments: Any) -> None:
    """Run the same method in several processes at once."""
    for process in processes:
        process.tell(do, **arguments)
    for process in processes:
        process.answer()


def environment_of(threads: int) -> dict[str, str]:
    """Return the environment variables of a process with a number of threads."""
    path = os.pathsep.join(filter(None, [str(SCRIPTS), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
    }
