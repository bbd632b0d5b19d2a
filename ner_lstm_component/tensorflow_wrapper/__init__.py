"""A Keras 3 model as a Thinc model: `TensorFlowWrapper` and the shim behind it.

Thinc ships a wrapper of this name for Keras 2. This one has its interface on native
Keras 3, for any functional, Sequential or registered subclassed model:

* calls are compiled once per kind of input and not traced again as lengths change;
* a network that ends in its loss (its output is a scalar) is run forward and backward
  in one compiled call, which for recurrent networks is about twice as fast as a tape
  around a compiled forward; ``backprop`` then only scales;
* Thinc's ``dropout_rate`` governs the dropout layers; it is rounded to hundredths, so
  that a schedule of rates costs a bounded number of graphs;
* weights are held as plain arrays beside Keras' JSON config: nothing is unpickled, and
  Keras deserializes in safe mode;
* TensorFlow is imported when the network is first needed, not when this module is;
* a network that was only loaded predicts with ONNX Runtime, without TensorFlow, where
  `onnx_export` can express it. The Keras weights stay the only ones: nothing of ONNX is
  saved, and a graph is made of the very weights it is to stand for.

Shapes are those of the wrapped model; nothing here knows about text.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import srsly
from thinc.api import Model, Ops, Optimizer, Shim, get_current_ops
from thinc.types import ArgsKwargs
from thinc.util import convert_recursive, is_xp_array

from .. import kernels
from .onnx_export import Exported, UnsupportedNetwork, export
from .onnx_runtime import OnnxNetwork, is_installed
from .optimizer import adam_step, is_adam, own_state
from .placement import (
    CPU,
    are_on,
    check_device,
    device_name,
    is_tensorflow_installed,
    warn_that_onnx_stands_in,
)

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

logger = logging.getLogger(__name__)

RUNTIMES = ("auto", "onnx", "tensorflow")
_FORMAT = 1
# What is saved of a wrapper without a network, and the keys of what is saved of others.
_EMPTY: dict[str, Any] = {"format": _FORMAT, "config": None, "call": None, "weights": []}


def TensorFlowWrapper(
    keras_model: keras.Model | None = None,
    convert_inputs: Callable | None = None,
    convert_outputs: Callable | None = None,
    optimizer: keras.optimizers.Optimizer | None = None,
    model_class: type[Model] = Model,
    model_name: str = "tensorflow",
    imports: Sequence[str] = (),
    runtime: str = "auto",
) -> Model:
    """Wrap a Keras 3 model so that it has the interface of a Thinc model.

    :param keras_model: the network, built or not. None leaves the wrapper empty until
        :func:`set_keras_model` or ``from_bytes`` fills it. In a subclassed network's
        ``call`` the axes of batch and time have no length that Python could loop over.
        Its gradient is that of its outputs: regularizers of layers do not add to it.
    :param convert_inputs: ``(model, X, is_train) -> (ArgsKwargs of tensors or arrays,
        callback from the gradient's ArgsKwargs to dX)``. By default an array is the
        network's first argument; a list, tuple or dict is passed as one structure to a
        network that takes one (functional models do), else as positional or keyword
        arguments; ``ArgsKwargs`` is passed as it is, for instance with a ``mask``.
    :param convert_outputs: ``(model, tensors, is_train) -> (Y, callback from dY to the
        tensors' gradient)``. By default every tensor becomes an array of Thinc's ops.
        From ONNX Runtime come NumPy arrays in place of tensors; ``np.asarray`` takes both.
    :param optimizer: a Keras optimizer that updates this network instead of the Thinc
        optimizer that ``finish_update`` is called with. Its state is not saved.
    :param model_class: the Thinc class to instantiate.
    :param model_name: the Thinc model's name.
    :param imports: modules that register the network's own classes with Keras. They are
        imported before a saved network is restored; what was saved names none itself.
    :param runtime: what predicts; see :func:`set_runtime`.
    :return: a Thinc model with one shim. Its gradient ``dX`` has an array for every
        float input and None for every other. ``attrs["dropout_rate"]``, which
        ``set_dropout_rate`` writes, replaces the rate of every dropout layer and
        recurrent cell built with a rate above zero; None leaves their own rates.
    :raises ValueError: if ``keras_model`` is not a Keras model, or for an unknown runtime.
    """
    shim = TensorFlowShim(keras_model, {"imports": tuple(imports)}, optimizer)
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
    """Thinc's forward function: convert, run the network, convert back."""
    shim = _shim(model)
    shim.dropout_rate = model.attrs["dropout_rate"]
    inputs, get_dX = model.attrs["convert_inputs"](model, X, is_train)
    tensors, tensors_backprop = shim(inputs, is_train)
    Y, get_d_tensors = model.attrs["convert_outputs"](model, tensors, is_train)

    def backprop(dY: Any) -> Any:
        return get_dX(tensors_backprop(get_d_tensors(dY)))

    return Y, backprop


def init(model: Model, X: Any = None, Y: Any = None) -> None:
    """Thinc's initializer: create the variables of a network that lacks them."""
    if X is not None:
        inputs, _ = model.attrs["convert_inputs"](model, X, False)
        _shim(model).build(inputs)


def set_keras_model(model: Model, keras_model: keras.Model) -> None:
    """Put a network into a wrapper, in place of what it held.

    A network whose variables are on another device than the wrapper's is rebuilt there when
    it is first used; build it within :func:`device_scope` to spare that.
    """
    _shim(model).set_model(keras_model)


def device_scope(model: Model) -> contextlib.AbstractContextManager:
    """A context in which TensorFlow places what is built where a wrapper's network lives.

    :raises ImportError: if TensorFlow is not installed.
    :raises RuntimeError: if Thinc computes on a GPU that TensorFlow does not see.
    """
    return _shim(model).device_scope()


def weights_changed(model: Model) -> None:
    """Tell a wrapper that its Keras variables were assigned to directly.

    With the runtime ``"onnx"`` the network is exported anew before its next prediction. Calls
    of the wrapper itself (updates, ``use_params``, loading) need no telling.
    """
    _shim(model).weights_changed()


def set_runtime(model: Model, runtime: str) -> Model:
    """Choose what predicts, for all wrapped networks in a model.

    :param runtime: ``"auto"``, ``"onnx"`` or ``"tensorflow"``. ``auto`` is ONNX Runtime as
        long as the network was only loaded, its device is a CPU, and it can be expressed
        in ONNX; and TensorFlow for all else: from training on, or once the Keras network
        is asked for. On a GPU without TensorFlow it is ONNX Runtime on the CPU, with a
        warning. ``onnx`` computes in ONNX on the CPU in every state, after training with
        the weights of the moment, and refuses a network that has no ONNX form. Whoever
        assigns to the Keras variables directly calls :func:`weights_changed`.
    :return: the model.
    :raises ValueError: for another runtime.
    """
    for shim in _shims(model):
        shim.runtime = runtime
    return model


def runtimes(model: Model) -> Iterator[str]:
    """The runtimes of all wrapped networks in a model."""
    return (shim.runtime for shim in _shims(model))


def _shims(model: Model) -> Iterator[TensorFlowShim]:
    for node in model.walk():
        yield from (shim for shim in node.shims if isinstance(shim, TensorFlowShim))


def uses_onnx(model: Model) -> bool:
    """Whether a wrapper, as it is now, predicts with ONNX Runtime."""
    try:
        return _shim(model)._onnx_network() is not None
    except UnsupportedNetwork:
        return False


def gradient_sum(model: Model) -> float:
    """Sum the gradients gathered in a model and its layers: finite only if all of them are."""
    total = 0.0
    for node in model.walk():
        for name in node.param_names:
            if node.has_grad(name):
                gradient: Any = node.get_grad(name)
                total += float(gradient.sum())
        for shim in node.shims:
            if isinstance(shim, TensorFlowShim):
                total += shim.gradient_sum()
    return total


def _shim(model: Model) -> TensorFlowShim:
    shim = model.shims[0]
    assert isinstance(shim, TensorFlowShim)
    return shim


# ---------------------------------------------------------------- conversion


def convert_arguments(model: Model, X: Any, is_train: bool) -> tuple[ArgsKwargs, Callable]:
    """The default ``convert_inputs``: see :func:`TensorFlowWrapper`."""
    ops = model.ops
    if isinstance(X, ArgsKwargs):
        return X, lambda d: _to_ops(ops, d)
    parameters = _shim(model).call_parameters
    if isinstance(X, dict) and set(X) <= set(parameters):
        return ArgsKwargs((), X), lambda d: _to_ops(ops, d.kwargs)
    data_parameters = [name for name in parameters if name not in ("training", "mask")]
    if isinstance(X, (list, tuple)) and len(data_parameters) > 1:
        sequence = list if isinstance(X, list) else tuple
        return ArgsKwargs(tuple(X), {}), lambda d: sequence(_to_ops(ops, d.args))
    return ArgsKwargs((X,), {}), lambda d: _to_ops(ops, d.args[0])


def convert_results(model: Model, tensors: Any, is_train: bool) -> tuple[Any, Callable]:
    """The default ``convert_outputs``: see :func:`TensorFlowWrapper`."""
    return _to_ops(model.ops, tensors), lambda dY: dY


def _to_ops(ops: Ops, structure: Any) -> Any:
    """Tensors or arrays anywhere in a structure → arrays of Thinc's ops.

    Arrays go through host memory: Thinc's buffers meet neither DLPack's alignment on a
    CPU nor, sliced, on a GPU, and TensorFlow aborts the process on a misaligned one.
    Half precision becomes float32, in which Thinc's layers compute.
    """

    def to_array(value: Any) -> Any:
        array: Any = value if isinstance(value, np.ndarray) else value.numpy()
        is_half = array.dtype.name in ("float16", "bfloat16")
        return ops.asarray(array.astype(np.float32) if is_half else array)

    return convert_recursive(_is_tensor_or_array, to_array, structure)


def _is_tensor_or_array(value: Any) -> bool:
    # Where there are tensors, TensorFlow was imported.
    tf = sys.modules.get("tensorflow")
    return isinstance(value, np.ndarray) or (tf is not None and tf.is_tensor(value))


def _to_numpy(array: Any) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else array.get()


# ---------------------------------------------------------------- TensorFlow's start


_starting = threading.Lock()
# The process in which TensorFlow was started; a fork of it inherits the number only.
_started_in: int | None = None


def import_tensorflow() -> Any:
    """Import TensorFlow, once letting its GPU memory grow on demand.

    Without growth TensorFlow takes all of a GPU's memory at first touch, and CuPy, on
    which Thinc computes, finds none left.

    :raises RuntimeError: in a fork of a process that used TensorFlow, whose threads it
        lacks: it would wait for them forever.
    :raises ImportError: if TensorFlow is not installed.
    """
    global _started_in
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "Training a network, and running one that has no ONNX form, needs TensorFlow, which "
            "is not installed; run: pip install 'ner-lstm-component[train]'"
        ) from error

    if _started_in is None:
        with _starting:
            if _started_in is None:
                _prepare_tensorflow(tf)
                _started_in = os.getpid()
    if _started_in != os.getpid():
        raise RuntimeError(
            "TensorFlow was started in the parent of this process and does not survive a "
            "fork. Call multiprocessing.set_start_method('spawn') first, or save the pipeline "
            "and load it again: one that was only loaded predicts without TensorFlow."
        )
    return tf


def _prepare_tensorflow(tf: Any) -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"Keras runs on the backend {keras.backend.backend()!r}; TensorFlowWrapper needs "
            "'tensorflow'. Set the environment variable KERAS_BACKEND=tensorflow before "
            "Keras is imported."
        )
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            logger.warning(
                "TensorFlow was initialized before ner_lstm_component could set memory "
                "growth on %s: it may hold all of the GPU's memory.",
                gpu.name,
            )


# ---------------------------------------------------------------- dropout


@contextlib.contextmanager
def _governed_dropout(keras_model: keras.Model, rate: float | None) -> Iterator[None]:
    """Give each dropout layer and recurrent cell one rate while a graph is traced.

    A layer built with rate zero stays without dropout; None leaves all as they are.
    """
    if rate is None:
        yield
        return
    places = [
        (layer, name, vars(layer)[name])
        for layer in keras_model._flatten_layers()
        for name in ("rate", "dropout", "recurrent_dropout")
        # Not the properties of recurrent layers and attention: they show the rate of a
        # cell or layer within, where it is set.
        if isinstance(vars(layer).get(name), float) and vars(layer)[name] > 0
    ]
    try:
        for layer, name, _ in places:
            setattr(layer, name, rate)
        yield
    finally:
        for layer, name, own in places:
            setattr(layer, name, own)


# ---------------------------------------------------------------- the shim


class _Compiled(NamedTuple):
    """A traced call: the graph, whether it holds the gradient, and for which variables."""

    function: Callable
    ends_in_loss: bool
    variables: list[tuple[str, Any]]


class TensorFlowShim(Shim):
    """Holds a Keras model for Thinc: runs, updates, moves and serializes it.

    ``dropout_rate`` is what the next training call uses. ``traces`` counts how many
    graphs were traced, for tests that lengths do not cause more.
    """

    dropout_rate: float | None
    traces: int

    def __init__(
        self, model: keras.Model | None = None, config: dict | None = None, optimizer: Any = None
    ) -> None:
        super().__init__(None, config, optimizer)
        self._initialize()
        if model is not None:
            self.set_model(model)

    def _initialize(self) -> None:
        """The state of a new shim: what outlives a network, and no network."""
        self._device: str | None = None
        self._checked_device: str | None = None
        self._lock = threading.RLock()
        self._reset()

    def _reset(self) -> None:
        """The state of a shim without a network."""
        if self._optimizer is not None and self._model is not None:
            # A Keras optimizer is bound to the variables that it first updated.
            self._optimizer = _renewed(self._optimizer)
        self._model = None
        # What from_bytes read, until the network is first needed: loading a pipeline
        # then neither imports TensorFlow nor starts its threads, which do not survive
        # the fork of nlp.pipe(n_process=…).
        self._pending: dict[str, Any] | None = None
        # The network in ONNX Runtime, of the present weights: see weights_changed().
        self._onnx: OnnxNetwork | None = None
        self._call_spec: dict[str, Any] | None = None
        self._names: list[str] = []
        # Whether the live network is known to be on the device.
        self._is_placed = True
        self._gradients: dict[str, tf.Tensor] = {}
        self._compiled: dict[Any, _Compiled] = {}
        self.dropout_rate = None
        self.traces = 0

    # -- the network

    @property
    def is_empty(self) -> bool:
        """Whether there is no network yet."""
        # In this order: another thread may be restoring what is pending.
        return self._pending is None and self._model is None

    def set_model(self, keras_model: keras.Model) -> None:
        """Hold a network, in place of what was held.

        :raises ValueError: if it is not a Keras model.
        """
        import_tensorflow()
        import keras

        if not isinstance(keras_model, keras.Model):
            raise ValueError(
                "TensorFlowWrapper wraps an instance of keras.Model. "
                f"Received: keras_model={keras_model!r} (of type {type(keras_model).__name__})"
            )
        self._reset()
        self._is_placed = False
        self._model = keras_model

    @property
    def keras_model(self) -> keras.Model:
        """The network, brought to life if it was only loaded, on the wrapper's device.

        After assigning to its variables directly, call :meth:`weights_changed`.

        :raises ValueError: if there is none, or it cannot be moved to the device.
        :raises RuntimeError: in a fork of a process that used TensorFlow, or if TensorFlow
            does not see the device.
        """
        if self._model is None or not self._is_placed:
            with self._lock:
                if self._model is not None and not self._is_placed:
                    self._place()
                if self._model is None:
                    self._restore()
        import_tensorflow()  # which refuses in a fork
        return self._model

    def _place(self) -> None:
        """Have a live network that is on another device restored on the wrapper's."""
        self._check_device()
        if not are_on(self._model.variables, self.device):
            try:
                state = self._state_of(self._model)
            except ValueError as error:
                raise ValueError(
                    "The network was built on another device than the wrapper's, which is "
                    f"{self.device}, and cannot be moved: {error} Or build it within "
                    "ner_lstm_component.tensorflow_wrapper.device_scope()."
                ) from error
            gradients = self._gradients
            self._load(state)
            with self.device_scope():
                identity = import_tensorflow().identity
                self._gradients = {name: identity(one) for name, one in gradients.items()}
        self._is_placed = True

    def weights_changed(self) -> None:
        """Mark the weights as changed, so that the network is exported to ONNX anew.

        The shim does so itself whenever it changes the weights. It does not see what others
        assign to the Keras variables: until they call this, ``runtime="onnx"`` predicts with
        the weights of before.
        """
        if self._model is not None:
            self._onnx = None

    @property
    def runtime(self) -> str:
        """What predicts; see :func:`set_runtime`."""
        return self.cfg.get("runtime", "auto")

    @runtime.setter
    def runtime(self, runtime: str) -> None:
        if runtime not in RUNTIMES:
            raise ValueError(
                f"'runtime' must be one of {', '.join(map(repr, RUNTIMES))}. Received: {runtime!r}"
            )
        self.cfg = {**self.cfg, "runtime": runtime}

    @property
    def device(self) -> str:
        """Where the network lives: that of Thinc's current ops when first needed."""
        if self._device is None:
            ops = get_current_ops()
            self._device = device_name(ops.device_type, ops.device_id)
        return self._device

    def device_scope(self) -> contextlib.AbstractContextManager:
        """TensorFlow's scope of :attr:`device`.

        Where TensorFlow sees a GPU it places on it whatever is created outside a scope, be
        the network on the CPU or not.

        :raises RuntimeError: if TensorFlow does not see the device.
        """
        self._check_device()
        return import_tensorflow().device(self.device)

    def _check_device(self) -> None:
        if self._checked_device != self.device:
            check_device(import_tensorflow(), self.device)
            self._checked_device = self.device

    @property
    def call_parameters(self) -> list[str]:
        """Names of the parameters of the network's ``call``, without any ``**kwargs``."""
        if self._model is None:
            with contextlib.suppress(UnsupportedNetwork):
                if (network := self._onnx_network()) is not None:
                    return network.call_parameters
        parameters = inspect.signature(self.keras_model.call).parameters.values()
        return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]

    def build(self, inputs: ArgsKwargs) -> None:
        """Create the variables that a call on ``inputs`` needs and the network lacks."""
        self._build(self._to_tensors(inputs))

    def _build(self, structure: tuple[tuple, dict]) -> None:
        model = self.keras_model
        with self._lock:
            if all(layer.built for layer in model._flatten_layers()):
                return
            n_weights = len(model.weights)
            call = _describe(structure)
            with self.device_scope():
                # As when the network is restored, so that what cannot be is noticed now.
                args, kwargs = _example(call)
                model(*args, training=False, **kwargs)
            if len(model.weights) > n_weights:
                self._call_spec = call

    # -- calls

    def __call__(self, inputs: ArgsKwargs, is_train: bool) -> tuple[Any, Callable]:
        if is_train:
            return self.begin_update(inputs)
        return self.predict(inputs), _no_backprop

    def predict(self, inputs: ArgsKwargs) -> Any:
        """Run the network in inference mode.

        :param inputs: arrays or tensors, as the network's call takes them.
        :return: its output: tensors, or arrays from ONNX Runtime.
        :raises ValueError: for what has no ONNX form, if the runtime is ``"onnx"``.
        """
        try:
            if (network := self._onnx_network(inputs)) is not None:
                return network.predict(inputs.args, inputs.kwargs)
        except UnsupportedNetwork as error:
            if self.runtime == "onnx":
                raise _no_onnx_form(error) from error
            logger.info("Not ONNX Runtime but TensorFlow predicts, because of %s.", error)
        tensors, compiled = self._prepare(inputs, is_train=False)
        with self.device_scope():
            outputs, _ = compiled.function(*tensors)
        return outputs

    def _onnx_network(self, inputs: ArgsKwargs | None = None) -> OnnxNetwork | None:
        """The network as ONNX Runtime runs it, of the present weights; None for TensorFlow.

        :param inputs: of a call, to build what is not built.
        :raises UnsupportedNetwork: if the network has no ONNX form.
        """
        if self.runtime == "tensorflow" or self.is_empty:
            return None
        if self.runtime == "auto" and not self._chooses_onnx():
            return None
        if self._onnx is None:
            with self._lock:
                if self._onnx is None:
                    is_built = self._model is None and bool(self._state()["weights"])
                    if self.runtime == "onnx" and inputs is not None and not is_built:
                        self.build(inputs)
                    state = self._state()
                    self._onnx = OnnxNetwork(lambda: _export(state, embeds=True))
        return self._onnx

    def _chooses_onnx(self) -> bool:
        """Whether the runtime ``auto`` is ONNX Runtime; see :func:`set_runtime`."""
        if self._model is not None:
            return False
        if self.device == CPU:
            return self._onnx is not None or is_installed()
        if is_tensorflow_installed() or not is_installed():
            return False
        warn_that_onnx_stands_in()
        return True

    def begin_update(self, inputs: ArgsKwargs) -> tuple[Any, Callable[[Any], ArgsKwargs]]:
        """Run the network in training mode.

        :param inputs: arrays or tensors, as the network's call takes them.
        :return: its output, and a callback which takes the gradient of the output (the
            same structure; None counts as zero), adds to the variables' gradients, and
            gives the gradient of the inputs.
        """
        tf = import_tensorflow()
        tensors, compiled = self._prepare(inputs, is_train=True)
        # Weights that are not trained, such as moving averages, change in the call.
        self.weights_changed()
        with self.device_scope():
            if compiled.ends_in_loss:
                outputs, gradients = compiled.function(*tensors)

                def differentiate(d_outputs: Any) -> tuple[Sequence[Any], float]:
                    if d_outputs is None:
                        return [None] * len(gradients), 0.0
                    return gradients, float(d_outputs)

            else:
                floats = [tensor for tensor in tensors if tensor.dtype.is_floating]
                variables = [variable for _, variable in compiled.variables]
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(floats)
                    tape.watch([variable.value for variable in variables])
                    outputs, _ = compiled.function(*tensors)

                def differentiate(d_outputs: Any) -> tuple[Sequence[Any], float]:
                    pairs = [
                        (y, tf.convert_to_tensor(dy, y.dtype))
                        for y, dy in zip(
                            tf.nest.flatten(outputs),
                            _flatten_gradient(d_outputs),
                            strict=True,
                        )
                        if dy is not None and y.dtype.is_floating
                    ]
                    gradients = tape.gradient(
                        [y for y, _ in pairs],
                        [v.value for v in variables] + floats,
                        output_gradients=[dy for _, dy in pairs],
                    )
                    dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
                    return dense, 1.0

        def backprop(d_outputs: Any) -> ArgsKwargs:
            with self.device_scope():
                gradients, scale = differentiate(d_outputs)
                n_variables = len(compiled.variables)
                self._accumulate(compiled.variables, gradients[:n_variables], scale)
                d_inputs = [None if g is None else g * scale for g in gradients[n_variables:]]
                return _input_gradient(inputs, tensors, d_inputs)

        return outputs, backprop

    def _prepare(self, inputs: ArgsKwargs, is_train: bool) -> tuple[list[Any], _Compiled]:
        """The flat tensors of a call and the graph for their kind."""
        tf = import_tensorflow()
        structure = self._to_tensors(inputs)
        leaves = tf.nest.flatten(structure)
        tensors = [leaf for leaf in leaves if tf.is_tensor(leaf)]
        specs = _relaxed_specs(self.keras_model, leaves)
        layout = repr(tf.nest.map_structure(lambda leaf: 0, structure))
        static = tuple(None if tf.is_tensor(leaf) else leaf for leaf in leaves)
        rate = self.dropout_rate if is_train else None
        rate = rate if rate is None else round(rate, 2)
        layers = self.keras_model._flatten_layers() if is_train else []
        trainable = tuple(layer.trainable for layer in layers)
        key = (is_train, rate, trainable, specs, layout, static)
        compiled = self._compiled.get(key)
        if compiled is None:
            with self._lock:
                compiled = self._compiled.get(key)
                if compiled is None:
                    self._build(structure)
                    compiled = self._trace(structure, specs, is_train, rate)
                    self._compiled[key] = compiled
        return tensors, compiled

    def _trace(
        self, structure: Any, specs: Sequence[tf.TensorSpec], is_train: bool, rate: float | None
    ) -> _Compiled:
        """Compile a call for tensors like ``specs``, whatever their lengths."""
        tf = import_tensorflow()
        model = self.keras_model
        variables = self._trainable() if is_train else []
        leaves = tf.nest.flatten(structure)

        def call(*tensors: Any) -> tuple[Any, list | None]:
            self.traces += 1
            given = iter(tensors)
            filled = [next(given) if tf.is_tensor(leaf) else leaf for leaf in leaves]
            args, kwargs = tf.nest.pack_sequence_as(structure, filled)
            floats = [tensor for tensor in tensors if tensor.dtype.is_floating]
            with _governed_dropout(model, rate), tf.GradientTape() as tape:
                tape.watch(floats)
                outputs = model(*args, training=is_train, **kwargs)
            if not is_train or not _is_scalar(outputs):
                return outputs, None
            targets = [variable.value for _, variable in variables] + floats
            gradients = tape.gradient(outputs, targets)
            return outputs, [None if g is None else tf.convert_to_tensor(g) for g in gradients]

        with self.device_scope():
            function = tf.function(call, autograph=False).get_concrete_function(*specs)
        gradients = function.structured_outputs[1]
        return _Compiled(function, gradients is not None, variables)

    def _to_tensors(self, inputs: ArgsKwargs) -> tuple[tuple, dict]:
        tf = import_tensorflow()
        with self.device_scope():
            return convert_recursive(
                is_xp_array,
                lambda array: tf.convert_to_tensor(_to_numpy(array)),
                (tuple(inputs.args), dict(inputs.kwargs)),
            )

    # -- gradients and updates

    def _variables(self) -> list[tuple[str, Any]]:
        """The weights under names that are unique within the network.

        A loaded network keeps the names that it was saved with, for an optimizer to know
        its variables by; those that Keras makes up depend on what a process built before.
        """
        return self._named(self.keras_model)

    def _named(self, model: keras.Model) -> list[tuple[str, Any]]:
        weights = model.weights
        if len(self._names) != len(weights):
            seen: Counter[str] = Counter()
            self._names = []
            for path in (variable.path for variable in weights):
                seen[path] += 1
                self._names.append(path if seen[path] == 1 else f"{path}#{seen[path]}")
        return list(zip(self._names, weights, strict=True))

    def _trainable(self) -> list[tuple[str, Any]]:
        return [(name, variable) for name, variable in self._variables() if variable.trainable]

    def _accumulate(
        self, variables: Sequence[tuple[str, Any]], gradients: Sequence[Any], scale: float
    ) -> None:
        for (name, _), tensor in zip(variables, gradients, strict=True):
            if tensor is not None:
                gradient = tensor if scale == 1.0 else tensor * scale
                known = self._gradients.get(name)
                self._gradients[name] = gradient if known is None else known + gradient

    def gradient_sum(self) -> float:
        """Sum the gradients gathered since the last :meth:`finish_update`."""
        if not self._gradients:
            return 0.0
        tf = import_tensorflow()
        with tf.device(self.device):
            sums = [tf.reduce_sum(tf.cast(g, tf.float32)) for g in self._gradients.values()]
            return float(tf.add_n(sums))

    def finish_update(self, optimizer: Optimizer) -> None:
        """Apply and forget the gradients gathered since the last call.

        :param optimizer: a Thinc optimizer. It knows each variable by the key
            ``(shim.id, variable path)``, and keeps its averages there. Not used if the
            wrapper was given a Keras optimizer.
        """
        if not self._gradients:
            return
        trainable = self._trainable()
        gradients, self._gradients = self._gradients, {}
        chosen = {name: v for name, v in trainable if name in gradients}
        self.weights_changed()
        with self.device_scope():
            if self._optimizer is not None:
                if not self._optimizer.built:
                    if not are_on(self._optimizer.variables, self.device):
                        self._optimizer = _renewed(self._optimizer)
                    self._optimizer.build([v for _, v in trainable])
                self._optimizer.apply_gradients(
                    [(gradients[name], variable) for name, variable in chosen.items()]
                )
                return
            ops = get_current_ops()
            is_compiled = kernels.IS_COMPILED and ops.device_type == "cpu" and is_adam(optimizer)
            fused = {
                name
                for name, variable in chosen.items()
                if is_compiled and variable.dtype == "float32"
            }
            # All of them before the first is changed.
            for name in fused:
                own_state(optimizer, (self.id, name), tuple(chosen[name].shape))
            for name, variable in chosen.items():
                key = (self.id, name)
                if name in fused:
                    weights = variable.value.numpy()
                    adam_step(optimizer, key, weights, np.asarray(gradients[name]))
                else:
                    updated, _ = optimizer(
                        key, _to_floats(ops, variable), _to_floats(ops, gradients[name])
                    )
                    weights = _to_numpy(updated).reshape(variable.shape)
                variable.assign(weights)

    @contextlib.contextmanager
    def use_params(self, params: dict) -> Iterator[None]:
        """Within the context, use parameters such as an optimizer's averages.

        :param params: arrays by ``(shim.id, variable path)``; other keys are ignored.
        """
        # Layers of Thinc are numbered too: an empty wrapper may share its id with one.
        names = set() if self.is_empty else {key[1] for key in params if key[0] == self.id}
        if not names:
            yield
            return
        chosen = [(name, v) for name, v in self._variables() if name in names]
        with self.device_scope():
            backup = [variable.numpy() for _, variable in chosen]
        try:
            self._assign(
                (variable, _to_numpy(params[(self.id, name)]).reshape(own.shape))
                for (name, variable), own in zip(chosen, backup, strict=True)
            )
            yield
        finally:
            self._assign((v, own) for (_, v), own in zip(chosen, backup, strict=True))

    def _assign(self, values: Iterable[tuple[Any, np.ndarray]]) -> None:
        self.weights_changed()
        with self.device_scope():
            for variable, array in values:
                variable.assign(array)

    # -- copies, devices, bytes

    def copy(self) -> TensorFlowShim:
        """An independent shim with an equal network and an id of its own."""
        copied = TensorFlowShim(None, self.cfg)
        copied._device = self._device
        if not self.is_empty:
            copied._load(self._state())
        if self._optimizer is not None:
            copied._optimizer = _renewed(self._optimizer)
        return copied

    def __deepcopy__(self, memo: dict) -> TensorFlowShim:
        return self.copy()

    def to_device(self, device_type: str, device_id: int) -> None:
        """Move the network, and the gradients gathered, to a device of Thinc's.

        Thinc's ``model.to_gpu()`` and ``model.to_cpu()`` call it.

        A Keras optimizer starts anew.

        :param device_type: ``"gpu"`` or ``"cpu"``.
        :param device_id: number of the GPU; see `placement.device_name`.
        :raises RuntimeError: for a GPU that TensorFlow does not see, if the network is alive;
            else it is raised when TensorFlow is first needed.
        """
        device = device_name(device_type, device_id)
        if self._model is None:
            self._device, self._onnx = device, None
            return
        check_device(import_tensorflow(), device)
        with self._lock:
            self._device, self._is_placed = device, False
            self._place()

    def to_bytes(self) -> bytes:
        """The network: Keras' JSON config, and its weights as plain arrays.

        What ``adapt()`` teaches lookup and discretization layers is in neither: give
        those layers their vocabulary or boundaries when creating them.
        """
        return srsly.msgpack_dumps(self._state())

    def to_onnx(self) -> bytes:
        """The network in ONNX' format, as a file that stands alone.

        :raises ValueError: if there is none, or it has no ONNX form.
        """
        state = self._state()
        if state["config"] is None:
            raise ValueError("This TensorFlowWrapper holds no network yet: initialize it first.")
        try:
            exported = _export(state)
        except UnsupportedNetwork as error:
            raise _no_onnx_form(error) from error
        return exported.graph.to_bytes(exported.results, with_arrays=True)

    def from_bytes(self, data: bytes) -> TensorFlowShim:
        """Take over a network from what :meth:`to_bytes` gave.

        TensorFlow is not imported until the network is used.

        :raises ValueError: if the bytes are not such a network.
        """
        try:
            state = srsly.msgpack_loads(data)
            found, *_ = (state[key] for key in _EMPTY)
        except Exception as error:
            raise ValueError(
                "The bytes of a TensorFlowWrapper's network could not be read: they are "
                f"truncated or something else ({len(data)} bytes, {error!r})."
            ) from error
        if found != _FORMAT:
            raise ValueError(
                f"A TensorFlowWrapper's network of format {_FORMAT} is expected. Received: "
                f"format {found!r}. It was saved by another version of ner-lstm-component: "
                "install that version, or train again."
            )
        self._load(state)
        return self

    @property
    def saved_config(self) -> dict[str, Any]:
        """The Keras config of a network that was only loaded."""
        return json.loads(self._pending["config"])["config"] if self._pending else {}

    def change_saved_config(self, values: dict[str, Any]) -> None:
        """Change values in the Keras config of a network that was only loaded."""
        if self._pending is not None:
            config = json.loads(self._pending["config"])
            config["config"].update(values)
            self._pending = {**self._pending, "config": json.dumps(config, sort_keys=True)}

    def __getstate__(self) -> dict[str, Any]:
        # Averages and moments of a pickled optimizer are found by the id.
        return {
            "id": self.id,
            "cfg": self.cfg,
            "optimizer": self._optimizer and _renewed(self._optimizer),
            "bytes": self.to_bytes(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.id, self.cfg, self._optimizer = state["id"], state["cfg"], state["optimizer"]
        self._model = None
        self._initialize()
        self.from_bytes(state["bytes"])

    def _state(self) -> dict[str, Any]:
        with self._lock:
            if self._model is None:
                return self._pending or _EMPTY
        return self._state_of(self.keras_model)

    def _state_of(self, model: keras.Model) -> dict[str, Any]:
        import keras

        try:
            config = keras.saving.serialize_keras_object(model)
        except NotImplementedError as error:
            raise ValueError(
                f"{type(model).__name__} cannot be saved: give it get_config() and register it "
                "with keras.saving.register_keras_serializable()."
            ) from error
        config.pop("compile_config", None)
        with self.device_scope():
            weights = [_pack(name, v) for name, v in self._named(model)]
        return {
            "format": _FORMAT,
            "config": json.dumps(config, sort_keys=True),
            "call": self._call_spec,
            "weights": weights,
        }

    def _load(self, state: dict[str, Any]) -> None:
        """Hold a saved network, to be restored when first needed."""
        self._reset()
        if state["config"] is not None:
            self._pending = state

    def _restore(self) -> None:
        """Bring the saved network to life."""
        state = self._pending
        if state is None:
            raise ValueError(
                "This TensorFlowWrapper holds no network yet: initialize the component "
                "(nlp.initialize) or load a trained one before using it."
            )
        import_tensorflow()
        import keras

        for module in self.cfg.get("imports", ()):
            importlib.import_module(module)
        with self.device_scope():
            model = keras.saving.deserialize_keras_object(
                json.loads(state["config"]), safe_mode=True
            )
            call, saved = state["call"], state["weights"]
            if call is not None and (not model.built or len(model.weights) < len(saved)):
                args, kwargs = _example(call)
                model(*args, training=False, **kwargs)
            if len(model.weights) != len(saved):
                raise ValueError(
                    f"The saved network has {len(saved)} weights, the one built from its config "
                    f"{len(model.weights)}: {[variable.path for variable in model.weights]}"
                )
            for variable, packed in zip(model.weights, saved, strict=True):
                array = _unpack(packed)
                if array.shape != tuple(variable.shape):
                    raise ValueError(
                        f"The saved weight {packed['name']!r} has shape {array.shape}, the "
                        f"network's {variable.path!r} {tuple(variable.shape)}."
                    )
                variable.assign(array)
            for layer in model._flatten_layers():
                if isinstance(layer, keras.layers.Normalization):
                    layer.finalize_state()  # computes with copies of its weights
        self._call_spec = call
        self._names = [packed["name"] for packed in saved]
        # Last: from here on other threads use the network.
        self._model = model
        self._pending = None
        self._onnx = None


def _renewed(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """A Keras optimizer of the same settings, for other variables."""
    return type(optimizer).from_config(optimizer.get_config())


def _export(state: dict[str, Any], *, embeds: bool = False) -> Exported:
    """A saved network in ONNX; see `onnx_export.export`."""
    weights = [(packed["name"], _unpack(packed)) for packed in state["weights"]]
    return export(state["config"], weights, embeds=embeds)


def _no_onnx_form(error: UnsupportedNetwork) -> ValueError:
    return ValueError(
        f"This network cannot run with runtime='onnx', because of {error}. Expected: layers, and "
        "calls, that ner_lstm_component.onnx_export expresses. With runtime='auto' or "
        "'tensorflow' TensorFlow predicts."
    )


def _to_floats(ops: Ops, value: Any) -> Any:
    """What Thinc's optimizers take: float32, and no scalar, since they take its length."""
    array: Any = np.atleast_1d(value.numpy()).astype(np.float32, copy=False)
    return ops.asarray(array)


def _no_backprop(d_outputs: Any) -> Any:
    raise ValueError("backprop() needs a forward pass with is_train=True: use begin_update().")


def _is_scalar(outputs: Any) -> bool:
    import tensorflow as tf

    return tf.is_tensor(outputs) and outputs.shape.rank == 0


def _relaxed_specs(keras_model: keras.Model, leaves: list[Any]) -> tuple[tf.TensorSpec, ...]:
    """The kind of call: tensors of these specs share a graph."""
    import keras
    import tensorflow as tf

    inputs = getattr(keras_model, "inputs", None) or ()
    declared = [tuple(x.shape) for x in inputs if isinstance(x, keras.KerasTensor)]
    return tuple(
        _relaxed_spec(leaf, shape)
        for leaf, shape in zip_longest(leaves, declared)
        if tf.is_tensor(leaf)
    )


def _relaxed_spec(tensor: tf.Tensor, declared: tuple | None) -> tf.TensorSpec:
    """A tensor's shape with all axes free, but for features' widths.

    A functional network declares with ``keras.Input`` which axes are free. For others,
    those of batch and time change from call to call; the last axis of a float tensor, or
    of one with three axes or more, is a width that layers were built for. So too where
    the batch is fixed: a Sequential network declares the shape of the call that built it.
    """
    import tensorflow as tf

    rank = tensor.shape.rank
    if declared and len(declared) == rank and declared[0] is None:
        is_fixed = [size is not None for size in declared]
    else:
        is_fixed = [False] * rank
        if (tensor.dtype.is_floating and rank > 1) or rank > 2:
            is_fixed[-1] = True
    shape = [size if fixed else None for size, fixed in zip(tensor.shape, is_fixed, strict=True)]
    return tf.TensorSpec(shape, tensor.dtype)


def _flatten_gradient(structure: Any) -> list[Any]:
    """Leaves of a gradient's structure, None kept as a leaf (tf.nest keeps it too)."""
    import tensorflow as tf

    converted = convert_recursive(is_xp_array, _to_numpy, structure)
    return tf.nest.flatten(converted)


def _input_gradient(inputs: ArgsKwargs, tensors: list, gradients: Sequence[Any]) -> ArgsKwargs:
    """Arrange the float inputs' gradients as the inputs are; None for the others."""
    import tensorflow as tf

    given = iter(gradients)
    by_tensor = iter(
        [(next(given) if tensor.dtype.is_floating else None, tensor) for tensor in tensors]
    )

    def gradient_of(leaf: Any) -> Any:
        if not (tf.is_tensor(leaf) or is_xp_array(leaf)):
            return None
        gradient, tensor = next(by_tensor)
        if gradient is None and tensor.dtype.is_floating:
            return tf.zeros_like(tensor)
        return gradient

    structure = (tuple(inputs.args), dict(inputs.kwargs))
    flat = [gradient_of(leaf) for leaf in tf.nest.flatten(structure)]
    args, kwargs = tf.nest.pack_sequence_as(structure, flat)
    return ArgsKwargs(args, kwargs)


def _describe(structure: Any) -> Any:
    """A JSON-like description of a call's structure, from which to build the network."""
    import tensorflow as tf

    if tf.is_tensor(structure):
        # Layers may be unable to build on an axis without elements.
        return {"tensor": [[max(n, 1) for n in structure.shape], structure.dtype.name]}
    if isinstance(structure, dict):
        return {"dict": {key: _describe(value) for key, value in structure.items()}}
    if isinstance(structure, (list, tuple)):
        kind = "list" if isinstance(structure, list) else "tuple"
        return {kind: [_describe(value) for value in structure]}
    return {"value": structure}


def _example(description: Any) -> Any:
    """Zeros of the shapes and in the structure that :func:`_describe` described."""
    import tensorflow as tf

    ((kind, content),) = description.items()
    if kind == "tensor":
        shape, dtype = content
        return tf.zeros(shape, dtype)
    if kind == "dict":
        return {key: _example(value) for key, value in content.items()}
    if kind == "list":
        return [_example(value) for value in content]
    if kind == "tuple":
        return tuple(_example(value) for value in content)
    return content


def _pack(name: str, variable: Any) -> dict[str, Any]:
    array = np.asarray(variable.numpy())
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {
        "name": name,
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "data": little.tobytes(),
    }


def _unpack(packed: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(packed["dtype"]).newbyteorder("<")
    return np.frombuffer(packed["data"], dtype).reshape(packed["shape"])
