"""Calls of a Keras network as compiled graphs.

A graph is traced once for each kind of call, and not again as lengths change. This module
imports TensorFlow when a call is traced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Variables = Sequence[tuple[str, Any]]


class CompiledCall(NamedTuple):
    """A traced call.

    :param function: from the call's tensors to ``(outputs, gradients)``. The gradients, of the
        variables and then of the float inputs, are None unless the network ends in its loss.
    :param ends_in_loss: whether the network's output is a scalar, in training.
    :param variables: names and variables to differentiate with respect to.
    """

    function: Callable
    ends_in_loss: bool
    variables: Variables


class CallKind(NamedTuple):
    """What a graph depends on; calls of one kind share it."""

    is_train: bool
    rate: float | None  # of dropout, None for the layers' own
    trainable: tuple[bool, ...]  # for each layer
    specs: tuple[tf.TensorSpec, ...]  # of the tensors, with free axes
    layout: str  # the structure of the arguments
    static: tuple  # the arguments that are not tensors


def kind_of_call(
    model: keras.Model, structure: Any, is_train: bool, rate: float | None
) -> CallKind:
    """Find the kind of a call.

    :param structure: the call's positional and keyword arguments.
    :param rate: the dropout rate in training, None for the layers' own.
    """
    import tensorflow as tf

    leaves = tf.nest.flatten(structure)
    layers = model._flatten_layers() if is_train else []
    return CallKind(
        is_train,
        round(rate, 2) if is_train and rate is not None else None,
        tuple(layer.trainable for layer in layers),
        _relaxed_specs(model, leaves),
        repr(tf.nest.map_structure(lambda leaf: 0, structure)),
        tuple(None if tf.is_tensor(leaf) else leaf for leaf in leaves),
    )


def trace(
    model: keras.Model, structure: Any, kind: CallKind, variables: Variables, on_trace: Callable
) -> CompiledCall:
    """Compile a call of a built network.

    :param structure: the arguments of one such call.
    :param variables: names and variables to differentiate with respect to, in training.
    :param on_trace: called whenever the graph is traced.
    """
    import tensorflow as tf

    leaves = tf.nest.flatten(structure)

    def call(*tensors: Any) -> tuple[Any, list | None]:
        on_trace()
        given = iter(tensors)
        filled = [next(given) if tf.is_tensor(leaf) else leaf for leaf in leaves]
        args, kwargs = tf.nest.pack_sequence_as(structure, filled)
        floats = [tensor for tensor in tensors if tensor.dtype.is_floating]
        with _dropout_rate(model, kind.rate), tf.GradientTape() as tape:
            tape.watch(floats)
            outputs = model(*args, training=kind.is_train, **kwargs)
        if not kind.is_train or not _is_scalar(outputs):
            return outputs, None
        return outputs, dense_gradients(tape, outputs, variables, floats)

    function = tf.function(call, autograph=False).get_concrete_function(*kind.specs)
    return CompiledCall(function, function.structured_outputs[1] is not None, variables)


def dense_gradients(
    tape: tf.GradientTape,
    outputs: Any,
    variables: Variables,
    floats: list[tf.Tensor],
    d_outputs: list[tf.Tensor] | None = None,
) -> list[tf.Tensor | None]:
    """Differentiate with respect to variables and float inputs.

    :param d_outputs: gradients of the outputs; None for a loss.
    :return: None where the outputs do not depend on one.
    """
    import tensorflow as tf

    targets = [variable.value for _, variable in variables] + floats
    gradients = tape.gradient(outputs, targets, output_gradients=d_outputs)
    return [None if g is None else tf.convert_to_tensor(g) for g in gradients]


@contextlib.contextmanager
def _dropout_rate(model: keras.Model, rate: float | None) -> Iterator[None]:
    """Set the rate of each dropout layer and recurrent cell while a graph is traced.

    A layer built with rate zero stays without dropout.
    """
    if rate is None:
        yield
        return
    places = [
        (layer, name, vars(layer)[name])
        for layer in model._flatten_layers()
        for name in ("rate", "dropout", "recurrent_dropout")
        # Not the properties of recurrent layers and attention: they show the rate of a
        # cell or layer within, where it is set.
        if isinstance(vars(layer).get(name), float) and vars(layer)[name] > 0
    ]
    try:
        for layer, name, _ in places:
            setattr(layer, name, rate)
        yield
    finally:
        for layer, name, own in places:
            setattr(layer, name, own)


def _is_scalar(outputs: Any) -> bool:
    import tensorflow as tf

    return tf.is_tensor(outputs) and outputs.shape.rank == 0


def _relaxed_specs(model: keras.Model, leaves: list[Any]) -> tuple[tf.TensorSpec, ...]:
    """Describe tensors with all axes free except the widths of features.

    A functional network declares with ``keras.Input`` which axes are free. In other networks
    batch and time change from call to call. The last axis of a float tensor, or of a tensor
    with three axes or more, is a width that layers were built for. The same holds where the
    batch is fixed: a Sequential network declares the shape of the call that built it.
    """
    import keras
    import tensorflow as tf

    inputs = getattr(model, "inputs", None) or ()
    declared = [tuple(x.shape) for x in inputs if isinstance(x, keras.KerasTensor)]
    specs = []
    for tensor, shape in zip_longest(leaves, declared):
        if not tf.is_tensor(tensor):
            continue
        rank = tensor.shape.rank
        if not (shape and len(shape) == rank and shape[0] is None):
            has_width = (tensor.dtype.is_floating and rank > 1) or rank > 2
            shape = [None] * (rank - 1) + [0 if has_width else None] if rank else []
        free = [n if s is not None else None for n, s in zip(tensor.shape, shape, strict=True)]
        specs.append(tf.TensorSpec(free, tensor.dtype))
    return tuple(specs)
