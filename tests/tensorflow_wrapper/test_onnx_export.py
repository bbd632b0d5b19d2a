"""Exported networks give what Keras gives; what has no ONNX form is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from keras import layers, ops  # noqa: E402

from ner_lstm_component.tensorflow_wrapper.onnx_export import UnsupportedNetwork, Weights, export  # noqa: E402
from ner_lstm_component.tensorflow_wrapper.onnx_runtime import OnnxNetwork  # noqa: E402

LENGTHS = np.array([5, 3, 1, 4])
MASK = np.arange(5) < LENGTHS[:, None]
X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
IDS = np.random.default_rng(1).integers(0, 7, (4, 5)).astype(np.int32)


def saved(network: Any) -> tuple[str, list[tuple[str, np.ndarray]]]:
    config = json.dumps(keras.saving.serialize_keras_object(network))
    return config, [(weight.path, weight.numpy()) for weight in network.weights]


def randomize(network: Any) -> Any:
    """Also biases, and the scales of norms, so that a mix-up shows."""
    rng = np.random.default_rng(2)
    network.set_weights([rng.normal(0, 0.7, w.shape).astype(np.float32) for w in network.weights])
    return network


def floats() -> Any:
    return keras.Input((None, 3))


def of_floats(apply: Callable) -> Callable[[], Any]:
    def make() -> Any:
        inputs = floats()
        return keras.Model(inputs, apply(inputs))

    return make


def masked(layer: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        inputs, mask = floats(), keras.Input((None,), dtype="bool")
        return keras.Model([inputs, mask], layer()(inputs, mask=mask))

    return make


def embedded() -> Any:
    ids = keras.Input((None,), dtype="int32")
    vectors = layers.Embedding(7, 4)(ids)
    grouped = layers.Reshape((-1, 2, 2))(vectors)
    return keras.Model(ids, [ops.sum(grouped, axis=3), layers.Reshape((-1, 4))(grouped)])


def deep() -> Any:
    inputs, mask = floats(), keras.Input((None,), dtype="bool")
    vectors = layers.Dense(6, activation="gelu")(inputs)
    vectors = layers.LayerNormalization()(vectors)
    for _ in range(2):
        hidden = layers.Dropout(0.5)(vectors)
        hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(hidden, mask=mask)
        vectors = layers.Add()([vectors, hidden])
    return keras.Model([inputs, mask], {"tags": layers.Dense(2)(vectors), "hidden": [hidden]})


def shared() -> Any:
    first, second = floats(), floats()
    dense = layers.Dense(3)
    return keras.Model({"b": first, "a": second}, dense(dense(first)) - dense(second))


def lstm(**settings: Any) -> Any:
    return layers.LSTM(2, **settings)


ACTIVATIONS = ["relu", "tanh", "sigmoid", "softplus", "softsign", "softmax", "gelu", "linear"]
NETWORKS: dict[str, tuple[Callable[[], Any], Any]] = {
    **{
        f"Dense {name}": (of_floats(lambda x, name=name: layers.Dense(4, activation=name)(x)), X)
        for name in ACTIVATIONS
    },
    "Dense without bias": (of_floats(lambda x: layers.Dense(4, use_bias=False)(x)), X),
    "Activation": (of_floats(lambda x: layers.Activation("gelu")(x)), X),
    "LayerNormalization": (of_floats(lambda x: layers.LayerNormalization(epsilon=0.1)(x)), X),
    "norm without scale": (of_floats(lambda x: layers.LayerNormalization(scale=False)(x)), X),
    "norm without shift": (of_floats(lambda x: layers.LayerNormalization(center=False)(x)), X),
    "Embedding": (embedded, IDS),
    "deep": (deep, [X, MASK]),
    "shared": (shared, {"b": X, "a": X[::-1]}),
    "LSTM": (of_floats(lambda x: lstm(return_sequences=True)(x)), X),
    "LSTM, last": (of_floats(lambda x: lstm()(x)), X),
    "LSTM without bias": (of_floats(lambda x: lstm(use_bias=False)(x)), X),
    "LSTM, last, mask": (masked(lstm), [X, MASK]),
    "GRU": (of_floats(lambda x: layers.GRU(2, return_sequences=True)(x)), X),
    "GRU, reset before": (of_floats(lambda x: layers.GRU(2, reset_after=False)(x)), X),
    "GRU, last, mask": (masked(lambda: layers.GRU(2)), [X, MASK]),
    "both ways": (of_floats(lambda x: layers.Bidirectional(lstm(return_sequences=True))(x)), X),
    "both ways, last": (of_floats(lambda x: layers.Bidirectional(lstm())(x)), X),
    "both ways, mask": (
        masked(lambda: layers.Bidirectional(layers.GRU(2, return_sequences=True))),
        [X, MASK],
    ),
    "both ways, last, mask": (masked(lambda: layers.Bidirectional(lstm())), [X, MASK]),
    "Concatenate": (of_floats(lambda x: layers.Concatenate()([x, layers.Dense(2)(x), x])), X),
    "merges": (
        of_floats(
            lambda x: layers.Average()(
                [layers.Multiply()([x, x]), layers.Subtract()([x, layers.Maximum()([x, x])])]
            )
        ),
        X,
    ),
    "arithmetic": (of_floats(lambda x: (2.0 - x) * x / 3.0 + 1), X),
    "reductions": (
        of_floats(
            lambda x: ops.concatenate(
                [
                    ops.mean(x, axis=-1, keepdims=True),
                    ops.max(x, axis=-1, keepdims=True),
                    ops.sum(x, axis=2, keepdims=True),
                ],
                axis=-1,
            )
        ),
        X,
    ),
    "functions": (
        of_floats(
            lambda x: [
                ops.gelu(x),
                ops.gelu(x, approximate=False),
                ops.tanh(x),
                ops.relu(x),
                ops.sigmoid(x),
                ops.softmax(x, axis=-1),
            ]
        ),
        X,
    ),
    "Sequential": (
        lambda: keras.Sequential([floats(), layers.Dropout(0.1), layers.Dense(2), lstm()]),
        X,
    ),
}


def assert_like_keras(network: Any, inputs: Any) -> None:
    exported = OnnxNetwork(lambda: export(*saved(network)))
    found = exported.predict((inputs,), {})
    expected = network(inputs)
    assert keras.tree.map_structure(lambda _: 0, found) == keras.tree.map_structure(
        lambda _: 0, expected
    )
    pairs = zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True)
    for one, other in pairs:
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6)


@pytest.mark.filterwarnings("ignore:.*structure of `inputs`")
@pytest.mark.parametrize(("make", "inputs"), NETWORKS.values(), ids=NETWORKS)
def test_gives_what_keras_gives(make, inputs):
    network = randomize(make())
    assert_like_keras(network, inputs)
    assert_like_keras(network, keras.tree.map_structure(lambda x: x[:1, :2], inputs))


def test_restored_networks_name_their_weights_otherwise():
    """Keras drops the outer names of a Sequential network's weights when it restores it."""
    stack = [layers.Bidirectional(lstm(return_sequences=True, name="same")) for _ in range(2)]
    network = keras.Sequential([floats(), *stack])
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    assert len({weight.path for weight in restored.weights}) < len(restored.weights)
    assert_like_keras(randomize(restored), X)


class Doubled(layers.Layer):
    def call(self, inputs):
        return inputs * 2


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "class": (of_floats(lambda x: Doubled(name="mine")(x)), "'mine'.*Doubled"),
    "layer": (of_floats(lambda x: layers.BatchNormalization(name="bn")(x)), "'bn'"),
    "operation": (of_floats(lambda x: ops.cumsum(x, axis=1)), "Cumsum"),
    "activation": (of_floats(lambda x: layers.Dense(2, activation="selu", name="d")(x)), "'selu'"),
    "cell's activation": (of_floats(lambda x: lstm(activation="relu")(x)), "activation='relu'"),
    "reverse": (of_floats(lambda x: lstm(go_backwards=True)(x)), "go_backwards"),
    "merge_mode": (
        of_floats(lambda x: layers.Bidirectional(lstm(), merge_mode="sum")(x)),
        "merge_mode='sum'",
    ),
    "axis": (
        lambda: keras.Sequential([keras.Input((5, 3)), layers.LayerNormalization(axis=1)]),
        "axis=",
    ),
    "precision": (of_floats(lambda x: layers.Dense(2, dtype="float16")(x)), "float16"),
    "outputs repeated over masks": (
        masked(lambda: lstm(return_sequences=True)),
        "zero_output_for_mask",
    ),
    "dropout in inference": (of_floats(lambda x: layers.Dropout(0.5)(x, training=True)), "dropout"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_by_name(make, message):
    with pytest.raises(UnsupportedNetwork, match=message):
        export(*saved(make()))


def test_refuses_masks_made_by_the_network():
    ids = keras.Input((None,), dtype="int32")
    network = keras.Model(ids, lstm()(layers.Embedding(7, 3, mask_zero=True, name="table")(ids)))
    with pytest.raises(UnsupportedNetwork, match=r"'table'.*mask_zero"):
        export(*saved(network))


def test_refuses_what_is_not_built():
    with pytest.raises(UnsupportedNetwork, match="not built"):
        export(*saved(keras.Sequential([layers.Dense(2)])))


def test_weights_are_taken_in_order_and_by_name():
    arrays = [np.full(2, k, np.float32) for k in range(5)]
    paths = ["a/dense/kernel", "head/kernel", "dense/kernel#2", "my_dense/kernel", "dense/bias"]
    weights = Weights(list(zip(paths, arrays, strict=True)))
    taken = [weights.take("dense", name, (2,)) for name in ("kernel", "kernel", "bias")]
    assert [array[0] for array in taken] == [0, 2, 4]
    with pytest.raises(UnsupportedNetwork, match="'dense' has no weight 'bias'"):
        weights.take("dense", "bias", (2,))


def test_weight_of_wrong_shape():
    weights = Weights([("dense/kernel", np.zeros((3, 4), np.float32))])
    with pytest.raises(UnsupportedNetwork, match=r"'dense/kernel' of shape \(3, 4\)"):
        weights.take("dense", "kernel", (None, 5))
