"""Overlapping windows of sentences that are too long for the network, in padded batches.

Each window tags its core, and also reads some tokens on either side. Memory stays bounded, and
sentences may have any length. The network's output for a window does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Windowing:
    """The settings for splitting sentences into windows, and gathering windows into batches.

    :param window: maximum length of a window in tokens.
    :param context: number of tokens on either side of a window's core; other windows tag them.
    :param batch_tokens: maximum size of a batch of several windows, including padding.
    :param tokens_at_once: number of tokens whose features are in memory at once in prediction, or
        None if features are computed from whole Docs.
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
    """Windows, given by offsets of tokens.

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


@dataclass(frozen=True)
class Batch:
    """Windows, padded on the right. All arrays have the shape ``(batch, time)``.

    :param tokens: offsets of the tokens.
    :param mask: which positions are tokens.
    :param core: which positions are tagged.
    """

    tokens: NDArray[np.int64]
    mask: NDArray[np.bool_]
    core: NDArray[np.bool_]

    def put(self, values: NDArray, into: NDArray) -> None:
        """Write the network's output for the cores to their tokens.

        :param values: *Shape:* ``(batch, time, width)``
        :param into: *Shape:* ``(n_tokens, width)``
        """
        into[self.tokens[self.core]] = values[self.core]


def pad_windows(windows: Windows, windowing: Windowing) -> Iterator[Batch]:
    """Gather windows of similar length into padded batches, the longest first."""
    order = np.argsort(-windows.lengths, kind="stable")
    lengths = windows.lengths[order]
    first = 0
    while first < len(order):
        last = first + max(1, windowing.batch_tokens // int(lengths[first]))
        yield _pad(windows, order[first:last])
        first = last


def _pad(windows: Windows, chosen: NDArray[np.int64]) -> Batch:
    start, end = windows.start[chosen, None], windows.end[chosen, None]
    tokens = start + np.arange(int((end - start).max()))
    mask = tokens < end
    core = (tokens >= windows.core_start[chosen, None]) & (tokens < windows.core_end[chosen, None])
    return Batch(np.where(mask, tokens, start), mask, core)
