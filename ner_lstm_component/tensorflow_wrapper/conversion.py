"""Conversion between Thinc's arrays and TensorFlow's tensors.

Arrays go through the CPU's memory. Thinc's buffers lack DLPack's alignment on a CPU and, once
sliced, on a GPU, and TensorFlow aborts the process on a misaligned buffer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from thinc.api import Model, Ops
from thinc.types import ArgsKwargs
from thinc.util import convert_recursive, is_xp_array

if TYPE_CHECKING:
    import tensorflow as tf


def convert_arguments(model: Model, X: Any, is_train: bool) -> tuple[ArgsKwargs, Callable]:
    """Arrange a wrapper's input as its network's arguments (default ``convert_inputs``)."""
    ops = model.ops
    if isinstance(X, ArgsKwargs):
        return X, lambda d: to_ops(ops, d)
    parameters = model.shims[0].call_parameters  # type: ignore[attr-defined]
    if isinstance(X, dict) and set(X) <= set(parameters):
        return ArgsKwargs((), X), lambda d: to_ops(ops, d.kwargs)
    data_parameters = [name for name in parameters if name not in ("training", "mask")]
    if isinstance(X, (list, tuple)) and len(data_parameters) > 1:
        sequence = list if isinstance(X, list) else tuple
        return ArgsKwargs(tuple(X), {}), lambda d: sequence(to_ops(ops, d.args))
    return ArgsKwargs((X,), {}), lambda d: to_ops(ops, d.args[0])


def convert_results(model: Model, tensors: Any, is_train: bool) -> tuple[Any, Callable]:
    """Convert a network's output to arrays of Thinc's ops (default ``convert_outputs``)."""
    return to_ops(model.ops, tensors), lambda dY: dY


def to_ops(ops: Ops, structure: Any) -> Any:
    """Convert a structure's tensors or arrays to Thinc's arrays, and half precision to float32."""

    def to_array(value: Any) -> Any:
        array: Any = value if isinstance(value, np.ndarray) else value.numpy()
        is_half = array.dtype.name in ("float16", "bfloat16")
        return ops.asarray(array.astype(np.float32) if is_half else array)

    return convert_recursive(_is_tensor_or_array, to_array, structure)


def _is_tensor_or_array(value: Any) -> bool:
    # No tensor exists before TensorFlow is imported.
    tf = sys.modules.get("tensorflow")
    return isinstance(value, np.ndarray) or (tf is not None and tf.is_tensor(value))


def to_numpy(array: Any) -> np.ndarray:
    """Return a NumPy or CuPy array as a NumPy array."""
    return array if isinstance(array, np.ndarray) else array.get()


def to_floats(ops: Ops, value: Any) -> Any:
    """Convert a tensor for Thinc's optimizers, which take float32 arrays but no scalars."""
    array: Any = np.atleast_1d(value.numpy()).astype(np.float32, copy=False)
    return ops.asarray(array)


def to_tensors(inputs: ArgsKwargs) -> tuple[tuple, dict]:
    """Convert the arrays in a call's arguments to tensors on the current device."""
    import tensorflow as tf

    return convert_recursive(
        is_xp_array,
        lambda array: tf.convert_to_tensor(to_numpy(array)),
        (tuple(inputs.args), dict(inputs.kwargs)),
    )


def pair_gradients(outputs: Any, d_outputs: Any) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Return the float outputs that have a gradient, and their gradients."""
    import tensorflow as tf

    # tf.nest keeps None as a leaf, as convert_recursive does.
    flat = tf.nest.flatten(convert_recursive(is_xp_array, to_numpy, d_outputs))
    pairs = [
        (y, tf.convert_to_tensor(dy, y.dtype))
        for y, dy in zip(tf.nest.flatten(outputs), flat, strict=True)
        if dy is not None and y.dtype.is_floating
    ]
    return [y for y, _ in pairs], [dy for _, dy in pairs]


def input_gradient(inputs: ArgsKwargs, gradients: Sequence[Any]) -> ArgsKwargs:
    """Arrange the gradients of float inputs as the call's arguments.

    A gradient of None means zero. Every argument that is not a float gets None.
    """
    import tensorflow as tf

    given = iter(gradients)

    def gradient_of(leaf: Any) -> Any:
        if not (tf.is_tensor(leaf) or is_xp_array(leaf)):
            return None
        dtype = tf.as_dtype(leaf.dtype)
        if not dtype.is_floating:
            return None
        gradient = next(given)
        return tf.zeros(leaf.shape, dtype) if gradient is None else gradient

    args, kwargs = tf.nest.map_structure(gradient_of, (tuple(inputs.args), dict(inputs.kwargs)))
    return ArgsKwargs(args, kwargs)
