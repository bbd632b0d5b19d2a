"""Keras networks, inputs and optimizers that the tests of the wrapper share."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.testing import assert_allclose
from thinc.api import Model

from ner_lstm_component.tensorflow_wrapper import TensorFlowShim

register = keras.saving.register_keras_serializable("test_tensorflow_wrapper")


def sequential(*stack: Any) -> keras.Sequential:
    return keras.Sequential(list(stack))


@register
class Residual(keras.Model):
    """Subclassed; its sublayers have the names that Keras makes up; no ``training``."""

    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units, activation="tanh")
        self.outer = layers.Dense(units)
        self.end = layers.Dense(2)

    def call(self, inputs):
        hidden = self.hidden(inputs)
        return self.end(hidden + self.outer(hidden))

    def get_config(self):
        return {"units": self.units, "name": self.name}


class Saved(keras.Model):
    """Can be saved by its name alone."""

    def get_config(self):
        return {"name": self.name}


@register
class Twins(Saved):
    """Sublayers of the same name, one of them called twice, and a scalar weight."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.Dense(2, name="same")
        self.second = layers.Dense(2, name="same")
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, inputs):
        return self.second(self.second(self.first(inputs))) * self.scale


@register
class Regression(Saved):
    """Without targets it predicts, with them it ends in its loss, which has a weight too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = layers.Dense(4, activation="tanh", name="hidden")
        self.end = layers.Dense(1, name="end")
        self.temperature = layers.Dense(1, name="temperature")

    def call(self, inputs, targets=None):
        scores = self.end(self.hidden(inputs))
        if targets is None:
            return scores
        return keras.ops.sum(keras.ops.square(self.temperature(scores) - targets))


@register
class Weighted(Saved):
    """Takes two arguments, one of them with a batch axis only."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, inputs, factors, training=False):
        return self.dense(inputs) * factors[:, None]


def functional() -> keras.Model:
    inputs = keras.Input((None, 3))
    hidden = layers.Dense(4, activation="tanh")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([inputs, hidden])))


def dense() -> keras.Model:
    return sequential(keras.Input((None, 3)), layers.Dense(2))


def recurrent() -> keras.Model:
    return sequential(keras.Input((None, 3)), layers.LSTM(2, return_sequences=True))


# Each from (batch, time, 3) to (batch, time, 2).
KINDS: dict[str, Callable[[], keras.Model]] = {
    "functional": functional,
    "unbuilt": lambda: sequential(layers.Dense(4, activation="tanh"), layers.Dense(2)),
    "subclassed": Residual,
    "same_names": Twins,
    "nested": lambda: sequential(keras.Input((None, 3)), functional(), Twins()),
    "recurrent": recurrent,
    "batch_norm": lambda: sequential(
        keras.Input((None, 3)), layers.Dense(2), layers.BatchNormalization(momentum=0.5)
    ),
}


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


X = floats(4, 5, 3)
DY = floats(4, 5, 2, seed=1)
B, A = floats(4, 3, seed=2), floats(4, 2, seed=3)
D2 = floats(4, 2, seed=4)
TARGETS = floats(4, 5, 1, seed=7)
LENGTHS = [(2, 7), (3, 5), (1, 9), (3, 1), (2, 2)]


def shim_of(wrapper: Model) -> TensorFlowShim:
    return wrapper.shims[0]


def keras_of(wrapper: Model) -> keras.Model:
    return shim_of(wrapper).keras_model


def weights_of(wrapper: Model) -> list[np.ndarray]:
    return [weight.numpy() for weight in keras_of(wrapper).weights]


class Recorder:
    """In place of an optimizer: keeps what it is given, and changes nothing."""

    def __init__(self) -> None:
        self.gradients: dict[Any, np.ndarray] = {}

    def __call__(self, key, weights, gradient):
        assert key not in self.gradients
        self.gradients[key] = gradient.copy()
        return weights, gradient


def taken_gradients(wrapper: Model) -> dict[str, np.ndarray]:
    """The gradients that ``finish_update`` hands over, by the name in their key."""
    recorder = Recorder()
    wrapper.finish_update(recorder)
    assert {key[0] for key in recorder.gradients} <= {shim_of(wrapper).id}
    return {name: gradient for (_, name), gradient in recorder.gradients.items()}


def plain_gradients(network: keras.Model, inputs: list, d_outputs: Any, **kwargs: Any) -> Any:
    """Gradients of trainable weights and of inputs, with a plain tape and no wrapper."""
    inputs = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = network(*inputs, training=True, **kwargs)
    variables = [variable.value for variable in network.trainable_weights]
    gradients = tape.gradient(outputs, variables + inputs, output_gradients=d_outputs)
    arrays = [None if g is None else tf.convert_to_tensor(g).numpy() for g in gradients]
    return arrays[: len(variables)], arrays[len(variables) :]


def assert_all_close(actual: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    for one, other in zip(actual, expected, strict=True):
        # A scalar's gradient and average have an axis in Thinc.
        assert_allclose(np.reshape(one, np.shape(other)), other, rtol, atol)


def update(wrapper: Model, optimizer: Any, x: Any = X, dy: Any = DY) -> None:
    _, backprop = wrapper.begin_update(x)
    backprop(dy)
    wrapper.finish_update(optimizer)


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def child_says(action: Callable[[], Any]) -> str:
    """Run something in a fork of this process: its error, or that it ran."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_report, args=(action, sender), daemon=True)
    child.start()
    try:
        assert receiver.poll(30), "the child hangs"
        return receiver.recv()
    finally:
        child.kill()
        child.join(30)


def _report(action: Callable[[], Any], pipe: Any) -> None:
    try:
        action()
        pipe.send("it ran")
    except BaseException as error:
        pipe.send(f"{type(error).__name__}: {error}")
