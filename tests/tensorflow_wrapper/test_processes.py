"""A wrapper in threads, in forks and in other processes."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from keras_networks import KINDS, X, assert_all_close, child_says, floats, keras_of, shim_of
from numpy.testing import assert_allclose

from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper, set_keras_model


@pytest.mark.parametrize(("kind", "is_loaded"), [("unbuilt", False), ("recurrent", True)])
def test_predict_in_threads(kind, is_loaded):
    """All at once, also the first call, which builds, restores and compiles."""
    wrapper = TensorFlowWrapper(KINDS[kind]())
    batches = [floats(2, 2 + i % 4, 3, seed=i) for i in range(16)]
    if is_loaded:
        wrapper.predict(X)
        wrapper = TensorFlowWrapper(runtime="tensorflow").from_bytes(wrapper.to_bytes())
    barrier = threading.Barrier(8)

    def predict(i: int) -> list[np.ndarray]:
        barrier.wait(timeout=30)
        return [wrapper.predict(batch) for batch in batches[i:] + batches[:i]]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(predict, range(8)))
    expected = [wrapper.predict(batch) for batch in batches]
    for i, found in enumerate(results):
        assert_all_close(found, expected[i:] + expected[:i])
    assert shim_of(wrapper).traces == 1


@pytest.mark.parametrize("action", ["predict", "train", "to_bytes", "loaded", "new", "empty"])
def test_forked_child_is_told(small, action):
    """TensorFlow's threads are missing in a fork: without a check it waits forever."""
    small.predict(X)
    loaded = TensorFlowWrapper(runtime="tensorflow").from_bytes(small.to_bytes())
    empty = TensorFlowWrapper()
    actions = {
        "predict": lambda: small.predict(X),
        "train": lambda: small.begin_update(X),
        "to_bytes": small.to_bytes,
        "loaded": lambda: loaded.predict(X),
        "new": lambda: TensorFlowWrapper(keras_of(small)),
        "empty": lambda: set_keras_model(empty, keras_of(small)),
    }
    message = child_says(actions[action])
    assert message.startswith("RuntimeError: TensorFlow was started in the parent")
    assert "set_start_method('spawn')" in message


NETWORKS = """
import keras

@keras.saving.register_keras_serializable("networks")
class Custom(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2, activation="tanh")

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {"name": self.name}
"""

CHILD = """
import json, multiprocessing, sys
import numpy as np
from thinc.api import Adam
from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper

def heavy():
    return [name for name in ("tensorflow", "keras", "networks") if name in sys.modules]

def predict(path, shape):
    # Names that Keras makes up count on from these.
    import keras
    for _ in range(3):
        keras.layers.Dense(1)
    return wrapper.predict(np.linspace(-1, 1, 30, dtype="float32").reshape(shape)).tolist()

folder = sys.argv[1]
sys.path.insert(0, folder)
found = {"imported": heavy()}
wrapper = TensorFlowWrapper(imports=["networks"]).from_disk(folder + "/network")
found["loaded"] = heavy()
with multiprocessing.get_context("fork").Pool(1) as pool:
    found["forked"] = pool.apply_async(predict, (folder, (2, 5, 3))).get(timeout=120)
found["after fork"] = heavy()

found["predicted"] = predict(folder, (2, 5, 3))
wrapper.to_disk(folder + "/again")
Y, backprop = wrapper.begin_update(np.zeros((2, 5, 3), "float32"))
backprop(np.ones_like(Y))
optimizer = Adam(0.1)
wrapper.finish_update(optimizer)
found["updated"] = predict(folder, (2, 5, 3))
with wrapper.use_params(optimizer.averages):
    found["averages"] = predict(folder, (2, 5, 3))
print(json.dumps(found))
"""


def test_other_process(tmp_path, monkeypatch):
    """Loads what was saved here, and imports TensorFlow for the first call."""
    (tmp_path / "networks.py").write_text(NETWORKS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    wrapper = TensorFlowWrapper(importlib.import_module("networks").Custom())
    expected = wrapper.predict(np.linspace(-1, 1, 30, dtype="float32").reshape(2, 5, 3))
    wrapper.to_disk(tmp_path / "network")
    run = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path], capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["imported"] == found["loaded"] == found["after fork"] == []
    assert_allclose(found["predicted"], expected, rtol=1e-5)
    assert_allclose(found["forked"], expected, rtol=1e-5)
    assert len({str(found[key]) for key in ("predicted", "updated", "averages")}) == 3
    assert (tmp_path / "again").read_bytes() == (tmp_path / "network").read_bytes()
