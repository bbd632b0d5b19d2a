"""The CRF of the Keras network: its transitions, and the loss with its gradient.

This module imports TensorFlow.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from keras import layers, ops

from ..decoding.crf import FORBIDDEN, iob2_allowed

# The dtype of all layers, which does not depend on the user's keras.json and dtype policy:
# the pipeline's arrays are float32.
FLOAT = "float32"
# The emission in the loss for a tag that the annotation does not allow.
_DISALLOWED = -1e4
# A term added to sums over tags, so that their logarithm is finite.
_TINY = 1e-300


class LinearChainCRF(layers.Layer):
    """The transitions of a CRF over IOB2 tags."""

    def __init__(self, n_labels: int, name: str) -> None:
        super().__init__(dtype=FLOAT, name=name)
        self.allowed = iob2_allowed(n_labels)

    def build(self, input_shape: Any = None) -> None:
        """Create the transitions, initially zero."""
        self.transitions = self.add_weight(
            shape=self.allowed.shape, initializer="zeros", name="transitions"
        )
        self.built = True

    def scores(self) -> Any:
        """Return the transitions, with ``FORBIDDEN`` for each that IOB2 forbids."""
        return ops.where(self.allowed, self.transitions, FORBIDDEN)


@tf.custom_gradient
def crf_loss(
    emissions: tf.Tensor, transitions: tf.Tensor, mask: tf.Tensor, targets: tf.Tensor
) -> Any:
    """Compute the negative log-likelihood of a possibly partial annotation, as `decoding.crf` does.

    The gradient consists of expected counts from a single forward-backward pass, both over all
    tag sequences and over the sequences that agree with the annotation. This is several times
    faster than differentiating through the loop.

    :param emissions: scores of tags. *Shape:* ``(batch, time, n_tags)``
    :param transitions: scores of pairs of tags. *Shape:* ``(n_tags + 1, n_tags + 1)``
    :param mask: True at positions that hold a token. *Shape:* ``(batch, time)``, bool
    :param targets: True for tags that the annotation allows.
        *Shape:* ``(batch, time, n_tags)``, bool
    """
    dtype = emissions.dtype
    # In float64 exp() does not underflow for a tag whose score is 100 below another.
    emissions, transitions = tf.cast(emissions, tf.float64), tf.cast(transitions, tf.float64)
    n_sequences = tf.shape(emissions)[0]
    both = tf.concat([emissions, tf.where(targets, emissions, _DISALLOWED)], axis=0)
    mask2 = tf.concat([mask, mask], axis=0)
    first, last = transitions[-1, :-1], transitions[:-1, -1]
    highest = tf.reduce_max(transitions[:-1, :-1])
    weights = tf.exp(transitions[:-1, :-1] - highest)

    by_time = tf.transpose(both, (1, 0, 2))
    mask_by_time = tf.transpose(mask2)[:, :, None]
    alpha = _recur(by_time[0] + first, by_time, mask_by_time, weights, highest, forward=True)
    end = tf.broadcast_to(last, tf.shape(by_time[0]))
    beta = _recur(end, by_time, mask_by_time, tf.transpose(weights), highest, forward=False)
    log_partition = tf.reduce_logsumexp(alpha[-1] + last, axis=-1)
    free, clamped = log_partition[:n_sequences], log_partition[n_sequences:]

    sign = tf.concat([tf.ones_like(free), -tf.ones_like(clamped)], axis=0)
    marginals = tf.exp(alpha + beta - log_partition[:, None])
    marginals = tf.where(mask_by_time, marginals, 0) * sign[:, None]
    d_emissions = marginals[:, :n_sequences] + marginals[:, n_sequences:]

    # exp(alpha + transition + emission + beta - log_partition), as a product whose terms do
    # not overflow.
    peak = tf.reduce_max(alpha[:-1], axis=-1, keepdims=True)
    leaving = tf.exp(alpha[:-1] - peak) * sign[:, None]
    arriving = tf.exp(by_time[1:] + beta[1:] + (peak + highest - log_partition[:, None]))
    arriving = tf.where(mask_by_time[1:], arriving, 0)
    inner = weights * tf.einsum("tbi,tbj->ij", leaving, arriving)
    n_first = tf.reduce_sum(marginals[0], axis=0)
    ends = tf.exp(alpha[-1] + last - log_partition[:, None]) * sign[:, None]
    n_last = tf.reduce_sum(ends, axis=0)
    boundary = tf.concat([n_first, tf.zeros(1, n_first.dtype)], axis=0)[None, :]
    counts = tf.concat([tf.concat([inner, n_last[:, None]], axis=1), boundary], axis=0)

    def gradient(upstream: tf.Tensor) -> tuple:
        by_sequence = tf.cast(tf.transpose(d_emissions, (1, 0, 2)), upstream.dtype)
        return upstream * by_sequence, upstream * tf.cast(counts, upstream.dtype), None, None

    return tf.cast(tf.reduce_sum(free - clamped), dtype), gradient


def _recur(
    start: tf.Tensor,
    emissions: tf.Tensor,
    mask: tf.Tensor,
    weights: tf.Tensor,
    highest: tf.Tensor,
    forward: bool,
) -> tf.Tensor:
    """Compute alpha (forward) or beta (backward) for right-padded sequences, time first.

    Alpha stays constant over padding, so its last time step is the value at each sequence's
    last token. Beta equals ``start`` over padding.
    """
    n_times = tf.shape(emissions)[0]
    results = tf.TensorArray(start.dtype, size=n_times, element_shape=start.shape)

    def step(i: tf.Tensor, score: tf.Tensor, results: tf.TensorArray) -> tuple:
        # Backward, beta at time i - 1 follows from beta and the emissions at time i.
        time = i if forward else n_times - i
        given = score if forward else score + emissions[time]
        peak = tf.reduce_max(given, axis=-1, keepdims=True)
        summed = tf.matmul(tf.exp(given - peak), weights)
        new = tf.math.log(summed + _TINY) + peak + highest
        if forward:
            new = new + emissions[time]
        score = tf.where(mask[time], new, score)
        return i + 1, score, results.write(time if forward else time - 1, score)

    results = results.write(0 if forward else n_times - 1, start)
    _, _, results = tf.while_loop(
        lambda i, *_: i < n_times, step, (1, start, results), parallel_iterations=1
    )
    return results.stack()
