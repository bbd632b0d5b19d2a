"""`TensorFlowShim`: the interface of a Keras network for Thinc."""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import srsly
from thinc.api import Optimizer, Shim, get_current_ops
from thinc.types import ArgsKwargs

from .. import kernels
from .conversion import input_gradient, pair_gradients, to_floats, to_numpy, to_tensors
from .onnx_runtime import (
    FLOAT32,
    INT8,
    PRECISIONS,
    Exported,
    OnnxNetwork,
    UnsupportedNetwork,
    has_int8_instructions,
)
from .optimizer import adam_step, is_adam
from .placement import (
    CPU,
    are_on,
    check_device,
    device_name,
    import_tensorflow,
    is_installed,
    warn_that_onnx_stands_in,
)
from .serialization import EMPTY, build, describe, read_state, restore, state_of, unpack
from .tracing import CallKind, CompiledCall, dense_gradients, kind_of_call, trace

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

logger = logging.getLogger(__name__)

RUNTIMES = ("auto", "onnx", "tensorflow")


class TensorFlowShim(Shim):
    """A shim that runs, updates, moves and serializes a Keras network for Thinc.

    :param model: the network, or None for an empty shim.
    :param config: a dict with ``imports``, the modules that register the network's classes, and
        ``export``, the network's exporter to ONNX, as for `layer.TensorFlowWrapper`.
    :param optimizer: a Keras optimizer that replaces Thinc's optimizer.
    """

    dropout_rate: float | None  # for the next training call

    def __init__(
        self, model: keras.Model | None = None, config: dict | None = None, optimizer: Any = None
    ) -> None:
        super().__init__(None, config, optimizer)
        self._initialize()
        if model is not None:
            self.set_model(model)

    def _initialize(self) -> None:
        self._device: str | None = None
        self._lock = threading.RLock()
        self._reset()

    def _reset(self) -> None:
        """Clear the network and everything that belongs to it."""
        if self._optimizer is not None and self._model is not None:
            # A Keras optimizer is bound to the variables that it first updated.
            self._optimizer = _renewed(self._optimizer)
        self._model = None
        # The state read by from_bytes, until the network is first needed: loading a pipeline
        # then neither imports TensorFlow nor starts its threads, which are missing in
        # the forked processes of nlp.pipe(n_process=…).
        self._pending: dict[str, Any] | None = None
        # The network in ONNX Runtime; weights_changed() clears it.
        self._onnx: OnnxNetwork | None = None
        self._build_call: dict[str, Any] | None = None
        self._names: list[str] = []
        # Whether the network in memory is known to be on the device.
        self._is_placed = True
        self._gradients: dict[str, tf.Tensor] = {}
        self._compiled: dict[CallKind, CompiledCall] = {}
        self.dropout_rate = None

    @property
    def traces(self) -> int:
        """The number of graphs that were traced for the network."""
        return len(self._compiled)

    @property
    def is_empty(self) -> bool:
        """Whether there is no network yet."""
        # In this order: another thread may be restoring the pending network.
        return self._pending is None and self._model is None

    def set_model(self, keras_model: keras.Model) -> None:
        """Replace the network with another, as `layer.set_keras_model` describes."""
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
        """The network on the wrapper's device, rebuilt if it was loaded and not used yet.

        After assigning to its variables directly, call :meth:`weights_changed`.

        :raises ValueError: if the shim is empty, or the network cannot be moved to the device.
        :raises RuntimeError: from `placement.import_tensorflow` or :meth:`device_scope`.
        """
        if self._model is None or not self._is_placed:
            with self._lock:
                if self._model is not None and not self._is_placed:
                    self._place()
                if self._model is None:
                    self._restore()
        import_tensorflow()  # refuses in a fork
        return self._model

    def _restore(self) -> None:
        state = self._pending
        if state is None:
            raise ValueError(
                "This TensorFlowWrapper holds no network yet: initialize the component "
                "(nlp.initialize) or load a trained one before using it."
            )
        with self.device_scope():
            model = restore(state, self.cfg.get("imports", ()))
        self._build_call = state["call"]
        self._names = [packed["name"] for packed in state["weights"]]
        # This comes last: other threads use the network from here on.
        self._model = model
        self._pending = None
        self._onnx = None

    def _place(self) -> None:
        """Rebuild the network on the wrapper's device if it is on another device."""
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

    @property
    def device(self) -> str:
        """The network's device, taken from Thinc's current ops on first access."""
        if self._device is None:
            ops = get_current_ops()
            self._device = device_name(ops.device_type, ops.device_id)
        return self._device

    def device_scope(self) -> contextlib.AbstractContextManager:
        """Return TensorFlow's scope for :attr:`device`; without a scope TensorFlow prefers a GPU.

        :raises RuntimeError: if TensorFlow does not see the device.
        """
        tf = import_tensorflow()
        check_device(tf, self.device)
        return tf.device(self.device)

    @property
    def call_parameters(self) -> list[str]:
        """The names of the parameters of the network's ``call``, without any ``**kwargs``."""
        if self._model is None:
            try:
                if (network := self.onnx_network()) is not None:
                    return network.call_parameters
            except UnsupportedNetwork as error:
                self._log_fallback(error)
        parameters = inspect.signature(self.keras_model.call).parameters.values()
        return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]

    def build(self, inputs: ArgsKwargs) -> None:
        """Create the variables for a call on ``inputs`` that the network does not have yet."""
        with self.device_scope():
            self._build(to_tensors(inputs))

    def _build(self, structure: tuple[tuple, dict]) -> None:
        model = self.keras_model
        with self._lock:
            if all(layer.built for layer in model._flatten_layers()):
                return
            n_weights = len(model.weights)
            call = describe(structure)
            build(model, call)  # as in restore(), so that a failure shows now
            if len(model.weights) > n_weights:
                self._build_call = call

    @property
    def runtime(self) -> str:
        """The runtime that predicts, as in `layer.set_runtime`."""
        return self.cfg.get("runtime", "auto")

    @runtime.setter
    def runtime(self, runtime: str) -> None:
        if runtime not in RUNTIMES:
            raise ValueError(
                f"'runtime' must be one of {', '.join(map(repr, RUNTIMES))}. Received: {runtime!r}"
            )
        self.cfg = {**self.cfg, "runtime": runtime}

    @property
    def precision(self) -> str:
        """The precision of ONNX Runtime's products, as in `layer.set_precision`."""
        return self.cfg.get("precision", FLOAT32)

    @precision.setter
    def precision(self, precision: str) -> None:
        if precision not in PRECISIONS:
            expected = ", ".join(map(repr, PRECISIONS))
            raise ValueError(f"'precision' must be one of {expected}. Received: {precision!r}")
        if precision == INT8 and not has_int8_instructions():
            logger.warning(
                "The network computes in float32, not in int8 (precision): this processor has no "
                "instructions for products of 8-bit integers (VNNI), without which int8 is no "
                "faster, and less accurate."
            )
        if precision != self.precision:
            self._onnx = None
        self.cfg = {**self.cfg, "precision": precision}

    def weights_changed(self) -> None:
        """Have ``runtime="onnx"`` export the network again, as in `layer.weights_changed`."""
        if self._model is not None:
            self._onnx = None

    def onnx_network(self, inputs: ArgsKwargs | None = None) -> OnnxNetwork | None:
        """Return the network in ONNX Runtime, or None if TensorFlow runs it.

        :param inputs: a call's arguments, which serve to build a network that is not built yet.
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
                    self._onnx = OnnxNetwork(lambda: self._export(state, is_standalone=False))
        return self._onnx

    def _log_fallback(self, error: UnsupportedNetwork) -> None:
        # Logged once for a network: TensorFlow then rebuilds it, and predicts from then on.
        if self.runtime == "auto":
            logger.info("TensorFlow predicts instead of ONNX Runtime, because of %s.", error)

    def _chooses_onnx(self) -> bool:
        """Return whether ``auto`` means ONNX Runtime now, as `layer.set_runtime` describes."""
        if self._model is not None:
            return False
        if self.device == CPU:
            return self._onnx is not None or is_installed("onnxruntime")
        if is_installed("tensorflow") or not is_installed("onnxruntime"):
            return False
        warn_that_onnx_stands_in()
        return True

    def __call__(self, inputs: ArgsKwargs, is_train: bool) -> tuple[Any, Callable]:
        if is_train:
            return self.begin_update(inputs)
        return self.predict(inputs), _no_backprop

    def predict(self, inputs: ArgsKwargs) -> Any:
        """Run the network in inference mode.

        :return: tensors, or arrays from ONNX Runtime.
        :raises ValueError: if the runtime is ``"onnx"`` and the network has no ONNX form.
        """
        try:
            if (network := self.onnx_network(inputs)) is not None:
                return network.predict(inputs.args, inputs.kwargs)
        except UnsupportedNetwork as error:
            if self.runtime == "onnx":
                raise _no_onnx_form(error) from error
            self._log_fallback(error)
        tensors, compiled = self._prepare(inputs, is_train=False)
        with self.device_scope():
            outputs, _ = compiled.function(*tensors)
        return outputs

    def begin_update(self, inputs: ArgsKwargs) -> tuple[Any, Callable[[Any], ArgsKwargs]]:
        """Run the network in training mode.

        :return: the output, and a callback from the output's gradient, in which None is zero, to
            the inputs' gradient. The callback accumulates the variables' gradients.
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
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(floats)
                    tape.watch([variable.value for _, variable in compiled.variables])
                    outputs, _ = compiled.function(*tensors)

                def differentiate(d_outputs: Any) -> tuple[Sequence[Any], float]:
                    ys, dys = pair_gradients(outputs, d_outputs)
                    return dense_gradients(tape, ys, compiled.variables, floats, dys), 1.0

        def backprop(d_outputs: Any) -> ArgsKwargs:
            with self.device_scope():
                gradients, scale = differentiate(d_outputs)
                scaled = [g if g is None or scale == 1.0 else g * scale for g in gradients]
                n_variables = len(compiled.variables)
                for (name, _), gradient in zip(compiled.variables, scaled, strict=False):
                    if gradient is not None:
                        known = self._gradients.get(name)
                        self._gradients[name] = gradient if known is None else known + gradient
                return input_gradient(inputs, scaled[n_variables:])

        return outputs, backprop

    def _prepare(self, inputs: ArgsKwargs, is_train: bool) -> tuple[list[Any], CompiledCall]:
        """Convert a call's arguments to flat tensors, and find or trace its graph."""
        tf = import_tensorflow()
        with self.device_scope():
            structure = to_tensors(inputs)
        kind = kind_of_call(self.keras_model, structure, is_train, self.dropout_rate)
        compiled = self._compiled.get(kind)
        if compiled is None:
            with self._lock, self.device_scope():
                compiled = self._compiled.get(kind)
                if compiled is None:
                    self._build(structure)
                    variables = self._trainable() if is_train else []
                    compiled = trace(self.keras_model, structure, kind, variables)
                    self._compiled[kind] = compiled
        return [leaf for leaf in tf.nest.flatten(structure) if tf.is_tensor(leaf)], compiled

    def _named(self, model: keras.Model) -> list[tuple[str, Any]]:
        """Return the weights with names that are unique within the network.

        A loaded network keeps its saved names, with which optimizers identify its variables.
        The names that Keras generates depend on the layers that a process built before.
        """
        weights = model.weights
        if len(self._names) != len(weights):
            seen: Counter[str] = Counter()
            self._names = []
            for path in (variable.path for variable in weights):
                seen[path] += 1
                self._names.append(path if seen[path] == 1 else f"{path}#{seen[path]}")
        return list(zip(self._names, weights, strict=True))

    def _trainable(self) -> list[tuple[str, Any]]:
        return [(name, v) for name, v in self._named(self.keras_model) if v.trainable]

    def gradient_sum(self) -> float:
        """Sum the gradients accumulated since the last :meth:`finish_update`."""
        if not self._gradients:
            return 0.0
        tf = import_tensorflow()
        with tf.device(self.device):
            sums = [tf.reduce_sum(tf.cast(g, tf.float32)) for g in self._gradients.values()]
            return float(tf.add_n(sums))

    def finish_update(self, optimizer: Optimizer) -> None:
        """Apply the gradients accumulated since the last call, and clear them.

        :param optimizer: a Thinc optimizer, which identifies each variable with the key
            ``(shim.id, variable path)``. A wrapper with a Keras optimizer does not use it.
        """
        if not self._gradients:
            return
        trainable = self._trainable()
        gradients, self._gradients = self._gradients, {}
        self.weights_changed()
        with self.device_scope():
            if (own := self._optimizer) is None:
                updates = [(name, v, gradients[name]) for name, v in trainable if name in gradients]
                self._apply_thinc_optimizer(optimizer, updates)
                return
            if not own.built:
                if not are_on(own.variables, self.device):
                    own = self._optimizer = _renewed(own)
                own.build([variable for _, variable in trainable])
            own.apply_gradients([(gradients[n], v) for n, v in trainable if n in gradients])

    def _apply_thinc_optimizer(self, optimizer: Optimizer, updates: list[tuple]) -> None:
        ops = get_current_ops()
        is_compiled = kernels.IS_COMPILED and ops.device_type == "cpu" and is_adam(optimizer)
        for name, variable, gradient in updates:
            key = (self.id, name)
            if is_compiled and variable.dtype == "float32":
                weights = np.atleast_1d(variable.value.numpy())  # a copy
                adam_step(optimizer, key, weights, np.asarray(memoryview(gradient)))
                variable.value.assign(weights.reshape(variable.shape))
            else:
                updated, _ = optimizer(key, to_floats(ops, variable), to_floats(ops, gradient))
                variable.assign(to_numpy(updated).reshape(variable.shape))

    @contextlib.contextmanager
    def use_params(self, params: dict) -> Iterator[None]:
        """Use an optimizer's averages, with keys ``(shim.id, variable path)``, in the context."""
        # Thinc's layers are numbered too: an empty wrapper may have the same id as a layer.
        own_params = {name: array for (number, name), array in params.items() if number == self.id}
        if self.is_empty or not own_params:
            yield
            return
        chosen = [(name, v) for name, v in self._named(self.keras_model) if name in own_params]
        with self.device_scope():
            backup = [(variable, variable.numpy()) for _, variable in chosen]
        try:
            self._assign((v, to_numpy(own_params[name]).reshape(v.shape)) for name, v in chosen)
            yield
        finally:
            self._assign(backup)

    def _assign(self, values: Iterable[tuple[Any, np.ndarray]]) -> None:
        self.weights_changed()
        with self.device_scope():
            for variable, array in values:
                variable.assign(array)

    def copy(self) -> TensorFlowShim:
        """Return an independent shim with an equal network and a new id."""
        copied = TensorFlowShim(None, self.cfg, self._optimizer and _renewed(self._optimizer))
        copied._device = self._device
        copied._load(self._state())
        return copied

    def __deepcopy__(self, memo: dict) -> TensorFlowShim:
        return self.copy()

    def to_device(self, device_type: str, device_id: int) -> None:
        """Move the network and the accumulated gradients; Thinc's ``model.to_gpu()`` calls this.

        A Keras optimizer loses its state.

        :raises RuntimeError: if TensorFlow does not see the GPU. For a network that is loaded and
            not used yet, the error comes when TensorFlow is first needed.
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
        """Serialize the network.

        The results of ``adapt()`` for lookup and discretization layers are not saved: give
        those layers their vocabulary or boundaries when creating them.
        """
        return srsly.msgpack_dumps(self._state())

    def from_bytes(self, data: bytes) -> TensorFlowShim:
        """Load a network from the result of :meth:`to_bytes`, without importing TensorFlow.

        :raises ValueError: if the bytes are not a saved network.
        """
        self._load(read_state(data))
        return self

    def to_onnx(self) -> bytes:
        """Return the network as an ONNX file.

        :raises ValueError: if the shim is empty, or the network has no ONNX form.
        """
        state = self._state()
        if state["config"] is None:
            raise ValueError("This TensorFlowWrapper holds no network yet: initialize it first.")
        try:
            exported = self._export(state, is_standalone=True)
        except UnsupportedNetwork as error:
            raise _no_onnx_form(error) from error
        return exported.graph.to_bytes(with_arrays=True)

    def _export(self, state: dict[str, Any], is_standalone: bool) -> Exported:
        network, export = json.loads(state["config"]), self.cfg.get("export")
        if export is None:
            raise UnsupportedNetwork(f"its class, {network['class_name']}: it has no 'export'")
        weights = [(packed["name"], unpack(packed)) for packed in state["weights"]]
        is_exact = is_standalone or not has_int8_instructions()
        return export(network, weights, is_standalone, FLOAT32 if is_exact else self.precision)

    @property
    def saved_config(self) -> dict[str, Any]:
        """The Keras config of a network that is loaded and not used yet; empty for others."""
        return json.loads(self._pending["config"])["config"] if self._pending else {}

    def change_saved_config(self, values: dict[str, Any]) -> None:
        """Change values in the Keras config of a network that is loaded and not used yet."""
        if self._pending is not None:
            config = json.loads(self._pending["config"])
            config["config"].update(values)
            self._pending = {**self._pending, "config": json.dumps(config, sort_keys=True)}

    def __getstate__(self) -> dict[str, Any]:
        # The id is the key of averages and moments in a pickled optimizer.
        optimizer = self._optimizer and _renewed(self._optimizer)
        return {"id": self.id, "cfg": self.cfg, "optimizer": optimizer, "bytes": self.to_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.id, self.cfg, self._optimizer = state["id"], state["cfg"], state["optimizer"]
        self._model = None
        self._initialize()
        self.from_bytes(state["bytes"])

    def _state(self) -> dict[str, Any]:
        with self._lock:
            if self._model is None:
                return self._pending or EMPTY
        return self._state_of(self.keras_model)

    def _state_of(self, model: keras.Model) -> dict[str, Any]:
        with self.device_scope():
            return state_of(model, self._named(model), self._build_call)

    def _load(self, state: dict[str, Any]) -> None:
        """Replace the network with a saved one, which is rebuilt when it is first needed."""
        self._reset()
        self._pending = None if state["config"] is None else state


def _renewed(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return a Keras optimizer with the same settings, for other variables."""
    return type(optimizer).from_config(optimizer.get_config())


def _no_onnx_form(error: UnsupportedNetwork) -> ValueError:
    return ValueError(
        f"This network has no ONNX form (runtime='onnx'), because of {error}. Expected: a network "
        "and a call that the wrapper's 'export' expresses in ONNX, which is given for the taggers "
        "of this package. With runtime='auto' or 'tensorflow' TensorFlow predicts."
    )


def _no_backprop(d_outputs: Any) -> Any:
    raise ValueError("backprop() needs a forward pass with is_train=True: use begin_update().")
