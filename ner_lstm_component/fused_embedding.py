"""Keras' embedding layers in training on a CPU, with a gradient of the table of their own.

TensorFlow takes several times longer to add the rows of a gradient up. As in `fused_lstm`,
layers compute so only while a graph is traced inside :func:`fused_embeddings`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .fused_layers import aligned, replaced

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def fused_embeddings(keras_model: keras.Model) -> AbstractContextManager[None]:
    """Have a network's embedding layers, where they can be, differentiated here.

    To be entered while a graph of training for a CPU is traced.

    :param keras_model: a built network.
    """
    return replaced(keras_model, is_expressible, "call", _call)


def is_expressible(layer: Any) -> bool:
    """Whether a layer is Keras' own embedding, in single precision, and no adapter on it."""
    import keras

    return (
        type(layer) is keras.layers.Embedding
        and {layer.compute_dtype, layer.variable_dtype} == {"float32"}
        and layer.quantization_mode is None
        and not layer.lora_enabled
    )


def _call(layer: Any, inputs: Any) -> tf.Tensor:
    """What `Embedding.call` gives."""
    import tensorflow as tf

    table = tf.convert_to_tensor(layer.embeddings)
    ids = tf.cast(inputs, tf.int32)
    # As Keras takes them, from the end.
    ids = tf.where(ids < 0, ids + table.shape[0], ids)

    @tf.custom_gradient
    def look_up(table: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            d_table = tf.numpy_function(
                _sum_by_row, [ids, upstream, table.shape[0]], tf.float32, stateful=False
            )
            d_table.set_shape(table.shape)
            return d_table

        return tf.gather(table, ids), gradient

    return look_up(table)


def _sum_by_row(
    ids: NDArray[np.int32], vectors: NDArray[np.float32], n_rows: int
) -> NDArray[np.float32]:
    width = vectors.shape[-1]
    table = aligned(n_rows, width)
    table.fill(0.0)
    kernels.add_rows(vectors.reshape(ids.size, width), ids.reshape(-1), table)
    return table
