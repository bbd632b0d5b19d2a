"""The choice between ONNX Runtime and TensorFlow, on a network of this package."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras_networks import (
    KINDS,
    X,
    assert_all_close,
    child_says,
    floats,
    keras_of,
    pickled,
    sequential,
    shim_of,
)
from numpy.testing import assert_array_equal
from thinc.api import SGD, Linear, Model, chain
from thinc.types import ArgsKwargs

from ner_lstm_component import tensorflow_wrapper
from ner_lstm_component.network.bilstm_crf import build_network
from ner_lstm_component.network.onnx import export_bilstm_crf
from ner_lstm_component.network.settings import NetworkSettings
from ner_lstm_component.tensorflow_wrapper import placement, set_keras_model, set_runtime
from ner_lstm_component.tensorflow_wrapper import shim as shim_module

TensorFlowWrapper = partial(tensorflow_wrapper.TensorFlowWrapper, export=export_bilstm_crf)
MASK = np.arange(5) < np.array([[5], [3]])
INPUTS = ArgsKwargs((floats(2, 5, 3), MASK), {})


def tagger() -> keras.Model:
    network = build_network(NetworkSettings(2, 1, vector_width=3), 1)
    network(*INPUTS.args)
    return network


def loaded(wrapper: Model, runtime: str = "auto") -> Model:
    return TensorFlowWrapper(runtime=runtime).from_bytes(wrapper.to_bytes())


def emissions(wrapper: Model) -> np.ndarray:
    return wrapper.predict(INPUTS)[0][MASK]


def update(wrapper: Model, optimizer: Any) -> None:
    (scores, transitions), backprop = wrapper.begin_update(INPUTS)
    backprop((np.ones_like(scores), np.ones_like(transitions)))
    wrapper.finish_update(optimizer)


@pytest.fixture
def wrapper() -> Model:
    return TensorFlowWrapper(tagger())


@pytest.fixture
def made(monkeypatch) -> list[Any]:
    """The networks that were made for ONNX Runtime."""
    found: list[Any] = []

    class Counting(shim_module.OnnxNetwork):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            found.append(self)

    monkeypatch.setattr(shim_module, "OnnxNetwork", Counting)
    return found


def test_auto_is_onnx_for_a_network_that_was_only_loaded(wrapper, made):
    expected = emissions(wrapper)
    assert made == []
    other = loaded(wrapper)
    for _ in range(2):
        assert_all_close([emissions(other)], [expected])
    assert other.to_bytes() == wrapper.to_bytes()
    assert tensorflow_wrapper.uses_onnx(other)
    assert len(made) == 1
    assert shim_of(other)._model is None


def test_auto_is_tensorflow_once_trained(wrapper, made):
    other = loaded(wrapper)
    before = emissions(other)
    update(other, SGD(0.5))
    traces = shim_of(other).traces
    assert np.abs(emissions(other) - before).max() > 1e-3
    assert shim_of(other).traces == traces + 1
    assert len(made) == 1
    assert_all_close([emissions(loaded(other))], [emissions(other)])
    assert len(made) == 2


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
@pytest.mark.parametrize("export", [export_bilstm_crf, None])
def test_auto_is_tensorflow_for_other_networks(kind, export, caplog):
    caplog.set_level("INFO", "ner_lstm_component")
    wrapper = TensorFlowWrapper(KINDS[kind]())
    expected = wrapper.predict(X)
    other = TensorFlowWrapper(export=export).from_bytes(wrapper.to_bytes())
    for _ in range(2):
        assert_array_equal(other.predict(X), expected)
    (message,) = caplog.messages
    assert message.startswith("TensorFlow predicts instead of ONNX Runtime, because of its class")
    assert shim_of(other)._model is not None


def test_auto_is_tensorflow_for_a_call_without_an_onnx_form(wrapper):
    other = loaded(wrapper)
    scores, _ = other.predict(ArgsKwargs((floats(0, 5, 3), MASK[:0]), {}))
    assert scores.shape == (0, 5, 3)
    assert_array_equal(emissions(other), emissions(wrapper))


@pytest.mark.parametrize("runtime", ["auto", "tensorflow"])
def test_tensorflow_by_choice_or_without_onnxruntime(wrapper, made, monkeypatch, runtime):
    if runtime == "auto":
        monkeypatch.setattr(shim_module, "is_installed", lambda name: name != "onnxruntime")
    assert_array_equal(emissions(loaded(wrapper, runtime)), emissions(wrapper))
    assert made == []


def test_auto_is_tensorflow_on_a_gpu(wrapper, devices, monkeypatch, made):
    ops = SimpleNamespace(device_type="gpu", device_id=1)
    monkeypatch.setattr(shim_module, "get_current_ops", lambda: ops)
    emissions(loaded(wrapper))
    assert set(devices) == {"/GPU:1"}
    assert made == []


def test_auto_is_onnx_on_a_gpu_without_tensorflow(wrapper, monkeypatch, caplog):
    expected = emissions(wrapper)
    ops = SimpleNamespace(device_type="gpu", device_id=0)
    monkeypatch.setattr(shim_module, "get_current_ops", lambda: ops)
    monkeypatch.setattr(shim_module, "is_installed", lambda name: name != "tensorflow")
    placement.warn_that_onnx_stands_in.cache_clear()
    for _ in range(2):
        other = loaded(wrapper)
        assert_all_close([emissions(other)], [expected])
        assert shim_of(other)._model is None
    (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "TensorFlow is not installed" in record.message


def assign(wrapper: Model) -> None:
    variable = keras_of(wrapper).weights[0]
    variable.assign(np.ones(variable.shape))
    tensorflow_wrapper.weights_changed(wrapper)


CHANGES: dict[str, Callable[[Model], Any]] = {
    "update": lambda wrapper: update(wrapper, SGD(0.5)),
    "assign": assign,
    "from_bytes": lambda wrapper: wrapper.from_bytes(TensorFlowWrapper(tagger()).to_bytes()),
    "set_keras_model": lambda wrapper: set_keras_model(wrapper, tagger()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_onnx_has_the_current_weights(wrapper, made, change):
    other = loaded(wrapper, "onnx")
    before = emissions(other)
    change(other)
    after = emissions(other)
    assert np.abs(after - before).max() > 1e-3
    assert_array_equal(emissions(other), after)
    assert len(made) == 2
    assert_all_close([after], [keras_of(other)(*INPUTS.args)[0].numpy()[MASK]])


def test_onnx_has_the_averages_within_use_params(wrapper):
    other = loaded(wrapper, "onnx")
    optimizer = SGD(0.5)
    for _ in range(3):
        update(other, optimizer)
    own = emissions(other)
    with other.use_params(optimizer.averages):
        averaged = emissions(other)
        saved = other.to_bytes()
    assert np.abs(averaged - own).max() > 1e-3
    assert_array_equal(emissions(other), own)
    assert_array_equal(emissions(TensorFlowWrapper(runtime="onnx").from_bytes(saved)), averaged)


def test_onnx_refuses_other_networks():
    wrapper = TensorFlowWrapper(KINDS["batch_norm"](), runtime="onnx")
    with pytest.raises(ValueError, match=r"runtime='onnx'.*runtime='auto'"):
        wrapper.predict(X)


def test_set_runtime_of_a_whole_model():
    other = TensorFlowWrapper(sequential(keras.Input((3,)), layers.Dense(2)))
    model = chain(Linear(3, 3), other)
    for runtime in ("tensorflow", "onnx", "auto"):
        assert set_runtime(model, runtime) is model
        assert shim_of(other).runtime == shim_of(other.copy()).runtime == runtime
        assert shim_of(pickled(other)).runtime == runtime
    with pytest.raises(ValueError, match=r"'auto', 'onnx', 'tensorflow'.*Received: 'tf'"):
        set_runtime(model, "tf")
    with pytest.raises(ValueError, match="'tf'"):
        TensorFlowWrapper(runtime="tf")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_onnx_in_a_forked_child(wrapper):
    """Before and after the parent's own first prediction."""
    expected = emissions(wrapper)
    other = loaded(wrapper)
    for _ in range(2):
        assert child_says(lambda: assert_all_close([emissions(other)], [expected])) == "it ran"
        emissions(other)
