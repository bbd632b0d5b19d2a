"""The setting ``precision``: int8 is close to float32, and saved weights stay as they are."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import spacy
from samples import SENTENCES, SMALL_MODEL

from ner_lstm_component.network.onnx import quantized
from ner_lstm_component.service.application import create_app
from ner_lstm_component.tensorflow_wrapper import onnx_runtime, shim

TEXTS = [" ".join(token.partition("/")[0] for token in s.split()) for s in SENTENCES]


@pytest.fixture(autouse=True)
def vnni(monkeypatch):
    """What a processor with these instructions does, on any processor."""
    monkeypatch.setattr(shim, "has_int8_instructions", lambda: True)


@pytest.fixture
def saved(trained_nlp, tmp_path):
    trained_nlp.to_disk(tmp_path / "pipeline")
    return tmp_path / "pipeline"


def emissions(nlp):
    return nlp.get_pipe("ner_lstm").potentials(list(map(nlp.make_doc, TEXTS))).emissions


def entities(nlp):
    return [[(ent.start, ent.end, ent.label_) for ent in nlp(text).ents] for text in TEXTS]


def test_quantized_weights():
    weights = np.random.default_rng(0).normal(size=(2, 12, 5)).astype(np.float32)
    weights[0, 3] = 0
    integers, scales, zeros = quantized(weights)
    assert (integers.shape, integers.dtype) == ((2, 5, 12), np.int8)
    assert (np.abs(integers).max(axis=1)[scales != 1] == 127).all()
    assert not zeros.any()
    restored = integers.transpose(0, 2, 1) * scales[:, :, None]
    assert (np.abs(restored - weights) <= scales[:, :, None] * 0.501).all()


def test_int8_is_close_to_float32(saved):
    exact, quick = spacy.load(saved), spacy.load(saved)
    assert exact.get_pipe("ner_lstm").precision == "float32"
    quick.get_pipe("ner_lstm").precision = "int8"
    difference = np.abs(emissions(quick) - emissions(exact))
    assert 0 < difference.max() < 0.2
    assert entities(quick) == entities(exact)
    quick.get_pipe("ner_lstm").precision = "float32"
    np.testing.assert_array_equal(emissions(quick), emissions(exact))


def test_float32_weights_are_saved(saved, tmp_path):
    nlp = spacy.load(saved)
    nlp.get_pipe("ner_lstm").precision = "int8"
    emissions(nlp)
    nlp.to_disk(tmp_path / "again")
    model = "ner_lstm/model"
    assert (tmp_path / "again" / model).read_bytes() == (saved / model).read_bytes()
    network = nlp.get_pipe("ner_lstm").model.layers[1].shims[0]
    assert b"DynamicQuantizeLSTM" not in network.to_onnx()


def test_the_config_has_it():
    nlp = spacy.blank("en")
    settings = {**SMALL_MODEL, "@architectures": "ner_lstm_component.KerasLSTMTagger.v2"}
    ner = nlp.add_pipe("ner_lstm", config={"model": {**settings, "precision": "int8"}})
    assert ner.precision == "int8"
    ner.precision = "float32"
    assert nlp.config["components"]["ner_lstm"]["model"]["precision"] == "float32"
    with pytest.raises(ValueError, match="'precision' must be one of 'float32', 'int8'"):
        ner.precision = "int4"
    with pytest.raises(ValueError, match="'precision' must be one of"):
        nlp.add_pipe("ner_lstm", "b", config={"model": {**settings, "precision": "half"}})


def test_without_the_instructions_it_stays_float32(saved, monkeypatch, caplog):
    monkeypatch.setattr(shim, "has_int8_instructions", lambda: False)
    exact, other = spacy.load(saved), spacy.load(saved)
    with caplog.at_level(logging.WARNING, "ner_lstm_component"):
        other.get_pipe("ner_lstm").precision = "int8"
    (message,) = caplog.messages
    assert message.startswith("The network computes in float32, not in int8 (precision): this")
    np.testing.assert_array_equal(emissions(other), emissions(exact))


@pytest.mark.parametrize(
    ("flags", "machine", "expected"),
    [
        ("flags : fpu avx2 avx512_vnni", "x86_64", True),
        ("flags : fpu avx2 avx_vnni", "x86_64", True),
        ("flags : fpu avx2 avx512f", "x86_64", False),
        ("Features : fp asimd asimddp", "aarch64", True),
        (None, "arm64", True),
        (None, "AMD64", False),
    ],
)
def test_which_processors_have_the_instructions(monkeypatch, tmp_path, flags, machine, expected):
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(flags)
    monkeypatch.setattr(onnx_runtime, "Path", lambda _: path)
    monkeypatch.setattr(onnx_runtime.platform, "machine", lambda: machine)
    assert onnx_runtime.has_int8_instructions.__wrapped__() is expected


def test_the_service_takes_a_precision(saved):
    client = create_app(str(saved), precision="int8").test_client()
    assert client.get("/version").json["runtime"]["precision"] == "int8"
    assert client.post("/predict", json={"text": TEXTS[0]}).json["ents"]
