"""The networks' hyperparameters, checked before TensorFlow is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True)
class NetworkSettings:
    """What shapes a network over lexical features, but for its labels.

    :param rows: rows of the embedding table for each lexical feature.
    :param embed_width: width of an embedding vector.
    :param width: width of a word's vector, the LSTM's input.
    :param hidden_width: units of the LSTM in each direction.
    :param depth: bidirectional LSTM layers; from the second on with a residual.
    :param word_dropout: share of the words whose first feature is hidden in training.
    :param pos_weight: weight of the part-of-speech tags in the training loss.
    :raises ValueError: for a value out of range, naming it.
    """

    rows: tuple[int, ...]
    embed_width: int
    width: int
    hidden_width: int
    depth: int
    word_dropout: float
    pos_weight: float = 0.0

    def __post_init__(self) -> None:
        _check_positive(self, "embed_width", "width", "hidden_width", "depth")
        if not 0 <= self.word_dropout < 1:
            raise ValueError(
                f"'word_dropout' must be at least 0 and below 1. Received: {self.word_dropout}"
            )
        if self.pos_weight < 0:
            raise ValueError(f"'pos_weight' must be at least 0. Received: {self.pos_weight}")

    @property
    def tagger(self) -> TaggerSettings:
        """What shapes the part over the words' vectors."""
        return TaggerSettings(self.hidden_width, self.depth)


def _check_positive(settings: Any, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < 1:
            raise ValueError(f"'{name}' must be at least 1. Received: {getattr(settings, name)}")
