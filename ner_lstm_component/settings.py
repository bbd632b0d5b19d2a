"""The network's hyperparameters, checked before TensorFlow is needed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkSettings:
    """What shapes the network, but for its labels.

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
        for name in ("embed_width", "width", "hidden_width", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"'{name}' must be at least 1. Received: {getattr(self, name)}")
        if not 0 <= self.word_dropout < 1:
            raise ValueError(
                f"'word_dropout' must be at least 0 and below 1. Received: {self.word_dropout}"
            )
        if self.pos_weight < 0:
            raise ValueError(f"'pos_weight' must be at least 0. Received: {self.pos_weight}")
