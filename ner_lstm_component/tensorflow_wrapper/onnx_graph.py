"""ONNX models as bytes, written without the ``onnx`` package.

A deployment then needs only ONNX Runtime. The messages have the wire format of Protocol
Buffers, with the field numbers from ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

OPSET = 20  # the first version with Gelu
_IR_VERSION = 9
# The operators of ONNX Runtime that ONNX doesn't have, and their version.
MICROSOFT, _MICROSOFT_OPSET = "com.microsoft", 1
_DATA_TYPES = {"float32": 1, "int8": 3, "int32": 6, "int64": 7, "bool": 9}
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7  # AttributeProto.type

_EXTERNAL = 1  # TensorProto.data_location
_LARGE = 1024  # bytes; smaller constants, such as shapes, must be in the model itself


class Value(NamedTuple):
    """An input or output of a graph."""

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...]  # None for any size


class Graph:
    """The nodes, constants, inputs and outputs of a model, which refer to values by name."""

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self._nodes: list[bytes] = []
        self._constants: dict[str, NDArray] = {}
        self._has_microsoft = False

    def add_input(self, name: str, dtype: str, shape: Sequence[int | None]) -> str:
        """Declare an input, and return its name."""
        self.inputs.append(Value(name, np.dtype(dtype), tuple(shape)))
        return name

    def add_output(self, name: str, dtype: str, shape: Sequence[int | None]) -> None:
        """Declare that the result of a node is an output."""
        self.outputs.append(Value(name, np.dtype(dtype), tuple(shape)))

    def add_constant(self, array: NDArray) -> str:
        """Add an array as a constant, and return its name."""
        name = f"constant_{len(self._constants)}"
        self._constants[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return name

    @property
    def arrays(self) -> dict[str, NDArray]:
        """The large constants, keyed by name. A session receives them separately from the model."""
        return {name: a for name, a in self._constants.items() if a.nbytes >= _LARGE}

    def add(self, op_type: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its first output.

        :param inputs: names of values, or an empty name for an omitted optional input.
        :param domain: that of the operator: of ONNX itself, or `MICROSOFT`.
        """
        result = f"{op_type}_{len(self._nodes)}"
        fields = [*(_field(1, name) for name in inputs), _field(2, result), _field(4, op_type)]
        fields += [_field(5, _attribute(name, value)) for name, value in attributes.items()]
        if domain:
            fields.append(_field(7, domain))
            self._has_microsoft = True
        self._nodes.append(b"".join(fields))
        return result

    def to_bytes(self, *, with_arrays: bool = False) -> bytes:
        """Serialize the model, with :attr:`arrays` if the bytes must be complete, as in a file."""
        fields = [_field(1, node) for node in self._nodes]
        fields.append(_field(2, "network"))
        for name, array in self._constants.items():
            fields.append(_field(5, _tensor(name, array, with_arrays or array.nbytes < _LARGE)))
        fields += [_field(11, _value_info(value)) for value in self.inputs]
        fields += [_field(12, _value_info(value)) for value in self.outputs]
        graph = _field(7, b"".join(fields))
        opsets = _field(8, _field(2, OPSET))
        if self._has_microsoft:
            opsets += _field(8, _field(1, MICROSOFT) + _field(2, _MICROSOFT_OPSET))
        return _field(1, _IR_VERSION) + graph + opsets


def _field(number: int, value: int | str | bytes) -> bytes:
    """Encode a field of a message: an integer, a string, or another message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # two's complement, as int64 is written
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _tensor(name: str, array: NDArray, is_inside: bool) -> bytes:
    shape = b"".join(_field(1, size) for size in array.shape)
    tensor = shape + _field(2, _DATA_TYPES[array.dtype.name]) + _field(8, name)
    if is_inside:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return tensor + _field(9, little.tobytes())
    location = _field(1, "location") + _field(2, "arrays")
    return tensor + _field(13, location) + _field(14, _EXTERNAL)


def _attribute(name: str, value: float | str | Sequence[int]) -> bytes:
    if isinstance(value, float):
        content, kind = _varint(2 << 3 | 5) + np.array(value, "<f4").tobytes(), _FLOAT
    elif isinstance(value, int):
        content, kind = _field(3, value), _INT
    elif isinstance(value, str):
        content, kind = _field(4, value), _STRING
    else:
        content, kind = b"".join(_field(8, number) for number in value), _INTS
    return _field(1, name) + content + _field(20, kind)


def _value_info(value: Value) -> bytes:
    shape = b""
    for axis, size in enumerate(value.shape):
        named = _field(2, f"{value.name}_{axis}") if size is None else _field(1, size)
        shape += _field(1, named)
    tensor = _field(1, _DATA_TYPES[value.dtype.name]) + _field(2, shape)
    return _field(1, value.name) + _field(2, _field(1, tensor))
