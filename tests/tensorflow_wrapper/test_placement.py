"""On which device TensorFlow computes, checked without a GPU by two logical CPU devices."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import spacy
import srsly
from samples import make_examples, overfit
from spacy.lang.en import English
from thinc.api import NumpyOps, get_current_ops, set_current_ops

from ner_lstm_component.tensorflow_wrapper import placement, set_runtime
from ner_lstm_component.tensorflow_wrapper.placement import check_device, device_name


def test_device_name(monkeypatch):
    """After ``require_gpu(1)`` Thinc's ops have the number 0."""
    for number, expected in ((0, "/GPU:0"), (1, "/GPU:1"), (-1, "/GPU:0")):
        assert device_name("gpu", number) == expected
        assert device_name("cpu", number) == "/CPU:0"
    runtime = SimpleNamespace(getDevice=lambda: 1)
    cupy = SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(placement, "cupy", cupy)
    monkeypatch.setattr(placement, "has_cupy_gpu", True)
    assert device_name("gpu", 0) == "/GPU:1"


def tensorflow_with(*gpus: str) -> SimpleNamespace:
    seen = [SimpleNamespace(name=f"/device:{name}") for name in gpus]
    config = SimpleNamespace(list_logical_devices=lambda kind: seen if kind == "GPU" else [])
    return SimpleNamespace(config=config)


@pytest.mark.parametrize(("gpus", "seen"), [((), "no GPU"), (("GPU:0",), "/GPU:0")])
def test_a_gpu_that_tensorflow_does_not_see(gpus, seen):
    check_device(tensorflow_with(*gpus), "/CPU:0")
    check_device(tensorflow_with("GPU:1"), "/GPU:1")
    message = rf"the GPU /GPU:1, which.*It sees: {seen}\. .*\[cuda\].*require_cpu.*--gpu-id -1"
    with pytest.raises(RuntimeError, match=message):
        check_device(tensorflow_with(*gpus), "/GPU:1")


def test_the_import_hides_notices_only(monkeypatch, capfd):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    with placement._without_notices():
        os.write(2, b"I0000 00:00:1.2 3 port.cc:153] oneDNN\nE0000 cuda.cc:52] failed\n")
    os.write(2, b"I0000 later\n")
    assert capfd.readouterr().err == "E0000 cuda.cc:52] failed\nI0000 later\n"


def test_the_import_works_without_stderr(monkeypatch):
    def closed(descriptor: int) -> int:
        raise OSError("Bad file descriptor")

    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(os, "dup", closed)
    with placement._without_notices():
        pass


def test_the_warning_comes_once(caplog):
    placement.warn_that_onnx_stands_in.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            placement.warn_that_onnx_stands_in()
    assert len(caplog.records) == 1


# TensorFlow says on stderr what it executes, and where.
TRAINING = """
import sys

import keras
import numpy as np
import spacy
import tensorflow as tf
from samples import SMALL_MODEL, SMALL_TOK2VEC_MODEL, make_examples
from thinc.api import SGD, Adam

from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper, shim

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tf.debugging.set_log_device_placement(True)
shim.device_name = lambda *args: chosen
X = np.ones((4, 5, 3), "float32")


def check(variables):
    assert {variable.value.device[-len(here) :] for variable in variables} == {here}


def tagger(config):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": {**config, "runtime": "tensorflow"}})
    return nlp


def train(nlp, examples, optimizer, steps=1):
    losses = [nlp.update(examples, sgd=optimizer, drop=0.1)["ner_lstm"] for _ in range(steps)]
    check(nlp.get_pipe("ner_lstm").model.layers[1].shims[0].keras_model.variables)
    return losses


def train_networks():
    nlp = tagger(SMALL_MODEL)
    examples = make_examples(nlp.vocab)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    losses = train(nlp, examples, optimizer, 4)
    assert losses[-1] < losses[0]
    with nlp.use_params(optimizer.averages):
        nlp("Anna Berg lives in Oslo .")
        saved = nlp.to_bytes()
    train(nlp, examples, SGD(0.001))  # by Thinc, as Adam is compiled
    again = tagger(SMALL_MODEL).from_bytes(saved)
    train(again, examples, again.resume_training())
    over_vectors = tagger(SMALL_TOK2VEC_MODEL)
    train(over_vectors, examples, over_vectors.initialize(lambda: examples))


def networks_of_others():
    built = [keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(2)]) for _ in range(3)]
    by_keras = keras.optimizers.Adam(0.01)
    return [
        (TensorFlowWrapper(built[0]), Adam(0.01)),
        (TensorFlowWrapper(built[1], optimizer=by_keras), None),
        (TensorFlowWrapper(keras.Sequential([keras.layers.Dense(2)])), Adam(0.01)),
        (TensorFlowWrapper(built[2]).copy(), Adam(0.01)),
    ]


def train_wrapper(wrapper, optimizer):
    shim = wrapper.shims[0]
    before = wrapper.predict(X)
    Y, backprop = wrapper.begin_update(X)
    backprop(np.ones_like(Y))
    wrapper.finish_update(optimizer)
    assert np.abs(wrapper.predict(X) - before).max() > 1e-3
    check(shim.keras_model.variables)
    if optimizer is None:
        check(shim._optimizer.variables)


# The first as with --gpu-id -1 where TensorFlow sees a GPU, the second as with --gpu-id 1.
for own, chosen in [("/CPU:1", "/CPU:0"), ("/CPU:0", "/CPU:1")]:
    here = chosen.replace("/", "/device:")
    with tf.device(own):
        others = networks_of_others()
        for one in others:
            train_wrapper(*one)  # moved, if need be
        print("=====", chosen, file=sys.stderr, flush=True)
        train_networks()
        for one in others:
            train_wrapper(*one)
        print("=====", file=sys.stderr, flush=True)
"""


@pytest.mark.slow
def test_all_is_on_the_wrappers_device():
    """Variables, moments, and each operation, whatever TensorFlow's own device is."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    shown = subprocess.run(
        [sys.executable, "-c", TRAINING],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0", "PYTHONPATH": path},
    )
    assert shown.returncode == 0, shown.stderr[-3000:]
    _, first, _, second, _ = shown.stderr.split("=====")
    for log in (first, second):
        (chosen,) = re.findall(r"\A /(\S+)", log)
        executed = re.findall(r"Executing op (\S+) in device \S*/device:(\S+)", log)
        assert len(executed) > 100
        assert {device for _, device in executed} == {chosen}


def trained(config):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": config})
    return overfit(nlp, 3)


def gather_gradients(nlp):
    """An update that is not finished."""
    nlp.update(make_examples(nlp.vocab), sgd=False)


def state(nlp):
    """The network's weights, and the gradients gathered for them."""
    shim = nlp.get_pipe("ner_lstm").model.layers[1].shims[0]
    gradients = {name: one.numpy() for name, one in shim._gradients.items()}
    return shim.keras_model.get_weights(), gradients


@pytest.fixture
def to_gpu(monkeypatch):
    """Thinc's ``model.to_gpu()`` as far as it goes without CuPy: it sets the active GPU."""
    module = ModuleType("cupy")
    module.cuda = ModuleType("cupy.cuda")
    module.cuda.device = ModuleType("cupy.cuda.device")
    module.cuda.device.Device = lambda number: contextlib.nullcontext()
    for one in (module, module.cuda, module.cuda.device):
        monkeypatch.setitem(sys.modules, one.__name__, one)


@pytest.mark.usefixtures("to_gpu")
def test_to_gpu_and_back(small_model, devices):
    nlp = trained({**small_model, "ngrams": [[0], [-1, 0]]})
    optimizer = nlp.resume_training()
    nlp.update(make_examples(nlp.vocab), sgd=optimizer)
    gather_gradients(nlp)
    before = state(nlp)
    model = nlp.get_pipe("ner_lstm").model
    for move, name in ((lambda: model.to_gpu(0), "/GPU:0"), (model.to_cpu, "/CPU:0")):
        devices.clear()
        move()
        assert_equal(state(nlp), before)
        nlp("Anna Berg lives in Oslo .")
        assert set(devices) == {name}
        assert model.layers[1].shims[0].device == name
    nlp.get_pipe("ner_lstm").finish_update(optimizer)
    nlp.update(make_examples(nlp.vocab), sgd=optimizer)
    assert np.abs(state(nlp)[0][0] - before[0][0]).max() > 1e-4


@pytest.mark.usefixtures("to_gpu")
def test_to_a_gpu_that_tensorflow_does_not_see(small_model):
    nlp = trained(small_model)
    gather_gradients(nlp)
    before = state(nlp)
    with pytest.raises(RuntimeError, match="/GPU:0, which TensorFlow does not see"):
        nlp.get_pipe("ner_lstm").model.to_gpu(0)
    nlp.get_pipe("ner_lstm").model.to_cpu()
    assert_equal(state(nlp), before)


def test_thinc_on_a_gpu_that_tensorflow_does_not_see(small_model, trained_nlp):
    """As where CuPy finds CUDA's libraries and TensorFlow does not."""
    before = get_current_ops()
    set_current_ops(NumpyOps(device_type="gpu"))
    try:
        with pytest.raises(RuntimeError, match="sees: no GPU"):
            trained(small_model)
        nlp = English.from_config(trained_nlp.config).from_bytes(trained_nlp.to_bytes())
        with pytest.raises(RuntimeError, match="sees: no GPU"):
            nlp("Anna Berg lives in Oslo .")
        set_runtime(nlp.get_pipe("ner_lstm").model, "onnx")
        assert nlp("Anna Berg lives in Oslo .").ents
    finally:
        set_current_ops(before)


def assert_equal(found, expected):
    """Compare two states bit for bit, neither without gradients."""
    assert found[1]
    assert srsly.msgpack_dumps(found) == srsly.msgpack_dumps(expected)
