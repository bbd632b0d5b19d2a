"""Embedding layers with the gradient of their table from Thinc, against Keras' own."""

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
    """How many ids there were in what Thinc computed."""
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
