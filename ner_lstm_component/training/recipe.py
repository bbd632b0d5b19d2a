"""Settings that follow from the training data.

The network and its regularization are the same for any data: none of the values that were tried did
better on little data, and worse on much, or the other way round (see docs/accuracy.md).
"""

from __future__ import annotations

from typing import Any

from ..dataset import Counts

# As in the batcher of default.cfg: the tokens of a batch, and the batches of an epoch.
_BATCH, _BATCHES = 2_000, 100
_MOST, _LEAST = 250, 25
_PATIENCE = 10

FREQUENCY = "training.eval_frequency"


def overrides_for(sizes: Counts, frequency: int | None = None) -> dict[str, Any]:
    """Return the values in which the default config should differ for this training data.

    The pipeline is evaluated twice an epoch, though at most every 25 steps and at least every 250.
    Training ends after ten evaluations without a better score.

    :param sizes: the counts of the training part.
    :param frequency: the steps between evaluations, if they are given.
    :return: values by their dotted names, such as ``{"training.patience": 500}``.
    """
    epoch = min(sizes.sentences, max(_BATCHES, sizes.tokens // _BATCH))
    frequency = frequency or min(_MOST, max(_LEAST, epoch // 2))
    return {FREQUENCY: frequency, "training.patience": _PATIENCE * frequency}
