"""Networks in ONNX Runtime: their sessions, threads and processes."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .onnx_graph import Graph, Value

THREADS_VARIABLE = "NER_LSTM_THREADS"
FLOAT32, INT8 = PRECISIONS = "float32", "int8"

# ONNX Runtime sends telemetry from a thread that does not survive a fork: a child process
# would wait for that thread at its end. ONNX Runtime reads the variable when first imported.
TELEMETRY_VARIABLE = "ORT_DISABLE_TELEMETRY"

_networks: weakref.WeakSet[OnnxNetwork] = weakref.WeakSet()


class UnsupportedNetwork(ValueError):
    """A network or call that cannot be expressed in ONNX; the message says why."""


class Exported(NamedTuple):
    """A Keras network as an ONNX graph, and how the graph is called.

    :param graph: the graph, a function of the first arguments of the network's ``call``.
    :param arguments: these arguments. Arguments of type bool are masks, and must be right-padded.
    :param parameters: names of all parameters of ``call``.
    :param prepare: a function from the first argument to the graph's first input, if they differ.
    :param finish: a function from the graph's outputs to the result of ``call``.
    """

    graph: Graph
    arguments: Sequence[Value]
    parameters: Sequence[str]
    prepare: Callable[[NDArray], NDArray] | None
    finish: Callable[[list[NDArray]], Any]


class _Running(NamedTuple):
    """A session, and the arrays that it refers to."""

    session: Any
    exported: Exported
    weights: list[Any]


@cache
def has_int8_instructions() -> bool:
    """Return whether the processor multiplies and adds integers of 8 bits in one instruction.

    Without VNNI, on x86, int8 is no faster than float32, and ONNX Runtime's sums of products can
    overflow. On ARM, all processors that ONNX Runtime supports on macOS have such instructions.
    """
    try:
        flags = set(Path("/proc/cpuinfo").read_text("utf-8", "replace").split())
    except OSError:
        return platform.machine().lower() in ("arm64", "aarch64")
    return bool(flags & {"avx512_vnni", "avx_vnni", "asimddp"})


def n_threads() -> int:
    """Read the number of threads for a network from `THREADS_VARIABLE`, which defaults to 1."""
    given = os.environ.get(THREADS_VARIABLE, "1")
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(
            f"The environment variable {THREADS_VARIABLE} is the number of threads that a "
            f"network runs on. Expected: a positive integer. Received: {given!r}"
        )
    return int(given)


class OnnxNetwork:
    """A network that ONNX Runtime runs, in any process and any number of threads.

    :param export: a function that creates the graph. A forked process calls it again.
    :raises UnsupportedNetwork: if the network has no ONNX form.
    :raises ImportError: if ONNX Runtime is not installed.
    """

    def __init__(self, export: Callable[[], Exported]) -> None:
        self._export = export
        self._lock = threading.Lock()
        self._running: _Running | None = _start(export())
        _networks.add(self)

    @property
    def call_parameters(self) -> list[str]:
        """The names of the parameters of the Keras network's ``call``."""
        return list(self._run().exported.parameters)

    def predict(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run the network on the arguments of a call, and return its output as arrays.

        :raises UnsupportedNetwork: if the graph does not support the call.
        """
        session, exported, _ = self._run()
        given = _bind(exported, args, kwargs)
        feed = {
            argument.name: _to_array(argument, value)
            for argument, value in zip(exported.arguments, given, strict=True)
        }
        if exported.prepare is not None:
            first = exported.graph.inputs[0].name
            feed[first] = exported.prepare(feed.pop(exported.arguments[0].name))
        return exported.finish(session.run(None, feed))

    def _run(self) -> _Running:
        running = self._running
        if running is None:
            with self._lock:
                running = self._running = self._running or _start(self._export())
        return running

    def after_fork(self) -> None:
        """Keep the parent's session unused: its destructor would wait for threads missing here."""
        if self._running is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._running))
        self._running = None
        self._lock = threading.Lock()


def _after_fork() -> None:
    for network in list(_networks):
        network.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _start(exported: Exported) -> _Running:
    os.environ.setdefault(TELEMETRY_VARIABLE, "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "The runtime 'onnx' needs ONNX Runtime, which is not installed; "
            "run: pip install onnxruntime"
        ) from error
    onnxruntime.disable_telemetry_events()  # texts and their use are private
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads()
    options.inter_op_num_threads = 1
    # Threads that wait by spinning take the core from the tokenizer and from each other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # only useful if all calls have the same shape
    options.log_severity_level = 3
    # The session refers to these arrays and does not copy them.
    graph = exported.graph
    weights = [onnxruntime.OrtValue.ortvalue_from_numpy(a) for a in graph.arrays.values()]
    options.add_external_initializers(list(graph.arrays), weights)
    model, providers = graph.to_bytes(), ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # ONNX Runtime creates the classes when it is imported
        raise UnsupportedNetwork(f"ONNX Runtime refuses it: {error}") from error
    return _Running(session, exported, weights)


def _bind(exported: Exported, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """Find the values of the graph's arguments in a call."""
    parameters, n_wanted = exported.parameters, len(exported.arguments)
    given = {**dict(zip(parameters, args, strict=False)), **kwargs}
    given = {name: value for name, value in given.items() if value is not None}
    if len(args) > len(parameters) or given.keys() != set(parameters[:n_wanted]):
        raise UnsupportedNetwork(f"a call with {', '.join(given) or 'nothing'}")
    return [given[name] for name in parameters[:n_wanted]]


def _to_array(argument: Value, value: Any) -> NDArray:
    """Convert an argument of a call to the array that the graph takes."""
    if isinstance(value, (dict, list, tuple)):
        raise UnsupportedNetwork(f"a {type(value).__name__} as {argument.name!r}")
    array = np.asarray(value.get() if hasattr(value, "get") else value, argument.dtype)
    fits = array.size > 0 and array.ndim == len(argument.shape)
    axes = zip(array.shape, argument.shape, strict=False)
    if not fits or any(expected not in (None, size) for size, expected in axes):
        raise UnsupportedNetwork(f"the input {argument.name!r} of shape {array.shape}")
    if array.dtype == bool and (array[:, 1:] > array[:, :-1]).any():
        raise UnsupportedNetwork(f"the mask {argument.name!r}, which is not padded on the right")
    return array
