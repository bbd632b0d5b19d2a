"""The CRF's likelihood in training on a CPU, as one function with a gradient of its own.

`network.crf_loss` says the same in TensorFlow's operations, whose loop over the times is what a
GPU needs; on a CPU most of its time is spent between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import crf

if TYPE_CHECKING:
    import tensorflow as tf

Floats = NDArray[np.float32]


def crf_loss(
    emissions: tf.Tensor, transitions: tf.Tensor, mask: tf.Tensor, targets: tf.Tensor
) -> tf.Tensor:
    """The sum of negative log-likelihoods; see `crf.negative_log_likelihood`.

    :param emissions: *Shape:* ``(batch, time, n_tags)``, right-padded
    :param transitions: *Shape:* ``(n_tags + 1, n_tags + 1)``
    :param mask: which places hold a token. *Shape:* ``(batch, time)``, bool
    :param targets: which tags the annotation allows. *Shape:* ``(batch, time, n_tags)``, bool
    :return: a scalar that can be differentiated once.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def run(emissions: tf.Tensor, transitions: tf.Tensor) -> tuple[tf.Tensor, Any]:
        loss, d_emissions, d_transitions = tf.numpy_function(
            _loss_and_gradient,
            [emissions, transitions, mask, targets],
            [tf.float32] * 3,
            stateful=False,
        )
        loss.set_shape(())
        d_emissions.set_shape(emissions.shape)
        d_transitions.set_shape(transitions.shape)
        return loss, lambda upstream: (upstream * d_emissions, upstream * d_transitions)

    return run(emissions, transitions)


def _loss_and_gradient(
    emissions: Floats, transitions: Floats, mask: NDArray[np.bool_], targets: NDArray[np.bool_]
) -> tuple[np.float32, Floats, Floats]:
    found = crf.negative_log_likelihood(
        emissions[mask], transitions, mask.sum(axis=1), targets[mask]
    )
    d_emissions = np.zeros_like(emissions)
    d_emissions[mask] = found.emissions
    return np.float32(found.loss), d_emissions, found.transitions
