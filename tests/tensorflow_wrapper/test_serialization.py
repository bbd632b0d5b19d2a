"""Copies and bytes of a wrapper, and bytes that are refused."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import srsly
from keras import layers
from keras_networks import (
    DY,
    KINDS,
    Recorder,
    Residual,
    Weighted,
    X,
    floats,
    functional,
    sequential,
    shim_of,
    taken_gradients,
    update,
)
from numpy.testing import assert_array_equal
from thinc.api import SGD, Model

from ner_lstm_component.tensorflow_wrapper import TensorFlowShim, TensorFlowWrapper, set_keras_model


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


def test_clone_of_an_empty_or_unbuilt_network(clone):
    empty = clone(TensorFlowWrapper())
    assert shim_of(empty).is_empty
    set_keras_model(empty, functional())
    assert empty.predict(X).shape == (4, 5, 2)
    wrapper = TensorFlowWrapper(KINDS["unbuilt"]())
    other = clone(wrapper)
    assert other.to_bytes() == wrapper.to_bytes()
    assert other.predict(X).shape == (4, 5, 2)
    # With another number of features than the clone's: nothing was built together.
    assert wrapper.predict(floats(4, 5, 6)).shape == (4, 5, 2)


def test_copies_have_ids_of_their_own(small):
    ids = {shim_of(w).id for w in (small, small.copy(), small.copy(), copy.deepcopy(small))}
    assert len(ids) == 4


@pytest.mark.parametrize("kind", ["subclassed", "same_names", "nested"])
def test_pickle_keeps_the_keys_of_an_optimizer(kind):
    """Also of layers that Keras named, and would name otherwise in the copy."""
    wrapper = TensorFlowWrapper(KINDS[kind]())
    recorder, other = Recorder(), Recorder()
    update(wrapper, recorder)
    update(pickle.loads(pickle.dumps(wrapper)), other)  # noqa: S301
    assert other.gradients.keys() == recorder.gradients.keys()


def test_bytes_are_identical_after_loading(wrapper):
    wrapper.predict(X)
    data = wrapper.to_bytes()
    loaded = TensorFlowWrapper().from_bytes(data)
    assert loaded.to_bytes() == data
    assert_array_equal(loaded.predict(X), wrapper.predict(X))
    assert loaded.to_bytes() == data


def test_from_bytes_replaces_a_used_network():
    wrapper = TensorFlowWrapper(Residual())
    other = TensorFlowWrapper(functional())
    other.begin_update(X)[1](DY)
    expected = wrapper.predict(X)
    other.from_bytes(wrapper.to_bytes())
    assert taken_gradients(other) == {}
    assert_array_equal(other.predict(X), expected)


def adapted_normalization() -> keras.Model:
    norm = layers.Normalization()
    norm.adapt(floats(20, 3) * 3 + 4)
    return sequential(keras.Input((3,)), norm)


@pytest.mark.parametrize(
    ("make", "x"),
    [(Weighted, (floats(6, 3), floats(6))), (adapted_normalization, floats(6, 3))],
)
def test_networks_are_rebuilt(make, x):
    wrapper = TensorFlowWrapper(make())
    expected = wrapper.predict(x)
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict(x), expected)
    assert loaded.to_bytes() == wrapper.to_bytes()


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


@pytest.fixture
def collector():
    """Turned on again: srsly leaves it off where reading fails."""
    yield
    gc.enable()


@pytest.mark.usefixtures("collector")
def test_other_bytes(small):
    expected = small.predict(X)
    data = shim_of(small).to_bytes()
    truncated = [data[: int(len(data) * share)] for share in (0.0, 0.1, 0.5, 0.9, 0.999)]
    others = [b"\x00", b"not a network", *map(srsly.msgpack_dumps, ([1, 2], {"format": 1}))]
    for wrong in truncated + others:
        with pytest.raises(ValueError, match="could not be read"):
            shim_of(small).from_bytes(wrong)
    assert_array_equal(small.predict(X), expected)


def predict_changed(wrapper: Model, change: Callable[[dict], Any]) -> None:
    """Predict with the same network after a change to what was saved."""
    state = srsly.msgpack_loads(shim_of(wrapper).to_bytes())
    change(state)
    other = TensorFlowWrapper()
    shim_of(other).from_bytes(srsly.msgpack_dumps(state))
    other.predict(X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.update(format=0), "format 0"),
        (lambda state: state.update(format="1"), "format '1'"),
        (lambda state: state["weights"].pop(), "has 1 weights"),
        (
            lambda state: state["weights"][1].update(shape=[3], data=bytes(12)),
            r"bias.*\(3,\).*\(2,\)",
        ),
    ],
    ids=["format", "type", "missing weight", "shape"],
)
def test_other_states(small, change, message):
    with pytest.raises(ValueError, match=message):
        predict_changed(small, change)


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
        predict_changed(small, inject)
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
