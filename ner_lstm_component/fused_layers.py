"""What the modules that compute Keras' layers share: how they step in, and their arrays."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

# In bytes, of TensorFlow's tensors.
_ALIGNMENT = 64
_shifts = itertools.cycle(range(0, 4096, 5 * _ALIGNMENT))


@contextlib.contextmanager
def replaced(operations: Iterable[Any], method: str, function: Callable) -> Iterator[None]:
    """Have a method of some layers or operations be another function within the context.

    :param operations: Keras' layers or operations.
    :param method: the method's name.
    :param function: takes the layer, then what the method takes.
    """
    chosen = list(operations)
    try:
        for one in chosen:
            # Past Keras' tracking of attributes, for which this is none.
            vars(one)[method] = partial(function, one)
        yield
    finally:
        for one in chosen:
            del vars(one)[method]


def layers_that(is_chosen: Callable[[Any], bool], keras_model: keras.Model) -> list[Any]:
    """A built network's layers of a kind."""
    return [layer for layer in keras_model._flatten_layers() if is_chosen(layer)]


def own_forms(keras_model: keras.Model) -> AbstractContextManager[None]:
    """Have layers that say how they are computed best on a CPU do so within the context.

    :param keras_model: a built network. A layer says so by a method ``call_on_cpu``, which
        gives what its ``call`` gives.
    """

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return layer.call_on_cpu(*args, **kwargs)

    chosen = layers_that(lambda layer: hasattr(layer, "call_on_cpu"), keras_model)
    return replaced(chosen, "call", call)


def aligned(n_rows: int, width: int) -> NDArray[np.float32]:
    """An array of floats, not filled, that becomes a tensor without a copy.

    Arrays start at other places of a page one after the other: a processor takes what is read
    for what was just written where the places are alike, and waits.
    """
    size, shift = n_rows * width, next(_shifts)
    buffer = np.empty(size + (_ALIGNMENT + shift) // 4, np.float32)
    start = (-buffer.ctypes.data % _ALIGNMENT + shift) // 4
    return buffer[start : start + size].reshape(n_rows, width)
