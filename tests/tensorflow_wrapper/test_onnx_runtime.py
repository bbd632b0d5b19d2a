"""Sessions, and which calls they take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ner_lstm_component.tensorflow_wrapper.onnx_graph import Graph
from ner_lstm_component.tensorflow_wrapper.onnx_runtime import (
    THREADS_VARIABLE,
    Exported,
    OnnxNetwork,
    UnsupportedNetwork,
    n_threads,
)


def doubled_sums() -> Exported:
    """Twice the sums of sequences, whose lengths a mask gives."""
    graph = Graph()
    x = graph.add_input("x", "float32", (None, None))
    mask = graph.add_input("mask", "bool", (None, None))
    kept = graph.add("Mul", x, graph.add("Cast", mask, to=1))
    sums = graph.add("ReduceSum", kept, graph.add_constant(np.array([1])), keepdims=0)
    doubled = graph.add("Mul", sums, graph.add_constant(np.array(2, np.float32)))
    graph.add_output(doubled, "float32", (None,))
    arguments, parameters = list(graph.inputs), ("x", "mask", "targets")
    return Exported(graph, arguments, parameters, None, lambda outputs: outputs[0])


X = np.arange(6, dtype=np.float32).reshape(2, 3)
MASK = np.array([[True, True, False], [True, True, True]])


@pytest.fixture
def network() -> OnnxNetwork:
    return OnnxNetwork(doubled_sums)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((X, MASK), {}),
        ((X,), {"mask": MASK}),
        ((), {"mask": MASK, "x": X}),
        ((X, MASK), {"targets": None}),
        ((X.astype("float64"), MASK.astype(int)), {}),
    ],
)
def test_arguments_are_bound_as_python_does(network, args, kwargs):
    assert network.predict(args, kwargs).tolist() == [2.0, 24.0]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((X, MASK), {"targets": X}, "x, mask, targets"),
        ((X,), {}, "a call with x"),
        ((X, MASK, None, None), {}, "a call with"),
        (([X], MASK), {}, "a list as 'x'"),
        ((X[0], MASK), {}, r"'x' of shape \(3,\)"),
        ((X[:0], MASK[:0]), {}, r"'x' of shape \(0, 3\)"),
        ((X, ~MASK), {}, "not padded on the right"),
    ],
)
def test_other_calls_are_refused(network, args, kwargs, message):
    with pytest.raises(UnsupportedNetwork, match=message):
        network.predict(args, kwargs)


def test_an_argument_is_prepared_for_the_graph():
    exported = doubled_sums()
    integers = exported.arguments[0]._replace(name="twice", dtype=np.dtype(np.int32))
    halved = exported._replace(
        arguments=[integers, exported.arguments[1]],
        parameters=("twice", "mask"),
        prepare=lambda twice: (twice / 2).astype(np.float32),
    )
    network = OnnxNetwork(lambda: halved)
    assert network.call_parameters == ["twice", "mask"]
    assert network.predict((2 * X, MASK), {}).tolist() == [2.0, 24.0]


def test_graphs_that_onnx_runtime_refuses():
    def export() -> Exported:
        graph = Graph()
        graph.add("NoSuchOperator", graph.add_input("x", "float32", (None,)))
        return Exported(graph, list(graph.inputs), ("x",), None, list)

    with pytest.raises(UnsupportedNetwork, match="NoSuchOperator"):
        OnnxNetwork(export)


FORK = """
import os, sys
sys.path.insert(0, {tests!r})
from test_onnx_runtime import MASK, X, OnnxNetwork, doubled_sums

network = OnnxNetwork(doubled_sums)
print(network.predict((X, MASK), {{}}), flush=True)
child = os.fork()
if child == 0:
    if {predicts}:
        print(network.predict((X, MASK), {{}}), flush=True)
    sys.exit(0)
_, status = os.waitpid(child, 0)
print(network.predict((X, MASK), {{}}))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("predicts", [False, True])
def test_a_fork_predicts_and_ends(threads, predicts):
    """The child lacks the session's threads: its destructor would wait for them forever."""
    code = FORK.format(tests=str(Path(__file__).parent), predicts=predicts)
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {THREADS_VARIABLE: threads},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("[ 2. 24.]") == 2 + predicts


@pytest.mark.parametrize(("value", "expected"), [(None, 1), ("3", 3)])
def test_threads_follow_the_variable(monkeypatch, value, expected):
    monkeypatch.delenv(THREADS_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(THREADS_VARIABLE, value)
    options = OnnxNetwork(doubled_sums)._run().session.get_session_options()
    assert options.intra_op_num_threads == expected
    assert options.inter_op_num_threads == 1


@pytest.mark.parametrize("value", ["0", "-1", "two", ""])
def test_number_of_threads_is_checked(monkeypatch, value):
    monkeypatch.setenv(THREADS_VARIABLE, value)
    with pytest.raises(ValueError, match=f"{THREADS_VARIABLE}.*Received: '{value}'"):
        n_threads()
