"""What TensorFlow's data parallelism does in spaCy's loop, on two logical CPU devices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
import spacy
import tensorflow as tf
from samples import SMALL_MODEL, make_examples

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
nlp = spacy.blank("en")
ner = nlp.add_pipe("ner_lstm", config={{"model": SMALL_MODEL}})
examples = make_examples(nlp.vocab)
with tf.distribute.MirroredStrategy(["/CPU:0", "/CPU:1"]).scope():
    optimizer = nlp.initialize(lambda: examples)
losses = [nlp.update(examples, sgd=optimizer)["ner_lstm"] for _ in range(3)]
assert losses[2] < losses[0]
network = ner.model.layers[1].shims[0].keras_model
for weight in network.trainable_weights:
    first, second = weight.value.values
    assert first.device != second.device
    assert (first.numpy() == second.numpy()).all()
print("equal")
"""


@pytest.mark.slow
def test_mirrored_weights_stay_equal():
    code = CODE.format(tests=str(Path(__file__).parents[1]))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "equal\n", result.stderr
