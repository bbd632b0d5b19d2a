"""The Keras network: hash embeddings → BiLSTM → emissions → CRF.

After Huang, Xu and Yu, "Bidirectional LSTM-CRF Models for Sequence Tagging" (2015), with
the words' lexical features in place of word embeddings. The encoder, from ids to
emissions, is a functional model of layers that Keras ships. `BiLSTMCRF` puts the CRF on
it: without targets it gives the CRF's factors, with them it ends in the loss.

This module imports TensorFlow; nothing imports it until a network is built or restored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from ..decoding.crf import FORBIDDEN, iob2_allowed
from ..features.lexical import HASHES
from ..features.ngram_tags import n_lexicon_rows
from .settings import NetworkSettings, TaggerSettings

_PACKAGE = "ner_lstm_component"
# What a tag scores in the loss that the annotation does not allow.
_DISALLOWED = -1e4
# What sums over tags are at least, so that they have a logarithm.
_LEAST = 1e-300
# Of the layers as built. A spaCy pipeline's [training] dropout replaces it.
_DROPOUT = 0.5

# Whatever the user's keras.json and dtype policy say: the pipeline's arrays are float32.
_FLOAT = "float32"


def build_network(settings: NetworkSettings, n_labels: int, n_pos: int = 0) -> BiLSTMCRF:
    """A network over hashed lexical features.

    :param n_labels: entity types; the tags are those of IOB2.
    :param n_pos: part-of-speech tags to learn beside them.
    """
    n_ngrams = len(settings.ngrams)
    n_features = len(settings.rows) + n_ngrams
    n_rows = sum(settings.rows) + n_lexicon_rows(n_ngrams, 2 * n_labels + 1)
    width = settings.embed_width
    ids = keras.Input((None, n_features * HASHES), dtype="int32", name="features")
    mask = keras.Input((None,), dtype="bool", name="mask")
    vectors = layers.Embedding(n_rows, width, dtype=_FLOAT, name="embedding")(ids)
    vectors = layers.Reshape((-1, n_features, HASHES, width), dtype=_FLOAT)(vectors)
    vectors = ops.sum(vectors, axis=3)
    vectors = layers.Reshape((-1, n_features * width), dtype=_FLOAT)(vectors)
    vectors = layers.Dense(settings.width, activation="gelu", dtype=_FLOAT, name="mix")(vectors)
    vectors = layers.LayerNormalization(dtype=_FLOAT, name="norm")(vectors)
    emissions = _tagger(vectors, mask, settings.tagger, n_labels)
    encoder = keras.Model([ids, mask], emissions, name="encoder")
    return BiLSTMCRF(
        encoder,
        n_labels,
        word_dropout=settings.word_dropout,
        feature_dropout=settings.feature_dropout,
        n_pos=n_pos,
        pos_weight=settings.pos_weight,
        id_parts=[HASHES * n for n in (len(settings.rows), n_ngrams) if n],
    )


def build_vector_network(settings: TaggerSettings, width: int, n_labels: int) -> BiLSTMCRF:
    """A network over words' vectors that come from elsewhere.

    :param width: the vectors' width.
    :param n_labels: entity types; the tags are those of IOB2.
    """
    vectors = keras.Input((None, width), dtype="float32", name="vectors")
    mask = keras.Input((None,), dtype="bool", name="mask")
    emissions = _tagger(vectors, mask, settings, n_labels)
    return BiLSTMCRF(keras.Model([vectors, mask], emissions, name="encoder"), n_labels)


def _tagger(vectors: Any, mask: Any, settings: TaggerSettings, n_labels: int) -> Any:
    """Word vectors → BiLSTM → emissions."""
    for number in range(settings.depth):
        dropped = layers.Dropout(_DROPOUT, dtype=_FLOAT, name=f"dropout_{number}")(vectors)
        lstm = layers.LSTM(settings.hidden_width, return_sequences=True, dtype=_FLOAT, name="lstm")
        both = layers.Bidirectional(lstm, dtype=_FLOAT, name=f"bilstm_{number}")
        hidden = both(dropped, mask=mask)
        if number > 0:
            hidden = layers.Add(dtype=_FLOAT, name=f"residual_{number}")([vectors, hidden])
        vectors = hidden
    dropped = layers.Dropout(_DROPOUT, dtype=_FLOAT, name="dropout_emissions")(vectors)
    return layers.Dense(2 * n_labels + 1, dtype=_FLOAT, name="emissions")(dropped)


@keras.saving.register_keras_serializable(package=_PACKAGE)
class BiLSTMCRF(keras.Model):
    """An encoder from features to emissions with a linear-chain CRF on it.

    In training it may learn to tell parts of speech too, from the same states: what helps
    there helps with names (Collobert et al., "Natural Language Processing (Almost) from
    Scratch", 2011). Prediction does without that.

    :param encoder: ``[features, mask] → emissions``, the last layer being ``emissions``.
    :param n_labels: entity types; the tags are those of IOB2.
    :param word_dropout: share of the words whose first feature's ids are hidden in
        training, so that the network learns to do without a word it does not know.
    :param feature_dropout: share of the words each other feature of which is hidden.
    :param n_pos: part-of-speech tags to learn; 0 for none.
    :param pos_weight: weight of a token's cross-entropy over them in the loss.
    :param id_parts: how many of the features' ids a word alone determines, and how many
        what stands around it: in prediction each part is remembered; None for vectors.
    """

    def __init__(
        self,
        encoder: keras.Model,
        n_labels: int,
        word_dropout: float = 0.0,
        feature_dropout: float = 0.0,
        n_pos: int = 0,
        pos_weight: float = 0.0,
        id_parts: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=_FLOAT, **kwargs)
        self.encoder = encoder
        self.n_labels = n_labels
        self.word_dropout = word_dropout
        self.feature_dropout = feature_dropout
        self.n_pos = n_pos
        self.pos_weight = pos_weight
        self.id_parts = None if id_parts is None else list(id_parts)
        self.crf = LinearChainCRF(n_labels, name="crf")
        self.hidden = keras.random.SeedGenerator()
        self.emissions = encoder.get_layer("emissions")
        self.states = keras.Model(encoder.inputs, self.emissions.input, name="states")
        self.pos = layers.Dense(n_pos, dtype=_FLOAT, name="pos") if n_pos else None

    def call(
        self,
        features: Any,
        mask: Any,
        targets: Any = None,
        pos: Any = None,
        training: bool = False,
    ) -> Any:
        """Score tags, or the annotation.

        :param features: *Shape:* ``(batch, time, width)``, right-padded
        :param mask: which places hold a token. *Shape:* ``(batch, time)``, bool
        :param targets: which tags the annotation allows at each token, all where there is
            none. *Shape:* ``(batch, time, n_tags)``, bool
        :param pos: part-of-speech tags, -1 where unknown. *Shape:* ``(batch, time)``
        :return: without targets the emissions, *Shape:* ``(batch, time, n_tags)``, and the
            transitions, *Shape:* ``(n_tags + 1, n_tags + 1)``; with them the sum of the
            sequences' negative log-likelihoods, a scalar.
        """
        if training and max(self.word_dropout, self.feature_dropout) > 0:
            features = self._hide(features)
        states = self.states([features, mask], training=training)
        emissions = self.emissions(states)
        if targets is None:
            return emissions, self.crf.scores()
        loss = self.crf(emissions, mask, targets)
        if self.pos is None or pos is None:
            return loss
        return loss + self.pos_weight * _pos_loss(self.pos(states), pos)

    def _hide(self, features: Any) -> Any:
        """Send the ids of some words' features to row 0, which stands for a hidden word too."""
        batch, time, n_ids = (ops.shape(features)[k] for k in range(3))
        chance = keras.random.uniform(
            (batch, time, n_ids // HASHES), dtype=_FLOAT, seed=self.hidden
        )
        is_first = ops.arange(n_ids // HASHES, dtype="int32") == 0
        rates = (self.word_dropout, self.feature_dropout)
        first, others = (ops.convert_to_tensor(rate, _FLOAT) for rate in rates)
        hide = chance < ops.where(is_first, first, others)
        return ops.where(ops.repeat(hide, HASHES, axis=2), 0, features)

    def build(self, input_shape: Any = None) -> None:
        """Create what the encoder, which has its variables from the start, lacks."""
        self.crf.build()
        if self.pos is not None:
            self.pos.build(self.states.output.shape)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the network."""
        return {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "n_labels": self.n_labels,
            "word_dropout": self.word_dropout,
            "feature_dropout": self.feature_dropout,
            "n_pos": self.n_pos,
            "pos_weight": self.pos_weight,
            "id_parts": self.id_parts,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> BiLSTMCRF:
        """Rebuild a network."""
        encoder = keras.saving.deserialize_keras_object(config.pop("encoder"))
        return cls(encoder, **config)


def _pos_loss(scores: Any, pos: Any) -> Any:
    """The sum of the tokens' cross-entropies over part-of-speech tags."""
    known = pos >= 0
    by_token = keras.losses.sparse_categorical_crossentropy(
        ops.where(known, pos, 0), scores, from_logits=True
    )
    return ops.sum(ops.where(known, by_token, 0.0))


@keras.saving.register_keras_serializable(package=_PACKAGE)
class LinearChainCRF(layers.Layer):
    """The transitions of a CRF over IOB2 tags, and the likelihood under it.

    The recursions are those of `crf.py`, as TensorFlow operations.
    """

    def __init__(self, n_labels: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": _FLOAT})
        self.n_labels = n_labels
        self.allowed = iob2_allowed(n_labels)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        """Create the transitions, at first all alike."""
        self.transitions = self.add_weight(
            shape=self.allowed.shape, initializer="zeros", name="transitions"
        )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the layer."""
        return {**super().get_config(), "n_labels": self.n_labels}

    def scores(self) -> Any:
        """The transitions, ``FORBIDDEN`` where IOB2 forbids them."""
        return ops.where(self.allowed, self.transitions, FORBIDDEN)

    def call(self, emissions: Any, mask: Any, targets: Any) -> Any:
        """The sum of the negative log-likelihoods, a scalar; see :class:`BiLSTMCRF`."""
        return crf_loss(emissions, self.scores(), mask, targets)


@tf.custom_gradient
def crf_loss(
    emissions: tf.Tensor, transitions: tf.Tensor, mask: tf.Tensor, targets: tf.Tensor
) -> Any:
    """Negative log-likelihood of an annotation that may be partial.

    `crf.negative_log_likelihood` says what it is. The gradient is written out as expected
    counts from one forward and one backward recursion, over all tag sequences and over
    those that agree with the annotation at once: that is several times faster than
    differentiating through the loop.
    """
    dtype = emissions.dtype
    # In doubles, whose exp() does not vanish where a tag is a hundred below another.
    emissions, transitions = tf.cast(emissions, tf.float64), tf.cast(transitions, tf.float64)
    n_sequences = tf.shape(emissions)[0]
    both = tf.concat([emissions, tf.where(targets, emissions, _DISALLOWED)], axis=0)
    mask2 = tf.concat([mask, mask], axis=0)
    first, last = transitions[-1, :-1], transitions[:-1, -1]
    highest = tf.reduce_max(transitions[:-1, :-1])
    weights = tf.exp(transitions[:-1, :-1] - highest)

    by_time = tf.transpose(both, (1, 0, 2))
    mask_by_time = tf.transpose(mask2)[:, :, None]
    alpha = _recur(by_time[0] + first, by_time, mask_by_time, weights, highest, forward=True)
    beta = _recur(
        tf.broadcast_to(last, tf.shape(by_time[0])),
        by_time,
        mask_by_time,
        tf.transpose(weights),
        highest,
        forward=False,
    )
    log_partition = tf.reduce_logsumexp(alpha[-1] + last, axis=-1)
    free, clamped = log_partition[:n_sequences], log_partition[n_sequences:]

    sign = tf.concat([tf.ones_like(free), -tf.ones_like(clamped)], axis=0)
    marginals = tf.exp(alpha + beta - log_partition[:, None])
    marginals = tf.where(mask_by_time, marginals, 0) * sign[:, None]
    d_emissions = marginals[:, :n_sequences] + marginals[:, n_sequences:]

    # exp(alpha + transition + emission + beta - log_partition), split into two factors
    # neither of which overflows.
    peak = tf.reduce_max(alpha[:-1], axis=-1, keepdims=True)
    leaving = tf.exp(alpha[:-1] - peak) * sign[:, None]
    arriving = tf.exp(by_time[1:] + beta[1:] + (peak + highest - log_partition[:, None]))
    arriving = tf.where(mask_by_time[1:], arriving, 0)
    inner = weights * tf.einsum("tbi,tbj->ij", leaving, arriving)
    n_first = tf.reduce_sum(marginals[0], axis=0)
    ends = tf.exp(alpha[-1] + last - log_partition[:, None]) * sign[:, None]
    n_last = tf.reduce_sum(ends, axis=0)
    counts = tf.concat(
        [
            tf.concat([inner, n_last[:, None]], axis=1),
            tf.concat([n_first, tf.zeros(1, n_first.dtype)], axis=0)[None, :],
        ],
        axis=0,
    )

    def gradient(upstream: tf.Tensor) -> tuple:
        by_sequence = tf.cast(tf.transpose(d_emissions, (1, 0, 2)), upstream.dtype)
        return upstream * by_sequence, upstream * tf.cast(counts, upstream.dtype), None, None

    return tf.cast(tf.reduce_sum(free - clamped), dtype), gradient


def _recur(
    start: tf.Tensor,
    emissions: tf.Tensor,
    mask: tf.Tensor,
    weights: tf.Tensor,
    highest: tf.Tensor,
    forward: bool,
) -> tf.Tensor:
    """Alpha (forward) or beta (backward) of right-padded sequences.

    Alpha stays as it is over padding, so that its last step is that of each sequence's
    last token; beta stays at ``start`` over padding.

    :param start: *Shape:* ``(batch, n_tags)``
    :param emissions: *Shape:* ``(time, batch, n_tags)``
    :param mask: *Shape:* ``(time, batch, 1)``
    :return: *Shape:* ``(time, batch, n_tags)``
    """
    n_times = tf.shape(emissions)[0]
    results = tf.TensorArray(start.dtype, size=n_times, element_shape=start.shape)

    def step(i: tf.Tensor, score: tf.Tensor, results: tf.TensorArray) -> tuple:
        # Backward, beta at the time before i comes from beta and the emission at i.
        time = i if forward else n_times - i
        given = score if forward else score + emissions[time]
        peak = tf.reduce_max(given, axis=-1, keepdims=True)
        summed = tf.matmul(tf.exp(given - peak), weights)
        new = tf.math.log(summed + _LEAST) + peak + highest
        if forward:
            new = new + emissions[time]
        score = tf.where(mask[time], new, score)
        return i + 1, score, results.write(time if forward else time - 1, score)

    results = results.write(0 if forward else n_times - 1, start)
    _, _, results = tf.while_loop(
        lambda i, *_: i < n_times, step, (1, start, results), parallel_iterations=1
    )
    return results.stack()
