"""Compiled graphs for the calls of a Keras network.

A graph is traced once for each kind of call, and not again when lengths change.
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

    :param function: a function from the call's tensors to ``(outputs, gradients)``. The gradients,
        for the variables and then the float inputs, are None unless the network ends in its loss.
    """

    function: Callable
    ends_in_loss: bool  # whether the network's output is a scalar in training
    variables: Variables  # names and variables that need a gradient


class CallKind(NamedTuple):
    """The properties that a graph depends on; calls of the same kind share a graph."""

    is_train: bool
    rate: float | None  # the dropout rate, or None to keep the layers' own rates
    trainable: tuple[bool, ...]  # whether each layer is trainable
    specs: tuple[tf.TensorSpec, ...]  # the tensors' specs, with free axes
    layout: str  # the structure of the arguments
    static: tuple  # the arguments that are not tensors


def kind_of_call(
    model: keras.Model, structure: Any, is_train: bool, rate: float | None
) -> CallKind:
    """Return the kind of a call with these positional and keyword arguments."""
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


def trace(model: keras.Model, structure: Any, kind: CallKind, variables: Variables) -> CompiledCall:
    """Compile a call of a built network; ``structure`` holds the arguments of an example call."""
    import tensorflow as tf

    leaves = tf.nest.flatten(structure)

    def call(*tensors: Any) -> tuple[Any, list | None]:
        given = iter(tensors)
        filled = [next(given) if tf.is_tensor(leaf) else leaf for leaf in leaves]
        args, kwargs = tf.nest.pack_sequence_as(structure, filled)
        floats = [tensor for tensor in tensors if tensor.dtype.is_floating]
        with _dropout_rate(model, kind.rate), tf.GradientTape() as tape:
            tape.watch(floats)
            outputs = model(*args, training=kind.is_train, **kwargs)
        is_loss = kind.is_train and tf.is_tensor(outputs) and outputs.shape.rank == 0
        if not is_loss:
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
    """Differentiate with respect to variables and float inputs; a loss has no ``d_outputs``."""
    import tensorflow as tf

    targets = [variable.value for _, variable in variables] + floats
    gradients = tape.gradient(outputs, targets, output_gradients=d_outputs)
    return [None if g is None else tf.convert_to_tensor(g) for g in gradients]


@contextlib.contextmanager
def _dropout_rate(model: keras.Model, rate: float | None) -> Iterator[None]:
    """Set the rate of all dropout layers and recurrent cells whose rate is above zero."""
    if rate is None:
        yield
        return
    places = [
        (layer, name, vars(layer)[name])
        for layer in model._flatten_layers()
        for name in ("rate", "dropout", "recurrent_dropout")
        # vars() excludes the properties of recurrent layers and attention, which show
        # the rate of an inner cell or layer. The rate is set there.
        if isinstance(vars(layer).get(name), float) and vars(layer)[name] > 0
    ]
    try:
        for layer, name, _ in places:
            setattr(layer, name, rate)
        yield
    finally:
        for layer, name, own in places:
            setattr(layer, name, own)


def _relaxed_specs(model: keras.Model, leaves: list[Any]) -> tuple[tf.TensorSpec, ...]:
    """Describe tensors with all axes free except the widths of features.

    A functional network declares with ``keras.Input`` which axes are free. In other networks, and
    if the batch is fixed because a call built the network, the last axis is a width that layers
    were built for, in a float tensor or a tensor with three axes or more.
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
