"""The setting ``threshold``: a probability for all labels, or one for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Threshold: TypeAlias = float | Mapping[str, float] | Iterable[tuple[str, float]]

# What a config can have as a key. It would take other labels for its own syntax.
_CONFIG_KEY = re.compile(r"\w([^=:$\n]*[^=:$\s])?")


def checked_threshold(value: Any) -> float | dict[str, float]:
    """Return a threshold as a number or a dict.

    :param value: a number, a mapping from labels to numbers, or pairs of a label and a number.
    :raises ValueError: if it is something else, or a number is not from 0 to 1.
    """
    try:
        if isinstance(value, Real):
            return _probability(value)
        return {str(label): _probability(number) for label, number in dict(value).items()}
    except (TypeError, ValueError):
        raise ValueError(
            "'threshold' is a probability, from 0 to 1, or has one for each label, such as "
            f'{{"org": 0.5}}. Received: {value!r}'
        ) from None


def _probability(number: Any) -> float:
    if not isinstance(number, Real) or not 0 <= float(number) <= 1:
        raise ValueError
    return float(number)


def check_labels(value: float | dict[str, float], labels: Sequence[str], name: str) -> None:
    """Raise a ValueError if a component has a threshold for a label that it doesn't have."""
    unknown = sorted(set(value) - set(labels)) if isinstance(value, dict) else []
    if unknown:
        raise ValueError(
            f"The 'threshold' of {name!r} is for labels that the component does not have: "
            f"{', '.join(unknown)}. Its labels are {', '.join(labels)}. Correct or remove the "
            "others, or set one number for all labels."
        )


def by_label(value: float | dict[str, float], labels: Sequence[str]) -> NDArray[np.float64]:
    """Return the threshold of each label, 0 if not given.

    :return: *Shape:* ``(n_labels,)``
    """
    if isinstance(value, dict):
        return np.array([value.get(label, 0.0) for label in labels], np.float64)
    return np.full(len(labels), value, np.float64)


def for_config(value: Any) -> Any:
    """Return a setting as a config can have it: a dict as pairs if a label is no key of configs."""
    if not isinstance(value, dict):
        return value
    if all(map(_CONFIG_KEY.fullmatch, value)):
        return dict(value)
    return [list(item) for item in value.items()]


def check_config(value: Any) -> None:
    """Raise a ValueError if a config has a threshold that it would lose when saved."""
    if for_config(value) != value:
        raise ValueError(
            "In a config, labels with special characters cannot be keys. Write 'threshold' as "
            f"pairs: threshold = {json.dumps(for_config(value))}. Received: {value!r}"
        )
