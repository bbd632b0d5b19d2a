"""Embedding layers computed by functions on arrays, against Keras' own."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from ner_lstm_component import fused_embedding  # noqa: E402
from ner_lstm_component.fused_embedding import fused_embeddings, is_expressible  # noqa: E402

Embedding = keras.layers.Embedding
ROWS, WIDTH = 6, 3


def run(layer: Any, is_fused: bool, ids: np.ndarray) -> list[np.ndarray]:
    """The vectors, and the gradient of the table for a weighted sum of them."""
    weights = np.random.default_rng(0).normal(size=(*ids.shape, WIDTH)).astype(np.float32)

    @tf.function(autograph=False)
    def call(ids: Any) -> tuple[Any, Any]:
        network = SimpleNamespace(_flatten_layers=layer._flatten_layers)
        with fused_embeddings(network) if is_fused else nullcontext(), tf.GradientTape() as tape:
            vectors = layer(ids)
            total = tf.reduce_sum(vectors * weights)
        return vectors, tf.convert_to_tensor(tape.gradient(total, layer.embeddings.value))

    return [result.numpy() for result in call(tf.constant(ids))]


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """How many ids there were in what was computed so."""
    seen: list[int] = []
    own = fused_embedding._sum_by_row

    def recorded(ids: Any, *args: Any) -> Any:
        seen.append(ids.size)
        return own(ids, *args)

    monkeypatch.setattr(fused_embedding, "_sum_by_row", recorded)
    return seen


@pytest.mark.parametrize(
    "ids",
    [
        np.array([[3, 3, 0], [5, 3, 1]], np.int32),
        np.array([2, -1, -6, 2], np.int64),
        np.array([[1.0, 4.0]], np.float32),
        np.zeros((0, 4), np.int32),
    ],
    ids=["repeated", "from the end", "floats", "none"],
)
def test_vectors_and_gradient_are_those_of_keras(ids, calls):
    layer = Embedding(ROWS, WIDTH)
    layer.build()
    vectors, d_table = run(layer, True, ids)
    expected_vectors, expected_d_table = run(layer, False, ids)
    np.testing.assert_array_equal(vectors, expected_vectors)
    np.testing.assert_allclose(d_table, expected_d_table, rtol=1e-6, atol=1e-6)
    assert calls == [ids.size]


def summing(axis: int = 3, keepdims: bool = False, uses_rows: bool = False) -> Any:
    """Rows of two ids of three features each, summed up."""
    ids = keras.Input((None, 6), dtype="int32")
    rows = Embedding(ROWS, WIDTH)(ids)
    reshaped = keras.layers.Reshape((-1, 3, 2, WIDTH))(rows)
    result = keras.ops.sum(reshaped, axis=axis, keepdims=keepdims)
    return keras.Model(ids, [result, rows] if uses_rows else [result])


@pytest.mark.parametrize(
    ("settings", "n_vectors"),
    [({}, 3), ({"axis": 2}, 6), ({"keepdims": True}, 6), ({"uses_rows": True}, 6)],
    ids=["hashes", "features", "keepdims", "rows"],
)
def test_rows_that_are_summed_up(settings, n_vectors, monkeypatch):
    """Only where nothing else is done with them are they summed up at once."""
    network = summing(**settings)
    looked_up: list[int] = []
    own = fused_embedding._look_up

    def recorded(*args: Any) -> Any:
        sums = own(*args)
        looked_up.append(len(sums))
        return sums

    monkeypatch.setattr(fused_embedding, "_look_up", recorded)
    ids = np.random.default_rng(1).integers(0, ROWS, (2, 4, 6)).astype(np.int32)
    table = network.trainable_variables[0].value

    @tf.function(autograph=False)
    def call(ids: Any, is_fused: bool) -> tuple[Any, Any]:
        with fused_embeddings(network) if is_fused else nullcontext(), tf.GradientTape() as tape:
            results = tf.nest.flatten(network(ids))
            total = sum(tf.reduce_sum(tf.sin(result)) for result in results)
        return results, tf.convert_to_tensor(tape.gradient(total, table))

    results, d_table = call(tf.constant(ids), True)
    assert looked_up == [2 * 4 * n_vectors]
    expected, expected_d_table = call(tf.constant(ids), False)
    for one, other in zip(results, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(d_table, expected_d_table, rtol=1e-5, atol=1e-6)


class Own(Embedding):
    """Anything could be different in it."""


def test_what_cannot_be_expressed_is_left_to_keras(calls):
    adapted = Embedding(ROWS, WIDTH)
    adapted.build()
    adapted.enable_lora(2)
    for layer in (Own(ROWS, WIDTH), Embedding(ROWS, WIDTH, dtype="mixed_float16"), adapted):
        assert not is_expressible(layer)
    layer = Own(ROWS, WIDTH)
    layer.build()
    run(layer, True, np.array([[1, 1]]))
    assert not calls


def test_layers_are_keras_own_again_afterwards():
    layer = Embedding(ROWS, WIDTH)
    layer.build()
    network = SimpleNamespace(_flatten_layers=layer._flatten_layers)
    with fused_embeddings(network):
        assert "call" in vars(layer)
    assert "call" not in vars(layer)
