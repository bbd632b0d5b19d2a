"""The bytes of a graph, read by the `onnx` package."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ner_lstm_component.tensorflow_wrapper.onnx_graph import OPSET, Graph

SMALL, LARGE = np.array([0, -1, 300], np.int64), np.arange(600, dtype=np.float32).reshape(2, 300)


@pytest.fixture
def graph() -> Graph:
    graph = Graph()
    ids = graph.add_input("ids", "int32", (None, 4))
    table = graph.add_constant(np.ascontiguousarray(LARGE.T).T)  # in Fortran's order
    vectors = graph.add("Gather", table, graph.add("Mod", ids, graph.add("Size", ids), fmod=0))
    flat = graph.add("Reshape", vectors, graph.add_constant(SMALL))
    graph.add_output(graph.add("Gelu", flat, approximate="none"), "float32", (None, None, 300))
    return graph


def test_attributes():
    graph = Graph()
    graph.add("Op", "x", "", "y", f=0.5, i=-1, s="none", ints=[2, -1, 300])
    (node,) = onnx.load_from_string(graph.to_bytes()).graph.node
    assert (node.op_type, node.input, node.output) == ("Op", ["x", "", "y"], ["Op_0"])
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert attributes == {"f": 0.5, "i": -1, "s": b"none", "ints": [2, -1, 300]}


def test_constants_inputs_and_outputs(graph):
    model = onnx.load_from_string(graph.to_bytes(with_arrays=True))
    arrays = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    for array, expected in zip(arrays, (LARGE, SMALL), strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    signature = "(int32[ids_0,4] ids) => (float[Gelu_4_0,Gelu_4_1,300] Gelu_4)"
    assert signature in onnx.printer.to_text(model.graph)
    assert [opset.version for opset in model.opset_import] == [OPSET]


def test_large_arrays_are_given_to_the_session_apart(graph):
    large, small = onnx.load_from_string(graph.to_bytes()).graph.initializer
    assert large.data_location == onnx.TensorProto.EXTERNAL
    assert not large.raw_data
    np.testing.assert_array_equal(numpy_helper.to_array(small), SMALL)
    assert list(graph.arrays) == [large.name]
    np.testing.assert_array_equal(graph.arrays[large.name], LARGE)
    assert graph.arrays[large.name].flags.c_contiguous
