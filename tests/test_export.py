"""The exported network, opened where this package is not imported."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import spacy
import tensorflow as tf
from samples import overfit, run_app
from spacy.tokens import Doc

import ner_lstm_component
from ner_lstm_component import cli, kernels
from ner_lstm_component.cli import app
from ner_lstm_component.decoding import crf
from ner_lstm_component.export import SENTENCES, export_network, plain_network

README = Path(__file__).parents[1] / "docs" / "network-alone.md"
NETWORKS = ["model.keras", "ner_lstm.h5", "ner_lstm.onnx"]
NAMES = [*NETWORKS, "network.json", "sample.npz", "transitions.npy"]


@pytest.fixture(scope="module")
def folder(trained_nlp, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    trained_nlp.to_disk(folder / "pipeline")
    run_app(app, "export", folder / "pipeline", "--output", folder / "models")
    return folder


def snippet(heading: str) -> str:
    (code,) = re.findall(rf"{heading}.*?```python\n(.*?)```", README.read_text(), re.S)
    return code


def test_files(folder, trained_nlp):
    assert sorted(path.name for path in (folder / "models").iterdir()) == NAMES
    settings = json.loads((folder / "models" / "network.json").read_text(encoding="utf-8"))
    component = trained_nlp.get_pipe("ner_lstm")
    assert (settings["labels"], settings["tags"]) == (list(component.labels), list(component.tags))
    assert len(settings["sentences"]) == len(SENTENCES) == 10
    assert settings["model"]["features"] == ["LOWER", "SHAPE", "PREFIX3", "SUFFIX3"]
    onnx.checker.check_model(folder / "models" / "ner_lstm.onnx", full_check=True)


def onnx_snippet() -> str:
    """The documented code with ONNX Runtime replacing Keras, as the page describes."""
    code = snippet("With ONNX Runtime in place of Keras")
    lines = snippet("<!-- tests run this snippet -->").splitlines()
    kept = [line for line in lines if "keras" not in line and not line.startswith("emissions = ")]
    place = next(k for k, line in enumerate(kept) if line.startswith("for scores"))
    return "\n".join([*kept[:place], code, *kept[place:]])


@pytest.mark.parametrize("name", NETWORKS)
def test_documented_snippet_gives_the_pipelines_tags(folder, trained_nlp, name):
    code = snippet("<!-- tests run this snippet -->").replace("model.keras", name)
    if name.endswith("onnx"):
        code = onnx_snippet()
    code += "\nimport sys\nassert 'ner_lstm_component' not in sys.modules"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True
    )
    found = [line.split() for line in shown.stdout.splitlines()]
    docs = trained_nlp.pipe(SENTENCES)
    expected = [[f"{t.ent_iob_}-{t.ent_type_}".rstrip("-") for t in doc] for doc in docs]
    assert found == expected
    assert any(tag != "O" for tags in found for tag in tags)
    names = trained_nlp.get_pipe("ner_lstm").tags
    rows = np.load(folder / "models" / "sample.npz")["tags"]
    assert [[names[k] for k in row[row >= 0]] for row in rows] == expected


def test_plain_network_is_a_copy_and_has_only_layers(trained_nlp):
    x = keras.Input((None, 3))
    with pytest.raises(ValueError, match="operation 'Exp', which is no layer"):
        plain_network(keras.Model(x, keras.ops.exp(x)))
    encoder = trained_nlp.get_pipe("ner_lstm").model.layers[1].shims[0].keras_model.encoder
    plain = plain_network(encoder)
    before = encoder.get_weights()[0].copy()
    assert all(type(layer).__module__.startswith("keras.") for layer in plain.operations)
    plain.set_weights([weights * 0 for weights in plain.get_weights()])
    np.testing.assert_array_equal(encoder.get_weights()[0], before)


def test_export_in_any_keras_settings(trained_nlp, tmp_path, keras_settings):
    export_network(trained_nlp, tmp_path)
    network = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    sample = np.load(tmp_path / "sample.npz")
    emissions = np.asarray(network([sample["features"], sample["mask"]]))
    assert emissions.dtype == np.float32
    docs = sentences(trained_nlp, tmp_path)
    expected = trained_nlp.get_pipe("ner_lstm").model.predict(docs).emissions
    np.testing.assert_allclose(emissions[sample["mask"]], expected, atol=1e-5)


def sentences(nlp, folder):
    """The exported sentences, each as a Doc of one sentence."""
    settings = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    return [
        Doc(nlp.vocab, words=words, sent_starts=[True] + [False] * (len(words) - 1))
        for words in settings["sentences"]
    ]


@pytest.fixture(params=["vectors", "both"])
def listening(request, tok2vec_model, small_tok2vec_model, small_model):
    """A pipeline whose network reads the vectors of ``tok2vec``, alone or beside features."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": tok2vec_model})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 24, "upstream": "*"}
    model = small_tok2vec_model
    if request.param == "both":
        model = {**small_model, "@architectures": "ner_lstm_component.KerasLSTMTagger.v2"}
    nlp.add_pipe("ner_lstm", config={"model": {**model, "tok2vec": listener}})
    return overfit(nlp, 2)


def test_sample_of_a_listener_has_the_vectors(listening, tmp_path):
    listening.add_pipe("sentencizer", first=True)
    export_network(listening, tmp_path)
    sample = np.load(tmp_path / "sample.npz")
    docs = sentences(listening, tmp_path)
    vectors = listening.get_pipe("tok2vec").predict(docs)
    arrays = {name: sample[name] for name in ("features", "mask", "vectors") if name in sample}
    if "vectors" not in arrays:
        arrays["vectors"] = arrays.pop("features")
    np.testing.assert_allclose(arrays["vectors"][sample["mask"]], np.concatenate(vectors))
    assert np.abs(arrays["vectors"]).max() > 0.1
    session = onnxruntime.InferenceSession(tmp_path / "ner_lstm.onnx")
    (emissions,) = session.run(None, arrays)
    for name in NETWORKS[:2]:
        network = keras.saving.load_model(tmp_path / name, compile=False)
        of_keras = np.asarray(network([arrays[one.name] for one in network.inputs]))
        np.testing.assert_allclose(of_keras[sample["mask"]], emissions[sample["mask"]], atol=1e-4)
    transitions = np.load(tmp_path / "transitions.npy")
    lengths = np.array([len(doc) for doc in docs])
    tags = crf.viterbi(emissions[sample["mask"]], transitions, lengths)
    np.testing.assert_array_equal(tags, sample["tags"][sample["mask"]])


def test_listener_without_its_component(listening, tmp_path):
    with (
        listening.select_pipes(disable="tok2vec"),
        pytest.raises(ValueError, match=r"'ner_lstm' listens to .*replace_listeners"),
    ):
        export_network(listening, tmp_path)
    listening.replace_listeners("tok2vec", "ner_lstm", ["model.tok2vec"])
    listening.remove_pipe("tok2vec")
    export_network(listening, tmp_path)
    sample = np.load(tmp_path / "sample.npz")
    assert np.abs(sample["vectors" if "vectors" in sample else "features"]).max() > 0.1


def test_version(monkeypatch):
    shown = run_app(app, "--version").output
    assert f"ner-lstm-component {ner_lstm_component.__version__}\n" in shown
    for name, package in (("spaCy", spacy), ("TensorFlow", tf), ("ONNX Runtime", onnxruntime)):
        assert f"{name} {package.__version__}\n" in shown
    assert ("Kernels: compiled\n" in shown) is kernels.IS_COMPILED
    monkeypatch.setattr(cli, "packages_distributions", dict)
    monkeypatch.setattr(kernels, "IS_COMPILED", False)
    shown = run_app(app, "--version").output
    assert "TensorFlow is not installed\nONNX Runtime is not installed\n" in shown
    assert "Kernels: not compiled" in shown


def test_pipelines_without_a_network(tmp_path, trained_nlp):
    untrained = spacy.blank("en")
    untrained.add_pipe("ner_lstm")
    with pytest.raises(ValueError, match="not initialized"):
        export_network(untrained, tmp_path)
    (tmp_path / "file").touch()
    spacy.blank("en").to_disk(tmp_path / "blank")
    trained_nlp.to_disk(tmp_path / "pipeline")
    for model, output, message in [
        ("missing", "models", "cannot be loaded"),
        ("blank", "models", "no component 'ner_lstm'"),
        ("pipeline", "file", "cannot be written"),
    ]:
        arguments = ("export", tmp_path / model, "--output", tmp_path / output)
        assert message in run_app(app, *arguments, exit_code=1).output
