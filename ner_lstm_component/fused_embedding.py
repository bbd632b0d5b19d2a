"""Keras' embedding layers in training on a CPU, as one function with a gradient of its own.

TensorFlow takes several times longer to add the rows of a gradient up. Where the rows of some
ids are summed up after the layer, as those of hash embeddings are, neither they nor their
gradients are written down one by one. As in `fused_lstm`, layers compute so only while a graph
is traced inside :func:`fused_embeddings`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .fused_layers import aligned, layers_that, replaced

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@contextlib.contextmanager
def fused_embeddings(keras_model: keras.Model) -> Iterator[None]:
    """Have a network's embedding layers, where they can be, computed here.

    To be entered while a graph of training for a CPU is traced.

    :param keras_model: a built network.
    """
    models = layers_that(lambda layer: bool(getattr(layer, "outputs", None)), keras_model)
    given = [tensor._keras_history.operation for model in models for tensor in model.outputs]
    with contextlib.ExitStack() as stack:
        for layer in layers_that(is_expressible, keras_model):
            group, after = _sum_after(layer, given)
            stack.enter_context(replaced([layer], "call", partial(_call, group=group)))
            # What they would do is done by then.
            stack.enter_context(replaced(after, "call", lambda operation, x: x))
        yield


def is_expressible(layer: Any) -> bool:
    """Whether a layer is Keras' own embedding, in single precision, and no adapter on it."""
    import keras

    return (
        type(layer) is keras.layers.Embedding
        and {layer.compute_dtype, layer.variable_dtype} == {"float32"}
        and layer.quantization_mode is None
        and not layer.lora_enabled
    )


def _sum_after(layer: Any, given: Sequence[Any]) -> tuple[int, list[Any]]:
    """How many ids' rows are summed up after a layer, and what does so; 1 if nothing does.

    It is what ``ops.sum(Reshape((-1, n, group, width))(rows), axis=3)`` makes, if nothing else
    is done with the rows.

    :param given: what makes the outputs of the models that the layer may be in.
    """
    import keras

    reshape = _only_user(layer, given)
    if type(reshape) is not keras.layers.Reshape or len(reshape.target_shape) != 4:
        return 1, []
    *_, group, width = reshape.target_shape
    total = _only_user(reshape, given)
    is_sum = type(total).__name__ == "Sum" and type(total).__module__.startswith("keras.")
    if not is_sum or total.axis not in (3, [3], (3,)) or total.keepdims:
        return 1, []
    return (group, [reshape, total]) if width == layer.output_dim and group > 1 else (1, [])


def _only_user(operation: Any, given: Sequence[Any]) -> Any:
    """What takes an operation's result in a functional model; None if not just one does."""
    users = [node.operation for node in operation._outbound_nodes]
    return users[0] if len(users) == 1 and operation not in given else None


def _call(layer: Any, inputs: Any, group: int) -> tf.Tensor:
    """What `Embedding.call` gives, the rows of so many ids side by side summed up.

    :return: *Shape:* ``(*inputs.shape, width)``, or if they are summed up
        ``(*inputs.shape[:-1], inputs.shape[-1] // group, width)``
    """
    import tensorflow as tf

    table = tf.convert_to_tensor(layer.embeddings)
    ids = tf.cast(inputs, tf.int32)
    # As Keras takes them, from the end.
    ids = tf.where(ids < 0, ids + table.shape[0], ids)
    static, sizes = ids.shape.as_list(), tf.shape(ids)
    if group > 1:
        static[-1] = static[-1] and static[-1] // group
        sizes = tf.concat([sizes[:-1], sizes[-1:] // group], axis=0)

    @tf.custom_gradient
    def look_up(table: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            d_table = tf.numpy_function(
                _sum_by_row, [ids, upstream, table.shape[0], group], tf.float32, stateful=False
            )
            d_table.set_shape(table.shape)
            return d_table

        flat = tf.numpy_function(_look_up, [table, ids, group], tf.float32, stateful=False)
        result = tf.reshape(flat, tf.concat([sizes, [table.shape[1]]], axis=0))
        result.set_shape([*static, table.shape[1]])
        return result, gradient

    return look_up(table)


def _look_up(table: NDArray[np.float32], ids: NDArray[np.int32], group: int) -> NDArray[np.float32]:
    sums = aligned(ids.size // group, table.shape[1])
    kernels.look_up(table, ids.reshape(-1, group), sums)
    return sums


def _sum_by_row(
    ids: NDArray[np.int32], vectors: NDArray[np.float32], n_rows: int, group: int
) -> NDArray[np.float32]:
    width = vectors.shape[-1]
    table = aligned(n_rows, width)
    table.fill(0.0)
    kernels.add_rows(vectors.reshape(-1, width), ids.reshape(-1, group), table)
    return table
