"""`bilstm_crf.BiLSTMCRF` as an ONNX graph, made from its saved Keras config and weights.

The graph computes the emissions, without the parts that only training needs. It supports the
layers of `bilstm_crf.build_network`; any other layer or setting raises an error. This module does
not import TensorFlow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..decoding.crf import FORBIDDEN, iob2_allowed
from ..tensorflow_wrapper.onnx_graph import MICROSOFT, Graph, Value
from ..tensorflow_wrapper.onnx_runtime import FLOAT32, INT8, Exported, UnsupportedNetwork

Config = dict[str, Any]
Weights = Sequence[tuple[str, NDArray]]

_NAME = "ner_lstm_component>BiLSTMCRF"  # in Keras' registry
# The number of rows of ids whose product is cached, for each part: 4 MB for 64 units.
_REMEMBERED = 16_384
_INT32 = 6  # TensorProto.DataType
# The layers that read two others.
_OF_TWO = ("Add", "Concatenate")

# The values that the graph assumes for settings of Keras' layers that change their results.
_SETTINGS = {
    "dtype": "float32",
    "mask_zero": False,
    "keepdims": False,
    "use_bias": True,
    "quantization_config": None,
    "center": True,
    "scale": True,
    "rms_scaling": False,
    "merge_mode": "concat",
    "recurrent_activation": "sigmoid",
    "return_sequences": True,
    "return_state": False,
    "stateful": False,
}


def export_bilstm_crf(
    network: Config, weights: Weights, is_standalone: bool, precision: str = FLOAT32
) -> Exported:
    """Express a saved `BiLSTMCRF` in ONNX.

    :param network: the saved Keras config.
    :param weights: path and array of each weight, in Keras' order.
    :param is_standalone: whether the graph must be the whole encoder, as in a file. Otherwise
        `kernels.EmbeddedProduct` may compute the embeddings and the first dense layer.
    :param precision: ``float32``, or ``int8`` for an LSTM whose products are of integers.
    :raises UnsupportedNetwork: for any other network; the message names the layer that differs.
    """
    name = network.get("registered_name") or network["class_name"]
    if name != _NAME:
        raise UnsupportedNetwork(f"its class, {name}: only {_NAME} can be exported")
    config = network["config"]
    id_parts = config.get("id_parts") if kernels.IS_COMPILED and not is_standalone else None
    encoder = _Encoder(config["encoder"], weights, id_parts, precision)
    emissions = encoder.add("emissions")
    allowed = iob2_allowed(config["n_labels"])
    encoder.graph.add_output(emissions, "float32", (None, None, len(allowed) - 1))
    transitions = encoder.weight("crf/transitions", *allowed.shape)
    transitions = np.where(allowed, transitions, np.float32(FORBIDDEN))
    return Exported(
        encoder.graph,
        encoder.arguments,
        ("features", "mask", "vectors", "targets", "pos", "training"),
        encoder.prepare,
        lambda outputs: (*outputs, transitions.copy()),
    )


def embed(product: Any, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """Compute the first dense layer, without its activation, by a `kernels.EmbeddedProduct`."""
    rows = np.ascontiguousarray(ids.reshape(-1, ids.shape[-1]))
    return product(rows).reshape(*ids.shape[:-1], -1)


class _Encoder:
    """A builder of an encoder's graph; without ``id_parts`` the graph is the whole encoder."""

    def __init__(
        self, network: Config, weights: Weights, id_parts: list[int] | None, precision: str
    ) -> None:
        kind, inputs = network["class_name"], network["config"].get("input_layers")
        if kind != "Functional" or not isinstance(inputs, list) or len(inputs) not in (2, 3):
            raise UnsupportedNetwork(
                f"its encoder ({kind}): only a functional model of [features, mask] or of "
                "[features, mask, vectors] can be exported"
            )
        self.graph = Graph()
        self.prepare: Callable[[NDArray], NDArray] | None = None
        self._layers: dict[str, Config] = {one["name"]: one for one in network["config"]["layers"]}
        self._weights = iter(weights)
        self._id_parts = id_parts
        self._precision = precision
        self._results: dict[str, str] = {}
        self._features, self._mask, *_ = names = [name for name, *_ in inputs]
        self._read(self._mask, "InputLayer", dtype="bool")
        for name in names:
            config = self._layers[name]["config"]
            self.graph.add_input(name, config["dtype"], (None, *config["batch_shape"][1:]))
        self.arguments = list(self.graph.inputs)
        ones = self.graph.add("Cast", self._mask, to=_INT32)
        self._lengths = self.graph.add("ReduceSum", ones, self._integers(1), keepdims=0)

    def add(self, name: str) -> str:
        """Add a layer after the layers it reads, and return the name of its result."""
        if name not in self._results:
            self._results[name] = self._add(name)
        return self._results[name]

    def _add(self, name: str) -> str:
        kind, config = self._layers[name]["class_name"], self._layers[name]["config"]
        sources = self._read(name, kind)
        match kind:
            case "InputLayer":
                return name
            case "Dense":
                return self._dense(config, sources[0])
            case "Dropout":
                return self.add(sources[0])
            case "Add":
                return self._sum([self.add(source) for source in sources])
            case "LayerNormalization":
                return self._layer_normalization(config, self.add(sources[0]))
            case "Bidirectional":
                return self._bilstm(config, self.add(sources[0]))
        raise _refused(name, kind, "there is no ONNX form for it")

    def weight(self, name: str, *shape: int | None) -> NDArray:
        """Return the next weight with a name such as ``"mix/kernel"``, and check its shape."""
        for path, array in self._weights:
            # Keras drops some enclosing layers' names when it restores a network, and numbers
            # repeated paths, as in "mix/kernel#2".
            if f"/{path}".partition("#")[0].endswith(f"/{name}"):
                pairs = zip(shape, array.shape, strict=False)
                if len(shape) != array.ndim or any(size not in (None, n) for size, n in pairs):
                    raise UnsupportedNetwork(f"the weight {path!r} of shape {array.shape}")
                return array
        raise UnsupportedNetwork(f"the weight {name!r}, which is missing")

    # -- parts of the network

    def _dense(self, config: Config, source: str) -> str:
        name, units = config["name"], config["units"]
        embedded, *vectors = self._concatenated(source)
        is_embedding = self._layers[embedded]["class_name"] == "Reshape"
        if is_embedding:
            table, n_features, n_hashes = self._embedding(embedded)
            x = None if self._id_parts else self._embedded(table, n_features, n_hashes)
        else:
            x = self.add(source)
        kernel = self.weight(f"{name}/kernel", None, units)
        bias = self.weight(f"{name}/bias", units)
        n_rows = n_features * table.shape[1] if vectors else len(kernel)
        if x is None:  # computed before the graph
            weights = (table, kernel[:n_rows], bias, n_hashes)
            product = kernels.EmbeddedProduct(*weights, self._id_parts, _REMEMBERED)
            self.prepare = lambda ids: embed(product, ids)
            result = f"{name}_product"
            self.graph.inputs[0] = Value(result, np.dtype(np.float32), (None, None, units))
        else:
            result = self._sum([self._product(x, kernel[:n_rows]), self.graph.add_constant(bias)])
        for given in vectors:
            result = self._sum([result, self._product(self.add(given), kernel[n_rows:])])
        if config["activation"] == "linear":
            return result
        _check(name, self._layers[name], "Dense", activation="gelu")
        return self.graph.add("Gelu", result, approximate="none")

    def _concatenated(self, name: str) -> list[str]:
        """Return a layer's name, or those of the embeddings and vectors that it concatenates."""
        if self._layers[name]["class_name"] != "Concatenate":
            return [name]
        return self._read(name, "Concatenate", axis=-1)

    def _product(self, x: str, kernel: NDArray) -> str:
        return self.graph.add("MatMul", x, self.graph.add_constant(kernel))

    def _embedding(self, flattened: str) -> tuple[NDArray[np.float32], int, int]:
        """Return the embedding table, the number of features, and the number of their hashes."""
        (summed,) = self._read(flattened, "Reshape")
        (grouped,) = self._read(summed, "Sum", axis=3)
        (embedding,) = self._read(grouped, "Reshape")
        (ids,) = self._read(embedding, "Embedding")
        self._read(ids, "InputLayer", dtype="int32")
        config = self._layers[embedding]["config"]
        width = config["output_dim"]
        shape = self._layers[grouped]["config"]["target_shape"]
        n_features, n_hashes = shape[1:3] if len(shape) == 4 else (0, 0)
        self._read(grouped, "Reshape", target_shape=[-1, n_features, n_hashes, width])
        self._read(flattened, "Reshape", target_shape=[-1, n_features * width])
        table = self.weight(f"{embedding}/embeddings", config["input_dim"], width)
        return table, n_features, n_hashes

    def _embedded(self, table: NDArray, n_features: int, n_hashes: int) -> str:
        """Concatenate the embeddings of all features, each of which is a sum over its hashes."""
        # A lookup for each hash takes a quarter of the time that one lookup and a sum take.
        add, constant = self.graph.add, self.graph.add_constant
        shape = self._integers(0, -1, n_features, n_hashes)
        grouped, vectors = add("Reshape", self._features, shape), constant(table)
        columns = [constant(np.array(k)) for k in range(n_hashes)]
        ids = [add("Gather", grouped, column, axis=-1) for column in columns]
        summed = self._sum([add("Gather", vectors, one) for one in ids])
        return add("Reshape", summed, self._integers(0, -1, n_features * table.shape[1]))

    def _layer_normalization(self, config: Config, x: str) -> str:
        _check(config["name"], self._layers[config["name"]], "LayerNormalization", axis=-1)
        weights = [self.weight(f"{config['name']}/{kind}", None) for kind in ("gamma", "beta")]
        constants = map(self.graph.add_constant, weights)
        epsilon = float(config["epsilon"])
        return self.graph.add("LayerNormalization", x, *constants, axis=-1, epsilon=epsilon)

    def _bilstm(self, config: Config, x: str) -> str:
        """Add both directions of an LSTM as one operator."""
        units = config["layer"]["config"]["units"]
        directions: list[list[NDArray]] = []
        for key, is_backward in (("layer", False), ("backward_layer", True)):
            lstm = config[key]
            known = {"activation": "tanh", "units": units, "go_backwards": is_backward}
            _check(f"{config['name']}/{key}", lstm, "LSTM", **known)
            cell = f"{lstm['config']['name']}/lstm_cell"
            kernel = self.weight(f"{cell}/kernel", None, 4 * units)
            states = self.weight(f"{cell}/recurrent_kernel", units, 4 * units)
            bias = self.weight(f"{cell}/bias", 4 * units)
            directions.append(_in_order_of_onnx(kernel, states, bias))
        add, constant = self.graph.add, self.graph.add_constant
        kernel, states, bias = (np.stack(arrays) for arrays in zip(*directions, strict=True))
        by_time = add("Transpose", x, perm=[1, 0, 2])
        attributes = {"hidden_size": units, "direction": "bidirectional"}
        if self._precision == INT8:
            of_kernel, of_states = quantized(kernel), quantized(states)
            inputs = [constant(of_kernel[0]), constant(of_states[0]), constant(bias)]
            inputs += [self._lengths, "", "", ""]
            inputs += [constant(one) for one in (*of_kernel[1:], *of_states[1:])]
            hidden = add("DynamicQuantizeLSTM", by_time, *inputs, domain=MICROSOFT, **attributes)
        else:
            inputs = [constant(kernel), constant(states), constant(bias), self._lengths]
            hidden = add("LSTM", by_time, *inputs, **attributes)
        # (time, direction, batch, unit) → (batch, time, direction and unit)
        by_sequence = add("Transpose", hidden, perm=[2, 0, 1, 3])
        return add("Reshape", by_sequence, self._integers(0, 0, -1))

    def _sum(self, values: Sequence[str]) -> str:
        return functools.reduce(functools.partial(self.graph.add, "Add"), values)

    def _integers(self, *numbers: int) -> str:
        return self.graph.add_constant(np.array(numbers, np.int64))

    # -- the saved config

    def _read(self, name: str, kind: str, **expected: Any) -> list[str]:
        """Check a layer and its call, and return the names of the layers it reads."""
        layer = self._layers[name]
        _check(name, layer, kind, **expected)
        sources: list[Any] = []
        for call in layer["inbound_nodes"]:
            sources += map(_source, call["args"][0] if kind in _OF_TWO else call["args"])
            kwargs = {key: value for key, value in call["kwargs"].items() if value}
            if kind == "Bidirectional" and _source(kwargs.pop("mask", None)) != self._mask:
                raise _refused(name, kind, "called without the mask")
            if kwargs or None in sources or len(sources) > (2 if kind in _OF_TWO else 1):
                raise _refused(name, kind, f"called with {call}")
        return sources


def _check(name: str, layer: Config, kind: str, **expected: Any) -> None:
    """Raise an error for a layer with another class or other settings than expected."""
    module = layer.get("module") or ""
    if layer["class_name"] != kind or not module.startswith(("keras.layers", "keras.src.ops.")):
        raise _refused(name, f"{module}.{layer['class_name']}", "there is no ONNX form for it")
    for setting, known in {**_SETTINGS, **expected}.items():
        value = layer["config"].get(setting, known)
        while isinstance(value, dict):  # a dtype policy or, from older versions, an activation
            value = value.get("name", value.get("config"))
        if value not in (known, [known]):
            raise _refused(name, kind, f"{setting}={value!r}")


def _source(argument: Any) -> str | None:
    """Return the name of the layer whose output an argument is, or None for other arguments."""
    if not isinstance(argument, dict) or argument.get("class_name") != "__keras_tensor__":
        return None
    name, call, output = argument["config"]["keras_history"]
    return name if call == output == 0 else None


def _refused(name: str, kind: str, reason: str) -> UnsupportedNetwork:
    return UnsupportedNetwork(f"the layer {name!r} ({kind}): {reason}")


def _in_order_of_onnx(kernel: NDArray, states: NDArray, bias: NDArray) -> list[NDArray]:
    """Reorder an LSTM's gates from Keras' i, f, c, o to ONNX's i, o, f, c, with a second bias."""
    units = len(states)
    rows = np.concatenate([np.arange(k * units, (k + 1) * units) for k in (0, 3, 1, 2)])
    return [kernel.T[rows], states.T[rows], np.concatenate([bias[rows], np.zeros_like(bias)])]


def quantized(
    weights: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int8]]:
    """Quantize the weights of both directions of an LSTM, symmetrically, by the row.

    Each row of each gate has a scale of its own, so that one large weight costs only its row
    precision (Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", 2018).

    :param weights: *Shape:* ``(2, 4 * units, n_inputs)``
    :return: the integers, in the order of ``DynamicQuantizeLSTM``, *shape*
        ``(2, n_inputs, 4 * units)``; their scales and zero points, *shape* ``(2, 4 * units)``.
    """
    scales = np.abs(weights).max(axis=2) / np.float32(127)
    scales[scales == 0] = 1
    integers = np.rint(weights / scales[:, :, None]).astype(np.int8)
    return integers.transpose(0, 2, 1), scales, np.zeros(scales.shape, np.int8)
