"""The Keras network: hash embeddings → BiLSTM → emissions → CRF.

It follows Huang, Xu and Yu, "Bidirectional LSTM-CRF Models for Sequence Tagging" (2015), with
lexical features of words instead of word embeddings, or beside given vectors. The encoder, from
ids and vectors to emissions, is a functional model made of Keras' own layers, to which `BiLSTMCRF`
adds the CRF.

This module imports TensorFlow, so it is only imported when a network is built or restored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from ..features.lexical import HASHES
from ..features.ngram_tags import n_lexicon_rows
from .crf_layer import FLOAT, LinearChainCRF, crf_loss
from .settings import NetworkSettings

# The layers' initial dropout rate. The dropout in a spaCy config's [training] replaces it.
_DROPOUT = 0.5


def build_network(settings: NetworkSettings, n_labels: int, n_pos: int = 0) -> BiLSTMCRF:
    """Build a network over ids of features, given vectors, or both; `BiLSTMCRF` explains them."""
    n_ngrams = len(settings.ngrams)
    n_features = len(settings.rows) + n_ngrams
    inputs, parts = [], []
    if n_features:
        n_rows = sum(settings.rows) + n_lexicon_rows(n_ngrams, 2 * n_labels + 1)
        width = settings.embed_width
        ids = keras.Input((None, n_features * HASHES), dtype="int32", name="features")
        embedded = layers.Embedding(n_rows, width, dtype=FLOAT, name="embedding")(ids)
        embedded = layers.Reshape((-1, n_features, HASHES, width), dtype=FLOAT)(embedded)
        embedded = ops.sum(embedded, axis=3)
        inputs.append(ids)
        parts.append(layers.Reshape((-1, n_features * width), dtype=FLOAT)(embedded))
    if settings.vector_width:
        given = keras.Input((None, settings.vector_width), dtype=FLOAT, name="vectors")
        inputs.append(given)
        parts.append(given)
    mask = keras.Input((None,), dtype="bool", name="mask")
    inputs.insert(1, mask)
    words = parts[0] if len(parts) == 1 else layers.Concatenate(dtype=FLOAT, name="both")(parts)
    if settings.width:
        words = layers.Dense(settings.width, activation="gelu", dtype=FLOAT, name="mix")(words)
        words = layers.LayerNormalization(dtype=FLOAT, name="norm")(words)
    emissions = _tagger(words, mask, settings, n_labels)
    return BiLSTMCRF(
        keras.Model(inputs, emissions, name="encoder"),
        n_labels,
        word_dropout=settings.word_dropout,
        feature_dropout=settings.feature_dropout,
        n_pos=n_pos,
        pos_weight=settings.pos_weight,
        id_parts=[HASHES * n for n in (len(settings.rows), n_ngrams) if n] or None,
    )


def _tagger(vectors: Any, mask: Any, settings: NetworkSettings, n_labels: int) -> Any:
    """Add the layers from word vectors through the BiLSTM to emissions."""
    for number in range(settings.depth):
        dropped = layers.Dropout(_DROPOUT, dtype=FLOAT, name=f"dropout_{number}")(vectors)
        lstm = layers.LSTM(settings.hidden_width, return_sequences=True, dtype=FLOAT, name="lstm")
        both = layers.Bidirectional(lstm, dtype=FLOAT, name=f"bilstm_{number}")
        hidden = both(dropped, mask=mask)
        if number > 0:
            hidden = layers.Add(dtype=FLOAT, name=f"residual_{number}")([vectors, hidden])
        vectors = hidden
    dropped = layers.Dropout(_DROPOUT, dtype=FLOAT, name="dropout_emissions")(vectors)
    return layers.Dense(2 * n_labels + 1, dtype=FLOAT, name="emissions")(dropped)


@keras.saving.register_keras_serializable(package="ner_lstm_component")
class BiLSTMCRF(keras.Model):
    """An encoder from features to emissions, with a linear-chain CRF.

    In training the network can also learn parts of speech from the hidden states, which helps
    it (Collobert et al., "Natural Language Processing (Almost) from Scratch", 2011).

    :param encoder: a model ``[features, mask] → emissions`` or ``[features, mask, vectors] →
        emissions``, whose last layer is ``emissions``.
    :param n_labels: number of entity types.
    :param word_dropout: share of the words whose first feature is hidden in training, so that
        the network learns to cope with unknown words.
    :param feature_dropout: share of the words for which each other feature is hidden.
    :param n_pos: number of part-of-speech tags to learn.
    :param pos_weight: weight of the part-of-speech tags' cross-entropy in the loss.
    :param id_parts: the number of ids that depend only on the word, and the number that depend
        on its context, so that prediction caches each part; or None for vectors.
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
        super().__init__(dtype=FLOAT, **kwargs)
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
        self.pos = layers.Dense(n_pos, dtype=FLOAT, name="pos") if n_pos else None

    def call(
        self,
        features: Any,
        mask: Any,
        vectors: Any = None,
        targets: Any = None,
        pos: Any = None,
        training: bool = False,
    ) -> Any:
        """Compute emissions and transitions, or with targets the scalar loss.

        :param features: the tokens' ids or vectors. *Shape:* ``(batch, time, width)``, right-padded
        :param mask: True at positions that hold a token. *Shape:* ``(batch, time)``, bool
        :param vectors: vectors beside ids. *Shape:* ``(batch, time, vector_width)``
        :param targets: True for allowed tags. *Shape:* ``(batch, time, n_tags)``, bool
        :param pos: part-of-speech tags, or -1 if unknown. *Shape:* ``(batch, time)``
        """
        has_ids = features.dtype != FLOAT
        if training and has_ids and max(self.word_dropout, self.feature_dropout) > 0:
            features = self._hide(features)
        inputs = [features, mask] if vectors is None else [features, mask, vectors]
        states = self.states(inputs, training=training)
        emissions = self.emissions(states)
        if targets is None:
            return emissions, self.crf.scores()
        loss = crf_loss(emissions, self.crf.scores(), mask, targets)
        if self.pos is None or pos is None:
            return loss
        return loss + self.pos_weight * _pos_loss(self.pos(states), pos)

    def _hide(self, features: Any) -> Any:
        """Replace the ids of random words with 0, a row that also represents hidden words."""
        batch, time, n_ids = (ops.shape(features)[k] for k in range(3))
        chance = keras.random.uniform((batch, time, n_ids // HASHES), dtype=FLOAT, seed=self.hidden)
        is_first = ops.arange(n_ids // HASHES, dtype="int32") == 0
        rates = (self.word_dropout, self.feature_dropout)
        first, others = (ops.convert_to_tensor(rate, FLOAT) for rate in rates)
        hide = chance < ops.where(is_first, first, others)
        return ops.where(ops.repeat(hide, HASHES, axis=2), 0, features)

    def build(self, input_shape: Any = None) -> None:
        """Create the variables outside the encoder, whose own variables exist already."""
        self.crf.build()
        if self.pos is not None:
            self.pos.build(self.states.output.shape)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        names = ("n_labels", "word_dropout", "feature_dropout", "n_pos", "pos_weight", "id_parts")
        return {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            **{name: getattr(self, name) for name in (*names, "name")},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> BiLSTMCRF:
        encoder = keras.saving.deserialize_keras_object(config.pop("encoder"))
        return cls(encoder, **config)


def _pos_loss(scores: Any, pos: Any) -> Any:
    """Sum the tokens' cross-entropies over part-of-speech tags."""
    known = pos >= 0
    by_token = keras.losses.sparse_categorical_crossentropy(
        ops.where(known, pos, 0), scores, from_logits=True
    )
    return ops.sum(ops.where(known, by_token, 0.0))
