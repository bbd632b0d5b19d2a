"""`TensorFlowWrapper`: the Thinc model around a Keras network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from thinc.api import Model

from .conversion import convert_arguments, convert_results
from .onnx_runtime import Exported, UnsupportedNetwork
from .shim import TensorFlowShim

if TYPE_CHECKING:
    import keras

Exporter = Callable[[dict[str, Any], list[tuple[str, np.ndarray]], bool, str], Exported]


def TensorFlowWrapper(
    keras_model: keras.Model | None = None,
    convert_inputs: Callable | None = None,
    convert_outputs: Callable | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    model_class: type[Model] = Model,
    model_name: str = "tensorflow",
    imports: Sequence[str] = (),
    runtime: str = "auto",
    export: Exporter | None = None,
) -> Model:
    """Wrap a Keras 3 model in a Thinc model.

    A scalar output is assumed to be the network's loss. Such a network runs forward and
    backward in one compiled call, and ``backprop`` only scales the gradient.

    :param keras_model: the network, built or not. With None the wrapper is empty until
        :func:`set_keras_model` or ``from_bytes`` fills it. A subclassed network must not loop
        in Python over the batch or time axis, whose lengths are unknown when it is traced.
        Regularizers of its layers do not add to the gradient.
    :param convert_inputs: ``(model, X, is_train) -> (ArgsKwargs of tensors or arrays,
        callback from the gradient's ArgsKwargs to dX)``. By default an array is the
        network's first argument. A list, tuple or dict is one structured argument if the
        network takes one, as functional models do, or else its positional or keyword
        arguments. ``ArgsKwargs``, for instance with a ``mask``, is passed on unchanged.
    :param convert_outputs: ``(model, tensors, is_train) -> (Y, callback from dY to the
        tensors' gradient)``. By default every tensor becomes an array of Thinc's ops.
        ONNX Runtime returns NumPy arrays instead of tensors; ``np.asarray`` takes both.
    :param optimizer: a Keras optimizer that updates the network instead of the Thinc optimizer
        passed to ``finish_update``. Its state is not saved.
    :param imports: modules that register the network's own classes with Keras. They are
        imported before a saved network is restored.
    :param runtime: what predicts, as in :func:`set_runtime`.
    :param export: a function that expresses the network in ONNX, called with the saved Keras
        config, the path and array of each weight, whether the graph must be complete, as in a
        file, and its precision, as in :func:`set_precision`. Without this function TensorFlow
        predicts.
    :return: a Thinc model with one shim. Its gradient ``dX`` has an array for every
        float input, and None for every other input. ``attrs["dropout_rate"]``, set by Thinc's
        ``set_dropout_rate``, replaces the rate of every dropout layer and recurrent cell that
        was built with a rate above zero. It is rounded to hundredths, so that a schedule of
        rates compiles a bounded number of graphs. With None the layers keep their own rates.
    :raises ValueError: if ``keras_model`` is not a Keras model, or the runtime is unknown.
    """
    shim = TensorFlowShim(keras_model, {"imports": tuple(imports), "export": export}, optimizer)
    shim.runtime = runtime
    return model_class(
        model_name,
        forward,
        init=init,
        shims=[shim],
        attrs={
            "convert_inputs": convert_inputs or convert_arguments,
            "convert_outputs": convert_outputs or convert_results,
            "dropout_rate": None,
        },
    )


def forward(model: Model, X: Any, is_train: bool) -> tuple[Any, Callable]:
    """Convert the input, run the network, and convert its output."""
    shim = _shim(model)
    shim.dropout_rate = model.attrs["dropout_rate"]
    inputs, get_dX = model.attrs["convert_inputs"](model, X, is_train)
    tensors, tensors_backprop = shim(inputs, is_train)
    Y, get_d_tensors = model.attrs["convert_outputs"](model, tensors, is_train)

    def backprop(dY: Any) -> Any:
        return get_dX(tensors_backprop(get_d_tensors(dY)))

    return Y, backprop


def init(model: Model, X: Any = None, Y: Any = None) -> None:
    """Create the variables that a network does not have yet, from a sample input."""
    if X is not None:
        inputs, _ = model.attrs["convert_inputs"](model, X, False)
        _shim(model).build(inputs)


def set_keras_model(model: Model, keras_model: keras.Model) -> None:
    """Put a network into a wrapper, replacing the previous network.

    A network built outside of :func:`device_scope` may be rebuilt when it is first used.

    :raises ValueError: if ``keras_model`` is not a Keras model.
    """
    _shim(model).set_model(keras_model)


def device_scope(model: Model) -> contextlib.AbstractContextManager:
    """Return a context in which TensorFlow builds on the device of a wrapper's network.

    :raises ImportError: if TensorFlow is not installed.
    :raises RuntimeError: if Thinc computes on a GPU that TensorFlow does not see.
    """
    return _shim(model).device_scope()


def weights_changed(model: Model) -> None:
    """Notify a wrapper with the runtime ``"onnx"`` that its Keras variables have new values.

    It exports the network again. Updates, ``use_params`` and loading do not need this call.
    """
    _shim(model).weights_changed()


def set_runtime(model: Model, runtime: str) -> Model:
    """Choose the runtime that predicts, for all wrapped networks in a model.

    :param runtime: ``"auto"``, ``"onnx"`` or ``"tensorflow"``. On a CPU, ``auto`` is
        ONNX Runtime for a network with an ONNX form, until its Keras network is trained or
        accessed, and then TensorFlow. On a GPU without TensorFlow, ``auto`` is ONNX Runtime on
        the CPU, with a warning. ``onnx`` always computes on the CPU, with the current weights,
        and raises an error for a network without an ONNX form.
    :raises ValueError: if the runtime is unknown.
    """
    for shim in _shims(model):
        shim.runtime = runtime
    return model


def runtimes(model: Model) -> Iterator[str]:
    """Yield the runtime of each wrapped network in a model."""
    return (shim.runtime for shim in _shims(model))


def set_precision(model: Model, precision: str) -> Model:
    """Choose the precision in which ONNX Runtime multiplies, for all wrapped networks in a model.

    :param precision: ``"float32"``, or ``"int8"`` for the large products of a network whose
        exporter supports it. The weights are quantized when the session starts, and saved as they
        are; the inputs of each product are quantized together, so results depend a little on what
        else is in the batch. A processor without VNNI computes in float32, with a warning.
        TensorFlow always computes in float32.
    :raises ValueError: if the precision is unknown.
    """
    for shim in _shims(model):
        shim.precision = precision
    return model


def precisions(model: Model) -> Iterator[str]:
    """Yield the precision of each wrapped network in a model."""
    return (shim.precision for shim in _shims(model))


def uses_onnx(model: Model) -> bool:
    """Return whether a wrapper, in its present state, predicts with ONNX Runtime."""
    try:
        return _shim(model).onnx_network() is not None
    except UnsupportedNetwork:
        return False


def gradient_sum(model: Model) -> float:
    """Sum the gradients accumulated in a model; the sum is finite only if all of them are."""
    total = sum(shim.gradient_sum() for shim in _shims(model))
    for node in model.walk():
        for name in node.param_names:
            if node.has_grad(name):
                gradient: Any = node.get_grad(name)
                total += float(gradient.sum())
    return total


def _shims(model: Model) -> Iterator[TensorFlowShim]:
    for node in model.walk():
        yield from (shim for shim in node.shims if isinstance(shim, TensorFlowShim))


def _shim(model: Model) -> TensorFlowShim:
    return next(_shims(model))
