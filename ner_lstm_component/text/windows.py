"""Sentences that are too long for the network, in windows that overlap.

Each window tags its core and reads some context on either side of it, so that memory stays
bounded and no sentence is too long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Windowing:
    """How Docs are cut and gathered.

    :param window: tokens that the network reads at once, at most.
    :param context: tokens on either side of a window's core that are read with it, and
        tagged by its neighbours.
    :param batch_tokens: places, padding included, in a padded batch of several segments.
    :param tokens_at_once: tokens whose features are held at once in prediction; None
        where they must be made of whole Docs.
    :raises ValueError: unless a window is longer than its contexts, and a batch holds one.
    """

    window: int
    context: int
    batch_tokens: int
    tokens_at_once: int | None = None

    def __post_init__(self) -> None:
        if self.context < 0 or self.window <= 2 * self.context:
            raise ValueError(
                "A window must be longer than the context on both of its sides. Expected: "
                f"window > 2 * context >= 0. Received: window={self.window}, "
                f"context={self.context}"
            )
        if self.batch_tokens < 1:
            raise ValueError(f"'batch_tokens' must be at least 1. Received: {self.batch_tokens}")


@dataclass(frozen=True)
class Windows:
    """Stretches of tokens to be read, as offsets into the batch's tokens.

    Each array has one element a segment: it reads ``start:end`` and tags
    ``core_start:core_end``. The cores cover every token once.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    core_start: NDArray[np.int64]
    core_end: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens read by each segment."""
        return self.end - self.start


def split_windows(lengths: NDArray[np.int64], windowing: Windowing) -> Windows:
    """Cut sentences that stand one after the other into segments.

    :param lengths: the sentences' lengths in tokens.
    :param windowing: how to cut those that are too long.
    """
    ends = np.cumsum(lengths)
    starts = ends - lengths
    if len(lengths) == 0 or lengths.max() <= windowing.window:
        return Windows(starts, ends, starts, ends)
    step = windowing.window - 2 * windowing.context
    pieces = np.where(lengths > windowing.window, -(-lengths // step), 1)
    sentence = np.repeat(np.arange(len(lengths)), pieces)
    # The n-th piece of its sentence, its core n steps from the sentence's start.
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
