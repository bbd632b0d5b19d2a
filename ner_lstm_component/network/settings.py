"""The networks' hyperparameters, checked before TensorFlow is needed.

Some shape the weights (`of_weights`): they are saved with a component, whose config cannot
change them any more. The others hold as the config has them when a pipeline is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..features.ngram_tags import n_lexicon_rows

# The end of the names of the weights that an LSTM's states are multiplied with.
_STATES = "lstm_cell/recurrent_kernel"


@dataclass(frozen=True)
class TaggerSettings:
    """What shapes a network over word vectors, but for their width and its labels.

    :param hidden_width: units of the LSTM in each direction.
    :param depth: bidirectional LSTM layers; from the second on with a residual.
    :raises ValueError: for a value out of range, naming it.
    """

    hidden_width: int
    depth: int

    def __post_init__(self) -> None:
        _check_positive(self, "hidden_width", "depth")

    @property
    def of_weights(self) -> dict[str, Any]:
        """The settings that the weights depend on, as JSON has them."""
        return {"hidden_width": self.hidden_width, "depth": self.depth}

    @property
    def in_training(self) -> dict[str, float]:
        """The settings that only training depends on."""
        return {}

    def known_by(
        self, shapes: Mapping[str, Sequence[int]], ngrams: Sequence[Sequence[int]]
    ) -> dict[str, tuple[Any, Any]]:
        """Derive settings from the shapes of saved weights.

        :param shapes: by the weights' names.
        :param ngrams: those of the saved lexicon.
        :return: by what it is, the value saved and that of these settings.
        """
        states = [shape[0] for name, shape in shapes.items() if name.endswith(_STATES)]
        # Forward and backward, layer by layer.
        if not states:
            return {}
        return {
            "depth": (len(states) // 2, self.depth),
            "hidden_width": (states[0], self.hidden_width),
        }


@dataclass(frozen=True)
class NetworkSettings:
    """What shapes a network over lexical features, but for its labels.

    :param rows: rows of the embedding table for each lexical feature.
    :param embed_width: width of an embedding vector.
    :param width: width of a word's vector, the LSTM's input.
    :param hidden_width: units of the LSTM in each direction.
    :param depth: bidirectional LSTM layers; from the second on with a residual.
    :param ngrams: kinds of n-grams that the lexicon has features of; see `lexicon`.
    :param word_dropout: share of the words whose first feature is hidden in training.
    :param feature_dropout: share of the words each other feature of which is hidden.
    :param pos_weight: weight of the part-of-speech tags in the training loss.
    :param features: the lexical features' names.
    :raises ValueError: for a value out of range, naming it.
    """

    rows: tuple[int, ...]
    embed_width: int
    width: int
    hidden_width: int
    depth: int
    word_dropout: float
    ngrams: tuple[tuple[int, ...], ...] = ()
    feature_dropout: float = 0.0
    pos_weight: float = 0.0
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_positive(self, "embed_width", "width", "hidden_width", "depth")
        for name in ("word_dropout", "feature_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"'{name}' must be at least 0 and below 1. Received: {getattr(self, name)}"
                )
        if self.pos_weight < 0:
            raise ValueError(f"'pos_weight' must be at least 0. Received: {self.pos_weight}")

    @property
    def tagger(self) -> TaggerSettings:
        """What shapes the part over the words' vectors."""
        return TaggerSettings(self.hidden_width, self.depth)

    @property
    def of_weights(self) -> dict[str, Any]:
        """The settings that the weights depend on, as JSON has them."""
        return {
            "features": list(self.features),
            "rows": list(self.rows),
            "embed_width": self.embed_width,
            "width": self.width,
            **self.tagger.of_weights,
            "ngrams": [list(offsets) for offsets in self.ngrams],
        }

    @property
    def in_training(self) -> dict[str, float]:
        """The settings that only training depends on."""
        names = ("word_dropout", "feature_dropout", "pos_weight")
        return {name: getattr(self, name) for name in names}

    def known_by(
        self, shapes: Mapping[str, Sequence[int]], ngrams: Sequence[Sequence[int]]
    ) -> dict[str, tuple[Any, Any]]:
        """Derive settings from the shapes of saved weights; see `TaggerSettings.known_by`."""
        found = self.tagger.known_by(shapes, ngrams)
        if not {"embedding/embeddings", "mix/kernel", "emissions/kernel"} <= shapes.keys():
            return found
        n_rows, embed_width = shapes["embedding/embeddings"]
        n_inputs, width = shapes["mix/kernel"]
        n_features = n_inputs // embed_width - len(ngrams)
        n_rows -= n_lexicon_rows(len(ngrams), shapes["emissions/kernel"][1])
        return found | {
            "ngrams": (list(ngrams), self.of_weights["ngrams"]),
            "the number of features": (n_features, len(self.rows)),
            "the sum of rows": (n_rows, sum(self.rows)),
            "embed_width": (embed_width, self.embed_width),
            "width": (width, self.width),
        }


def check_saved(name: str, saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse settings that saved weights do not fit.

    :param name: the component's name.
    :param saved: the settings that the weights were trained with; those missing are not known.
    :param given: the config's settings.
    :raises ValueError: for a difference, naming the setting and both values.
    """
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


def _check_positive(settings: Any, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < 1:
            raise ValueError(f"'{name}' must be at least 1. Received: {getattr(settings, name)}")
