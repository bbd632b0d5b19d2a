"""Exported networks run by ONNX Runtime: sessions, their threads and their processes."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .onnx_export import Embedded, Exported, Output, UnsupportedNetwork
from .onnx_graph import Graph, Input

THREADS_VARIABLE = "NER_LSTM_THREADS"

# What its makers would otherwise be told by a thread that does not survive a fork: the child
# would wait for it when it ends. Read when ONNX Runtime is first imported.
TELEMETRY_VARIABLE = "ORT_DISABLE_TELEMETRY"

_networks: weakref.WeakSet[OnnxNetwork] = weakref.WeakSet()


def is_installed() -> bool:
    """Whether there is ONNX Runtime."""
    return importlib.util.find_spec("onnxruntime") is not None


def n_threads() -> int:
    """Threads that a network runs on: what `THREADS_VARIABLE` says, by default one.

    :raises ValueError: if it says something else than a positive number.
    """
    given = os.environ.get(THREADS_VARIABLE, "1")
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(
            f"The environment variable {THREADS_VARIABLE} is the number of threads that a "
            f"network runs on. Expected: a positive integer. Received: {given!r}"
        )
    return int(given)


class _Session(NamedTuple):
    """A session, and the weights that it computes with."""

    session: Any
    weights: list[Any]


class OnnxNetwork:
    """A network that ONNX Runtime runs, in any process and any number of threads.

    :param export: makes the graph. It is called again in each forked process, so that
        nothing but sessions need be held.
    :raises UnsupportedNetwork: if the network has no ONNX form.
    :raises ImportError: if ONNX Runtime is not installed.
    """

    def __init__(self, export: Callable[[], Exported]) -> None:
        self._export = export
        self._lock = threading.Lock()
        exported = export()
        self._current: _Session | None = _start(exported)
        # Without the graph, which holds the weights.
        self._inputs = exported.graph.inputs
        self._results = list(exported.results)
        self._exported = exported._replace(graph=Graph())
        _networks.add(self)

    @property
    def call_parameters(self) -> list[str]:
        """Names of the parameters of the Keras network's ``call``."""
        return list(self._exported.parameters)

    def predict(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run the network.

        :param args: arrays or tensors, as the Keras network takes them.
        :param kwargs: the same, by name.
        :return: what it gives, as arrays.
        :raises UnsupportedNetwork: for a call that the graph does not cover.
        """
        exported = self._exported
        found: dict[int, Any] = {}
        for structure, value in zip(exported.arguments, self._arguments(args, kwargs), strict=True):
            if type(structure) is int and type(value) is np.ndarray:
                found[structure] = value
            else:
                _match(structure, value, self._inputs, found)
        feed: dict[str, NDArray] = {}
        for k, one in enumerate(self._inputs):
            if k in exported.embedded:
                feed[one.name] = _embed(exported.embedded[k], found[k])
                continue
            feed[one.name] = array = _fit(one, found[k])
            if one.name in exported.right_padded:
                _check_right_padded(one, array)
        return _fill(exported.outputs, self._session().run(self._results, feed))

    def _arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """The values of the arguments that the graph has, in order."""
        exported = self._exported
        if not kwargs and len(args) == len(exported.arguments) and all(a is not None for a in args):
            return list(args)
        given = {**dict(zip(exported.parameters, args, strict=False)), **kwargs}
        given = {name: value for name, value in given.items() if value is not None}
        wanted = exported.parameters[: len(exported.arguments)]
        if len(args) > len(exported.parameters) or given.keys() != set(wanted):
            raise UnsupportedNetwork(f"a call with {', '.join(given) or 'nothing'}")
        return [given[name] for name in wanted]

    def _session(self) -> Any:
        current = self._current
        if current is None:
            with self._lock:
                current = self._current = self._current or _start(self._export())
        return current.session

    def after_fork(self) -> None:
        """Give up the session of the parent process, without destroying it.

        Its threads are missing here; destroyed, it would wait for them, also when Python ends.
        """
        if self._current is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._current))
        self._current = None
        self._lock = threading.Lock()


def _after_fork() -> None:
    for network in list(_networks):
        network.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _start(exported: Exported) -> _Session:
    os.environ.setdefault(TELEMETRY_VARIABLE, "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "The runtime 'onnx' needs ONNX Runtime, which is not installed; "
            "run: pip install onnxruntime"
        ) from error
    # What a text is about is nobody's business, nor that one is tagged.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads()
    options.inter_op_num_threads = 1
    # Threads that wait by spinning take the core from the tokenizer and from each other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # which is for calls of one shape
    options.log_severity_level = 3
    # In place, not copied: the values refer to the arrays.
    arrays = exported.graph.arrays
    weights = [onnxruntime.OrtValue.ortvalue_from_numpy(a) for a in arrays.values()]
    options.add_external_initializers(list(arrays), weights)
    try:
        session = onnxruntime.InferenceSession(
            exported.graph.to_bytes(exported.results), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # of classes that ONNX Runtime makes up as it is loaded
        raise UnsupportedNetwork(f"ONNX Runtime refuses it: {error}") from error
    return _Session(session, [weights, *arrays.values()])


# ---------------------------------------------------------------- arguments and results


def _match(structure: Any, value: Any, inputs: Sequence[Input], found: dict[int, Any]) -> None:
    """Find the value of each input in an argument of the network's structure."""
    if isinstance(structure, int):
        if isinstance(value, (dict, list, tuple)):
            raise UnsupportedNetwork(f"a {type(value).__name__} as {inputs[structure].name!r}")
        found[structure] = value
    elif isinstance(structure, dict):
        if not isinstance(value, dict) or value.keys() != structure.keys():
            raise UnsupportedNetwork(f"an argument that is not a dict of {', '.join(structure)}")
        for key, part in structure.items():
            _match(part, value[key], inputs, found)
    else:
        if isinstance(value, dict):  # Keras takes inputs by their names, too.
            names = [inputs[part].name for part in structure if isinstance(part, int)]
            value = [value[name] for name in names] if set(names) == value.keys() else []
        if not isinstance(value, (list, tuple)) or len(value) != len(structure):
            raise UnsupportedNetwork(f"an argument that is not a list of {len(structure)}")
        for part, one in zip(structure, value, strict=True):
            _match(part, one, inputs, found)


def _embed(embedded: Embedded, value: Any) -> NDArray[np.float32]:
    """What the graph has in place of ids."""
    ids = _fit(embedded.ids, value)
    products = embedded.product(ids.reshape(-1, ids.shape[-1]))
    return products.reshape(*ids.shape[:-1], products.shape[-1])


def _fit(one: Input, value: Any) -> NDArray:
    """An argument as the array that an input takes."""
    array = value
    if type(value) is not np.ndarray or value.dtype != one.dtype:
        array = np.asarray(value.get() if hasattr(value, "get") else value, one.dtype)
    shape = array.shape
    fits = len(shape) == len(one.shape)
    for size, wanted in zip(shape, one.shape, strict=False):
        if size == 0 or (wanted is not None and wanted != size):
            fits = False
    if not fits:
        raise UnsupportedNetwork(f"the input {one.name!r} of shape {shape}")
    return array


def _check_right_padded(one: Input, mask: NDArray[np.bool_]) -> None:
    if np.count_nonzero(mask) < mask.size and (mask[:, 1:] > mask[:, :-1]).any():
        raise UnsupportedNetwork(f"the mask {one.name!r}, which is not padded on the right")


def _fill(structure: Any, results: list[NDArray]) -> Any:
    if isinstance(structure, Output):
        return results[structure.number]
    if isinstance(structure, dict):
        return {key: _fill(part, results) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)([_fill(part, results) for part in structure])
    return structure.copy()
