"""LSTM layers as they are computed here, against Keras' own."""

from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from thinc.api import ArgsKwargs  # noqa: E402

from ner_lstm_component import fused_lstm, kernels, tensorflow_wrapper  # noqa: E402
from ner_lstm_component.features import HASHES  # noqa: E402
from ner_lstm_component.fused_lstm import fused_lstms, is_expressible  # noqa: E402
from ner_lstm_component.kernels import plain  # noqa: E402
from ner_lstm_component.network import build_network  # noqa: E402
from ner_lstm_component.settings import NetworkSettings  # noqa: E402
from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper  # noqa: E402

LSTM = keras.layers.LSTM
Bidirectional = keras.layers.Bidirectional
WIDTH = 5
UNITS = 4
TIME = 7

# Of the sequences of a batch.
LENGTHS = [(3, 7, 1, 5), (2, 0, 7)]


def mask_of(lengths: tuple[int, ...]) -> np.ndarray:
    return np.arange(TIME) < np.array(lengths, int).reshape(-1, 1)


def run(layer: Any, is_fused: bool, x: np.ndarray, mask: Any, states: Any = None) -> list:
    """Outputs, and the gradients of a weighted sum of all of them."""
    rng = np.random.default_rng(1)

    @tf.function(autograph=False)
    def call(x: Any, mask: Any, states: Any) -> tuple[list, list]:
        network = SimpleNamespace(_flatten_layers=layer._flatten_layers)
        with fused_lstms(network) if is_fused else nullcontext(), tf.GradientTape() as tape:
            tape.watch([x, *(states or [])])
            outputs = tf.nest.flatten(layer(x, initial_state=states, mask=mask, training=True))
            weights = [tf.constant(rng.normal(size=y.shape), tf.float32) for y in outputs]
            total = sum(tf.reduce_sum(y * w) for y, w in zip(outputs, weights, strict=True))
        targets = [x, *(states or []), *(v.value for v in layer.trainable_variables)]
        return outputs, tape.gradient(total, targets)

    outputs, gradients = call(
        tf.constant(x), None if mask is None else tf.constant(mask), states and list(states)
    )
    return [y.numpy() for y in [*outputs, *gradients]]


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """The names of what was computed here."""
    seen: list[str] = []
    for name in ("_forward", "_backward"):

        def recorded(name: str, own: Any, *args: Any) -> Any:
            seen.append(name)
            return own(*args)

        own = getattr(fused_lstm, name)
        monkeypatch.setattr(fused_lstm, name, partial(recorded, name, own))
    return seen


def assert_equal_to_keras(layer: Any, x: np.ndarray, mask: Any, states: Any = None) -> None:
    expected = run(layer, False, x, mask, states)
    actual = run(layer, True, x, mask, states)
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


LAYERS = {
    "forward": lambda: LSTM(UNITS, return_sequences=True),
    "zero where masked": lambda: LSTM(UNITS, return_sequences=True, zero_output_for_mask=True),
    "backward": lambda: LSTM(UNITS, return_sequences=True, go_backwards=True),
    "last output": lambda: LSTM(UNITS),
    "states": lambda: LSTM(UNITS, return_sequences=True, return_state=True),
    "no bias": lambda: LSTM(UNITS, return_sequences=True, use_bias=False),
    "bidirectional": lambda: Bidirectional(LSTM(UNITS, return_sequences=True)),
    "bidirectional, sum": lambda: Bidirectional(LSTM(UNITS, return_sequences=True), "sum"),
    "bidirectional, last output": lambda: Bidirectional(LSTM(UNITS)),
}


@pytest.mark.parametrize("lengths", [*LENGTHS, None], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_and_gradients_are_those_of_keras(kind, lengths, calls):
    layer = LAYERS[kind]()
    layer.build((None, None, WIDTH))
    mask = None if lengths is None else mask_of(lengths)
    assert_equal_to_keras(layer, floats(3 if lengths is None else len(lengths), TIME, WIDTH), mask)
    n = 2 if isinstance(layer, Bidirectional) else 1
    assert sorted(calls) == ["_backward"] * n + ["_forward"] * n


@pytest.mark.parametrize("kind", ["forward", "bidirectional"])
def test_without_compiled_loops(kind, monkeypatch):
    """By NumPy, where the package was built without a compiler."""
    for name in ("lstm_step", "lstm_step_back"):
        monkeypatch.setattr(kernels, name, getattr(plain, name))
    layer = LAYERS[kind]()
    layer.build((None, None, WIDTH))
    assert_equal_to_keras(layer, floats(4, TIME, WIDTH), mask_of((3, 7, 1, 5)))


@pytest.mark.parametrize("kind", LAYERS)
def test_masks_that_are_not_right_padded(kind):
    layer = LAYERS[kind]()
    layer.build((None, None, WIDTH))
    mask = np.random.default_rng(2).random((5, TIME)) < 0.5
    mask[0, 0], mask[1, 0], mask[2, -1] = True, False, False
    assert_equal_to_keras(layer, floats(5, TIME, WIDTH), mask)


@pytest.mark.parametrize("kind", ["forward", "states", "bidirectional"])
def test_initial_states(kind):
    layer = LAYERS[kind]()
    layer.build((None, None, WIDTH))
    n = 4 if kind == "bidirectional" else 2
    states = [tf.constant(state) for state in floats(n, 4, UNITS)]
    assert_equal_to_keras(layer, floats(4, TIME, WIDTH), mask_of((3, 7, 0, 5)), states)


@pytest.mark.parametrize("time", [1, TIME])
def test_one_token(time):
    layer = LAYERS["bidirectional"]()
    layer.build((None, None, WIDTH))
    assert_equal_to_keras(layer, floats(1, time, WIDTH), mask_of((1,))[:, :time])


def test_dropout_of_inputs():
    """Which inputs are dropped is drawn as Keras draws it, the same ones at all times."""
    results = []
    for is_fused in (False, True):
        layer = LSTM(UNITS, return_sequences=True, dropout=0.5, seed=3)
        layer.build((None, None, WIDTH))
        for variable, value in zip(layer.trainable_variables, range(3), strict=True):
            variable.assign(floats(8, *variable.shape)[value])
        results.append(run(layer, is_fused, floats(3, TIME, WIDTH), None))
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


class Own(LSTM):
    """Anything could be different in it."""


REFUSED = {
    "subclass": lambda: Own(UNITS),
    "GRU": lambda: keras.layers.GRU(UNITS),
    "activation": lambda: LSTM(UNITS, activation="relu"),
    "recurrent activation": lambda: LSTM(UNITS, recurrent_activation="hard_sigmoid"),
    "recurrent dropout": lambda: LSTM(UNITS, recurrent_dropout=0.5),
    "unrolled": lambda: LSTM(UNITS, unroll=True),
    "half precision": lambda: LSTM(UNITS, dtype="mixed_float16"),
    "double precision": lambda: LSTM(UNITS, dtype="float64"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_expressed_is_computed_by_keras(kind, calls):
    layer = REFUSED[kind]()
    assert not is_expressible(layer)
    layer.build((None, TIME, WIDTH))
    expected = layer(tf.ones((2, TIME, WIDTH)))
    with fused_lstms(SimpleNamespace(_flatten_layers=layer._flatten_layers)):
        np.testing.assert_array_equal(layer(tf.ones((2, TIME, WIDTH))), expected)
    assert not calls


def test_stateful_layers_are_refused():
    layer = LSTM(UNITS, stateful=True)
    layer.build((2, TIME, WIDTH))
    assert not is_expressible(layer)


def test_layers_are_keras_own_again_afterwards(calls):
    layer = LSTM(UNITS)
    network = SimpleNamespace(_flatten_layers=layer._flatten_layers)
    with pytest.raises(RuntimeError, match="while tracing"), fused_lstms(network):
        raise RuntimeError("while tracing")
    assert "inner_loop" not in vars(layer)
    layer(tf.ones((2, TIME, WIDTH)))
    assert not calls


@pytest.fixture
def annotated() -> ArgsKwargs:
    rng = np.random.default_rng(0)
    mask = mask_of((7, 4, 1))
    ids = rng.integers(0, 40, (3, TIME, 2 * HASHES)).astype(np.int32)
    targets = rng.random((3, TIME, 5)) < 0.3
    targets[..., 0] = True
    return ArgsKwargs((ids, mask), {"targets": targets})


def settings_of(depth: int) -> NetworkSettings:
    return NetworkSettings(
        rows=(30, 10), embed_width=4, width=8, hidden_width=6, depth=depth, word_dropout=0.0
    )


def test_a_step_of_the_network(annotated, calls, monkeypatch):
    """Its loss and all gradients are those that Keras computes."""
    settings = settings_of(depth=2)
    wrapper = TensorFlowWrapper(build_network(settings, 2))
    wrapper.attrs["dropout_rate"] = 0.0
    losses, gradients = [], []
    for is_fused in (True, False):
        if not is_fused:
            monkeypatch.setattr(tensorflow_wrapper, "fused_lstms", lambda model: nullcontext())
        trained = wrapper.copy()
        loss, backprop = trained.begin_update(annotated)
        backprop(1.0)
        taken: dict[str, np.ndarray] = {}
        trained.finish_update(lambda key, w, g, taken=taken: (w, taken.setdefault(key[1], g)))
        assert calls.count("_forward") == calls.count("_backward") == 4
        losses.append(float(loss))
        gradients.append(taken)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    for name, expected in gradients[1].items():
        np.testing.assert_allclose(gradients[0][name], expected, rtol=1e-4, atol=1e-5)


def test_predicting_is_left_to_keras(annotated, calls):
    settings = settings_of(depth=1)
    wrapper = TensorFlowWrapper(build_network(settings, 2), runtime="tensorflow")
    wrapper.predict(ArgsKwargs(annotated.args, {}))
    assert not calls
