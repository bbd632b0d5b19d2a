"""The Keras network, and its CRF against `decoding.crf`, which is tested against enumeration."""

from dataclasses import replace

import numpy as np
import pytest

from ner_lstm_component.decoding import crf
from ner_lstm_component.network.settings import NetworkSettings

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from ner_lstm_component.features.lexical import HASHES  # noqa: E402
from ner_lstm_component.network.bilstm_crf import BiLSTMCRF, build_network  # noqa: E402
from ner_lstm_component.network.crf_layer import crf_loss  # noqa: E402

ROWS = (30, 10)
N_LABELS = 2
SETTINGS = NetworkSettings(
    rows=ROWS, embed_width=4, width=8, hidden_width=6, depth=2, word_dropout=0.5
)


@pytest.fixture(scope="module")
def network():
    return build_network(SETTINGS, N_LABELS)


@pytest.fixture
def batch():
    """Ids and mask of sequences of lengths 5, 3 and 1."""
    rng = np.random.default_rng(0)
    offsets = np.repeat(np.cumsum([0, *ROWS[:-1]]), HASHES)
    ids = rng.integers(0, 10, (3, 5, len(ROWS) * HASHES)) + offsets
    mask = np.arange(5) < np.array([5, 3, 1])[:, None]
    return ids.astype(np.int32), mask


def random_potentials(rng, mask, n_labels):
    n_tags = 2 * n_labels + 1
    emissions = rng.normal(0, 2, (*mask.shape, n_tags)).astype(np.float32)
    transitions = rng.normal(0, 1, (n_tags + 1, n_tags + 1)).astype(np.float32)
    allowed = crf.iob2_allowed(n_labels)
    return emissions, np.where(allowed, transitions, crf.FORBIDDEN).astype(np.float32)


def loss_and_gradient(emissions, transitions, mask, targets, scale=1.0):
    e, t = tf.constant(emissions), tf.constant(transitions)
    with tf.GradientTape() as tape:
        tape.watch([e, t])
        loss = scale * crf_loss(e, t, tf.constant(mask), tf.constant(targets))
    return (loss, *(gradient.numpy() for gradient in tape.gradient(loss, [e, t])))


@pytest.mark.parametrize("seed", range(3))
def test_compiled_loss_and_gradient_are_those_of_numpy(batch, seed):
    rng = np.random.default_rng(seed)
    mask = batch[1]
    emissions, transitions = random_potentials(rng, mask, N_LABELS)
    targets = rng.random(emissions.shape) < 0.3
    # O, B-x or I-x after it: some valid sequence agrees with the annotation.
    targets[..., 0] |= rng.random(mask.shape) < 0.7
    targets[:, 1::2, 1:3] |= ~targets[:, 1::2, :1]
    targets[:, ::2, 1] |= ~targets[:, ::2, 0]
    potentials = crf.Potentials(emissions[mask], transitions, mask.sum(axis=1))
    expected = crf.negative_log_likelihood(potentials, targets[mask])
    loss, d_emissions, d_transitions = loss_and_gradient(emissions, transitions, mask, targets, 3.0)
    assert float(loss) == pytest.approx(3 * expected.loss, rel=1e-5)
    np.testing.assert_allclose(d_emissions[mask], 3 * expected.emissions, atol=2e-5)
    np.testing.assert_allclose(d_emissions[~mask], 0)
    np.testing.assert_allclose(d_transitions, 3 * expected.transitions, atol=2e-5)


@pytest.mark.parametrize("gap", [100, 250])
def test_loss_of_scores_far_apart(gap):
    """A tag that scores a hundred less than the best may be needed by the next token."""
    mask = np.ones((1, 3), bool)
    emissions = np.zeros((1, 3, 5), np.float32)
    emissions[0, 0, 0] = gap  # O by far
    emissions[0, 1, 2] = 3 * gap  # then I-x, which only B-x allows
    transitions = np.where(crf.iob2_allowed(2), 0.0, crf.FORBIDDEN).astype(np.float32)
    targets = np.ones(emissions.shape, bool)
    targets[0, 1] = [True, False, False, False, False]
    loss, d_emissions, d_transitions = loss_and_gradient(emissions, transitions, mask, targets)
    # Almost all weight is on B-x I-x, which four tags may follow; of what agrees with the
    # annotation on O O, which three may.
    assert float(loss) == pytest.approx(2 * gap + np.log(4 / 3), rel=1e-6)
    expected = np.zeros((2, 5))
    expected[0, :2], expected[1, [0, 2]] = [-1, 1], [-1, 1]
    np.testing.assert_allclose(d_emissions[0, :2], expected, atol=1e-5)
    assert np.isfinite(d_transitions).all()
    assert float(d_transitions[1, 2]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("is_lexical", [True, False])
def test_padding_changes_nothing(batch, network, is_lexical):
    features, mask = batch
    if not is_lexical:
        network = build_network(NetworkSettings(6, 2, vector_width=3), N_LABELS)
        features = np.random.default_rng(0).normal(0, 1, (*mask.shape, 3)).astype(np.float32)
    emissions, transitions = network(features, mask)
    alone, _ = network(features[1:2, :3], mask[1:2, :3])
    assert emissions.shape == (*mask.shape, 2 * N_LABELS + 1)
    np.testing.assert_allclose(emissions[1, :3], alone[0], atol=1e-5)
    allowed = crf.iob2_allowed(N_LABELS)
    assert (np.asarray(transitions) == np.where(allowed, 0, crf.FORBIDDEN)).all()


def test_words_are_hidden_in_training_only(network, batch):
    ids, mask = batch
    hidden = np.asarray(network._hide(np.tile(ids, (20, 20, 1))))
    share = (hidden[..., :HASHES] == 0).all(axis=-1).mean()
    assert 0.4 < share < 0.65
    assert (hidden[..., HASHES:] == np.tile(ids, (20, 20, 1))[..., HASHES:]).all()
    first, second = (network(ids, mask, training=False)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("n_pos", [0, 4])
def test_config_round_trip(batch, n_pos):
    network = build_network(replace(SETTINGS, pos_weight=0.5), N_LABELS, n_pos=n_pos)
    assert {type(layer).__module__.split(".")[0] for layer in network.encoder.layers} == {"keras"}
    network.build()
    config = keras.saving.serialize_keras_object(network)
    again = keras.saving.deserialize_keras_object(config, safe_mode=True)
    assert isinstance(again, BiLSTMCRF)
    assert (again.n_pos, again.pos_weight) == (n_pos, 0.5)
    assert [w.shape for w in again.weights] == [w.shape for w in network.weights]
    again.set_weights(network.get_weights())
    np.testing.assert_allclose(again(*batch)[0], network(*batch)[0], atol=1e-6)


def test_parts_of_speech_are_in_the_loss_only(batch):
    settings = replace(SETTINGS, word_dropout=0.0, pos_weight=0.5)
    network = build_network(settings, N_LABELS, n_pos=4)
    ids, mask = batch
    targets = np.ones((*mask.shape, 2 * N_LABELS + 1), bool)
    targets[:, :, 1:] = False
    pos = np.where(mask, np.arange(5) % 4, -1)
    plain = float(network(ids, mask, targets=targets))
    both = float(network(ids, mask, targets=targets, pos=pos))
    logits = np.asarray(network.pos(network.states([ids, mask])), np.float64)
    log_sums = np.log(np.exp(logits).sum(axis=-1))
    rows, columns = np.nonzero(mask)
    expected = (log_sums[mask] - logits[rows, columns, pos[mask]]).sum()
    assert both - plain == pytest.approx(0.5 * expected, rel=1e-4)
    # No part of speech is known.
    assert float(network(ids, mask, targets=targets, pos=np.full_like(pos, -1))) == pytest.approx(
        plain
    )
