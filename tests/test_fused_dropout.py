"""Dropout as it is computed here: what Keras' own does, with other random numbers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from ner_lstm_component import kernels  # noqa: E402
from ner_lstm_component.fused_dropout import fused_dropouts, is_expressible  # noqa: E402
from ner_lstm_component.kernels import plain  # noqa: E402

SHAPE = (30, 40, 50)


def compiled(layer: Any, training: bool = True) -> Any:
    """A call that gives the layer's output and the gradient of its sum, weighted by ``d``."""

    @tf.function(autograph=False)
    def call(x: Any, d: Any) -> tuple[Any, Any]:
        with fused_dropouts(SimpleNamespace(_flatten_layers=layer._flatten_layers)):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=training)
            return y, tape.gradient(y, x, output_gradients=d)

    return lambda x, d: [result.numpy() for result in call(tf.constant(x), tf.constant(d))]


def drawn(rate: float, seed: int = 0, times: int = 1) -> list[np.ndarray]:
    call = compiled(keras.layers.Dropout(rate, seed=seed))
    ones = np.ones(SHAPE, np.float32)
    return [call(ones, ones)[0] for _ in range(times)]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped(rate):
    (y,) = drawn(rate)
    n = y.size
    is_dropped = y == 0
    assert abs(is_dropped.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / n)
    np.testing.assert_allclose(y[~is_dropped], 1 / (1 - rate), rtol=1e-6)


def test_places_and_steps_are_independent():
    steps = np.stack([y.reshape(-1) == 0 for y in drawn(0.5, times=200)]).astype(float)
    for values in (steps, steps[:, :1000].T):
        n_variables, n = values.shape
        off_diagonal = np.corrcoef(values) - np.eye(n_variables)
        # As many pairs of normal variables stay within this.
        assert np.abs(off_diagonal).max() < 6 / np.sqrt(n)


def test_the_gradient_is_that_of_what_was_not_dropped():
    rng = np.random.default_rng(0)
    x, d = (rng.normal(size=SHAPE).astype(np.float32) for _ in range(2))
    call = compiled(keras.layers.Dropout(0.3, seed=0))
    for _ in range(2):
        y, dx = call(x, d)
        np.testing.assert_array_equal(y == 0, dx == 0)
        kept = y != 0
        np.testing.assert_allclose(dx[kept] / d[kept], y[kept] / x[kept], rtol=1e-5)


def test_the_seed_decides():
    first, again, other = (drawn(0.5, seed, times=3) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_layers_draw_apart():
    one, other = (drawn(0.5, seed=layer.seed)[0] for layer in map(keras.layers.Dropout, (0.5, 0.5)))
    assert abs(((one == 0) == (other == 0)).mean() - 0.5) < 0.01


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (0.5, False)])
def test_nothing_is_dropped(rate, training):
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    for result in compiled(keras.layers.Dropout(rate), training)(x, x):
        np.testing.assert_array_equal(result, x)


class Own(keras.layers.Dropout):
    """Anything could be different in it."""


@pytest.mark.parametrize(
    "layer",
    [
        Own(0.5),
        keras.layers.Dropout(0.5, noise_shape=(None, 1, 50)),
        keras.layers.Dropout(0.5, dtype="mixed_float16"),
        keras.layers.SpatialDropout1D(0.5),
    ],
    ids=["subclass", "noise shape", "half precision", "spatial"],
)
def test_what_cannot_be_expressed_is_computed_by_keras(layer):
    assert not is_expressible(layer)
    with fused_dropouts(SimpleNamespace(_flatten_layers=layer._flatten_layers)):
        assert "call" not in vars(layer)


def test_layers_are_keras_own_again_afterwards():
    layer = keras.layers.Dropout(0.5)
    network = SimpleNamespace(_flatten_layers=layer._flatten_layers)
    with pytest.raises(RuntimeError, match="while tracing"), fused_dropouts(network):
        raise RuntimeError("while tracing")
    assert "call" not in vars(layer)


@pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler")
@pytest.mark.parametrize("seed", [(0, 0), (1, 2**32 - 1), (2**32 - 1, 7)])
def test_compiled_or_not_the_same_is_dropped(seed):
    x = np.random.default_rng(0).normal(size=1003).astype(np.float32)
    found, expected = np.empty_like(x), np.empty_like(x)
    arguments = np.array(seed, np.uint32), 0.3
    kernels.drop(x, *arguments, found)
    plain.drop(x, *arguments, expected)
    np.testing.assert_array_equal(found, expected)
    assert 0 < (found == 0).sum() < len(x)
