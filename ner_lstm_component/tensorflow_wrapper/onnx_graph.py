"""ONNX models, written without the ``onnx`` package.

A deployment then needs ONNX Runtime alone. Only what inference graphs are made of is
here: nodes, initializers, inputs and outputs, in Protocol Buffers' wire format. Field
numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

OPSET = 20  # the first with Gelu
_IR_VERSION = 9
_DATA_TYPES = {"float32": 1, "int32": 6, "int64": 7, "bool": 9}
_INT, _FLOAT, _STRING, _INTS = 2, 1, 3, 7  # AttributeProto.type

_EXTERNAL = 1  # TensorProto.data_location
_LARGE = 1024  # bytes: ONNX Runtime computes with constant shapes, which must be in the model

# A message under construction: pieces, to be joined once.
_Pieces = list[bytes]


class Input(NamedTuple):
    """An input of a graph.

    :param name: its name.
    :param dtype: its type.
    :param shape: its axes' sizes, None where any is allowed.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...]


class Graph:
    """Collects the nodes of a model. Values are known by their names."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self._nodes: list[_Pieces] = []
        self._constants: dict[str, NDArray] = {}
        self._count = 0

    def add_input(self, name: str, dtype: str, shape: Sequence[int | None]) -> str:
        """Declare an input."""
        self.inputs.append(Input(name, np.dtype(dtype), tuple(shape)))
        return name

    def add_constant(self, array: NDArray) -> str:
        """Add an array."""
        name = self._new_name("constant")
        self._constants[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return name

    @property
    def arrays(self) -> dict[str, NDArray]:
        """By name: what the model refers to, to be given to the session beside it."""
        return {name: a for name, a in self._constants.items() if a.nbytes >= _LARGE}

    def add(
        self, op_type: str, inputs: Iterable[str], n_outputs: int = 1, **attributes: Any
    ) -> str:
        """Compute something.

        :param op_type: ONNX' operator.
        :param inputs: names of values; an empty one for an optional input left out.
        :param n_outputs: which of the operator's outputs is wanted: the last of so many.
        :return: the name of the result.
        """
        result = self._new_name(op_type)
        names = [""] * (n_outputs - 1) + [result]
        self._nodes.append(
            [
                *(piece for name in inputs for piece in _bytes_field(1, [name.encode()])),
                *(piece for name in names for piece in _bytes_field(2, [name.encode()])),
                *_bytes_field(4, [op_type.encode()]),
                *(piece for a in attributes.items() for piece in _bytes_field(5, _attribute(*a))),
            ]
        )
        return result

    def _new_name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"

    def to_bytes(self, outputs: Sequence[str], *, with_arrays: bool = False) -> bytes:
        """The model, as ONNX Runtime reads it.

        :param outputs: names of the values that it gives.
        :param with_arrays: have :attr:`arrays` in it too, for a file that stands alone.
        """
        graph: _Pieces = []
        for node in self._nodes:
            graph += _bytes_field(1, node)
        graph += _bytes_field(2, [b"network"])
        for name, array in self._constants.items():
            is_inside = with_arrays or array.nbytes < _LARGE
            graph += _bytes_field(5, _tensor(name, array, is_inside))
        for one in self.inputs:
            graph += _bytes_field(11, _value_info(one))
        for name in outputs:
            graph += _bytes_field(12, _bytes_field(1, [name.encode()]))
        model = [
            *_varint_field(1, _IR_VERSION),
            *_bytes_field(7, graph),
            *_bytes_field(8, _varint_field(2, OPSET)),
        ]
        return b"".join(model)


def _tensor(name: str, array: NDArray, is_inside: bool) -> _Pieces:
    tensor = [
        *(piece for size in array.shape for piece in _varint_field(1, size)),
        *_varint_field(2, _DATA_TYPES[array.dtype.name]),
        *_bytes_field(8, [name.encode()]),
    ]
    if is_inside:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return tensor + _bytes_field(9, [little.tobytes()])
    place = [*_bytes_field(1, [b"location"]), *_bytes_field(2, [b"arrays"])]
    return [*tensor, *_bytes_field(13, place), *_varint_field(14, _EXTERNAL)]


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # two's complement, as int64 is written
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _varint_field(number: int, value: int) -> _Pieces:
    return [_varint(number << 3), _varint(value)]


def _bytes_field(number: int, content: _Pieces) -> _Pieces:
    return [_varint(number << 3 | 2), _varint(sum(map(len, content))), *content]


def _attribute(name: str, value: Any) -> _Pieces:
    pieces = _bytes_field(1, [name.encode()])
    if isinstance(value, float):
        little = np.array(value, "<f4").tobytes()
        return [*pieces, _varint(2 << 3 | 5), little, *_varint_field(20, _FLOAT)]
    if isinstance(value, int):
        return [*pieces, *_varint_field(3, value), *_varint_field(20, _INT)]
    if isinstance(value, str):
        return [*pieces, *_bytes_field(4, [value.encode()]), *_varint_field(20, _STRING)]
    numbers = [piece for number in value for piece in _varint_field(8, number)]
    return [*pieces, *numbers, *_varint_field(20, _INTS)]


def _value_info(value: Input) -> _Pieces:
    shape: _Pieces = []
    for axis, size in enumerate(value.shape):
        free = f"{value.name}_{axis}".encode()
        axis_size = _bytes_field(2, [free]) if size is None else _varint_field(1, size)
        shape += _bytes_field(1, axis_size)
    tensor = [*_varint_field(1, _DATA_TYPES[value.dtype.name]), *_bytes_field(2, shape)]
    return [*_bytes_field(1, [value.name.encode()]), *_bytes_field(2, _bytes_field(1, tensor))]
