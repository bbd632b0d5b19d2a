"""The Thinc model around a network: calls, inputs and outputs, graphs."""

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
    LENGTHS,
    A,
    B,
    Residual,
    Saved,
    Weighted,
    X,
    assert_all_close,
    floats,
    functional,
    keras_of,
    plain_gradients,
    register,
    sequential,
    shim_of,
    taken_gradients,
    update,
    weights_of,
)
from numpy.testing import assert_array_equal
from thinc.api import SGD, Model, chain
from thinc.types import ArgsKwargs

from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper, set_keras_model


@pytest.mark.parametrize("wrong", ["a string", layers.Dense(2), keras.Sequential], ids=repr)
def test_wrong_keras_model(wrong):
    with pytest.raises(ValueError, match=r"keras\.Model") as error:
        TensorFlowWrapper(wrong)
    assert repr(wrong) in str(error.value)


def test_set_keras_model_fills_and_replaces():
    class Special(Model):
        pass

    wrapper = TensorFlowWrapper(model_class=Special, model_name="special")
    assert (type(wrapper), wrapper.name) == (Special, "special")
    assert shim_of(wrapper).is_empty
    with pytest.raises(ValueError, match="holds no network"):
        wrapper.predict(X)
    for network in (functional(), Residual()):
        set_keras_model(wrapper, network)
        assert not shim_of(wrapper).is_empty
        assert_all_close([wrapper.predict(X)], [network(X)])


def test_initialize_builds_once():
    wrapper = TensorFlowWrapper(KINDS["unbuilt"]())
    wrapper.initialize(X=X)
    assert [weight.shape for weight in weights_of(wrapper)] == [(3, 4), (4,), (4, 2), (2,)]
    before = weights_of(wrapper)
    wrapper.initialize(X=X)
    assert_all_close(weights_of(wrapper), before, 0, 0)


def test_a_failed_first_call_leaves_the_network_usable():
    wrapper = TensorFlowWrapper(Weighted())
    with pytest.raises(TypeError, match="factors"):
        wrapper.predict(ArgsKwargs((X[0],), {}))
    assert wrapper.predict([X[0], floats(5)]).shape == (5, 2)


def test_predict_has_no_backprop(small):
    _, backprop = small(X, is_train=False)
    with pytest.raises(ValueError, match="is_train=True"):
        backprop(DY)


def test_predictions_and_gradients_equal_those_of_plain_keras(network, wrapper):
    predicted = wrapper.predict(X)
    assert isinstance(predicted, np.ndarray)
    assert_all_close([predicted], [network(X, training=False)])
    Y, backprop = wrapper.begin_update(X)
    dX = backprop(DY)
    d_weights, d_inputs = plain_gradients(network, [X], tf.constant(DY))
    assert Y.shape == DY.shape
    assert isinstance(dX, np.ndarray)
    assert_all_close([dX], d_inputs, 1e-4)
    assert_all_close(taken_gradients(wrapper).values(), d_weights, 1e-4, 1e-5)


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


def two_inputs(structure: type) -> keras.Model:
    # Names whose order is not that of declaration: a mix-up of inputs would show.
    b, a = keras.Input((3,), name="b"), keras.Input((2,), name="a")
    outputs = layers.Dense(2)(layers.Concatenate()([b, a * 2.0]))
    return keras.Model({"b": b, "a": a} if structure is dict else structure((b, a)), outputs)


@register
class TwoArguments(Saved):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, b, a, training=False):
        return self.dense(keras.ops.concatenate([b, a * 2.0], axis=-1))


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
    given, found = ((x.args, x.kwargs) if isinstance(x, ArgsKwargs) else x for x in (x, dX))
    tf.nest.assert_same_structure(found, given)
    for gradient in tf.nest.flatten(found):
        assert_all_close([gradient], [expected["b" if gradient.shape[1] == 3 else "a"]])


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
    without_y = wrapper.begin_update(B)[1](arrange([dz, None]))
    assert_all_close([without_y], [dz @ z.kernel.numpy().T])
    gradients = taken_gradients(wrapper)
    assert_all_close([gradients["z/kernel"]], [B.T @ dz])
    assert not np.any(gradients["y/kernel"])


def test_integer_output_has_no_gradient():
    inputs = keras.Input((3,))
    scores = layers.Dense(2, name="scores")(inputs)
    wrapper = TensorFlowWrapper(keras.Model(inputs, [scores, keras.ops.argmax(scores, axis=-1)]))
    (Y, best), backprop = wrapper.begin_update(B)
    assert_array_equal(best, Y.argmax(axis=-1))
    dX = backprop([D2, np.ones(4, np.int32)])
    assert_all_close([dX], [D2 @ weights_of(wrapper)[0].T])


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
    names = [name.split("/", 1)[-1] for name in taken_gradients(wrapper)]
    assert names == ["busy/kernel", "busy/bias"]
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


def test_mask():
    class Reader(keras.Model):
        def __init__(self):
            super().__init__()
            self.lstm = layers.LSTM(2)

        def call(self, sequences, mask=None, training=False):
            return self.lstm(sequences, mask=mask, training=training)

    wrapper = TensorFlowWrapper(Reader())
    mask = np.arange(5) < np.array([[5], [3], [1], [4]])
    Y, backprop = wrapper.begin_update(ArgsKwargs((X,), {"mask": mask}))
    d_inputs = backprop(D2)
    (dX,) = d_inputs.args
    assert d_inputs.kwargs == {"mask": None}
    for i, row in enumerate(mask):
        assert_all_close([Y[i]], wrapper.predict({"sequences": X[i : i + 1, row]}))
        assert (dX[i, row] != 0).all()
        assert_array_equal(dX[i, ~row], 0)


def test_mask_made_by_the_network():
    ids = np.array([[3, 2, 0, 0], [1, 2, 3, 4]], np.int32)
    embedding = layers.Embedding(5, 3, mask_zero=True)
    wrapper = TensorFlowWrapper(
        sequential(keras.Input((None,), dtype="int32"), embedding, layers.LSTM(2))
    )
    assert_all_close([wrapper.predict(ids)[0]], wrapper.predict(ids[:1, :2]))
    assert wrapper.begin_update(ids)[1](floats(2, 2)) is None


@pytest.mark.parametrize("shape", [(0, 5), (2, 0)])
@pytest.mark.parametrize("kind", ["functional", "unbuilt", "subclassed", "same_names"])
def test_empty_input(kind, shape):
    wrapper = TensorFlowWrapper(KINDS[kind]())
    Y, backprop = wrapper.begin_update(np.zeros((*shape, 3), np.float32))
    assert Y.shape == (*shape, 2)
    assert backprop(Y).shape == (*shape, 3)
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict(X), wrapper.predict(X))


def test_empty_batch_first():
    """Keras cannot build an LSTM on it."""
    wrapper = TensorFlowWrapper(sequential(layers.LSTM(2)))
    Y, backprop = wrapper.begin_update(X[:0])
    assert Y.shape == (0, 2)
    assert backprop(Y).shape == (0, 5, 3)
    assert_all_close([wrapper.predict(X)], [keras_of(wrapper)(X)])


@pytest.mark.parametrize(
    ("stack", "shape"),
    [
        ([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten()], (2, 8, 8, 1)),
        ([layers.Flatten()], (2, 4, 3)),
        ([keras.Input((4, 3)), layers.LSTM(2, unroll=True)], (2, 4, 3)),
        ([keras.Input((None, 3)), layers.Conv1D(2, 3, padding="same")], (2, 5, 3)),
        ([keras.Input((4, 3)), layers.Permute((2, 1)), layers.Reshape((6, 2))], (2, 4, 3)),
        ([keras.Input(()), layers.Reshape((1,))], (3,)),
    ],
    ids=["image", "unbuilt", "unrolled", "same", "permuted", "scalars"],
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


def test_lengths_share_a_graph(wrapper):
    for n, length in LENGTHS:
        wrapper.predict(floats(n, length, 3))
    assert shim_of(wrapper).traces == 1
    for n, length in LENGTHS:
        wrapper.begin_update(floats(n, length, 3))[1](floats(n, length, 2))
    assert shim_of(wrapper).traces == 2
