"""The network's hyperparameters, checked before TensorFlow is needed.

Some of them determine the weights' shapes (`of_weights`). These are saved with a component,
whose config must then agree with them. The others can change in a saved pipeline's config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import srsly

from ..features.ngram_tags import n_lexicon_rows

_ONLY_IN_TRAINING = ("word_dropout", "feature_dropout", "pos_weight")
_LOWEST = {"hidden_width": 1, "depth": 1, "embed_width": 1, "width": 1, "pos_weight": 0}


@dataclass(frozen=True)
class NetworkSettings:
    """Settings of a network, as in `architectures.build_normalizing_tagger`.

    :param width: width of a word's vector, or None if the LSTM reads the given vectors themselves.
    :param vector_width: width of the given vectors, which ``tok2vec`` computes, or None.
    """

    hidden_width: int
    depth: int
    rows: tuple[int, ...] = ()
    embed_width: int = 1
    width: int | None = None
    word_dropout: float = 0.0
    ngrams: tuple[tuple[int, ...], ...] = ()
    feature_dropout: float = 0.0
    pos_weight: float = 0.0
    features: tuple[str, ...] = ()
    normalize: bool = False
    vector_width: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name in _LOWEST and value is not None and value < _LOWEST[name]:
                raise ValueError(f"'{name}' must be at least {_LOWEST[name]}. Received: {value}")
            if name.endswith("_dropout") and not 0 <= value < 1:
                raise ValueError(f"'{name}' must be at least 0 and below 1. Received: {value}")

    @property
    def of_weights(self) -> dict[str, Any]:
        """The settings that determine the weights, converted to JSON's types."""
        settings = srsly.json_loads(srsly.json_dumps(asdict(self)))
        return {name: settings[name] for name in settings if name not in _ONLY_IN_TRAINING}

    @property
    def in_training(self) -> dict[str, float]:
        """The settings that only affect training."""
        return {name: value for name, value in vars(self).items() if name in _ONLY_IN_TRAINING}

    def weights(self, n_tags: int, n_pos: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the network's weights by the ends of their names, in Keras' order.

        :param n_pos: the number of part-of-speech tags, or 0.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        n_features = len(self.rows) + len(self.ngrams)
        n_inputs = n_features * self.embed_width + (self.vector_width or 0)
        if n_features:
            n_rows = sum(self.rows) + n_lexicon_rows(len(self.ngrams), n_tags)
            shapes["embedding/embeddings"] = n_rows, self.embed_width
        if self.width:
            shapes |= {"mix/kernel": (n_inputs, self.width), "mix/bias": (self.width,)}
            shapes |= {"norm/gamma": (self.width,), "norm/beta": (self.width,)}
        n_inputs, units = self.width or n_inputs, self.hidden_width
        for number in range(self.depth):
            for direction in ("forward", "backward"):
                cell = f"bilstm_{number}/{direction}_lstm/lstm_cell"
                shapes[f"{cell}/kernel"] = n_inputs, 4 * units
                shapes[f"{cell}/recurrent_kernel"] = units, 4 * units
                shapes[f"{cell}/bias"] = (4 * units,)
            n_inputs = 2 * units
        shapes |= {"emissions/kernel": (n_inputs, n_tags), "emissions/bias": (n_tags,)}
        shapes["crf/transitions"] = n_tags + 1, n_tags + 1
        if n_pos:
            shapes |= {"pos/kernel": (n_inputs, n_pos), "pos/bias": (n_pos,)}
        return shapes

    def derive(
        self, shapes: Mapping[str, Sequence[int]], ngrams: Sequence[Sequence[int]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Derive settings from saved weights and n-grams, and return them and the given values."""
        # Each layer has two such weights: forward and backward.
        ending = "lstm_cell/recurrent_kernel"
        widths = [shape[0] for name, shape in shapes.items() if name.endswith(ending)]
        saved: dict[str, Any] = {}
        if widths:
            saved = {"depth": len(widths) // 2, "hidden_width": widths[0]}
        if {"embedding/embeddings", "mix/kernel", "emissions/kernel"} <= shapes.keys():
            n_rows, embed_width = shapes["embedding/embeddings"]
            n_inputs, width = shapes["mix/kernel"]
            saved |= {"ngrams": list(ngrams), "embed_width": embed_width, "width": width}
            saved["the number of features"] = n_inputs // embed_width - len(ngrams)
            n_lexicon = n_lexicon_rows(len(ngrams), shapes["emissions/kernel"][1])
            saved["the sum of rows"] = n_rows - n_lexicon
        sums = {"the number of features": len(self.rows), "the sum of rows": sum(self.rows)}
        return saved, self.of_weights | sums


def check_saved(name: str, saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise a ValueError if the config's settings differ from the saved weights' settings."""
    differing = [
        f"{key}: saved {saved[key]}, given {value}"
        for key, value in given.items()
        if key in saved and saved[key] != value
    ]
    if differing:
        raise ValueError(
            f"The saved weights of {name!r} do not fit the settings that the config gives in "
            f"[components.{name}.model]. {'; '.join(differing)}. Load the pipeline with the saved "
            "values, or train a new one with those given."
        )
