"""The tagger's network in ONNX gives the factors that Keras gives."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ner_lstm_component import network_export  # noqa: F401  what is tested: it registers itself
from ner_lstm_component.crf import FORBIDDEN, iob2_allowed
from ner_lstm_component.onnx_export import export
from ner_lstm_component.onnx_runtime import OnnxNetwork
from ner_lstm_component.settings import NetworkSettings, TaggerSettings

keras = pytest.importorskip("keras")

from ner_lstm_component.network import build_network, build_vector_network  # noqa: E402

N_LABELS = 2
MASK = np.arange(5) < np.array([5, 3, 1])[:, None]
RNG = np.random.default_rng(0)
LEXICAL = NetworkSettings(
    rows=(30, 10), embed_width=4, width=8, hidden_width=4, depth=2, word_dropout=0.5
)
NETWORKS = {
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


@pytest.mark.parametrize(("make", "features"), NETWORKS.values(), ids=NETWORKS)
def test_factors_are_those_of_keras(make, features):
    network = make()
    network(features, MASK)
    rng = np.random.default_rng(1)
    network.set_weights([rng.normal(0, 0.7, w.shape) for w in network.weights])
    config = json.dumps(keras.saving.serialize_keras_object(network))
    weights = [(weight.path, weight.numpy()) for weight in network.weights]
    exported = OnnxNetwork(lambda: export(config, weights))
    emissions, transitions = exported.predict((features, MASK), {})
    expected = network(features, MASK)
    np.testing.assert_allclose(emissions[MASK], expected[0].numpy()[MASK], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(transitions, expected[1].numpy())
    assert (transitions[~iob2_allowed(N_LABELS)] == FORBIDDEN).all()
