"""Overlapping windows of sentences that are too long for the network.

Each window tags its core, and reads some context on either side of it. Memory stays bounded, and
no sentence is too long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Windowing:
    """How sentences are split into windows, and windows gathered into batches.

    :param window: maximum length of a window in tokens.
    :param context: tokens on either side of a window's core, which its neighbours tag.
    :param batch_tokens: maximum size of a padded batch of several windows, padding included.
    :param tokens_at_once: tokens whose features are in memory at once in prediction; None if
        features are computed from whole Docs.
    :raises ValueError: if a window is not longer than its context, or a batch is empty.
    """

    window: int
    context: int
    batch_tokens: int
    tokens_at_once: int | None = None

    def __post_init__(self) -> None:
        if self.context < 0 or self.window <= 2 * self.context:
            raise ValueError(
                "A window must be longer than the context on both sides. Expected: "
                f"window > 2 * context >= 0. Received: window={self.window}, "
                f"context={self.context}"
            )
        if self.batch_tokens < 1:
            raise ValueError(f"'batch_tokens' must be at least 1. Received: {self.batch_tokens}")


@dataclass(frozen=True)
class Windows:
    """Windows as offsets of tokens.

    Each window reads ``start:end`` and tags ``core_start:core_end``. The cores cover every token
    exactly once.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    core_start: NDArray[np.int64]
    core_end: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens that each window reads."""
        return self.end - self.start


def split_windows(lengths: NDArray[np.int64], windowing: Windowing) -> Windows:
    """Split consecutive sentences, given by their lengths in tokens, into windows."""
    ends = np.cumsum(lengths)
    starts = ends - lengths
    if len(lengths) == 0 or lengths.max() <= windowing.window:
        return Windows(starts, ends, starts, ends)
    step = windowing.window - 2 * windowing.context
    pieces = np.where(lengths > windowing.window, -(-lengths // step), 1)
    sentence = np.repeat(np.arange(len(lengths)), pieces)
    nth = np.arange(len(sentence)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    whole = pieces[sentence] == 1
    core_start = starts[sentence] + nth * step
    core_end = np.where(whole, ends[sentence], np.minimum(core_start + step, ends[sentence]))
    return Windows(
        start=np.maximum(core_start - windowing.context, starts[sentence]),
        end=np.minimum(core_end + windowing.context, ends[sentence]),
        core_start=core_start,
        core_end=core_end,
    )
