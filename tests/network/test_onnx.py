"""The tagger's network in ONNX gives the factors that Keras gives."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ner_lstm_component import kernels
from ner_lstm_component.decoding.crf import FORBIDDEN, iob2_allowed
from ner_lstm_component.features.lexical import HASHES
from ner_lstm_component.network.settings import NetworkSettings, TaggerSettings
from ner_lstm_component.tensorflow_wrapper.onnx_export import export
from ner_lstm_component.tensorflow_wrapper.onnx_runtime import OnnxNetwork

keras = pytest.importorskip("keras")

from ner_lstm_component.network.bilstm_crf import build_network, build_vector_network  # noqa: E402

N_LABELS = 2
MASK = np.arange(5) < np.array([5, 3, 1])[:, None]
RNG = np.random.default_rng(0)
LEXICAL = NetworkSettings(
    rows=(30, 10), embed_width=4, width=8, hidden_width=4, depth=2, word_dropout=0.5
)
WITH_LEXICON = replace(LEXICAL, rows=(20, 5), ngrams=((0,), (-1, 0)))
NETWORKS = {
    "lexicon": (
        lambda: build_network(WITH_LEXICON, N_LABELS),
        RNG.integers(0, 40, (3, 5, 8)).astype(np.int32),
    ),
    "lexical": (
        lambda: build_network(LEXICAL, N_LABELS),
        RNG.integers(0, 40, (3, 5, 4)).astype(np.int32),
    ),
    "parts of speech": (
        lambda: build_network(LEXICAL, N_LABELS, n_pos=3),
        RNG.integers(0, 40, (3, 5, 4)).astype(np.int32),
    ),
    "vectors": (
        lambda: build_vector_network(TaggerSettings(hidden_width=4, depth=1), 6, N_LABELS),
        RNG.normal(size=(3, 5, 6)).astype(np.float32),
    ),
}


def saved(network):
    """What the shim keeps of a network."""
    weights = [(weight.path, weight.numpy()) for weight in network.weights]
    return keras.saving.serialize_keras_object(network), weights


def built(settings):
    network = build_network(settings, N_LABELS)
    n_ids = HASHES * (len(settings.rows) + len(settings.ngrams))
    network(np.zeros((3, 5, n_ids), np.int32), MASK)
    return network


@pytest.mark.parametrize("embeds", [False, True])
@pytest.mark.parametrize(("make", "features"), NETWORKS.values(), ids=NETWORKS)
def test_factors_are_those_of_keras(make, features, embeds):
    network = make()
    network(features, MASK)
    rng = np.random.default_rng(1)
    network.set_weights([rng.normal(0, 0.7, w.shape) for w in network.weights])
    config, weights = saved(network)
    exported = OnnxNetwork(lambda: export(json.dumps(config), weights, embeds=embeds))
    expected = network(features, MASK)
    for _ in range(2):  # Of the second call's rows all are known.
        emissions, transitions = exported.predict((features, MASK), {})
        np.testing.assert_allclose(emissions[MASK], expected[0].numpy()[MASK], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(transitions, expected[1].numpy())
    assert (transitions[~iob2_allowed(N_LABELS)] == FORBIDDEN).all()


@pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler")
@pytest.mark.parametrize(("settings", "parts"), [(LEXICAL, (4,)), (WITH_LEXICON, (4, 4))])
def test_products_of_ids_are_left_out_of_the_graph_if_wanted(settings, parts):
    network = built(settings)
    config, weights = saved(network)
    assert export(json.dumps(config), weights).embedded == {}
    exported = export(json.dumps(config), weights, embeds=True)
    ((ids, product),) = exported.embedded.values()
    assert ids.dtype == "int32"
    assert product.parts == parts
    table = network.encoder.get_layer("embedding").get_weights()[0]
    assert all(array.shape != table.shape for array in exported.graph.arrays.values())


@pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler")
def test_networks_saved_without_parts_are_whole_graphs():
    config, weights = saved(built(LEXICAL))
    del config["config"]["id_parts"]
    assert export(json.dumps(config), weights, embeds=True).embedded == {}
