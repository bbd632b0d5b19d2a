"""Thinc's Adam, computed with one compiled loop over the arrays of a variable.

Thinc's own step loops over the arrays about ten times. Settings are read from the Thinc optimizer
at every step, and its state changes as Thinc itself would change it. So other layers can use
the same optimizer, and training can continue without this module.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from thinc.api import Optimizer
from thinc.backends import get_array_ops

from .. import kernels

Key = tuple[int, str]

# The largest decay of the averages in Thinc's ops.update_averages().
_MAX_DECAY = 0.9999


def is_adam(optimizer: Any) -> bool:
    """Return whether an optimizer's step, at this point in its schedules, is Thinc's own Adam."""
    return (
        type(optimizer) is Optimizer
        and not optimizer.use_radam
        and optimizer.b1 > 0
        and optimizer.b2 > 0
    )


def adam_step(optimizer: Optimizer, key: Key, weights: NDArray, gradient: NDArray) -> None:
    """Update a variable's weights, and the optimizer's state for its key, in place.

    Follows Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.

    :param weights: the variable's values, float32, contiguous and writable, of any shape.
    :param gradient: the gradient, float32, contiguous, with the same shape.
    :raises ValueError: if the optimizer's arrays for the variable have another size.
    """
    mom1, mom2 = (_own_array(m, key, (weights.size,)) for m in (optimizer.mom1, optimizer.mom2))
    average = None
    if optimizer.averages is not None:
        average = _own_array(optimizer.averages, key, weights.shape or (1,)).reshape(-1)
    optimizer.nr_update[key] += 1
    n_updates = optimizer.nr_update[key]
    decay = min((1.0 + n_updates) / (10.0 + n_updates), _MAX_DECAY)
    bias1, bias2 = 1.0 - optimizer.b1**n_updates, 1.0 - optimizer.b2**n_updates
    kernels.adam(
        weights.reshape(-1),
        gradient.reshape(-1),
        mom1,
        mom2,
        average,
        optimizer.b1,
        optimizer.b2,
        optimizer.eps,
        optimizer.learn_rate * bias2**0.5 / bias1,
        0.0 if optimizer.L2_is_weight_decay else optimizer.L2,
        optimizer.learn_rate * optimizer.L2 if optimizer.L2_is_weight_decay else 0.0,
        optimizer.grad_clip or 0.0,
        # Rounded as in Thinc, since rounding matters for a decay close to 1.
        float(1 - np.float32(decay)),
    )


def _own_array(arrays: dict[Key, Any], key: Key, shape: tuple[int, ...]) -> NDArray:
    """Return an optimizer's array for a variable, writable and initially zero."""
    known = arrays.get(key)
    # The arrays of an optimizer used on a GPU are on that GPU.
    array = np.zeros(shape, np.float32) if known is None else get_array_ops(known).to_numpy(known)
    if array.size != math.prod(shape):
        raise ValueError(
            f"The optimizer has an array of shape {array.shape} for {key[1]!r}, whose shape is "
            f"{shape}: it was trained with another network."
        )
    own = arrays[key] = np.require(array.reshape(shape), np.float32, ["C", "W"])
    return own
