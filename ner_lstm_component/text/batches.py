"""Windows of like length, padded to a batch together.

What the network gives for a window does not depend on the batch that it is in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .windows import Windowing, Windows


@dataclass(frozen=True)
class Batch:
    """Some windows, right-padded.

    :param tokens: offset of the token at each place. *Shape:* ``(batch, time)``
    :param mask: which places hold a token. *Shape:* ``(batch, time)``
    :param core: which places are tagged. *Shape:* ``(batch, time)``
    """

    tokens: NDArray[np.int64]
    mask: NDArray[np.bool_]
    core: NDArray[np.bool_]

    def put(self, values: NDArray, into: NDArray) -> None:
        """Write what the network gave for the cores to their tokens.

        :param values: *Shape:* ``(batch, time, width)``
        :param into: *Shape:* ``(n_tokens, width)``
        """
        into[self.tokens[self.core]] = values[self.core]


def pad_windows(windows: Windows, windowing: Windowing) -> Iterator[Batch]:
    """Gather windows of like length into padded batches, the longest first.

    :param windows: all windows of some Docs.
    :param windowing: how large a batch may be.
    """
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
