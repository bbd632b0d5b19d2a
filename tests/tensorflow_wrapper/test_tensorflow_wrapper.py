"""The contract of `TensorFlowWrapper`: what Thinc promises of a wrapped model, on Keras 3."""

from __future__ import annotations

import copy
import gc
import importlib
import inspect
import json
import multiprocessing
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import srsly
import tensorflow as tf
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal
from thinc.api import (
    SGD,
    Adam,
    Linear,
    Model,
    RAdam,
    chain,
    set_dropout_rate,
    use_ops,
    warmup_linear,
)
from thinc.types import ArgsKwargs
from thinc.util import has_cupy_gpu

from ner_lstm_component import tensorflow_wrapper
from ner_lstm_component.tensorflow_wrapper import (
    TensorFlowShim,
    import_tensorflow,
    set_keras_model,
    weights_changed,
)
from ner_lstm_component.tensorflow_wrapper.placement import device_name, warn_that_onnx_stands_in

# Keras warns of networks that are odd on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask"),
    pytest.mark.filterwarnings("ignore:`build.*` was called on layer"),
    pytest.mark.filterwarnings("ignore:Model .* had a build config"),
]
register = keras.saving.register_keras_serializable("test_tensorflow_wrapper")


# ---------------------------------------------------------------- runtimes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where something is predicted, the contract holds in each runtime."""
    own = any(mark.args[0] == "runtime" for mark in metafunc.definition.iter_markers("parametrize"))
    if "predict(" in inspect.getsource(metafunc.function) and not own:
        metafunc.parametrize("runtime", ["tensorflow", "onnx"], indirect=True)


# Of what there is in TensorFlow alone: its graphs, devices and threads.
only_tensorflow = pytest.mark.parametrize("runtime", ["tensorflow"], indirect=True)
by_default = pytest.mark.parametrize("runtime", ["auto"], indirect=True)
_runtime = "auto"


@pytest.fixture(autouse=True)
def runtime(request, monkeypatch) -> str:
    """The runtime of the wrappers that a test makes, where it does not say itself."""

    def skip(error: Exception) -> None:
        pytest.skip(f"no ONNX form: {error}")

    chosen = getattr(request, "param", "auto")
    monkeypatch.setitem(globals(), "_runtime", chosen)
    if chosen == "onnx":
        monkeypatch.setattr(tensorflow_wrapper, "_no_onnx_form", skip)
    return chosen


def TensorFlowWrapper(*args: Any, **kwargs: Any) -> Model:
    return tensorflow_wrapper.TensorFlowWrapper(*args, **{"runtime": _runtime, **kwargs})


# ---------------------------------------------------------------- networks


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


@register
class Twins(keras.Model):
    """Sublayers of the same name, one of them called twice, and a scalar weight."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.Dense(2, name="same")
        self.second = layers.Dense(2, name="same")
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, inputs):
        return self.second(self.second(self.first(inputs))) * self.scale

    def get_config(self):
        return {"name": self.name}


@register
class Regression(keras.Model):
    """Without targets it predicts, with them it ends in its loss, which has a weight too."""

    def __init__(self, as_scalar: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.as_scalar = as_scalar
        self.hidden = layers.Dense(4, activation="tanh", name="hidden")
        self.end = layers.Dense(1, name="end")
        self.temperature = layers.Dense(1, name="temperature")

    def call(self, inputs, targets=None):
        scores = self.end(self.hidden(inputs))
        if targets is None:
            return scores
        loss = keras.ops.sum(keras.ops.square(self.temperature(scores) - targets))
        return loss if self.as_scalar else keras.ops.reshape(loss, (1,))

    def get_config(self):
        return {"as_scalar": self.as_scalar, "name": self.name}


@register
class Weighted(keras.Model):
    """Takes two arguments, one of them with a batch axis only."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, inputs, factors, training=False):
        return self.dense(inputs) * factors[:, None]

    def get_config(self):
        return {"name": self.name}


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


@pytest.fixture(params=KINDS)
def network(request) -> keras.Model:
    keras.utils.set_random_seed(0)
    return KINDS[request.param]()


@pytest.fixture
def wrapper(network) -> Model:
    return TensorFlowWrapper(network)


@pytest.fixture
def small() -> Model:
    """A wrapper for tests in which the kind of network plays no part."""
    return TensorFlowWrapper(dense())


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


X = floats(4, 5, 3)
DY = floats(4, 5, 2, seed=1)


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


# ---------------------------------------------------------------- the Thinc model


def test_wrapper_is_a_thinc_model(small):
    assert type(small) is Model
    assert small.name == "tensorflow"
    assert isinstance(shim_of(small), TensorFlowShim)


def test_model_class_and_name():
    class Special(Model):
        pass

    wrapper = TensorFlowWrapper(functional(), model_class=Special, model_name="special")
    assert type(wrapper) is Special
    assert wrapper.name == "special"


@pytest.mark.parametrize("wrong", ["a string", layers.Dense(2), keras.Sequential], ids=repr)
def test_wrong_keras_model(wrong):
    with pytest.raises(ValueError, match=r"keras\.Model") as error:
        TensorFlowWrapper(wrong)
    assert repr(wrong) in str(error.value)


def test_wrong_keras_model_leaves_the_old(small):
    expected = small.predict(X)
    with pytest.raises(ValueError, match=r"keras\.Model"):
        set_keras_model(small, "a string")
    assert_array_equal(small.predict(X), expected)


def test_empty_wrapper_says_what_to_do():
    wrapper = TensorFlowWrapper()
    assert shim_of(wrapper).is_empty
    with pytest.raises(ValueError, match="holds no network"):
        wrapper.predict(X)


def test_set_keras_model_fills_and_replaces():
    wrapper = TensorFlowWrapper()
    for network in (functional(), Residual()):
        set_keras_model(wrapper, network)
        assert not shim_of(wrapper).is_empty
        assert_all_close([wrapper.predict(X)], [network(X)])


def test_set_keras_model_forgets_gradients(small):
    _, backprop = small.begin_update(X)
    backprop(DY)
    set_keras_model(small, functional())
    assert taken_gradients(small) == {}


def test_initialize_builds():
    wrapper = TensorFlowWrapper(KINDS["unbuilt"]())
    wrapper.initialize(X=X)
    assert [weight.shape for weight in weights_of(wrapper)] == [(3, 4), (4,), (4, 2), (2,)]


def test_initialize_keeps_weights(wrapper):
    wrapper.predict(X)
    before = weights_of(wrapper)
    wrapper.initialize(X=X)
    assert_all_close(weights_of(wrapper), before, 0, 0)


def test_a_failed_first_call_leaves_the_network_usable():
    wrapper = TensorFlowWrapper(Weighted())
    with pytest.raises(TypeError, match="factors"):
        wrapper.predict(ArgsKwargs((X[0],), {}))
    assert wrapper.predict([X[0], floats(5)]).shape == (5, 2)


# ---------------------------------------------------------------- predict and backprop


def test_predict(network):
    Y = TensorFlowWrapper(network).predict(X)
    assert isinstance(Y, np.ndarray)
    assert_all_close([Y], [network(X, training=False)])


def test_predict_has_no_backprop(small):
    _, backprop = small(X, is_train=False)
    with pytest.raises(ValueError, match="is_train=True"):
        backprop(DY)


def test_gradients_are_those_of_a_plain_tape(network, wrapper):
    wrapper.predict(X)
    Y, backprop = wrapper.begin_update(X)
    dX = backprop(DY)
    d_weights, d_inputs = plain_gradients(network, [X], tf.constant(DY))
    assert Y.shape == DY.shape
    assert isinstance(dX, np.ndarray)
    assert_all_close([dX], d_inputs, 1e-4)
    assert_all_close(taken_gradients(wrapper).values(), d_weights, 1e-4, 1e-5)


def test_gradients_are_those_of_finite_differences():
    inputs = keras.Input((3,), dtype="float64")
    hidden = layers.Dense(4, activation="tanh", dtype="float64")(inputs)
    wrapper = TensorFlowWrapper(keras.Model(inputs, layers.Dense(2, dtype="float64")(hidden)))
    x, dy, step = X[0].astype(np.float64), DY[0].astype(np.float64), 1e-5
    dX = wrapper.begin_update(x)[1](dy)
    numeric = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        difference = wrapper.predict(x + moved) - wrapper.predict(x - moved)
        numeric[place] = (difference * dy).sum() / (2 * step)
    assert_allclose(dX, numeric, rtol=1e-5)


def test_changing_the_input_after_begin_update(small):
    expected = small.begin_update(X)[1](DY)
    gradients = taken_gradients(small)
    x = X.copy()
    Y, backprop = small.begin_update(x)
    x[:] = 0
    Y[:] = 0
    assert_array_equal(backprop(DY), expected)
    assert_all_close(taken_gradients(small).values(), gradients.values())


def test_gradients_accumulate(wrapper):
    x2, dy2 = floats(2, 3, 3, seed=5), floats(2, 3, 2, seed=6)
    wrapper.begin_update(X)[1](DY)
    first = taken_gradients(wrapper)
    wrapper.begin_update(x2)[1](dy2)
    second = taken_gradients(wrapper)

    _, backprop1 = wrapper.begin_update(X)
    _, backprop2 = wrapper.begin_update(x2)
    backprop2(dy2)
    backprop1(DY)
    both = taken_gradients(wrapper)
    assert both.keys() == first.keys()
    assert_all_close(both.values(), [first[name] + second[name] for name in both], 1e-4, 1e-5)


def test_a_network_twice_in_a_chain(small):
    inner = TensorFlowWrapper(sequential(keras.Input((None, 3)), layers.Dense(3, name="inner")))
    twice = chain(inner, inner)
    dy = floats(4, 5, 3)
    twice.begin_update(X)[1](dy)
    inputs, (layer,) = keras.Input((None, 3)), keras_of(inner).layers
    plain = keras.Model(inputs, layer(layer(inputs)))
    d_weights, _ = plain_gradients(plain, [X], tf.constant(dy))
    assert_all_close(taken_gradients(inner).values(), d_weights, 1e-4, 1e-5)


# ---------------------------------------------------------------- inputs and outputs


def two_inputs(structure: type) -> keras.Model:
    # Names whose order is not that of declaration: a mix-up of inputs would show.
    b, a = keras.Input((3,), name="b"), keras.Input((2,), name="a")
    outputs = layers.Dense(2)(layers.Concatenate()([b, a * 2.0]))
    return keras.Model({"b": b, "a": a} if structure is dict else structure((b, a)), outputs)


@register
class TwoArguments(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, b, a, training=False):
        return self.dense(keras.ops.concatenate([b, a * 2.0], axis=-1))

    def get_config(self):
        return {"name": self.name}


B, A = floats(4, 3, seed=2), floats(4, 2, seed=3)
D2 = floats(4, 2, seed=4)


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: two_inputs(list), [B, A]),
        (lambda: two_inputs(tuple), (B, A)),
        (lambda: two_inputs(dict), {"b": B, "a": A}),
        (lambda: two_inputs(list), {"b": B, "a": A}),
        (lambda: two_inputs(list), ArgsKwargs(([B, A],), {})),
        (TwoArguments, [B, A]),
        (TwoArguments, (B, A)),
        (TwoArguments, {"b": B, "a": A}),
        (TwoArguments, ArgsKwargs((B, A), {})),
        (TwoArguments, ArgsKwargs((B,), {"a": A})),
    ],
)
def test_several_inputs(make, x):
    network = make()
    wrapper = TensorFlowWrapper(network)
    Y, backprop = wrapper.begin_update(x)
    dX = backprop(D2)
    assert type(dX) is type(x)
    kernel, bias = weights_of(wrapper)
    assert_all_close([Y], [np.concatenate([B, A * 2], axis=1) @ kernel + bias])
    d_hidden = D2 @ kernel.T
    expected = {"b": d_hidden[:, :3], "a": d_hidden[:, 3:] * 2}
    if isinstance(x, dict):
        assert dX.keys() == x.keys()
        found = [dX["b"], dX["a"]]
    elif isinstance(x, ArgsKwargs):
        assert dX.kwargs.keys() == x.kwargs.keys()
        found = [*dX.args, *dX.kwargs.values()]
        found = found[0] if isinstance(found[0], list) else found
    else:
        found = dX
    assert_all_close(found, [expected["b"], expected["a"]])


def test_structures_of_inputs_do_not_share_a_graph():
    b, a = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    wrapper = TensorFlowWrapper(keras.Model([b, a], b - 2.0 * a))
    one, other = floats(2, 3), floats(2, 3, seed=1)
    for x in ({"b": one, "a": other}, [one, other], ArgsKwargs(([one, other],), {})):
        assert_all_close([wrapper.predict(x)], [one - 2 * other])


def test_static_arguments_have_graphs_of_their_own():
    class Power(keras.Model):
        def call(self, inputs, exponent=1):
            return inputs**exponent

    wrapper = TensorFlowWrapper(Power())
    for exponent in (1, 2, 3):
        Y = wrapper.predict(ArgsKwargs((X,), {"exponent": exponent}))
        assert_all_close([Y], [X**exponent])


def with_outputs(arrange: Callable) -> tuple[keras.Model, list]:
    inputs = keras.Input((3,))
    ends = [layers.Dense(2, name="z"), layers.Dense(4, name="y")]
    return keras.Model(inputs, arrange([layer(inputs) for layer in ends])), ends


ARRANGEMENTS = {
    "list": list,
    "tuple": tuple,
    "dict": lambda pair: {"z": pair[0], "y": pair[1]},
    "nested": lambda pair: {"z": pair[0], "more": [pair[1]]},
}


@pytest.mark.parametrize("arrange", ARRANGEMENTS.values(), ids=ARRANGEMENTS)
def test_several_outputs(arrange):
    network, (z, y) = with_outputs(arrange)
    wrapper = TensorFlowWrapper(network)
    Y, backprop = wrapper.begin_update(B)
    dz, dy = floats(4, 2), floats(4, 4)
    assert type(Y) is type(arrange([0, 0]))
    assert_all_close(tf.nest.flatten(Y), tf.nest.flatten(arrange([z(B), y(B)])))
    dX = backprop(arrange([dz, dy]))
    assert_all_close([dX], [dz @ z.kernel.numpy().T + dy @ y.kernel.numpy().T])
    gradients = taken_gradients(wrapper)
    expected = {"z/kernel": B.T @ dz, "z/bias": dz.sum(0)}
    expected |= {"y/kernel": B.T @ dy, "y/bias": dy.sum(0)}
    assert_all_close([gradients[name] for name in expected], expected.values())


@pytest.mark.parametrize("arrange", ARRANGEMENTS.values(), ids=ARRANGEMENTS)
def test_no_gradient_for_one_output(arrange):
    network, (z, _) = with_outputs(arrange)
    wrapper = TensorFlowWrapper(network)
    dz = floats(4, 2)
    dX = wrapper.begin_update(B)[1](arrange([dz, None]))
    assert_all_close([dX], [dz @ z.kernel.numpy().T])
    gradients = taken_gradients(wrapper)
    assert_all_close([gradients["z/kernel"], gradients["z/bias"]], [B.T @ dz, dz.sum(0)])
    assert not np.any(gradients["y/kernel"])


@pytest.mark.parametrize("arrange", ARRANGEMENTS.values(), ids=ARRANGEMENTS)
def test_no_gradient_for_any_output(arrange):
    wrapper = TensorFlowWrapper(with_outputs(arrange)[0])
    dX = wrapper.begin_update(B)[1](arrange([None, None]))
    assert_array_equal(dX, np.zeros_like(B))
    assert taken_gradients(wrapper) == {}


def test_integer_output_has_no_gradient():
    inputs = keras.Input((3,))
    scores = layers.Dense(2, name="scores")(inputs)
    wrapper = TensorFlowWrapper(keras.Model(inputs, [scores, keras.ops.argmax(scores, axis=-1)]))
    (Y, best), backprop = wrapper.begin_update(B)
    assert_array_equal(best, Y.argmax(axis=-1))
    assert_all_close([backprop([D2, np.ones(4, np.int32)])], [backprop_dense(wrapper, D2)])


def backprop_dense(wrapper: Model, d_outputs: np.ndarray) -> np.ndarray:
    return d_outputs @ weights_of(wrapper)[0].T


def test_gradient_of_wrong_structure(small):
    _, backprop = small.begin_update(X)
    with pytest.raises(ValueError, match=r"longer|shorter"):
        backprop([DY, DY])


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool"])
def test_inputs_without_gradient(dtype):
    inputs, factors = keras.Input((None,), dtype=dtype), keras.Input((None, 2))
    embedded = layers.Embedding(5, 2, name="table")(inputs)
    wrapper = TensorFlowWrapper(keras.Model([inputs, factors], embedded * factors))
    ids, weights = np.array([[1, 0, 1]], dtype), floats(1, 3, 2)
    Y, backprop = wrapper.begin_update([ids, weights])
    (table,) = weights_of(wrapper)
    assert_all_close([Y], [table[ids.astype(int)] * weights])
    d_ids, d_factors = backprop(np.ones_like(Y))
    assert d_ids is None
    assert_all_close([d_factors], [table[ids.astype(int)]])
    # Two of the three are of the same row: its gradients add up in a dense array.
    expected = np.zeros_like(table)
    np.add.at(expected, ids.astype(int), weights)
    assert_all_close(taken_gradients(wrapper).values(), [expected])


def test_unused_input_and_weight():
    class Unused(keras.Model):
        def __init__(self):
            super().__init__()
            self.idle = self.add_weight(shape=(2,), name="idle")
            self.dense = layers.Dense(2, name="busy")

        def call(self, b, a):
            return self.dense(b)

    wrapper = TensorFlowWrapper(Unused())
    d_b, d_a = wrapper.begin_update([B, A])[1](D2)
    assert_all_close([d_b], [D2 @ weights_of(wrapper)[1].T])
    assert_array_equal(d_a, np.zeros_like(A))
    assert [name.split("/", 1)[-1] for name in taken_gradients(wrapper)] == [
        "busy/kernel",
        "busy/bias",
    ]
    idle = weights_of(wrapper)[0]
    update(wrapper, SGD(0.1), [B, A], D2)
    assert_array_equal(weights_of(wrapper)[0], idle)


def test_custom_conversions():
    def halve(model, X, is_train):
        return ArgsKwargs((tf.constant(X / 2),), {}), lambda d: d.args[0].numpy() / 2

    def double(model, tensors, is_train):
        return tensors.numpy() * 2, lambda dY: tf.constant(dY * 2)

    network = functional()
    wrapper = TensorFlowWrapper(network, convert_inputs=halve, convert_outputs=double)
    Y, backprop = wrapper.begin_update(X)
    assert_all_close([Y], [2 * network(X / 2).numpy()])
    dX = backprop(DY)
    d_weights, (d_input,) = plain_gradients(network, [X / 2], tf.constant(DY * 2))
    assert_all_close([dX], [d_input / 2], 1e-4)
    assert_all_close(taken_gradients(wrapper).values(), d_weights, 1e-4, 1e-5)


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x, mask: ArgsKwargs((x,), {"mask": mask}),
        lambda x, mask: {"sequences": x, "mask": mask},
    ],
    ids=["ArgsKwargs", "dict"],
)
def test_mask(arrange):
    class Reader(keras.Model):
        def __init__(self):
            super().__init__()
            self.lstm = layers.LSTM(2)

        def call(self, sequences, mask=None, training=False):
            return self.lstm(sequences, mask=mask, training=training)

    wrapper = TensorFlowWrapper(Reader())
    mask = np.arange(5) < np.array([[5], [3], [1], [4]])
    Y, backprop = wrapper.begin_update(arrange(X, mask))
    dX = backprop(D2)
    dX, d_mask = (dX.args[0], dX.kwargs["mask"]) if isinstance(dX, ArgsKwargs) else dX.values()
    assert d_mask is None
    for i, row in enumerate(mask):
        assert_all_close([Y[i]], wrapper.predict({"sequences": X[i : i + 1, row]}))
        assert (dX[i, row] != 0).all()
        assert_array_equal(dX[i, ~row], 0)


def test_mask_of_a_sequential_network():
    wrapper = TensorFlowWrapper(sequential(keras.Input((None, 3)), layers.LSTM(2)))
    mask = np.ones((4, 5), bool)
    mask[:, 3:] = False
    Y = wrapper.predict(ArgsKwargs((X,), {"mask": mask}))
    assert_all_close([Y], [wrapper.predict(X[:, :3])])


def test_mask_made_by_the_network():
    ids = np.array([[3, 2, 0, 0], [1, 2, 3, 4]], np.int32)
    embedding = layers.Embedding(5, 3, mask_zero=True)
    wrapper = TensorFlowWrapper(
        sequential(keras.Input((None,), dtype="int32"), embedding, layers.LSTM(2))
    )
    assert_all_close([wrapper.predict(ids)[0]], wrapper.predict(ids[:1, :2]))
    assert wrapper.begin_update(ids)[1](floats(2, 2)) is None


def test_empty_batch(wrapper):
    assert wrapper.predict(X[:0]).shape == (0, 5, 2)
    Y, backprop = wrapper.begin_update(X[:0])
    assert Y.shape == (0, 5, 2)
    assert backprop(Y).shape == (0, 5, 3)
    assert_all_close([wrapper.predict(X)], [keras_of(wrapper)(X)])


def test_empty_batch_first():
    """Keras cannot build an LSTM on it."""
    wrapper = TensorFlowWrapper(sequential(layers.LSTM(2)))
    assert wrapper.predict(X[:0]).shape == (0, 2)
    assert_all_close([wrapper.predict(X)], [keras_of(wrapper)(X)])


@pytest.mark.parametrize("kind", ["functional", "unbuilt", "subclassed", "same_names"])
def test_zero_length(kind):
    wrapper = TensorFlowWrapper(KINDS[kind]())
    Y, backprop = wrapper.begin_update(np.zeros((2, 0, 3), np.float32))
    assert Y.shape == (2, 0, 2)
    assert backprop(Y).shape == (2, 0, 3)
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict(X), wrapper.predict(X))


@pytest.mark.parametrize(
    ("stack", "shape"),
    [
        ([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten()], (2, 8, 8, 1)),
        ([keras.Input((8, 3)), layers.Conv1D(2, 3), layers.Flatten()], (2, 8, 3)),
        ([layers.Flatten()], (2, 4, 3)),
        ([keras.Input((4, 3)), layers.LSTM(2, unroll=True)], (2, 4, 3)),
        ([keras.Input((None, 3)), layers.Conv1D(2, 3, padding="same")], (2, 5, 3)),
        ([keras.Input((4, 3)), layers.Permute((2, 1)), layers.Reshape((6, 2))], (2, 4, 3)),
        ([keras.Input(()), layers.Reshape((1,))], (3,)),
    ],
    ids=["image", "conv", "unbuilt", "unrolled", "same", "permuted", "scalars"],
)
def test_networks_of_other_shapes(stack, shape):
    network = sequential(*stack, layers.Dense(2))
    wrapper = TensorFlowWrapper(network)
    x = floats(*shape)
    Y, backprop = wrapper.begin_update(x)
    dy = floats(*Y.shape)
    d_weights, d_inputs = plain_gradients(network, [x], tf.constant(dy))
    assert_all_close([backprop(dy)], d_inputs, 1e-4)
    assert_all_close(taken_gradients(wrapper).values(), d_weights, 1e-4, 1e-5)
    assert_all_close([TensorFlowWrapper().from_bytes(wrapper.to_bytes()).predict(x)], [network(x)])


# ---------------------------------------------------------------- compiled calls

LENGTHS = [(2, 7), (3, 5), (1, 9), (3, 1), (2, 2)]


@only_tensorflow
def test_lengths_share_a_graph(wrapper):
    for n, length in LENGTHS:
        wrapper.predict(floats(n, length, 3))
    assert shim_of(wrapper).traces == 1
    for n, length in LENGTHS:
        wrapper.begin_update(floats(n, length, 3))[1](floats(n, length, 2))
    assert shim_of(wrapper).traces == 2


@pytest.mark.parametrize("dtype", ["int32", "bool", "float32"])
def test_lengths_of_flat_sequences_share_a_graph(dtype):
    inputs = keras.Input((None,), dtype=dtype)
    widened = layers.Reshape((-1, 1))(inputs)
    wrapper = TensorFlowWrapper(keras.Model(inputs, keras.ops.cast(widened, "float32")))
    for n, length in LENGTHS:
        x = floats(n, length).astype(dtype)
        assert_array_equal(wrapper.predict(x)[..., 0], x)
    assert shim_of(wrapper).traces == 1


def test_the_call_is_compiled():
    class Counting(keras.Model):
        calls = 0

        def call(self, inputs):
            Counting.calls += 1
            return inputs * 2.0

    wrapper = TensorFlowWrapper(Counting())
    wrapper.predict(X)
    calls = Counting.calls
    for n, length in LENGTHS:
        wrapper.predict(floats(n, length, 3))
    assert Counting.calls == calls


# ---------------------------------------------------------------- networks ending in loss

TARGETS = floats(4, 5, 1, seed=7)


@pytest.fixture
def losses() -> tuple[Model, Model]:
    """Two of the same weights; the output of the second is no scalar, but of shape (1,)."""
    network = Regression()
    network(X, targets=TARGETS)
    other = Regression(as_scalar=False)
    other(X, targets=TARGETS)
    other.set_weights(network.get_weights())
    return TensorFlowWrapper(network), TensorFlowWrapper(other)


@pytest.mark.parametrize("factor", [1.0, -2.5, np.float32(0.5), np.array(3.0)])
def test_loss_gradients_are_those_of_the_tape_path(losses, factor):
    found = []
    for wrapper in losses:
        loss, backprop = wrapper.begin_update([X, TARGETS])
        is_scalar = np.ndim(loss) == 0
        dX = backprop(factor if is_scalar else np.full(1, factor, np.float32))
        found.append([np.reshape(loss, ()), *dX, *taken_gradients(wrapper).values()])
    assert len(found[0]) == 9
    assert_all_close(found[0], found[1], 1e-4, 1e-5)


def test_loss_gradients_are_those_of_a_plain_tape(losses):
    wrapper, _ = losses
    loss, backprop = wrapper.begin_update([X, TARGETS])
    dX = backprop(1.0)
    d_weights, d_inputs = plain_gradients(keras_of(wrapper), [X, TARGETS], None)
    assert_all_close([loss], [keras_of(wrapper)(X, targets=TARGETS)])
    assert_all_close(dX, d_inputs, 1e-4, 1e-5)
    assert_all_close(taken_gradients(wrapper).values(), d_weights, 1e-4, 1e-5)


def test_loss_is_differentiated_in_the_compiled_call(losses, monkeypatch):
    wrapper, _ = losses
    wrapper.begin_update([X, TARGETS])

    def refuse(*args, **kwargs):
        raise AssertionError("a tape was used")

    monkeypatch.setattr(tf, "GradientTape", refuse)
    _, backprop = wrapper.begin_update([X[:2], TARGETS[:2]])
    backprop(1.0)
    assert len(taken_gradients(wrapper)) == 6


def test_loss_without_gradient(losses):
    wrapper, _ = losses
    dX, d_targets = wrapper.begin_update([X, TARGETS])[1](None)
    assert_array_equal(dX, np.zeros_like(X))
    assert_array_equal(d_targets, np.zeros_like(TARGETS))
    assert taken_gradients(wrapper) == {}


def test_losses_accumulate(losses):
    wrapper, _ = losses
    wrapper.begin_update([X, TARGETS])[1](1.0)
    once = taken_gradients(wrapper)
    for factor in (1.0, 2.0):
        wrapper.begin_update([X, TARGETS])[1](factor)
    assert_all_close(taken_gradients(wrapper).values(), [3 * g for g in once.values()], 1e-4)


def test_loss_and_predictions_from_one_network(losses):
    wrapper, _ = losses
    for _ in range(2):
        assert wrapper.predict(X).shape == (4, 5, 1)
        assert np.ndim(wrapper.predict([X, TARGETS])) == 0
    assert shim_of(wrapper).traces == 2


def test_weights_made_by_a_later_kind_of_call():
    """The loss path has a layer that the first call does not reach: it is trained and saved."""
    wrapper = TensorFlowWrapper(Regression())
    wrapper.predict(X)
    assert len(weights_of(wrapper)) == 4
    wrapper.begin_update([X, TARGETS])[1](1.0)
    assert len(taken_gradients(wrapper)) == 6
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict([X, TARGETS]), wrapper.predict([X, TARGETS]))


# ---------------------------------------------------------------- finish_update


class Reference:
    """The same network, differentiated by a plain tape and updated by Thinc on arrays."""

    def __init__(self, network: keras.Model, optimizer: Any) -> None:
        self.network = keras.models.clone_model(network)
        self.network.set_weights(network.get_weights())
        self.optimizer = optimizer

    def update(self) -> None:
        gradients, _ = plain_gradients(self.network, [X], tf.constant(DY))
        for i, variable in enumerate(self.network.trainable_weights):
            weights, _ = self.optimizer((0, i), variable.numpy(), gradients[i].copy())
            variable.assign(weights)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "SGD": lambda: SGD(0.1, grad_clip=0.0),
    "Adam": lambda: Adam(0.01),
    "RAdam": lambda: RAdam(0.01),
    "schedule": lambda: Adam(warmup_linear(0.05, 2, 6)),
    "clipping": lambda: SGD(0.1, grad_clip=0.5),
    "weight decay": lambda: Adam(0.01, L2=0.1, L2_is_weight_decay=True),
    "L2": lambda: SGD(0.01, L2=0.1, L2_is_weight_decay=False),
    "no averages": lambda: RAdam(0.01, use_averages=False),
}


@pytest.mark.parametrize("make_optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_updates_are_those_of_thinc(make_optimizer):
    network = functional()
    wrapper, optimizer = TensorFlowWrapper(network), make_optimizer()
    reference = Reference(network, make_optimizer())
    start = network.get_weights()
    for _ in range(5):
        update(wrapper, optimizer)
        reference.update()
        optimizer.step_schedules()
        reference.optimizer.step_schedules()
    for before, after in zip(start, network.get_weights(), strict=True):
        assert np.abs(after - before).max() > 1e-3
    assert_all_close(network.get_weights(), reference.network.get_weights(), 1e-4, 1e-5)
    if optimizer.averages is None:
        assert reference.optimizer.averages is None
    else:
        expected = reference.optimizer.averages.values()
        assert_all_close(optimizer.averages.values(), expected, 1e-4, 1e-5)


def test_sgd_update_by_hand():
    wrapper = TensorFlowWrapper(sequential(keras.Input((3,)), layers.Dense(2)))
    kernel, bias = weights_of(wrapper)
    update(wrapper, SGD(0.1, grad_clip=0.0), B, D2)
    assert_all_close(weights_of(wrapper), [kernel - 0.1 * B.T @ D2, bias - 0.1 * D2.sum(0)])


@pytest.mark.parametrize("kind", ["subclassed", "same_names", "nested", "batch_norm"])
def test_keys_name_shim_and_variable(kind):
    wrapper = TensorFlowWrapper(KINDS[kind]())
    recorder = Recorder()
    update(wrapper, recorder)
    variables = keras_of(wrapper).trainable_weights
    assert len(recorder.gradients) == len(variables)
    for (shim_id, name), variable in zip(recorder.gradients, variables, strict=True):
        assert shim_id == shim_of(wrapper).id
        assert name.partition("#")[0] == variable.path


def test_no_update_without_gradient(small):
    before, optimizer = weights_of(small), Adam(0.1, L2=0.1)
    small.finish_update(optimizer)
    small.begin_update(X)  # which is not followed by backprop
    small.finish_update(optimizer)
    assert_all_close(weights_of(small), before, 0, 0)
    assert optimizer.averages == {}


def test_no_update_of_an_empty_wrapper():
    wrapper = TensorFlowWrapper()
    wrapper.finish_update(SGD(0.1))
    assert shim_of(wrapper).is_empty


def test_an_update_spends_the_gradients(small):
    optimizer = SGD(0.1)
    update(small, optimizer)
    before = weights_of(small)
    small.finish_update(optimizer)
    assert_all_close(weights_of(small), before, 0, 0)


@pytest.mark.parametrize(
    ("dtype", "make_optimizer"),
    [
        ("float16", Adam),
        ("bfloat16", Adam),
        ("bfloat16", RAdam),
        ("float64", SGD),
        ("float64", Adam),
        ("mixed_bfloat16", Adam),
    ],
)
def test_weights_of_other_precision(dtype, make_optimizer):
    wrapper = TensorFlowWrapper(
        sequential(keras.Input((None, 3)), layers.Dense(2, dtype=dtype, name="dense"))
    )
    before, optimizer = weights_of(wrapper), make_optimizer(0.1)
    Y, backprop = wrapper.begin_update(X)
    assert Y.dtype == (np.float64 if dtype == "float64" else np.float32)
    assert backprop(DY).dtype == np.float32
    wrapper.finish_update(optimizer)
    for old, new in zip(before, weights_of(wrapper), strict=True):
        assert new.dtype == old.dtype
        assert np.abs(new.astype(np.float32) - old.astype(np.float32)).max() > 1e-3
    with wrapper.use_params(optimizer.averages):
        assert_all_close(
            [w.astype(np.float32) for w in weights_of(wrapper)],
            optimizer.averages.values(),
            rtol=1e-2,
        )
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict(X), wrapper.predict(X))
    assert loaded.to_bytes() == wrapper.to_bytes()


def test_scalar_weight_is_updated():
    wrapper = TensorFlowWrapper(Twins())
    wrapper.predict(X)
    optimizer = Adam(0.1)
    update(wrapper, optimizer)
    scale = keras_of(wrapper).scale
    assert_allclose(abs(scale.numpy() - 1), 0.1, rtol=1e-4)  # Adam's first step is the rate
    with wrapper.use_params(optimizer.averages):
        assert scale.shape == ()


def test_keras_optimizer():
    wrapper = TensorFlowWrapper(
        sequential(keras.Input((3,)), layers.Dense(2)), optimizer=keras.optimizers.SGD(0.1)
    )
    kernel, bias = weights_of(wrapper)
    unused = Adam(1.0)
    update(wrapper, unused, B, D2)
    assert_all_close(weights_of(wrapper), [kernel - 0.1 * B.T @ D2, bias - 0.1 * D2.sum(0)])
    assert unused.averages == {}


def test_keras_optimizer_with_gradients_that_come_later():
    wrapper = TensorFlowWrapper(Regression(), optimizer=keras.optimizers.Adam(0.1))
    wrapper.predict([X, TARGETS])
    temperature = keras_of(wrapper).temperature
    for x, dy, moves in ((X, TARGETS, False), ([X, TARGETS], 1.0, True)):
        before = temperature.kernel.numpy()
        update(wrapper, None, x, dy)
        assert bool((temperature.kernel.numpy() != before).any()) is moves


@pytest.mark.parametrize(
    "renew",
    [
        lambda wrapper: wrapper.copy(),
        lambda wrapper: pickle.loads(pickle.dumps(wrapper)),  # noqa: S301
        lambda wrapper: wrapper.from_bytes(wrapper.to_bytes()),
        lambda wrapper: set_keras_model(wrapper, dense()) or wrapper,
    ],
    ids=["copy", "pickle", "from_bytes", "set_keras_model"],
)
def test_keras_optimizer_of_a_renewed_network(renew):
    wrapper = TensorFlowWrapper(dense(), optimizer=keras.optimizers.Adam(0.25))
    update(wrapper, None)
    renewed = renew(wrapper)
    before = weights_of(renewed)
    update(renewed, None)
    # Adam's first step is the rate: no moments were taken over.
    steps = [np.abs(a - b) for a, b in zip(weights_of(renewed), before, strict=True)]
    assert_all_close(steps, [np.full_like(step, 0.25) for step in steps], 1e-3)


# ---------------------------------------------------------------- trainable or not


def test_frozen_layer_is_not_updated():
    frozen = layers.Dense(3, trainable=False)
    wrapper = TensorFlowWrapper(sequential(keras.Input((None, 3)), frozen, layers.Dense(2)))
    kernel = frozen.kernel.numpy()
    update(wrapper, SGD(0.1))
    assert_array_equal(frozen.kernel.numpy(), kernel)


@pytest.mark.parametrize("is_loss", [False, True])
def test_freezing_and_thawing_after_tracing(is_loss):
    wrapper = TensorFlowWrapper(Regression())
    x, dy = ([X, TARGETS], 1.0) if is_loss else (X, floats(4, 5, 1))
    update(wrapper, SGD(0.1), x, dy)
    hidden = keras_of(wrapper).hidden
    for trainable in (False, True, False, True):
        hidden.trainable = trainable
        before = hidden.kernel.numpy()
        update(wrapper, SGD(0.1), x, dy)
        assert bool((hidden.kernel.numpy() != before).any()) is trainable
    # Back to what was there before: a graph for each of the two states.
    assert shim_of(wrapper).traces == 2


def test_freezing_before_the_update(small):
    small.begin_update(X)[1](DY)
    before = weights_of(small)
    keras_of(small).trainable = False
    small.finish_update(SGD(0.1))
    assert_all_close(weights_of(small), before, 0, 0)


def test_batch_normalization():
    norm = layers.BatchNormalization(momentum=0.5, center=False, scale=False)
    wrapper = TensorFlowWrapper(sequential(keras.Input((3,)), norm))
    x = floats(8, 3) + 2
    mean = x.mean(axis=0)
    for _ in range(2):
        Y, _ = wrapper.begin_update(x)
    assert_allclose(Y.mean(axis=0), 0, atol=1e-5)
    assert_allclose(norm.moving_mean.numpy(), 0.75 * mean, rtol=1e-5)
    wrapper.predict(x)
    assert_allclose(norm.moving_mean.numpy(), 0.75 * mean, rtol=1e-5)
    norm.trainable = False  # Keras: it now computes as in inference, also in training
    Y, _ = wrapper.begin_update(x)
    assert_all_close([Y], [wrapper.predict(x)])
    assert_allclose(norm.moving_mean.numpy(), 0.75 * mean, rtol=1e-5)
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict(x), wrapper.predict(x))


# ---------------------------------------------------------------- use_params


@pytest.mark.parametrize("kind", ["subclassed", "same_names", "batch_norm"])
def test_use_params_applies_averages(kind):
    wrapper = TensorFlowWrapper(KINDS[kind]())
    optimizer = SGD(0.5)
    for _ in range(3):
        update(wrapper, optimizer)
    own, expected = weights_of(wrapper), wrapper.predict(X)
    with wrapper.use_params(optimizer.averages):
        trainable = [v.numpy() for v in keras_of(wrapper).trainable_weights]
        assert_all_close(trainable, optimizer.averages.values(), 0, 0)
        assert np.abs(wrapper.predict(X) - expected).max() > 1e-3
    assert_all_close(weights_of(wrapper), own, 0, 0)
    assert_array_equal(wrapper.predict(X), expected)


def test_use_params_in_a_chain():
    inner = TensorFlowWrapper(sequential(keras.Input((3,)), layers.Dense(2)))
    model = chain(Linear(3, 3), inner)
    model.initialize(X=X[0], Y=DY[0])
    optimizer = SGD(0.5)
    for _ in range(3):
        _, backprop = model.begin_update(X[0])
        backprop(DY[0])
        model.finish_update(optimizer)
    expected = model.predict(X[0])
    with model.use_params(optimizer.averages):
        assert np.abs(model.predict(X[0]) - expected).max() > 1e-3
    assert_array_equal(model.predict(X[0]), expected)


def test_use_params_restores_after_an_exception(small):
    own = weights_of(small)
    zeros = {(shim_of(small).id, v.path): v.numpy() * 0 for v in keras_of(small).weights}

    def fail_inside() -> None:
        with small.use_params(zeros):
            assert_array_equal(small.predict(X), 0)
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail_inside()
    assert_all_close(weights_of(small), own, 0, 0)


def test_use_params_restores_after_a_bad_parameter(small):
    own = weights_of(small)
    kernel, bias = (v.path for v in keras_of(small).weights)
    params = {
        (shim_of(small).id, kernel): own[0] * 0,
        (shim_of(small).id, bias): np.zeros(7, np.float32),
    }
    with pytest.raises(ValueError, match="reshape"), small.use_params(params):
        pass
    assert_all_close(weights_of(small), own, 0, 0)


def test_use_params_of_others(small):
    own = weights_of(small)
    path = keras_of(small).weights[0].path
    others = {(shim_of(small).id + 1, path): own[0] * 0, (shim_of(small).id, "W"): own[0] * 0}
    with small.use_params(others):
        assert_all_close(weights_of(small), own, 0, 0)


def test_use_params_of_an_empty_wrapper():
    """Ids of Thinc's layers and of shims are counted apart, and so may be the same."""
    wrapper = TensorFlowWrapper()
    with wrapper.use_params({(shim_of(wrapper).id, "W"): floats(2)}):
        assert shim_of(wrapper).is_empty


def test_use_params_of_a_network_that_was_only_loaded(small):
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    path = keras_of(small).weights[0].path
    with loaded.use_params({(shim_of(loaded).id, path): weights_of(small)[0] * 0}):
        assert_array_equal(loaded.predict(X), 0)
    assert_array_equal(loaded.predict(X), small.predict(X))


# ---------------------------------------------------------------- copies and bytes


def through_disk(wrapper: Model, tmp_path) -> Model:
    wrapper.to_disk(tmp_path / "network")
    return TensorFlowWrapper().from_disk(tmp_path / "network")


CLONES: dict[str, Callable[[Model, Any], Model]] = {
    "copy": lambda wrapper, _: wrapper.copy(),
    "deepcopy": lambda wrapper, _: copy.deepcopy(wrapper),
    "pickle": lambda wrapper, _: pickle.loads(pickle.dumps(wrapper)),  # noqa: S301
    "bytes": lambda wrapper, _: TensorFlowWrapper().from_bytes(wrapper.to_bytes()),
    "disk": through_disk,
}


@pytest.fixture(params=CLONES)
def clone(request, tmp_path) -> Callable[[Model], Model]:
    return lambda wrapper: CLONES[request.param](wrapper, tmp_path)


def test_clone_is_equal_and_independent(clone):
    wrapper = TensorFlowWrapper(Residual())
    expected = wrapper.predict(X)
    other = clone(wrapper)
    assert_array_equal(other.predict(X), expected)
    update(other, SGD(0.5))
    assert np.abs(other.predict(X) - expected).max() > 1e-3
    assert_array_equal(wrapper.predict(X), expected)
    changed = other.predict(X)
    update(wrapper, SGD(0.9))
    assert_array_equal(other.predict(X), changed)


def test_clone_before_building(clone):
    wrapper = TensorFlowWrapper(KINDS["unbuilt"]())
    other = clone(wrapper)
    assert other.to_bytes() == wrapper.to_bytes()
    assert other.predict(X).shape == (4, 5, 2)
    # A number of features other than the clone's: nothing was built together.
    assert wrapper.predict(floats(4, 5, 6)).shape == (4, 5, 2)


def test_clone_of_an_empty_wrapper(clone):
    other = clone(TensorFlowWrapper())
    assert shim_of(other).is_empty
    set_keras_model(other, functional())
    assert other.predict(X).shape == (4, 5, 2)


def test_clone_of_a_clone_that_was_not_used(clone):
    wrapper = TensorFlowWrapper(Residual())
    expected = wrapper.predict(X)
    assert_array_equal(clone(clone(wrapper)).predict(X), expected)


def test_copies_have_ids_of_their_own(small):
    ids = {shim_of(w).id for w in (small, small.copy(), small.copy(), copy.deepcopy(small))}
    assert len(ids) == 4


@pytest.mark.parametrize("kind", ["subclassed", "same_names", "nested"])
def test_pickle_keeps_the_keys_of_an_optimizer(kind):
    """Also of layers that Keras named, which it would name otherwise in the copy."""
    wrapper = TensorFlowWrapper(KINDS[kind]())
    recorder, other = Recorder(), Recorder()
    update(wrapper, recorder)
    update(pickle.loads(pickle.dumps(wrapper)), other)  # noqa: S301
    assert other.gradients.keys() == recorder.gradients.keys()


def test_training_goes_on_after_pickling():
    whole, optimizer = TensorFlowWrapper(Residual()), Adam(0.05)
    whole.predict(X)
    halved = pickle.loads(pickle.dumps(whole))  # noqa: S301
    for _ in range(4):
        update(whole, optimizer)
    optimizer = Adam(0.05)
    for _ in range(2):
        for _ in range(2):
            update(halved, optimizer)
        halved, optimizer = pickle.loads(pickle.dumps((halved, optimizer)))  # noqa: S301
    assert_all_close(weights_of(halved), weights_of(whole), 1e-4)


def test_bytes_are_identical_after_loading(wrapper):
    wrapper.predict(X)
    data = wrapper.to_bytes()
    loaded = TensorFlowWrapper().from_bytes(data)
    assert loaded.to_bytes() == data
    assert_array_equal(loaded.predict(X), wrapper.predict(X))
    assert loaded.to_bytes() == data


def test_bytes_do_not_depend_on_calls(small):
    data = small.to_bytes()
    for n, length in LENGTHS[:2]:
        small.predict(floats(n, length, 3))
    assert small.to_bytes() == data


def test_from_bytes_replaces_a_used_network():
    wrapper = TensorFlowWrapper(Residual())
    other = TensorFlowWrapper(functional())
    other.begin_update(X)[1](DY)
    expected = wrapper.predict(X)
    other.from_bytes(wrapper.to_bytes())
    assert taken_gradients(other) == {}
    assert_array_equal(other.predict(X), expected)


def test_chain_to_bytes():
    def make() -> Model:
        inner = TensorFlowWrapper(sequential(keras.Input((2,)), layers.Dense(2)))
        return chain(Linear(2, 3), inner, Linear(2, 2))

    model = make().initialize(X=X[0], Y=DY[0])
    assert_array_equal(
        make().from_bytes(model.to_bytes()).predict(X[0]),
        model.predict(X[0]),
    )


def test_arguments_without_time_axis_are_rebuilt():
    wrapper = TensorFlowWrapper(Weighted())
    x = (floats(6, 3), floats(6))
    expected = wrapper.predict(x)
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict(x), expected)
    assert loaded.to_bytes() == wrapper.to_bytes()


def test_adapted_normalization():
    norm = layers.Normalization()
    norm.adapt(floats(20, 3) * 3 + 4)
    wrapper = TensorFlowWrapper(sequential(keras.Input((3,)), norm))
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict(B), wrapper.predict(B))
    assert np.abs(loaded.predict(B) - B).max() > 0.1


def test_network_that_cannot_be_saved():
    class Opaque(keras.Model):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def call(self, inputs):
            return self.function(inputs)

    wrapper = TensorFlowWrapper(Opaque(object()))
    with pytest.raises(ValueError, match="Opaque cannot be saved"):
        wrapper.to_bytes()


# ---------------------------------------------------------------- bytes that are refused


@pytest.fixture
def collector():
    """Turned on again: srsly leaves it off where reading fails."""
    yield
    gc.enable()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.usefixtures("collector")
def test_truncated_bytes(small, share):
    expected = small.predict(X)
    data = shim_of(small).to_bytes()
    with pytest.raises(ValueError, match="could not be read"):
        shim_of(small).from_bytes(data[: int(len(data) * share)])
    assert_array_equal(small.predict(X), expected)


@pytest.mark.parametrize(
    "data",
    [b"\x00", b"not a network", srsly.msgpack_dumps([1, 2]), srsly.msgpack_dumps({"format": 1})],
)
@pytest.mark.usefixtures("collector")
def test_other_bytes(data):
    with pytest.raises(ValueError, match="could not be read"):
        TensorFlowShim().from_bytes(data)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_other_format(small, version):
    state = srsly.msgpack_loads(shim_of(small).to_bytes())
    with pytest.raises(ValueError, match=f"format {version!r}"):
        TensorFlowShim().from_bytes(srsly.msgpack_dumps({**state, "format": version}))


def changed(wrapper: Model, change: Callable[[dict], None]) -> Model:
    """A wrapper of the same network, but for a change to what was saved."""
    state = srsly.msgpack_loads(shim_of(wrapper).to_bytes())
    change(state)
    other = TensorFlowWrapper()
    shim_of(other).from_bytes(srsly.msgpack_dumps(state))
    return other


def test_missing_weight(small):
    loaded = changed(small, lambda state: state["weights"].pop())
    with pytest.raises(ValueError, match="has 1 weights"):
        loaded.predict(X)


def test_weight_of_wrong_shape(small):
    def widen(state: dict) -> None:
        state["weights"][1].update(shape=[3], data=bytes(12))

    with pytest.raises(ValueError, match=r"bias.*\(3,\).*\(2,\)"):
        changed(small, widen).predict(X)


class Payload:
    """Unpickled, it would create a file."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.usefixtures("collector")
def test_pickle_is_refused(small, tmp_path):
    target = tmp_path / "executed"
    payload = pickle.dumps(Payload(target))
    pickle.loads(payload).close()  # noqa: S301
    assert target.exists()
    target.unlink()
    with pytest.raises(ValueError, match="could not be read"):
        TensorFlowShim().from_bytes(payload)
    # Where msgpack-numpy would once unpickle: an array of objects.
    array = {b"nd": True, b"type": "O", b"kind": b"O", b"shape": [1], b"data": payload}
    with pytest.raises(ValueError, match="could not be read"):
        TensorFlowShim().from_bytes(srsly.msgpack_dumps({"format": 1, "config": array}))

    def inject(state: dict) -> None:
        state["weights"][0].update(dtype="object", data=payload)

    with pytest.raises(ValueError, match=r"object|OBJECT"):
        changed(small, inject).predict(X)
    assert not target.exists()


def test_python_code_in_the_config_is_refused(tmp_path):
    target = str(tmp_path / "executed")
    code = sequential(
        keras.Input((None, 3)), layers.Lambda(lambda x: [x, open(target, "w").close()][0])
    )
    (tmp_path / "executed").unlink()  # Keras called it to build the network
    data = TensorFlowWrapper(code).to_bytes()
    with pytest.raises(ValueError, match=r"Lambda.*safe_mode|safe_mode.*Lambda"):
        TensorFlowWrapper().from_bytes(data).predict(X)
    assert not (tmp_path / "executed").exists()


# ---------------------------------------------------------------- dropout


@pytest.fixture
def dropping() -> Model:
    return TensorFlowWrapper(sequential(keras.Input((None, 3)), layers.Dropout(0.5)))


def dropped_share(wrapper: Model) -> float:
    Y, _ = wrapper.begin_update(np.ones((20, 50, 3), np.float32))
    return float((Y == 0).mean())


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.9, None])
def test_dropout_rate(dropping, rate):
    if rate is not None:
        set_dropout_rate(dropping, rate)
    expected = 0.5 if rate is None else rate
    assert abs(dropped_share(dropping) - expected) < 0.04
    assert keras_of(dropping).layers[0].rate == 0.5
    assert keras_of(dropping).get_config()["layers"][1]["config"]["rate"] == 0.5


def test_dropout_rate_changes_between_calls(dropping):
    for rate in (0.9, 0.0, 0.4, None, 0.9):
        set_dropout_rate(dropping, rate)
        assert abs(dropped_share(dropping) - (0.5 if rate is None else rate)) < 0.04
    assert shim_of(dropping).traces == 4


def test_dropout_rates_are_rounded(dropping):
    for rate in np.linspace(0.196, 0.204, 9):
        set_dropout_rate(dropping, float(rate))
        dropped_share(dropping)
    assert shim_of(dropping).traces == 1


def test_no_dropout_in_prediction(dropping):
    set_dropout_rate(dropping, 0.9)
    assert_array_equal(dropping.predict(X), X)


def test_gradient_is_dropped_where_the_output_is(dropping):
    set_dropout_rate(dropping, 0.6)
    x = np.ones_like(X)
    Y, backprop = dropping.begin_update(x)
    assert_all_close([backprop(x)], [Y])


def test_each_call_drops_others(dropping):
    assert (dropping.begin_update(X)[0] != dropping.begin_update(X)[0]).any()


def attention() -> keras.Model:
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, layers.MultiHeadAttention(2, 3, dropout=0.5)(inputs, inputs))


DROPOUTS: dict[str, Callable[[], Any]] = {
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.5),
    "GaussianDropout": lambda: layers.GaussianDropout(0.5),
    "LSTM": lambda: layers.LSTM(4, dropout=0.5, recurrent_dropout=0.5),
    "recurrent_dropout": lambda: layers.SimpleRNN(4, recurrent_dropout=0.5),
    "Bidirectional": lambda: layers.Bidirectional(layers.SimpleRNN(4, dropout=0.5)),
    "cells": lambda: layers.RNN([layers.SimpleRNNCell(4), layers.SimpleRNNCell(4, dropout=0.5)]),
    "MultiHeadAttention": attention,
}


@pytest.mark.parametrize("make", DROPOUTS.values(), ids=DROPOUTS)
def test_dropout_of_layers_and_cells(make):
    wrapper = TensorFlowWrapper(sequential(keras.Input((None, 3)), make()))
    config = keras_of(wrapper).get_config()
    runs = {}
    for rate in (0.0, 0.5):
        set_dropout_rate(wrapper, rate)
        runs[rate] = [wrapper.begin_update(X)[0] for _ in range(2)]
    assert_all_close(runs[0.0], [wrapper.predict(X)] * 2, 1e-4, 1e-5)
    assert np.abs(runs[0.5][0] - runs[0.5][1]).max() > 1e-3
    assert keras_of(wrapper).get_config() == config


def test_a_higher_rate_drops_more_in_a_cell():
    cell = layers.SimpleRNN(
        1, dropout=0.5, activation="linear", kernel_initializer="ones", return_sequences=True
    )
    wrapper = TensorFlowWrapper(sequential(keras.Input((None, 1)), cell))
    ones = np.ones((400, 1, 1), np.float32)
    for rate in (0.1, 0.8):
        set_dropout_rate(wrapper, rate)
        assert abs(float((wrapper.begin_update(ones)[0] == 0).mean()) - rate) < 0.1


def test_layers_built_without_dropout_stay_without():
    stack = [layers.Dropout(0.0), layers.LSTM(4, dropout=0.0)]
    wrapper = TensorFlowWrapper(sequential(keras.Input((None, 3)), *stack))
    set_dropout_rate(wrapper, 0.9)
    assert_all_close([wrapper.begin_update(X)[0]], [wrapper.predict(X)], 1e-4, 1e-5)


def test_own_rates_are_restored_after_an_exception():
    class Failing(keras.Model):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)

        def call(self, inputs, training=False):
            if training:
                raise KeyError(self.drop.rate)
            return self.drop(inputs)

    network = Failing()
    wrapper = set_dropout_rate(TensorFlowWrapper(network), 0.25)
    with pytest.raises(KeyError, match=r"0\.25"):
        wrapper.begin_update(X)
    assert network.drop.rate == 0.5


# ---------------------------------------------------------------- devices


@pytest.mark.parametrize(("device_type", "device_id"), [("cpu", -1), ("gpu", 1)])
def test_device_follows_the_ops(small, devices, monkeypatch, device_type, device_id):
    ops = SimpleNamespace(device_type=device_type, device_id=device_id)
    monkeypatch.setattr(tensorflow_wrapper, "get_current_ops", lambda: ops)
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    loaded.begin_update(X)[1](DY)
    loaded.predict(X)
    assert shim_of(loaded).device == device_name(device_type, device_id)
    assert set(devices) == {device_name(device_type, device_id)}


def test_to_device(small, devices):
    expected = small.predict(X)
    old = keras_of(small)
    devices.clear()
    shim_of(small).to_device("gpu", 1)
    assert_array_equal(small.predict(X), expected)
    assert keras_of(small) is not old
    assert set(devices) == {"/GPU:1"}


def test_to_device_keeps_gradients(small, devices):
    wrapper, stays = small, small.copy()
    for one in (wrapper, stays):
        one.begin_update(X)[1](DY)
    devices.clear()
    shim_of(wrapper).to_device("gpu", 1)
    for one in (wrapper, stays):
        one.begin_update(X)[1](DY)
        one.finish_update(SGD(0.5))
    assert_all_close(weights_of(wrapper), weights_of(stays))
    assert set(devices) == {"/GPU:1", "/CPU:0"}


def test_a_network_stays_where_the_wrapper_was_moved(small, devices):
    shim_of(small).to_device("gpu", 1)
    set_keras_model(small, dense())
    devices.clear()
    small.begin_update(X)[1](DY)
    assert set(devices) == {"/GPU:1"}


@only_tensorflow
def test_a_network_that_cannot_be_moved(devices):
    class Unsaved(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.dense = layers.Dense(units)

        def call(self, inputs):
            return self.dense(inputs)

    wrapper = TensorFlowWrapper(Unsaved(2))
    expected = wrapper.predict(X)
    with pytest.raises(ValueError, match=r"another device.*get_config.*device_scope"):
        shim_of(wrapper).to_device("gpu", 0)
    shim_of(wrapper).to_device("cpu", -1)
    assert_array_equal(wrapper.predict(X), expected)


def test_to_device_where_it_is(small):
    small.predict(X)
    old = keras_of(small)
    shim_of(small).to_device("cpu", -1)
    assert keras_of(small) is old


def test_to_device_of_an_empty_wrapper():
    wrapper = TensorFlowWrapper()
    shim_of(wrapper).to_device("gpu", 1)
    assert shim_of(wrapper).is_empty
    assert shim_of(wrapper).device == "/GPU:1"


@pytest.mark.usefixtures("devices")
def test_copy_stays_on_the_device(small):
    shim_of(small).to_device("gpu", 1)
    assert shim_of(small.copy()).device == "/GPU:1"


@pytest.fixture
def not_started(monkeypatch) -> None:
    """TensorFlow as the wrapper finds it before it was first used."""
    monkeypatch.setattr(tensorflow_wrapper, "_started_in", None)


@pytest.fixture
def two_gpus(monkeypatch, not_started) -> list[str]:
    gpus = [SimpleNamespace(name=f"/physical_device:GPU:{i}") for i in range(2)]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    grown: list[str] = []

    def grow(gpu, enable):
        assert enable is True
        grown.append(gpu.name)

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow)
    return grown


def test_memory_growth_of_every_gpu(two_gpus, small):
    assert two_gpus == ["/physical_device:GPU:0", "/physical_device:GPU:1"]
    small.predict(X)
    assert len(two_gpus) == 2


@only_tensorflow
def test_memory_growth_is_set_before_a_network_is_restored(two_gpus, monkeypatch, small):
    data = small.to_bytes()
    monkeypatch.setattr(tensorflow_wrapper, "_started_in", None)
    two_gpus.clear()
    loaded = TensorFlowWrapper().from_bytes(data)
    assert two_gpus == []
    real = keras.saving.deserialize_keras_object

    def deserialize(*args, **kwargs):
        assert len(two_gpus) == 2
        return real(*args, **kwargs)

    monkeypatch.setattr(keras.saving, "deserialize_keras_object", deserialize)
    loaded.predict(X)
    assert len(two_gpus) == 2


@pytest.mark.usefixtures("two_gpus")
def test_memory_growth_comes_too_late(monkeypatch, caplog):
    def refuse(gpu, enable):
        raise RuntimeError("already initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    import_tensorflow()
    assert "all of the GPU's memory" in caplog.text


@pytest.mark.usefixtures("not_started")
def test_other_keras_backend(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
            import_tensorflow()


@pytest.mark.gpu
@pytest.mark.skipif(
    not (has_cupy_gpu and tf.config.list_physical_devices("GPU")), reason="no GPU or no CuPy"
)
def test_gpu():
    import cupy

    on_cpu = TensorFlowWrapper(recurrent())
    expected = on_cpu.predict(X)
    data = on_cpu.to_bytes()
    with use_ops("cupy"):
        wrapper = TensorFlowWrapper().from_bytes(data)
        Y, backprop = wrapper.begin_update(cupy.asarray(X))
        assert isinstance(Y, cupy.ndarray)
        assert_allclose(Y.get(), expected, rtol=1e-3, atol=1e-4)
        assert isinstance(backprop(cupy.asarray(DY)), cupy.ndarray)
        optimizer = Adam(0.1)
        wrapper.finish_update(optimizer)
        assert all("GPU:0" in v.value.device for v in keras_of(wrapper).weights)
        with wrapper.use_params(optimizer.averages):
            wrapper.predict(cupy.asarray(X))
        assert wrapper.to_bytes() != data
    on_cpu.to_gpu(0)
    assert_allclose(on_cpu.predict(cupy.asarray(X)).get(), expected, rtol=1e-3, atol=1e-4)


# ---------------------------------------------------------------- threads and processes


@pytest.mark.parametrize(("kind", "is_loaded"), [("unbuilt", False), ("recurrent", True)])
def test_predict_in_threads(kind, is_loaded, runtime):
    """All at once, also the first call, which builds, restores and compiles."""
    wrapper = TensorFlowWrapper(KINDS[kind]())
    batches = [floats(2, 2 + i % 4, 3, seed=i) for i in range(16)]
    if is_loaded:
        wrapper.predict(X)
        wrapper = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    barrier = threading.Barrier(8)

    def predict(i: int) -> list[np.ndarray]:
        barrier.wait(timeout=30)
        return [wrapper.predict(batch) for batch in batches[i:] + batches[:i]]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(predict, range(8)))
    expected = [wrapper.predict(batch) for batch in batches]
    for i, found in enumerate(results):
        assert_all_close(found, expected[i:] + expected[:i])
    assert shim_of(wrapper).traces == (1 if runtime == "tensorflow" else 0)


def report(action: Callable[[], Any], pipe: Any) -> None:
    try:
        action()
        pipe.send("it ran")
    except BaseException as error:
        pipe.send(f"{type(error).__name__}: {error}")


@only_tensorflow
@pytest.mark.parametrize("action", ["predict", "train", "to_bytes", "loaded", "new", "empty"])
def test_forked_child_is_told(small, action):
    """TensorFlow's threads are missing in a fork: without a check it waits forever."""
    small.predict(X)
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    empty = TensorFlowWrapper()
    actions = {
        "predict": lambda: small.predict(X),
        "train": lambda: small.begin_update(X),
        "to_bytes": small.to_bytes,
        "loaded": lambda: loaded.predict(X),
        "new": lambda: TensorFlowWrapper(keras_of(small)),
        "empty": lambda: set_keras_model(empty, keras_of(small)),
    }
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=report, args=(actions[action], sender), daemon=True)
    child.start()
    try:
        assert receiver.poll(30), "the child hangs"
        message = receiver.recv()
    finally:
        child.kill()
        child.join(30)
    assert message.startswith("RuntimeError: TensorFlow was started in the parent")
    assert "set_start_method('spawn')" in message


NETWORKS = """
import keras

@keras.saving.register_keras_serializable("networks")
class Custom(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(4, activation="tanh")
        self.second = keras.layers.Dense(2)

    def call(self, inputs):
        return self.second(self.first(inputs))

    def get_config(self):
        return {"name": self.name}
"""

CHILD = """
import json, multiprocessing, sys
import numpy as np
from thinc.api import Adam
from thinc.types import ArgsKwargs
from ner_lstm_component import tensorflow_wrapper
from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper

def heavy():
    return [name for name in ("tensorflow", "keras", "networks") if name in sys.modules]

def predict(path, shape):
    # Names that Keras makes up count on from these.
    import keras
    for _ in range(3):
        keras.layers.Dense(1)
    return wrapper.predict(np.linspace(-1, 1, 30, dtype="float32").reshape(shape)).tolist()

folder = sys.argv[1]
sys.path.insert(0, folder)
found = {"imported": heavy()}
wrapper = TensorFlowWrapper(imports=["networks"]).from_disk(folder + "/network")
found["loaded"] = heavy()
with multiprocessing.get_context("fork").Pool(1) as pool:
    found["forked"] = pool.apply_async(predict, (folder, (2, 5, 3))).get(timeout=120)
found["after fork"] = heavy()

# The processor as two devices, in place of a GPU: the wrapper is to use the second.
import tensorflow as tf
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tensorflow_wrapper.device_name = lambda *args: "/CPU:1"
found["predicted"] = predict(folder, (2, 5, 3))
shim = wrapper.shims[0]
inputs = ArgsKwargs((np.zeros((2, 5, 3), "float32"),), {})
Y, backprop = shim.begin_update(inputs)
dX = backprop(np.ones((2, 5, 2), "float32"))
tensors = [shim.predict(inputs), Y, dX.args[0]]
tensors += [gradient.tensor for gradient in shim._gradients.values()]
tensors += [variable.value for variable in shim.keras_model.weights]
wrapper.to_disk(folder + "/again")
optimizer = Adam(0.1)
shim.finish_update(optimizer)
for slots in shim._fused._slots.values():
    tensors += [slots.variable, slots.mom1, slots.mom2, slots.average]
found["devices"] = sorted({tensor.device[-5:] for tensor in tensors})
found["updated"] = predict(folder, (2, 5, 3))
with wrapper.use_params(optimizer.averages):
    found["averages"] = predict(folder, (2, 5, 3))
print(json.dumps(found))
"""


@only_tensorflow
def test_other_process(tmp_path, monkeypatch):
    """Loads what was saved here, imports TensorFlow for the first call, and has a device."""
    (tmp_path / "networks.py").write_text(NETWORKS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    wrapper = TensorFlowWrapper(importlib.import_module("networks").Custom())
    expected = wrapper.predict(np.linspace(-1, 1, 30, dtype="float32").reshape(2, 5, 3))
    wrapper.to_disk(tmp_path / "network")
    run = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path], capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["imported"] == found["loaded"] == found["after fork"] == []
    assert found["devices"] == ["CPU:1"]
    assert_allclose(found["predicted"], expected, rtol=1e-5)
    assert_allclose(found["forked"], expected, rtol=1e-5)
    assert len({str(found[key]) for key in ("predicted", "updated", "averages")}) == 3
    assert (tmp_path / "again").read_bytes() == (tmp_path / "network").read_bytes()


@pytest.mark.parametrize("runtime", ["auto", "onnx"], indirect=True)
def test_onnx_in_a_forked_child(small, runtime):
    """Before and after the parent's own first prediction, and beside TensorFlow in it."""
    expected = small.predict(X)
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    for _ in range(2):
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        check = lambda: assert_all_close([loaded.predict(X)], [expected])  # noqa: E731
        child = context.Process(target=report, args=(check, sender), daemon=True)
        child.start()
        try:
            assert receiver.poll(30), "the child hangs"
            assert receiver.recv() == "it ran"
        finally:
            child.kill()
            child.join(30)
        loaded.predict(X)


# ---------------------------------------------------------------- the choice of a runtime


@pytest.fixture
def made(monkeypatch) -> list[Any]:
    """The networks that were made for ONNX Runtime."""
    found: list[Any] = []

    class Counting(tensorflow_wrapper.OnnxNetwork):
        def __init__(self, export: Callable) -> None:
            super().__init__(export)
            found.append(self)

    monkeypatch.setattr(tensorflow_wrapper, "OnnxNetwork", Counting)
    return found


@by_default
def test_auto_is_onnx_for_what_was_only_loaded(small, made):
    expected = small.predict(X)
    assert made == []
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    assert_all_close([loaded.predict(X), loaded.predict(X[:2])], [expected, expected[:2]])
    assert loaded.to_bytes() == small.to_bytes()
    assert len(made) == 1
    assert shim_of(loaded)._model is None


@by_default
def test_auto_is_tensorflow_once_trained(small, made):
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    before = loaded.predict(X)
    update(loaded, SGD(0.5))
    traces = shim_of(loaded).traces
    assert np.abs(loaded.predict(X) - before).max() > 1e-3
    assert shim_of(loaded).traces == traces + 1
    assert len(made) == 1
    again = TensorFlowWrapper().from_bytes(loaded.to_bytes())
    assert_all_close([again.predict(X)], [loaded.predict(X)])
    assert len(made) == 2


@by_default
@pytest.mark.parametrize("kind", ["subclassed", "batch_norm", "nested"])
def test_auto_is_tensorflow_where_there_is_no_onnx_form(kind, made):
    wrapper = TensorFlowWrapper(KINDS[kind]())
    expected = wrapper.predict(X)
    assert_all_close([TensorFlowWrapper().from_bytes(wrapper.to_bytes()).predict(X)], [expected])
    assert made == []


@by_default
def test_auto_is_tensorflow_for_a_call_that_onnx_lacks(made):
    wrapper = TensorFlowWrapper(recurrent())
    wrapper.predict(X)
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert loaded.predict(X[:0]).shape == (0, 5, 2)
    assert_array_equal(loaded.predict(X), wrapper.predict(X))


@by_default
def test_auto_is_tensorflow_without_onnxruntime(small, made, monkeypatch):
    monkeypatch.setattr(tensorflow_wrapper, "is_installed", lambda: False)
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    assert_array_equal(loaded.predict(X), small.predict(X))
    assert made == []


@by_default
def test_auto_is_tensorflow_on_a_gpu(small, devices, monkeypatch, made):
    ops = SimpleNamespace(device_type="gpu", device_id=1)
    monkeypatch.setattr(tensorflow_wrapper, "get_current_ops", lambda: ops)
    TensorFlowWrapper().from_bytes(small.to_bytes()).predict(X)
    assert set(devices) == {"/GPU:1"}
    assert made == []


@by_default
def test_tensorflow_is_tensorflow(small, made):
    TensorFlowWrapper(runtime="tensorflow").from_bytes(small.to_bytes()).predict(X)
    assert made == []


def assign(wrapper: Model, array: np.ndarray) -> None:
    keras_of(wrapper).weights[0].assign(array)
    weights_changed(wrapper)


CHANGES: dict[str, Callable[[Model], Any]] = {
    "update": lambda wrapper: update(wrapper, SGD(0.5)),
    "assign": lambda wrapper: assign(wrapper, np.ones((3, 2))),
    "from_bytes": lambda wrapper: wrapper.from_bytes(TensorFlowWrapper(dense()).to_bytes()),
    "set_keras_model": lambda wrapper: set_keras_model(wrapper, dense()),
}


@by_default
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("is_loaded", [False, True])
def test_onnx_has_the_weights_of_the_moment(small, made, change, is_loaded):
    wrapper = TensorFlowWrapper(runtime="onnx").from_bytes(small.to_bytes())
    if not is_loaded:
        assert keras_of(wrapper)
    before = wrapper.predict(X)
    change(wrapper)
    after = wrapper.predict(X)
    assert np.abs(after - before).max() > 1e-3
    assert_array_equal(wrapper.predict(X), after)
    assert len(made) == 2
    assert_all_close([after], [keras_of(wrapper)(X)])


@by_default
def test_onnx_has_the_averages_within_use_params(small, made):
    wrapper = TensorFlowWrapper(runtime="onnx").from_bytes(small.to_bytes())
    optimizer = SGD(0.5)
    for _ in range(3):
        update(wrapper, optimizer)
    own = wrapper.predict(X)
    with wrapper.use_params(optimizer.averages):
        averaged = wrapper.predict(X)
        saved = wrapper.to_bytes()
        assert_all_close([averaged], [keras_of(wrapper)(X)])
    assert np.abs(averaged - own).max() > 1e-3
    assert_array_equal(wrapper.predict(X), own)
    assert_array_equal(TensorFlowWrapper(runtime="onnx").from_bytes(saved).predict(X), averaged)


@by_default
def test_onnx_does_not_read_the_weights_at_each_call(small, monkeypatch):
    wrapper = TensorFlowWrapper(runtime="onnx").from_bytes(small.to_bytes())
    update(wrapper, SGD(0.5))
    expected = wrapper.predict(X)
    for name in ("numpy", "__array__"):
        monkeypatch.setattr(keras.Variable, name, None)
    assert_array_equal(wrapper.predict(X), expected)


@by_default
@pytest.mark.usefixtures("made")
def test_auto_is_onnx_on_a_gpu_without_tensorflow(small, monkeypatch, caplog):
    expected = small.predict(X)
    ops = SimpleNamespace(device_type="gpu", device_id=0)
    monkeypatch.setattr(tensorflow_wrapper, "get_current_ops", lambda: ops)
    monkeypatch.setattr(tensorflow_wrapper, "is_tensorflow_installed", lambda: False)
    warn_that_onnx_stands_in.cache_clear()
    for _ in range(2):
        loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
        for _ in range(2):
            assert_all_close([loaded.predict(X)], [expected])
        assert shim_of(loaded)._model is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "TensorFlow is not installed" in record.message


@by_default
def test_onnx_says_which_layer_it_lacks():
    wrapper = TensorFlowWrapper(KINDS["batch_norm"](), runtime="onnx")
    with pytest.raises(ValueError, match=r"BatchNormalization.*runtime='auto'"):
        wrapper.predict(X)


@by_default
def test_set_runtime(made):
    small = TensorFlowWrapper(sequential(keras.Input((3,)), layers.Dense(2)))
    model = chain(Linear(3, 3), TensorFlowWrapper().from_bytes(small.to_bytes()))
    model.layers[0].initialize()
    found = {}
    for runtime in ("tensorflow", "onnx", "auto"):
        assert tensorflow_wrapper.set_runtime(model, runtime) is model
        found[runtime] = model.predict(X[0])
    assert_all_close([found["onnx"], found["auto"]], [found["tensorflow"]] * 2)
    assert len(made) == 1


@by_default
def test_unknown_runtime(small):
    with pytest.raises(ValueError, match=r"'auto', 'onnx', 'tensorflow'.*Received: 'tf'"):
        TensorFlowWrapper(runtime="tf")
    with pytest.raises(ValueError, match="'tf'"):
        tensorflow_wrapper.set_runtime(small, "tf")


@pytest.mark.parametrize("runtime", ["onnx", "tensorflow"], indirect=True)
def test_clones_keep_the_runtime(clone, runtime):
    wrapper = TensorFlowWrapper(dense())
    assert shim_of(clone(wrapper)).runtime == runtime


# ---------------------------------------------------------------- training


def test_xor():
    keras.utils.set_random_seed(1)
    stack = [keras.Input((2,)), layers.Dense(8, activation="tanh"), layers.Dense(1)]
    wrapper, optimizer = TensorFlowWrapper(sequential(*stack)), Adam(0.05)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([[0], [1], [1], [0]], np.float32)
    for _ in range(150):
        guesses, backprop = wrapper.begin_update(x)
        backprop(guesses - y)
        wrapper.finish_update(optimizer)
    assert_array_equal(wrapper.predict(x).round(), y)


def test_chain_trains():
    inner = TensorFlowWrapper(sequential(layers.Dense(8, activation="tanh"), layers.Dropout(0.5)))
    model = chain(Linear(4, 3), inner, Linear(2, 8))
    x = floats(32, 3)
    y = np.stack([x.sum(axis=1), x[:, 0] * x[:, 1]], axis=1)
    model.initialize(X=x, Y=y)
    set_dropout_rate(model, 0.0)
    optimizer, first = Adam(0.02), model.layers[0].get_param("W").copy()
    losses = []
    for _ in range(60):
        guesses, backprop = model.begin_update(x)
        losses.append(((guesses - y) ** 2).mean())
        backprop((guesses - y) / len(x))
        model.finish_update(optimizer)
    assert losses[-1] < losses[0] / 4
    assert np.abs(model.layers[0].get_param("W") - first).max() > 1e-2
