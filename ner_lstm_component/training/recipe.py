"""Settings that follow from the training data."""

from __future__ import annotations

from typing import Any

from ..dataset import Counts


def overrides_for(sizes: Counts) -> dict[str, Any]:
    """Return what the default config should have otherwise for this training data.

    :param sizes: the counts of the training part.
    :return: values by their dotted names, such as ``{"training.dropout": 0.4}``.
    """
    return {}
