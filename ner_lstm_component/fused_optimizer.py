"""Thinc's Adam on all variables of a network, in one pass over each of them.

A Thinc optimizer updates an array in several passes, and copies of the weights where they
live in TensorFlow. `FusedAdam` computes the same update where they are, the averages with it.

The Thinc optimizer stays the one that decides and the one that remembers: its settings are
read at every step, and after it ``nr_update``, ``mom1``, ``mom2`` and ``averages`` are what
Thinc itself would have left.

On a CPU the optimizer's own arrays are updated, as Thinc does it, by a compiled loop
(`kernels`). Elsewhere, and without a compiler, TensorFlow computes all variables in one
compiled call. The optimizer's arrays are then views of TensorFlow's buffers, which costs
no copy, and which nobody sees change: TensorFlow writes to a buffer of its own as long as
someone else holds the last one. What another has put into the optimizer meanwhile is read
from there. So an optimizer may serve other layers too, be replaced, or go on without this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from thinc.api import Ops, Optimizer
from thinc.backends import get_array_ops
from thinc.compat import cupy_from_dlpack

from . import kernels
from .fused_layers import aligned

if TYPE_CHECKING:
    import tensorflow as tf

# Of the averages, as in Thinc's ops.update_averages().
_MAX_DECAY = 0.9999


class Gradient(NamedTuple):
    """What a variable's gradient is, unless scaling it can be left to the update.

    :param tensor: dense.
    :param scale: what it is still to be multiplied by.
    """

    tensor: tf.Tensor
    scale: float = 1.0

    def scaled(self) -> tf.Tensor:
        """The gradient itself."""
        return self.tensor if self.scale == 1.0 else self.tensor * self.scale

    def moved(self) -> Gradient:
        """The gradient on the device of the current scope."""
        import tensorflow as tf

        return self._replace(tensor=tf.identity(self.tensor))

    def __add__(self, other: Gradient) -> Gradient:  # type: ignore[override]
        return Gradient(self.scaled() + other.scaled())


def is_expressible(optimizer: Any, variables: Sequence[tf.Variable]) -> bool:
    """Whether a step of an optimizer is one of :class:`FusedAdam`.

    :param optimizer: Thinc's Adam, at this step of its schedules. Not RAdam, SGD, and what
        is not Thinc's own: a subclass may do anything.
    :param variables: in single precision, and none of them empty.
    """
    return (
        type(optimizer) is Optimizer
        and not optimizer.use_radam
        and optimizer.b1 > 0
        and optimizer.b2 > 0
        and all(v.dtype.name == "float32" and v.shape.num_elements() for v in variables)
    )


def own_arrays(optimizer: Any, keys: Sequence[tuple[int, str]]) -> None:
    """Give an optimizer arrays of its own in place of views, before Thinc writes to them."""
    if not isinstance(optimizer, Optimizer):
        return
    for arrays in (optimizer.mom1, optimizer.mom2, optimizer.averages or {}):
        for key in keys:
            if key in arrays and not arrays[key].flags.owndata:
                arrays[key] = arrays[key].copy()


class _Kind(NamedTuple):
    """What a compiled update is for; all else it is given as numbers."""

    names: tuple[str, ...]
    clips: bool
    has_averages: bool
    adds_l2: bool
    decays_weights: bool


class _Slots:
    """The moments and average of a variable.

    :param variable: the variable.
    """

    def __init__(self, variable: tf.Variable) -> None:
        import tensorflow as tf

        self.variable = variable
        zeros = tf.zeros(variable.shape)
        self.mom1, self.mom2, self.average = tf.Variable(zeros), tf.Variable(zeros), zeros
        # What an optimizer was given of them, by which to see that it has them still.
        self.views: dict[str, Any] = {}

    def take(self, optimizer: Optimizer, key: tuple[int, str]) -> None:
        """Have what an optimizer has, and be the only one to have the moments."""
        for name in ("mom1", "mom2"):
            known = getattr(optimizer, name).get(key)
            if known is None or known is not self.views.get(name):
                getattr(self, name).assign(self._from_array(known))
        if optimizer.averages is not None:
            known = optimizer.averages.get(key)
            if known is None or known is not self.views.get("averages"):
                self.average = self._from_array(known)
        for name in ("mom1", "mom2"):
            self.views.pop(name, None)
            getattr(optimizer, name).pop(key, None)

    def moments(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The values of both."""
        return self.mom1.read_value(), self.mom2.read_value()

    def give(
        self,
        optimizer: Optimizer,
        key: tuple[int, str],
        moments: tuple[tf.Tensor, tf.Tensor],
        ops: Ops,
    ) -> None:
        """Leave an optimizer with views, in Thinc's shapes."""
        for name, moment in zip(("mom1", "mom2"), moments, strict=True):
            view = _view(moment, ops).reshape(-1)
            self.views[name] = getattr(optimizer, name)[key] = view
        if optimizer.averages is not None:
            view = _view(self.average, ops)
            view = view if view.ndim else view.reshape(1)
            self.views["averages"] = optimizer.averages[key] = view

    def _from_array(self, array: Any) -> tf.Tensor:
        import tensorflow as tf

        shape = self.variable.shape
        if array is None:
            return tf.zeros(shape)
        return tf.constant(get_array_ops(array).to_numpy(array).reshape(shape))


class FusedAdam:
    """Updates a network's variables as Thinc's Adam would. ``traces`` counts graphs, of which
    a CPU needs none.

    :param shim_id: the first part of the keys by which an optimizer knows the variables.
    """

    def __init__(self, shim_id: int) -> None:
        self.traces = 0
        self._shim_id = shim_id
        self._slots: dict[str, _Slots] = {}
        self._compiled: dict[_Kind, Any] = {}
        # What the weights of a variable get less; new memory would cost as much as the step.
        self._room = aligned(1, 0)[0]

    def __call__(
        self,
        optimizer: Optimizer,
        variables: dict[str, tf.Variable],
        gradients: dict[str, Gradient],
        ops: Ops,
    ) -> None:
        """Make a step.

        :param optimizer: one for which :func:`is_expressible` holds.
        :param variables: what to update, by name.
        :param gradients: of each of them.
        :param ops: those for whose device the optimizer is to have its arrays.
        """
        import tensorflow as tf

        keys = [(self._shim_id, name) for name in variables]
        kind = _Kind(
            tuple(variables),
            clips=bool(optimizer.grad_clip),
            has_averages=optimizer.averages is not None,
            adds_l2=optimizer.L2 != 0 and not optimizer.L2_is_weight_decay,
            decays_weights=optimizer.L2 != 0 and optimizer.L2_is_weight_decay,
        )
        for key in keys:
            optimizer.nr_update[key] += 1
        by_variable = [
            (*_rates(optimizer, optimizer.nr_update[key]), gradients[name].scale)
            for key, name in zip(keys, variables, strict=True)
        ]
        if _are_on_cpu(variables, ops):
            self._update_arrays(optimizer, variables, gradients, by_variable, kind, ops)
            return
        slots = [self._slots_of(name, variable) for name, variable in variables.items()]
        o = optimizer
        shared = [o.b1, o.b2, o.eps, o.L2, o.learn_rate * o.L2, o.grad_clip]
        taken = []
        moments: list[tuple[tf.Tensor, tf.Tensor]] | None = None
        try:
            for key, own in zip(keys, slots, strict=True):
                own.take(optimizer, key)
                taken.append((key, own))
            given = (
                *(gradients[name].tensor for name in variables),
                *(own.average for own in slots if kind.has_averages),
                tf.constant(by_variable, tf.float32),
                tf.constant(shared, tf.float32),
            )
            function = self._compiled.get(kind)
            if function is None:
                update = tf.function(self._update(kind, slots), autograph=False)
                # Flat tensors to a graph: what tf.function asks of them at each call takes
                # longer than some of the variables' updates.
                function = self._compiled[kind] = update.get_concrete_function(*given)
            averages, moments = function(*given)
            for own, average in zip(slots, averages, strict=kind.has_averages):
                own.average = average
        finally:
            # Read in the call, which takes less time; where it failed, now.
            moments = moments or [own.moments() for _, own in taken]
            for (key, own), values in zip(taken, moments, strict=True):
                own.give(optimizer, key, values, ops)

    def _update_arrays(
        self,
        optimizer: Optimizer,
        variables: dict[str, tf.Variable],
        gradients: dict[str, Gradient],
        by_variable: Sequence[tuple[float, float, float]],
        kind: _Kind,
        ops: Ops,
    ) -> None:
        """Make a step on the optimizer's own arrays."""
        import tensorflow as tf

        keys = [(self._shim_id, name) for name in variables]
        shapes = [tuple(variable.shape) for variable in variables.values()]
        sizes = [math.prod(shape) for shape in shapes]
        # All of them before the first is changed.
        mom1, mom2 = (
            [_own_array(arrays, key, (n,)) for key, n in zip(keys, sizes, strict=True)]
            for arrays in (optimizer.mom1, optimizer.mom2)
        )
        averages: list[Any] = [None] * len(keys)
        if optimizer.averages is not None:
            averages = [
                _own_array(optimizer.averages, key, shape or (1,)).reshape(-1)
                for key, shape in zip(keys, shapes, strict=True)
            ]
        if len(self._room) < max(sizes):
            self._room = aligned(1, max(sizes))[0]
        o = optimizer
        one = tf.constant(1.0)
        for i, (name, variable) in enumerate(variables.items()):
            rate, step, scale = by_variable[i]
            weights = tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=tf.float32)
            less = self._room[: sizes[i]]
            kernels.adam(
                _view(weights, ops).reshape(-1),
                _view(gradients[name].tensor, ops).reshape(-1),
                mom1[i],
                mom2[i],
                averages[i],
                less,
                scale,
                o.b1,
                o.b2,
                o.eps,
                rate,
                o.L2 if kind.adds_l2 else 0.0,
                o.learn_rate * o.L2 if kind.decays_weights else 0.0,
                o.grad_clip or 0.0,
                step,
            )
            # Where the weights are, unless someone else holds them; `less` is not copied.
            delta = tf.experimental.dlpack.from_dlpack(less.reshape(shapes[i]).__dlpack__())
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=one, delta=delta)

    def _slots_of(self, name: str, variable: tf.Variable) -> _Slots:
        known = self._slots.get(name)
        if known is None or known.variable is not variable:
            known = self._slots[name] = _Slots(variable)
            self._compiled.clear()
        return known

    def _update(self, kind: _Kind, slots: Sequence[_Slots]) -> Any:
        import tensorflow as tf

        def update(*given: tf.Tensor) -> tuple[list[tf.Tensor], list[tuple[tf.Tensor, tf.Tensor]]]:
            self.traces += 1
            *tensors, by_variable, shared = given
            gradients, averages = tensors[: len(slots)], tensors[len(slots) :]
            b1, b2, eps, l2, decay, clip = tf.unstack(shared, 6)
            numbers = [tf.unstack(row, 3) for row in tf.unstack(by_variable, len(slots))]
            new_averages = []
            for i, (own, gradient) in enumerate(zip(slots, gradients, strict=True)):
                variable, (rate, step, scale) = own.variable, numbers[i]
                if kind.adds_l2:
                    gradient = gradient * scale + l2 * variable
                    scale = tf.ones(())
                if kind.clips:
                    norm = tf.sqrt(2 * tf.nn.l2_loss(gradient)) * tf.abs(scale)
                    scale *= tf.where(norm >= clip, clip / norm, 1.0)
                tf.raw_ops.ResourceApplyAdam(
                    var=variable.handle,
                    m=own.mom1.handle,
                    v=own.mom2.handle,
                    # Thinc's rate has the correction of the bias in it.
                    beta1_power=0.0,
                    beta2_power=0.0,
                    lr=rate,
                    beta1=b1,
                    beta2=b2,
                    epsilon=eps,
                    grad=gradient * scale,
                )
                if kind.decays_weights:
                    variable.assign_sub(decay * variable)
                if kind.has_averages:
                    new_averages.append(averages[i] - step * (averages[i] - variable))
            return new_averages, [own.moments() for own in slots]

        return update


def _are_on_cpu(variables: dict[str, tf.Variable], ops: Ops) -> bool:
    """Whether a compiled loop can update variables, and an optimizer's arrays with them."""
    return (
        kernels.IS_COMPILED
        and ops.device_type == "cpu"
        and all("CPU:0" in variable.device for variable in variables.values())
    )


def _own_array(
    arrays: dict[tuple[int, str], Any], key: tuple[int, str], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """An optimizer's array, made or copied if need be so that it can be written to.

    :raises ValueError: if it has another size.
    """
    known = arrays.get(key)
    # After training on a GPU it is there.
    known = np.zeros(shape, np.float32) if known is None else get_array_ops(known).to_numpy(known)
    if known.size != math.prod(shape):
        raise ValueError(
            f"The optimizer has an array of shape {known.shape} for {key[1]!r}, whose shape is "
            f"{shape}: it was trained with another network."
        )
    if known.shape != shape:
        known = known.reshape(shape).copy()
    # What TensorFlow gave is not the optimizer's to write to.
    own = arrays[key] = np.require(known, np.float32, ["C", "W", "O"])
    return own


def _rates(optimizer: Optimizer, n_updates: int) -> tuple[float, float]:
    """A variable's learning rate at its n-th update, and how far its average moves."""
    bias1 = 1.0 - optimizer.b1**n_updates
    bias2 = 1.0 - optimizer.b2**n_updates
    decay = min((1.0 + n_updates) / (10.0 + n_updates), _MAX_DECAY)
    # In the precision of Thinc, which matters so near to one.
    return optimizer.learn_rate * bias2**0.5 / bias1, float(1 - np.float32(decay))


def _view(tensor: tf.Tensor, ops: Ops) -> Any:
    """A tensor as an array for Thinc's ops, where possible without a copy."""
    if ops.device_type == "gpu" and "GPU" in tensor.device:
        import tensorflow as tf

        # Waits for the tensor to be computed.
        return cupy_from_dlpack(tf.experimental.dlpack.to_dlpack(tensor))
    array: Any = np.asarray(memoryview(tensor)) if "CPU:0" in tensor.device else tensor.numpy()
    return ops.asarray(array)
