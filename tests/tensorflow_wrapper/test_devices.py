"""The device of a network, and the start of TensorFlow."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf
from keras import layers
from keras_networks import DY, X, dense, keras_of, recurrent, shim_of
from numpy.testing import assert_allclose, assert_array_equal
from thinc.api import Adam, use_ops
from thinc.util import has_cupy_gpu

from ner_lstm_component.tensorflow_wrapper import (
    TensorFlowWrapper,
    import_tensorflow,
    placement,
    set_keras_model,
)
from ner_lstm_component.tensorflow_wrapper import shim as shim_module


@pytest.mark.parametrize(("device_type", "device_id"), [("cpu", -1), ("gpu", 1)])
def test_device_follows_the_ops(small, devices, monkeypatch, device_type, device_id):
    ops = SimpleNamespace(device_type=device_type, device_id=device_id)
    monkeypatch.setattr(shim_module, "get_current_ops", lambda: ops)
    loaded = TensorFlowWrapper().from_bytes(small.to_bytes())
    loaded.begin_update(X)[1](DY)
    loaded.predict(X)
    assert shim_of(loaded).device == placement.device_name(device_type, device_id)
    assert set(devices) == {placement.device_name(device_type, device_id)}


@pytest.mark.parametrize("is_empty", [False, True])
def test_copies_and_later_networks_are_on_the_device(small, devices, is_empty):
    wrapper = TensorFlowWrapper() if is_empty else small
    shim_of(wrapper).to_device("gpu", 1)
    assert shim_of(wrapper).is_empty is is_empty
    assert shim_of(wrapper.copy()).device == "/GPU:1"
    set_keras_model(wrapper, dense())
    devices.clear()
    wrapper.begin_update(X)[1](DY)
    assert set(devices) == {"/GPU:1"}


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


@pytest.fixture
def not_started(monkeypatch) -> None:
    """TensorFlow as the wrapper finds it before it was first used."""
    monkeypatch.setattr(placement, "_started_in", None)


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


def test_memory_growth_is_set_before_a_network_is_restored(two_gpus, monkeypatch, small):
    data = small.to_bytes()
    monkeypatch.setattr(placement, "_started_in", None)
    two_gpus.clear()
    loaded = TensorFlowWrapper(runtime="tensorflow").from_bytes(data)
    real = keras.saving.deserialize_keras_object

    def deserialize(*args, **kwargs):
        assert two_gpus == ["/physical_device:GPU:0", "/physical_device:GPU:1"]
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
