"""The tagger's network in ONNX gives the potentials that Keras gives; others are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from ner_lstm_component import kernels
from ner_lstm_component.decoding.crf import FORBIDDEN, iob2_allowed
from ner_lstm_component.network.onnx import export_bilstm_crf
from ner_lstm_component.network.settings import NetworkSettings
from ner_lstm_component.tensorflow_wrapper.onnx_runtime import OnnxNetwork, UnsupportedNetwork

keras = pytest.importorskip("keras")

from keras import layers, ops  # noqa: E402

from ner_lstm_component.network.bilstm_crf import (  # noqa: E402
    BiLSTMCRF,
    build_network,
)

N_LABELS = 2
MASK = np.arange(5) < np.array([5, 3, 1])[:, None]
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(3, 5, 6)).astype(np.float32)
IDS = RNG.integers(0, 40, (3, 5, 8)).astype(np.int32)
LEXICAL = NetworkSettings(
    rows=(30, 10), embed_width=4, width=8, hidden_width=4, depth=3, word_dropout=0.5
)
WITH_LEXICON = replace(LEXICAL, rows=(20, 5), ngrams=((0,), (-1, 0)), depth=1)
BESIDE_LEXICON = replace(WITH_LEXICON, vector_width=6)
NETWORKS: dict[str, tuple[Callable[[], Any], tuple[np.ndarray, ...]]] = {
    "lexicon": (lambda: build_network(WITH_LEXICON, N_LABELS), (IDS,)),
    "lexical": (lambda: build_network(LEXICAL, N_LABELS), (IDS[:, :, :4],)),
    "parts of speech": (lambda: build_network(LEXICAL, N_LABELS, n_pos=3), (IDS[:, :, :4],)),
    "vectors beside a lexicon": (lambda: build_network(BESIDE_LEXICON, N_LABELS), (IDS, VECTORS)),
    "mixed vectors": (
        lambda: build_network(NetworkSettings(4, 1, width=8, vector_width=6), N_LABELS),
        (VECTORS,),
    ),
    "vectors": (lambda: build_network(NetworkSettings(4, 2, vector_width=6), N_LABELS), (VECTORS,)),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network_and_features(request):
    """A network of random weights, biases and norms too, so that a mix-up shows."""
    make, features = NETWORKS[request.param]
    network = make()
    network(*inputs(features))
    randomize(network)
    return network, features


def inputs(features, sequences=slice(None), time=5):
    """The arguments of a network for some sequences, cut at a time."""
    first, *others = (one[sequences, :time] for one in features)
    return first, MASK[sequences, :time], *others


def randomize(network):
    rng = np.random.default_rng(1)
    network.set_weights([rng.normal(0, 0.7, w.shape) for w in network.weights])


def saved(network: Any) -> tuple[dict, list[tuple[str, np.ndarray]]]:
    """The network as the shim keeps it."""
    weights = [(weight.path, weight.numpy()) for weight in network.weights]
    return json.loads(json.dumps(keras.saving.serialize_keras_object(network))), weights


def assert_like_keras(network, features, is_standalone):
    state = saved(network)
    exported = OnnxNetwork(lambda: export_bilstm_crf(*state, is_standalone))
    expected = network(*inputs(features))
    for _ in range(2):  # the second call finds all its rows remembered
        emissions, transitions = exported.predict(inputs(features), {})
        np.testing.assert_allclose(emissions[MASK], expected[0].numpy()[MASK], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(transitions, expected[1].numpy())
        assert (transitions[~iob2_allowed(N_LABELS)] == FORBIDDEN).all()
        transitions[:] = 7  # the caller's own
    (one,), _ = exported.predict(inputs(features, slice(1, 2), 3), {})
    np.testing.assert_allclose(one, expected[0].numpy()[1, :3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("is_standalone", [False, True])
def test_potentials_are_those_of_keras(network_and_features, is_standalone):
    assert_like_keras(*network_and_features, is_standalone)
    graph = export_bilstm_crf(*saved(network_and_features[0]), is_standalone).graph
    onnx.checker.check_model(graph.to_bytes(with_arrays=True), full_check=True)


def test_restored_networks_name_their_weights_otherwise():
    """Keras drops the outer names of an LSTM's weights when it restores a network."""
    network = build_network(LEXICAL, N_LABELS)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    restored(IDS[:, :, :4], MASK)
    assert len({weight.path for weight in restored.weights}) < len(restored.weights)
    randomize(restored)
    assert_like_keras(restored, (IDS[:, :, :4],), is_standalone=True)


@pytest.fixture(scope="module")
def state():
    network = build_network(WITH_LEXICON, N_LABELS)
    network(IDS, MASK)
    return saved(network)


@pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler")
@pytest.mark.parametrize("has_id_parts", [True, False])
@pytest.mark.parametrize("is_standalone", [True, False])
def test_embeddings_are_not_in_the_graph_unless_it_is_whole(state, is_standalone, has_id_parts):
    """Networks saved without ``id_parts`` are whole graphs too."""
    config, weights = state
    id_parts = config["config"]["id_parts"] if has_id_parts else None
    config = {**config, "config": {**config["config"], "id_parts": id_parts}}
    exported = export_bilstm_crf(config, weights, is_standalone)
    is_whole = is_standalone or not has_id_parts
    shapes = [array.shape for array in exported.graph.arrays.values()]
    assert (dict(weights)["embedding/embeddings"].shape in shapes) is is_whole
    assert (exported.prepare is None) is is_whole
    assert exported.arguments[0].dtype == np.int32


def test_weights_must_fit(state):
    config, weights = state
    with pytest.raises(UnsupportedNetwork, match="'crf/transitions', which is missing"):
        export_bilstm_crf(*saved(build_network(WITH_LEXICON, N_LABELS)), True)
    wrong = [(path, array[:-1] if path == "mix/bias" else array) for path, array in weights]
    with pytest.raises(UnsupportedNetwork, match=r"'mix/bias' of shape \(7,\)"):
        export_bilstm_crf(config, wrong, True)


class Doubled(layers.Layer):
    def call(self, inputs):
        return inputs * 2


def bilstm(merge_mode: str = "concat", **settings: Any) -> Any:
    lstm = layers.LSTM(3, return_sequences=True, **settings)
    return layers.Bidirectional(lstm, merge_mode=merge_mode, name="both")


def same_twice(x: Any) -> Any:
    dense = layers.Dense(6, name="twice")
    return dense(dense(x))


OTHERS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "layer": (lambda x, mask: layers.BatchNormalization(name="bn")(x), "'bn'.*BatchNormalization"),
    "own class": (lambda x, mask: Doubled(name="mine")(x), "'mine'.*Doubled"),
    "operation": (lambda x, mask: ops.cumsum(x, axis=1), "Cumsum"),
    "constant": (lambda x, mask: x + 1.0, "Add.*called with"),
    "activation": (
        lambda x, mask: layers.Dense(6, activation="selu", name="d")(x),
        "'d'.*activation='selu'",
    ),
    "cell": (lambda x, mask: bilstm(activation="relu")(x, mask=mask), "both.*activation='relu'"),
    "merge": (lambda x, mask: bilstm(merge_mode="sum")(x, mask=mask), "merge_mode='sum'"),
    "no mask": (lambda x, mask: bilstm()(x), "'both'.*without the mask"),
    "other mask": (
        lambda x, mask: bilstm()(x, mask=ops.logical_not(mask)),
        "'both'.*without the mask",
    ),
    "norm": (lambda x, mask: layers.LayerNormalization(center=False)(x), "center=False"),
    # Some versions of Keras convert the layer's input by a layer of its own.
    "precision": (lambda x, mask: layers.Dense(6, dtype="float16")(x), "dtype='float16'|Cast"),
    "dropout": (lambda x, mask: layers.Dropout(0.5)(x, training=True), "Dropout.*'training': True"),
    "call": (lambda x, mask: same_twice(x), "called with.*'twice', 1"),
}


def assert_refused(inputs, hidden, message):
    emissions = layers.Dense(2 * N_LABELS + 1, name="emissions")(hidden)
    try:
        encoder = keras.Model(inputs, emissions)
    except ValueError as error:
        pytest.skip(f"this version of Keras refuses it: {error}")
    network = BiLSTMCRF(encoder, N_LABELS)
    with pytest.raises(UnsupportedNetwork, match=message):
        export_bilstm_crf(*saved(network), True)


@pytest.mark.parametrize(("hidden", "message"), OTHERS.values(), ids=OTHERS)
def test_other_encoders_are_refused_by_name(hidden, message):
    features, mask = keras.Input((None, 6)), keras.Input((None,), dtype="bool")
    assert_refused([features, mask], hidden(features, mask), message)


@pytest.mark.parametrize("axis", [1, 2])
def test_other_sums_are_refused(axis):
    ids, mask = keras.Input((None, 8), dtype="int32"), keras.Input((None,), dtype="bool")
    grouped = layers.Reshape((-1, 4, 2, 3))(layers.Embedding(9, 3)(ids))
    flat = layers.Reshape((-1, 6))(ops.sum(grouped, axis=axis))
    assert_refused([ids, mask], flat, f"Sum.*axis={axis}")


def test_other_concatenations_are_refused():
    features, mask = keras.Input((None, 6)), keras.Input((None,), dtype="bool")
    both = layers.Concatenate(name="twice")([features, features])
    assert_refused([features, mask], layers.Dense(4)(both), "'twice' .Concatenate")


def test_other_networks_are_refused(state):
    config, weights = state
    with pytest.raises(UnsupportedNetwork, match="its class, Sequential"):
        export_bilstm_crf(*saved(keras.Sequential([layers.Dense(2)])), True)
    encoder = {"class_name": "Sequential", "config": {"layers": []}}
    changed = {**config, "config": {**config["config"], "encoder": encoder}}
    with pytest.raises(UnsupportedNetwork, match=r"its encoder \(Sequential\)"):
        export_bilstm_crf(changed, weights, True)
