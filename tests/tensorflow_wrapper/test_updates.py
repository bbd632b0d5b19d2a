"""Updates by Thinc's and Keras' optimizers, averages, and training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras_networks import (
    D2,
    DY,
    KINDS,
    TARGETS,
    B,
    Regression,
    Twins,
    X,
    assert_all_close,
    dense,
    floats,
    functional,
    keras_of,
    pickled,
    plain_gradients,
    sequential,
    shim_of,
    update,
    weights_of,
)
from numpy.testing import assert_allclose, assert_array_equal
from thinc.api import SGD, Adam, Linear, Model, RAdam, chain, set_dropout_rate, warmup_linear

from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper, set_keras_model


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
def test_updates_equal_those_of_thinc(make_optimizer):
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
    averages = [list((o.averages or {}).values()) for o in (optimizer, reference.optimizer)]
    assert_all_close(*averages, 1e-4, 1e-5)


def test_no_update_without_gradient(small):
    update(small, SGD(0.1))  # uses up the gradients
    before, optimizer = weights_of(small), Adam(0.1, L2=0.1)
    small.finish_update(optimizer)
    small.begin_update(X)  # without a backward pass
    small.finish_update(optimizer)
    assert_all_close(weights_of(small), before, 0, 0)
    assert optimizer.averages == {}


@pytest.mark.parametrize(
    ("dtype", "make_optimizer"),
    [("float16", Adam), ("bfloat16", RAdam), ("float64", SGD), ("mixed_bfloat16", Adam)],
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
        averages = [w.astype(np.float32) for w in weights_of(wrapper)]
        assert_all_close(averages, optimizer.averages.values(), rtol=1e-2)
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
    network = sequential(keras.Input((3,)), layers.Dense(2))
    wrapper = TensorFlowWrapper(network, optimizer=keras.optimizers.SGD(0.1))
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
        Model.copy,
        pickled,
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


@pytest.mark.parametrize("bias", [np.zeros(2), np.zeros(7)], ids=["inside", "reshape"])
def test_use_params_restores_after_an_exception(small, bias):
    own = weights_of(small)
    paths = [(shim_of(small).id, variable.path) for variable in keras_of(small).weights]
    params = dict(zip(paths, [own[0] * 0, bias], strict=True))

    def fail_inside() -> None:
        with small.use_params(params):
            assert_array_equal(small.predict(X), 0)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside" if bias.size == 2 else "reshape"):
        fail_inside()
    assert_all_close(weights_of(small), own, 0, 0)


def test_use_params_of_a_network_that_was_only_loaded(small):
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    path, zeros = keras_of(small).weights[0].path, weights_of(small)[0] * 0
    others = {(shim_of(loaded).id + 1, path): zeros, (shim_of(loaded).id, "W"): zeros}
    with loaded.use_params(others):
        assert_array_equal(loaded.predict(X), small.predict(X))
    with loaded.use_params({(shim_of(loaded).id, path): zeros}):
        assert_array_equal(loaded.predict(X), 0)
    assert_array_equal(loaded.predict(X), small.predict(X))


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
    expected = model.predict(x)
    with model.use_params(optimizer.averages):
        assert np.abs(model.predict(x) - expected).max() > 1e-3
    assert_array_equal(model.predict(x), expected)
