"""Keras' dropout layers in training on a CPU, by random numbers that cost little.

TensorFlow draws them from a cipher, keeps what was drawn for the way back, and takes longer
over both than over the product of matrices that follows. Here a number is a hash of its place
and of the layer's seed, which the way back computes again. As in `fused_lstm`, layers
compute so only while a graph is traced inside :func:`fused_dropouts`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .fused_layers import aligned, layers_that, replaced

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def fused_dropouts(keras_model: keras.Model) -> AbstractContextManager[None]:
    """Have a network's dropout layers, where they can be, computed here.

    To be entered while a graph of training for a CPU is traced.

    :param keras_model: a built network.
    """
    return replaced(layers_that(is_expressible, keras_model), "call", _call)


def is_expressible(layer: Any) -> bool:
    """Whether a layer is Keras' own dropout, of each number by itself, in single precision."""
    import keras

    return (
        type(layer) is keras.layers.Dropout
        and layer.noise_shape is None
        and layer.compute_dtype == "float32"
    )


def _call(layer: Any, inputs: Any, training: bool = False) -> tf.Tensor:
    """What `Dropout.call` gives, with other random numbers."""
    import tensorflow as tf

    if not training or not 0 < layer.rate < 1:
        return type(layer).call(layer, inputs, training=training)
    # Which counts on at each call, so that no two are alike.
    seed = tf.cast(layer.seed_generator.next(), tf.uint32)
    drop = partial(_drop, rate=layer.rate)

    @tf.custom_gradient
    def dropped(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def same(x: tf.Tensor) -> tf.Tensor:
            y = tf.numpy_function(drop, [x, seed], tf.float32, stateful=False)
            y.set_shape(inputs.shape)
            return y

        # What is dropped does not depend on the numbers, of which this is a linear function.
        return same(x), same

    return dropped(tf.convert_to_tensor(inputs))


def _drop(x: NDArray[np.float32], seed: NDArray[np.uint32], rate: float) -> NDArray[np.float32]:
    result = aligned(1, x.size).reshape(-1)
    kernels.drop(x.reshape(-1), seed, rate, result)
    return result.reshape(x.shape)
