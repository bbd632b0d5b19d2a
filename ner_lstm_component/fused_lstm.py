"""Keras' LSTM layers in training on a CPU, as one function with a gradient of its own.

Keras runs an LSTM as a loop of small TensorFlow operations, and TensorFlow differentiates
through it. Here a layer is two calls of a function on arrays, one forward and one back:

* a step of the loop has one product of matrices, and the gradients of the kernels and of the
  inputs are products over all times;
* a step computes the sequences that still go on, and nothing on padding;
* what is element by element is one compiled loop over a step's gates (`kernels`), with the
  CPU's widest instructions, which TensorFlow as it is distributed does without.

The layers stay Keras': their weights are read where they are, and it is only while a graph is
traced inside :func:`fused_lstms` that they compute so. Results and gradients are those of
Keras within the precision of floats. What this cannot express, Keras computes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .fused_layers import aligned, layers_that, replaced

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Floats = NDArray[np.float32]


def fused_lstms(keras_model: keras.Model) -> AbstractContextManager[None]:
    """Have a network's LSTM layers, where they can be, computed here.

    To be entered while a graph of training for a CPU is traced.

    :param keras_model: a built network.
    """
    return replaced(layers_that(is_expressible, keras_model), "inner_loop", _inner_loop)


def is_expressible(layer: Any) -> bool:
    """Whether a layer is an LSTM that this module computes.

    It is Keras' own in single precision, with the activations of LSTMs, and without dropout
    between times, which would need a product of matrices for each gate. A subclass may do
    anything.
    """
    import keras

    if type(layer) is not keras.layers.LSTM or type(layer.cell) is not keras.layers.LSTMCell:
        return False
    cell = layer.cell
    return (
        cell.activation is keras.activations.tanh
        and cell.recurrent_activation is keras.activations.sigmoid
        and not cell.recurrent_dropout
        # The other implementation drops other inputs for each gate.
        and cell.implementation == 2
        and not (layer.stateful or layer.unroll)
        and layer.use_cudnn is not True
        and {layer.compute_dtype, layer.variable_dtype} == {"float32"}
        and {cell.compute_dtype, cell.variable_dtype} == {"float32"}
    )


def _inner_loop(
    layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool = False
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """What `LSTM.inner_loop` gives: the last output, all outputs, and the last states."""
    import tensorflow as tf

    cell = layer.cell
    if isinstance(mask, (list, tuple)):
        mask = mask[0]
    x = tf.convert_to_tensor(sequences)
    if training and 0 < cell.dropout < 1:
        x = x * cell.get_dropout_mask(x[:, 0, :])[:, None, :]
    is_masked = mask is not None
    mask = tf.cast(mask, tf.bool) if is_masked else tf.ones(tf.shape(x)[:2], tf.bool)
    h, c = initial_state
    kernel, recurrent_kernel = map(tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel))
    bias = tf.convert_to_tensor(cell.bias) if cell.use_bias else tf.zeros(4 * cell.units)
    outputs, h, c = lstm(
        x, mask, h, c, kernel, recurrent_kernel, bias, backwards=layer.go_backwards
    )
    if is_masked and not layer.zero_output_for_mask:
        outputs = _repeat_last(outputs, tf.reverse(mask, [1]) if layer.go_backwards else mask)
    return outputs[:, -1], outputs, [h, c]


def _repeat_last(outputs: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Where something is masked, the output before that; zero at first."""
    import tensorflow as tf

    n_until = tf.cumsum(tf.cast(mask, tf.int32), axis=1)
    unmasked_first = tf.argsort(tf.cast(~mask, tf.int32), axis=1, stable=True)
    latest = tf.gather(unmasked_first, tf.maximum(n_until - 1, 0), batch_dims=1)
    return tf.where(n_until[:, :, None] > 0, tf.gather(outputs, latest, batch_dims=1), 0.0)


def lstm(
    x: tf.Tensor,
    mask: tf.Tensor,
    h0: tf.Tensor,
    c0: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    backwards: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Run an LSTM, on a CPU. It can be differentiated once.

    :param x: *Shape:* ``(batch, time, width)``
    :param mask: which places count; the state stays as it is over others. *Shape:*
        ``(batch, time)``, bool
    :param h0: the first output state. *Shape:* ``(batch, units)``
    :param c0: the first carry state. *Shape:* ``(batch, units)``
    :param kernel: in Keras' order of gates, as all weights. *Shape:* ``(width, 4 * units)``
    :param recurrent_kernel: *Shape:* ``(units, 4 * units)``
    :param bias: *Shape:* ``(4 * units,)``
    :param backwards: whether the last time is read first.
    :return: the outputs as they come, zero where masked, *Shape:* ``(batch, time, units)``,
        and the last states, *Shape:* ``(batch, units)``
    """
    import tensorflow as tf

    units = recurrent_kernel.shape[0]

    @tf.custom_gradient
    def run(*floats: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Any]:
        outputs, h, c, *saved = tf.numpy_function(
            _forward, [backwards, mask, *floats], [tf.float32] * _N_RESULTS, stateful=False
        )
        outputs.set_shape((*x.shape[:2], units))
        h.set_shape(h0.shape)
        c.set_shape(c0.shape)

        def gradient(*upstream: tf.Tensor) -> list[tf.Tensor]:
            gradients = tf.numpy_function(
                _backward,
                [*upstream, backwards, mask, *floats, *saved],
                [tf.float32] * len(floats),
                stateful=False,
            )
            for tensor, of in zip(gradients, floats, strict=True):
                tensor.set_shape(of.shape)
            return gradients

        return (outputs, h, c), gradient

    return run(x, h0, c0, kernel, recurrent_kernel, bias)


class _Packing(NamedTuple):
    """The unmasked tokens in the order in which they are computed, the padding left out.

    All first tokens, then all second ones, …; those of longer sequences before those of
    shorter ones, so that the sequences that go on are always the first ones.

    :param order: the sequences, the longest first. *Shape:* ``(batch,)``
    :param tokens: where they are in ``(batch * time,)``. *Shape:* ``(n_tokens,)``
    :param outputs: where their outputs are there, which come in the order of reading.
    :param steps: of each step the first token, the end, and the first row of the states that
        it goes on from, there being above the tokens' states the ``n`` first ones. *Shape:*
        ``(n_steps, 3)``
    :param last: of each sequence that is not empty the last token. *Shape:* ``(n,)``
    """

    order: NDArray[np.int64]
    tokens: NDArray[np.int64]
    outputs: NDArray[np.int64]
    steps: list[tuple[int, int, int]]
    last: NDArray[np.int64]


def _pack(mask: NDArray[np.bool_], backwards: bool) -> _Packing:
    if backwards:
        mask = mask[:, ::-1]
    lengths = mask.sum(axis=1)
    order = np.argsort(-lengths, kind="stable")
    lengths = lengths[order]
    # Times of the unmasked tokens, then of the others.
    times = np.argsort(~mask[order], axis=1, kind="stable")
    goes_on = np.arange(mask.shape[1])[:, None] < lengths
    row = (order * mask.shape[1])[:, None]
    outputs = (row + times).T[goes_on]
    tokens = (row + mask.shape[1] - 1 - times).T[goes_on] if backwards else outputs
    sizes = goes_on.sum(axis=1)
    sizes = sizes[sizes > 0]
    ends = np.cumsum(sizes)
    starts = ends - sizes
    n_first = sizes[:1].sum()
    last = starts[lengths[:n_first] - 1] + np.arange(n_first)
    before = np.append(0, n_first + starts)[:-1]
    steps = list(zip(starts.tolist(), ends.tolist(), before.tolist(), strict=True))
    return _Packing(order, tokens, outputs, steps, last)


# The outputs, the last states, and what the way back needs again.
_N_RESULTS = 6


def _forward(
    backwards: bool,
    mask: NDArray[np.bool_],
    x: Floats,
    h0: Floats,
    c0: Floats,
    kernel: Floats,
    recurrent_kernel: Floats,
    bias: Floats,
) -> tuple[Floats, ...]:
    """See :func:`lstm`.

    :return: its results; then in the order of a :class:`_Packing` the gates of the tokens, what
        they are made of, which is the input and the output state before it, and the carry
        states, first ones above them.
    """
    packing = _pack(mask, backwards)
    width, units = x.shape[2], len(recurrent_kernel)
    n_first, n_tokens = len(packing.last), len(packing.tokens)
    both = np.concatenate([kernel, recurrent_kernel])
    read = aligned(n_tokens, width + units)
    read[:, :width] = x.reshape(-1, width)[packing.tokens]
    gates = aligned(n_tokens, 4 * units)
    hidden, cells = (aligned(n_first + n_tokens, units) for _ in range(2))
    first = packing.order[:n_first]
    hidden[:n_first], cells[:n_first] = h0[first], c0[first]
    for start, end, before in packing.steps:
        last = slice(before, before + end - start)
        new = slice(n_first + start, n_first + end)
        read[start:end, width:] = hidden[last]
        projected = np.matmul(read[start:end], both, out=gates[start:end])
        kernels.lstm_step(projected, bias, cells[last], cells[new], hidden[new])
    outputs = _unpacked(hidden[n_first:], packing.outputs, x.shape)
    h_last, c_last = h0.copy(), c0.copy()
    h_last[first], c_last[first] = hidden[n_first + packing.last], cells[n_first + packing.last]
    return outputs, h_last, c_last, gates, read, cells


def _backward(
    d_outputs: Floats,
    d_h: Floats,
    d_c: Floats,
    backwards: bool,
    mask: NDArray[np.bool_],
    x: Floats,
    h0: Floats,
    c0: Floats,
    kernel: Floats,
    recurrent_kernel: Floats,
    bias: Floats,
    gates: Floats,
    read: Floats,
    cells: Floats,
) -> tuple[Floats, ...]:
    """The gradients of what :func:`lstm` takes, from those of what it gives."""
    packing = _pack(mask, backwards)
    width, units = x.shape[2], len(recurrent_kernel)
    n_first = len(packing.last)
    # BLAS is faster with it than with a view, again and again.
    to_states = np.ascontiguousarray(recurrent_kernel.T)
    d_packed = d_outputs.reshape(-1, units)[packing.outputs]
    d_h, d_c = d_h[packing.order], d_c[packing.order]
    d_gates = aligned(*gates.shape)
    for start, end, before in reversed(packing.steps):
        size = end - start
        dh, dc, dz = d_h[:size], d_c[:size], d_gates[start:end]
        kernels.lstm_step_back(
            gates[start:end],
            cells[before : before + size],
            cells[n_first + start : n_first + end],
            d_packed[start:end],
            dh,
            dc,
            dz,
        )
        np.matmul(dz, to_states, out=dh)
    d_x = _unpacked(d_gates @ kernel.T, packing.tokens, x.shape)
    d_h0, d_c0 = np.empty_like(d_h), np.empty_like(d_c)
    d_h0[packing.order], d_c0[packing.order] = d_h, d_c
    # Of both kernels by one product.
    d_kernels = np.matmul(read.T, d_gates, out=aligned(width + units, 4 * units))
    return d_x, d_h0, d_c0, d_kernels[:width], d_kernels[width:], d_gates.sum(axis=0)


def _unpacked(packed: Floats, places: NDArray[np.int64], shape: tuple[int, ...]) -> Floats:
    """Tokens' vectors in their places, zero elsewhere."""
    vectors = aligned(shape[0] * shape[1], packed.shape[1])
    if len(places) < len(vectors):
        vectors.fill(0.0)
    vectors[places] = packed
    return vectors.reshape(*shape[:2], packed.shape[1])
