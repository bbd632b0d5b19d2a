"""Padded batches of windows of similar length.

The network's output for a window does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .windows import Windowing, Windows


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
