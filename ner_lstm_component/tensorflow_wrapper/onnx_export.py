"""Saved Keras networks as ONNX graphs, without TensorFlow.

What `TensorFlowShim` saves, Keras' JSON config and the weights as plain arrays, says
everything about a network of Keras' own layers. `export` reads functional and Sequential
networks of the layers and operations that taggers are made of; `exporter` adds networks
of other classes. What is not known is refused with `UnsupportedNetwork`: never approximated.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from .onnx_graph import Graph, Input

Config = dict[str, Any]


class UnsupportedNetwork(ValueError):
    """A network, or a call of one, that has no ONNX form here. The message says why."""


class Output(NamedTuple):
    """Stands in an exported network's output for what the graph gives.

    :param number: which of the graph's outputs, from 0.
    """

    number: int


class Exported(NamedTuple):
    """A network in ONNX' format.

    :param graph: the graph.
    :param results: names of the values that it gives.
    :param parameters: the parameters of the network's ``call``.
    :param arguments: the structure of the network's arguments: those without a default,
        each an input's position, or a list, tuple or dict of such.
    :param right_padded: inputs that are masks; ONNX has lengths of sequences in their place.
    :param outputs: what the network gives: a structure of :class:`Output` and arrays.
    :param embedded: by an input's position, what the graph has in place of the network's ids.
    """

    graph: Graph
    results: Sequence[str]
    parameters: Sequence[str]
    arguments: Sequence[Any]
    right_padded: frozenset[str]
    outputs: Any
    embedded: dict[int, Embedded] = {}  # noqa: RUF012  (never changed)


class Embedded(NamedTuple):
    """Ids whose product with the network's first dense layer is computed before the graph.

    :param ids: the network's input.
    :param product: a :class:`.kernels.EmbeddedProduct`, from ids to the graph's input.
    """

    ids: Input
    product: Callable[[NDArray[np.int32]], NDArray[np.float32]]


_exporters: dict[str, Callable[[Config, Weights, bool], Exported]] = {}


def exporter(registered_name: str) -> Callable:
    """Register how networks of a class are exported.

    The function is called with the config from the network's ``get_config()``, its
    :class:`Weights`, and whether it may have :class:`Embedded` ids.

    :param registered_name: the name in Keras' registry: ``"package>class"``.
    """

    def register(function: Callable) -> Callable:
        _exporters[registered_name] = function
        return function

    return register


def export(
    config: str, weights: Sequence[tuple[str, NDArray]], *, embeds: bool = False
) -> Exported:
    """Express a network in ONNX.

    :param config: what ``keras.saving.serialize_keras_object`` gave, as JSON.
    :param weights: path and array of each weight, in Keras' order.
    :param embeds: whether the graph may begin after the embedding of ids, which are
        remembered then, see :class:`Embedded`; else it is the whole network.
    :raises UnsupportedNetwork: naming the layer that has no ONNX form here.
    """
    network = json.loads(config)
    if network["class_name"] in ("Functional", "Sequential"):
        return _export_layers(network, Weights(weights))
    name = network.get("registered_name") or network["class_name"]
    if name not in _exporters:
        raise UnsupportedNetwork(f"there is no exporter for networks of the class {name}")
    return _exporters[name](network["config"], Weights(weights), embeds)


class Weights:
    """A network's weights, to be taken in their order by name.

    Weights that nobody asks for, of parts that only training needs, are passed over.
    """

    def __init__(self, weights: Sequence[tuple[str, NDArray]]) -> None:
        self._weights = list(weights)

    def take(self, layer: str, name: str, shape: tuple[int | None, ...]) -> NDArray:
        """The next weight whose path ends with a layer's name and its own.

        Paths begin with the names of what the layer was built in, which differ from
        process to process; those that equal another's have its number after ``#``.

        :param shape: what it must have, None for an axis of any size.
        :raises UnsupportedNetwork: if there is none, as before the network is built, or of
            another shape.
        """
        wanted = re.compile(rf"(.*/)?{re.escape(f'{layer}/{name}')}(#\d+)?")
        for i, (path, array) in enumerate(self._weights):
            if wanted.fullmatch(path):
                if len(array.shape) != len(shape) or not all(
                    size in (None, n) for size, n in zip(shape, array.shape, strict=True)
                ):
                    raise UnsupportedNetwork(f"the weight {path!r} of shape {array.shape}")
                del self._weights[: i + 1]
                return array
        raise UnsupportedNetwork(f"the layer {layer!r} has no weight {name!r}")


# ---------------------------------------------------------------- networks

# Rows of a part of ids whose product is remembered: 4 MB for layers of 64 units.
_REMEMBERED = 16_384


class _Groups(NamedTuple):
    """Embeddings that are summed up by groups.

    :param ids: the value to look up.
    :param table: of all embeddings.
    :param shape: of the groups, after the batch's axis; the last size is a group's.
    """

    ids: str
    table: NDArray[np.float32]
    shape: tuple[int, ...]


class Layers:
    """The graph of a functional or Sequential network, made layer by layer.

    :param network: Keras' config of it, with class name and layers.
    :param weights: from which its layers take theirs.
    :param parts: where the network begins with a dense layer on embedded ids that feed
        nothing else: the parts of an id row that are remembered each by itself. None for
        a graph of the whole network.
    """

    def __init__(
        self, network: Config, weights: Weights, parts: Sequence[int] | None = None
    ) -> None:
        self.graph = Graph()
        self.config = _functional(network)
        self._layers = {layer["name"]: layer for layer in self.config["layers"]}
        self._weights: dict[str, list[NDArray] | UnsupportedNetwork] = {}
        for layer in self.config["layers"]:
            self._weights[layer["name"]] = _take_weights(layer, weights)
        self._results: dict[tuple[str, int], str] = {}
        self._lengths: dict[str, str] = {}
        self._parts = parts
        self.embedded: dict[int, Embedded] = {}
        for reference in _references(self.config["input_layers"]):
            self._result(reference)

    @property
    def right_padded(self) -> frozenset[str]:
        """The inputs that serve as masks."""
        return frozenset(self._lengths)

    def value(self, reference: Sequence) -> str:
        """The name of a layer's result.

        :param reference: layer, number of its call, number of its output.
        """
        return self._result(reference)

    def _result(self, reference: Sequence) -> str:
        name, node, tensor = reference
        layer = self._layers[name]
        if tensor != 0:
            raise _refused(layer, "several outputs")
        if (name, node) not in self._results:
            self._results[name, node] = self._convert(layer, node)
        return self._results[name, node]

    def _convert(self, layer: Config, node: int) -> str:
        config, kind = layer["config"], _kind(layer)
        _check_dtype(layer)
        if kind == "operation Sum" and (groups := self._embedding_groups(layer, node)):
            return self._summed_embeddings(groups)
        if kind == "layer Dense" and self._parts and (product := self._embedded(layer, node)):
            return product
        if kind == "layer InputLayer":
            return self.graph.add_input(config["name"], _input_dtype(layer), _relaxed_shape(config))
        if kind not in _CONVERTERS:
            raise _refused(layer, "no ONNX form")
        weights = self._weights_of(layer)
        call = layer["inbound_nodes"][node]
        given = {k: v for k, v in call["kwargs"].items() if v is not None and k != "training"}
        mask = given.pop("mask", None)
        if given or call["kwargs"].get("training"):
            raise _refused(layer, f"a call with {call['kwargs']}")
        arguments = [self._argument(layer, argument) for argument in _flat(call["args"])]
        if mask is not None:
            if kind not in _MASKED:
                raise _refused(layer, "a call with a mask")
            config = {**config, "lengths": self._sequence_lengths(layer, mask)}
        return _CONVERTERS[kind](self.graph, {**layer, "config": config}, arguments, weights)

    def _embedding_groups(self, layer: Config, node: int) -> _Groups | None:
        """What a sum adds up, if that is groups of a few embeddings of ids.

        Networks over hashed features begin so.
        """
        reshape = self._maker(layer["inbound_nodes"][node]["args"])
        if reshape is None or _kind(reshape) != "layer Reshape":
            return None
        embedding = self._maker(reshape["inbound_nodes"][0]["args"])
        if embedding is None or _kind(embedding) != "layer Embedding":
            return None
        *outer, group, width = reshape["config"]["target_shape"]
        is_sum_of_group = layer["config"] == {
            **layer["config"],
            "axis": len(outer) + 1,
            "keepdims": False,
        }
        if not is_sum_of_group or width != embedding["config"]["output_dim"] or not 1 < group <= 4:
            return None
        for one in (reshape, embedding):
            _check_dtype(one)
        if embedding["config"].get("mask_zero"):
            return None
        (table,) = self._weights_of(embedding)
        ids = self._argument(embedding, embedding["inbound_nodes"][0]["args"][0])
        return _Groups(ids, table, (*outer, group))

    def _summed_embeddings(self, groups: _Groups) -> str:
        """The sum without an array of all vectors.

        Adding as many lookups takes a quarter of the time of one that is reshaped and
        summed up.
        """
        add, constant = self.graph.add, self.graph.add_constant
        shape = constant(np.array([0, *groups.shape], np.int64))
        grouped, vectors = add("Reshape", [groups.ids, shape]), constant(groups.table)
        parts = [
            add("Gather", [vectors, add("Gather", [grouped, constant(np.array(k))], axis=-1)])
            for k in range(groups.shape[-1])
        ]
        return functools.reduce(lambda a, b: add("Add", [a, b]), parts)

    def _embedded(self, layer: Config, node: int) -> str | None:
        """A dense layer on embedded ids as an input, if it is one."""
        flat = self._maker(layer["inbound_nodes"][node]["args"])
        if flat is None or _kind(flat) != "layer Reshape" or len(flat["inbound_nodes"]) != 1:
            return None
        summed = self._maker(flat["inbound_nodes"][0]["args"])
        if summed is None or _kind(summed) != "operation Sum":
            return None
        groups = self._embedding_groups(summed, 0)
        names = [one.name for one in self.graph.inputs]
        if groups is None or groups.ids not in names:
            return None
        kernel, *biases = self._weights_of(layer)
        bias = biases[0] if biases else np.zeros(kernel.shape[1], np.float32)
        product = kernels.EmbeddedProduct(
            groups.table, kernel, bias, groups.shape[-1], self._parts, _REMEMBERED
        )
        position = names.index(groups.ids)
        self.embedded[position] = Embedded(self.graph.inputs[position], product)
        self.graph.inputs[position] = Input(
            f"{layer['name']}_product", np.dtype(np.float32), (None, None, kernel.shape[1])
        )
        return _activation(
            self.graph, layer, layer["config"]["activation"], self.graph.inputs[position].name
        )

    def _maker(self, arguments: Sequence[Any]) -> Config | None:
        """The layer, called once, that gives a call's only argument."""
        (argument,) = arguments if len(arguments) == 1 else (None,)
        if not isinstance(argument, dict) or argument.get("class_name") != "__keras_tensor__":
            return None
        name, *_ = argument["config"]["keras_history"]
        layer = self._layers[name]
        return layer if len(layer["inbound_nodes"]) == 1 else None

    def _weights_of(self, layer: Config) -> list[NDArray]:
        weights = self._weights[layer["name"]]
        if isinstance(weights, UnsupportedNetwork):
            raise weights
        return weights

    def _argument(self, layer: Config, argument: Any) -> str:
        if isinstance(argument, dict) and argument.get("class_name") == "__keras_tensor__":
            return self._result(argument["config"]["keras_history"])
        if isinstance(argument, (int, float)) and not isinstance(argument, bool):
            return self.graph.add_constant(np.array(argument, np.float32))
        raise _refused(layer, f"the argument {argument!r}")

    def _sequence_lengths(self, layer: Config, mask: Any) -> str:
        name = self._argument(layer, mask)
        if name not in {one.name for one in self.graph.inputs if one.dtype == "bool"}:
            raise _refused(layer, "a mask that is computed")
        if name not in self._lengths:
            ones = self.graph.add("Cast", [name], to=6)  # int32
            axis = self.graph.add_constant(np.array([1], np.int64))
            self._lengths[name] = self.graph.add("ReduceSum", [ones, axis], keepdims=0)
        return self._lengths[name]


def _export_layers(network: Config, weights: Weights) -> Exported:
    layers = Layers(network, weights)
    names = [one.name for one in layers.graph.inputs]
    wanted: list[str] = []

    def position(reference: Sequence) -> Output:
        wanted.append(layers.value(reference))
        return Output(len(wanted) - 1)

    outputs = _map_references(position, layers.config["output_layers"])
    inputs = layers.config["input_layers"]
    return Exported(
        layers.graph,
        wanted,
        ("inputs", "training", "mask"),
        (_map_references(lambda reference: names.index(layers.value(reference)), inputs),),
        layers.right_padded,
        outputs,
    )


def _functional(network: Config) -> Config:
    """A Sequential network's config as that of a functional one."""
    config = network["config"]
    if network["class_name"] == "Functional":
        return config
    layers: list[Config] = []
    for layer in config["layers"]:
        name = layer["config"]["name"]
        if not layers and layer["class_name"] != "InputLayer":
            raise UnsupportedNetwork("a Sequential network that is not built")
        args = [_keras_tensor(layers[-1]["name"])] if layers else []
        layers.append({**layer, "name": name, "inbound_nodes": [{"args": args, "kwargs": {}}]})
    if not layers:
        raise UnsupportedNetwork("a Sequential network without layers")
    first, last = layers[0]["name"], layers[-1]["name"]
    return {"layers": layers, "input_layers": [first, 0, 0], "output_layers": [last, 0, 0]}


def _keras_tensor(layer: str) -> Config:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [layer, 0, 0]}}


def _is_reference(structure: Any) -> bool:
    return (
        isinstance(structure, list)
        and len(structure) == 3
        and isinstance(structure[0], str)
        and isinstance(structure[1], int)
    )


def _map_references(function: Callable[[Sequence], Any], structure: Any) -> Any:
    if _is_reference(structure):
        return function(structure)
    if isinstance(structure, dict):
        if structure.get("class_name") == "__tuple__":
            return tuple(_map_references(function, one) for one in structure["items"])
        return {key: _map_references(function, one) for key, one in structure.items()}
    return [_map_references(function, one) for one in structure]


def _references(structure: Any) -> list[Sequence]:
    found: list[Sequence] = []
    _map_references(found.append, structure)
    return found


def _flat(arguments: Any) -> Iterator[Any]:
    for argument in arguments:
        if isinstance(argument, list):
            yield from _flat(argument)
        else:
            yield argument


def _kind(layer: Config) -> str:
    """``"layer Dense"``, ``"operation Sum"``: some names are of both."""
    module, name = layer.get("module") or "", layer["class_name"]
    if module.startswith("keras.src.ops."):
        return f"operation {name}"
    return f"layer {name}" if module == "keras.layers" else f"{module}.{name}"


def _refused(layer: Config, what: str) -> UnsupportedNetwork:
    return UnsupportedNetwork(f"the layer {layer['name']!r} ({layer['class_name']}): {what}")


def _check_dtype(layer: Config) -> None:
    dtype = layer["config"].get("dtype")
    name = dtype["config"].get("name") if isinstance(dtype, dict) else dtype
    if layer["class_name"] != "InputLayer" and name not in (None, "float32"):
        raise _refused(layer, f"the dtype {name}")


def _input_dtype(layer: Config) -> str:
    config = layer["config"]
    dtype = config["dtype"]
    if dtype not in ("float32", "int32", "int64", "bool") or config.get("sparse"):
        raise _refused(layer, f"an input of dtype {dtype}, sparse={config.get('sparse')}")
    return dtype


def _relaxed_shape(config: Config) -> list[int | None]:
    """An input's shape; where the batch is fixed, the call that built it left its own."""
    shape = list(config["batch_shape"])
    if not shape or shape[0] is None:
        return shape
    is_width = len(shape) > 2 or (len(shape) > 1 and config["dtype"].startswith("float"))
    return [*(None for _ in shape[1:]), shape[-1] if is_width else None]


# ---------------------------------------------------------------- weights


def _take_weights(layer: Config, weights: Weights) -> list[NDArray] | UnsupportedNetwork:
    """A layer's weights; what is wrong with them matters only if the layer is needed."""
    try:
        return [weights.take(*one) for one in _weights_of(layer)(layer["config"])]
    except UnsupportedNetwork as error:
        return error


# A weight's layer, name and shape.
_Weight = tuple[str, str, tuple[int | None, ...]]


def _embedding_weights(config: Config) -> list[_Weight]:
    return [(config["name"], "embeddings", (config["input_dim"], config["output_dim"]))]


def _dense_weights(config: Config) -> list[_Weight]:
    name, units = config["name"], config["units"]
    found: list[_Weight] = [(name, "kernel", (None, units)), (name, "bias", (units,))]
    return found[: 1 + config["use_bias"]]


def _norm_weights(config: Config) -> list[_Weight]:
    wanted = {"gamma": config["scale"], "beta": config["center"]}
    return [(config["name"], name, (None,)) for name, is_there in wanted.items() if is_there]


def _lstm_weights(config: Config) -> list[_Weight]:
    return _cell_weights(config, "lstm_cell", (4 * config["units"],))


def _gru_weights(config: Config) -> list[_Weight]:
    width = 3 * config["units"]
    # One that resets after the product has a bias for each of the products.
    return _cell_weights(config, "gru_cell", (2, width) if config["reset_after"] else (width,))


def _cell_weights(config: Config, cell: str, bias: tuple[int | None, ...]) -> list[_Weight]:
    name, width = f"{config['name']}/{cell}", bias[-1]
    found: list[_Weight] = [
        (name, "kernel", (None, width)),
        (name, "recurrent_kernel", (config["units"], width)),
        (name, "bias", bias),
    ]
    return found[: 2 + config["use_bias"]]


def _bidirectional_weights(config: Config) -> list[_Weight]:
    both = (config["layer"], config["backward_layer"])
    return [weight for one in both for weight in _weights_of(one)(one["config"])]


def _weights_of(layer: Config) -> Callable[[Config], list[_Weight]]:
    return _WEIGHTS.get(_kind(layer), lambda config: [])


_WEIGHTS: dict[str, Callable[[Config], list[_Weight]]] = {
    "layer Embedding": _embedding_weights,
    "layer Dense": _dense_weights,
    "layer LayerNormalization": _norm_weights,
    "layer LSTM": _lstm_weights,
    "layer GRU": _gru_weights,
    "layer Bidirectional": _bidirectional_weights,
}


# ---------------------------------------------------------------- layers and operations


def _activation(graph: Graph, layer: Config, name: Any, value: str) -> str:
    """Apply an activation, given by Keras' name of it."""
    if isinstance(name, dict):
        name = name.get("config")
    if name in (None, "linear"):
        return value
    if name not in _ACTIVATIONS:
        raise _refused(layer, f"the activation {name!r}")
    op_type, attributes = _ACTIVATIONS[name]
    return graph.add(op_type, [value], **attributes)


_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "softmax": ("Softmax", {"axis": -1}),
    "gelu": ("Gelu", {"approximate": "none"}),
}


def _identity(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    return values[0]


def _only_activation(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    return _activation(graph, layer, layer["config"]["activation"], values[0])


def _embedding(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    if layer["config"].get("mask_zero"):
        # Padding anywhere may be masked then, and the mask goes on through other layers.
        raise _refused(layer, "mask_zero")
    return graph.add("Gather", [graph.add_constant(weights[0]), values[0]])


def _reshape(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    # Zero: the batch's axis as it is.
    shape = np.array([0, *layer["config"]["target_shape"]], np.int64)
    return graph.add("Reshape", [values[0], graph.add_constant(shape)])


def _dense(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    if layer["config"].get("quantization_config"):
        raise _refused(layer, "quantization")
    result = graph.add("MatMul", [values[0], graph.add_constant(weights[0])])
    if len(weights) > 1:
        result = graph.add("Add", [result, graph.add_constant(weights[1])])
    return _activation(graph, layer, layer["config"]["activation"], result)


def _layer_normalization(
    graph: Graph, layer: Config, values: list[str], weights: list[NDArray]
) -> str:
    config = layer["config"]
    shape: list[int] = layer.get("build_config", {}).get("input_shape") or []
    axis = config["axis"] if isinstance(config["axis"], list) else [config["axis"]]
    if config.get("rms_scaling") or axis not in ([-1], [len(shape) - 1]):
        raise _refused(layer, f"axis={axis}, rms_scaling={config.get('rms_scaling')}")
    given = iter(weights)
    width = weights[0].shape if weights else (shape[-1],)
    scale = next(given) if config["scale"] else np.ones(width, np.float32)
    shift = next(given) if config["center"] else np.zeros(width, np.float32)
    constants = [graph.add_constant(scale), graph.add_constant(shift)]
    epsilon = float(config["epsilon"])
    return graph.add("LayerNormalization", [values[0], *constants], axis=-1, epsilon=epsilon)


def _elementwise(op_type: str) -> Callable:
    def convert(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
        result = values[0]
        for value in values[1:]:
            result = graph.add(op_type, [result, value])
        return result

    return convert


def _average(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    return graph.add("Mean", values)


def _concatenate(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    return graph.add("Concat", values, axis=int(layer["config"]["axis"]))


def _reduction(op_type: str) -> Callable:
    def convert(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
        config = layer["config"]
        axis = config["axis"]
        if config.get("initial") is not None:
            raise _refused(layer, f"initial={config['initial']}")
        inputs = list(values)
        if axis is not None:
            axes = np.array(axis if isinstance(axis, list) else [axis], np.int64)
            inputs.append(graph.add_constant(axes))
        return graph.add(op_type, inputs, keepdims=int(config["keepdims"]))

    return convert


def _gelu(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    form = "tanh" if layer["config"]["approximate"] else "none"
    return graph.add("Gelu", values, approximate=form)


def _softmax(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    return graph.add("Softmax", values, axis=int(layer["config"]["axis"]))


def _named(op_type: str) -> Callable:
    def convert(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
        return graph.add(op_type, values)

    return convert


def _recurrent(graph: Graph, layer: Config, values: list[str], weights: list[NDArray]) -> str:
    """A recurrent layer alone or in both directions, as one operator."""
    config = layer["config"]
    is_both = layer["class_name"] == "Bidirectional"
    cells = [config["layer"], config["backward_layer"]] if is_both else [layer]
    cell = cells[0]
    for one in cells:
        _check_cell(layer, one, cell)
    n_arrays = len(weights) // len(cells)
    by_direction = [weights[k * n_arrays : (k + 1) * n_arrays] for k in range(len(cells))]
    arranged = [_gates(one, arrays) for one, arrays in zip(cells, by_direction, strict=True)]
    constants = [graph.add_constant(np.stack(arrays)) for arrays in zip(*arranged, strict=True)]

    attributes: dict[str, Any] = {"hidden_size": cell["config"]["units"]}
    if is_both:
        if config["merge_mode"] != "concat":
            raise _refused(layer, f"merge_mode={config['merge_mode']!r}")
        attributes["direction"] = "bidirectional"
    if cell["class_name"] == "GRU":
        attributes["linear_before_reset"] = int(cell["config"]["reset_after"])
    is_sequence, lengths = cell["config"]["return_sequences"], config.get("lengths", "")
    if lengths and is_sequence and not (is_both or cell["config"]["zero_output_for_mask"]):
        raise _refused(layer, "a mask without zero_output_for_mask")

    by_time = graph.add("Transpose", [values[0]], perm=[1, 0, 2])
    inputs = [by_time, *constants, lengths]
    result = graph.add(cell["class_name"], inputs, 1 if is_sequence else 2, **attributes)
    # (time, directions, batch, units) or, of the last step, (directions, batch, units).
    order = [2, 0, 1, 3] if is_sequence else [1, 0, 2]
    turned = graph.add("Transpose", [result], perm=order)
    shape = np.array([0, 0, -1] if is_sequence else [0, -1], np.int64)
    return graph.add("Reshape", [turned, graph.add_constant(shape)])


def _check_cell(layer: Config, cell: Config, first: Config) -> None:
    """Refuse what ONNX' operators do otherwise than Keras' cells."""
    config = cell["config"]
    expected: dict[str, Any] = {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "go_backwards": cell is not first,
        "return_state": False,
        "stateful": False,
        "units": first["config"]["units"],
        "return_sequences": first["config"]["return_sequences"],
        "reset_after": first["config"].get("reset_after"),
    }
    if _kind(cell) not in ("layer LSTM", "layer GRU") or _kind(cell) != _kind(first):
        raise _refused(layer, f"a recurrent {cell['class_name']}")
    _check_dtype(cell)
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise _refused(layer, f"{name}={config[name]!r}")


def _gates(cell: Config, weights: list[NDArray]) -> list[NDArray]:
    """A cell's weights as ONNX has them: gates in its order, units first, two biases."""
    kernel, recurrent = weights[:2]
    units = cell["config"]["units"]
    # Keras: LSTM i f c o, GRU z r h. ONNX: i o f c, and z r h too.
    order = [0, 3, 1, 2] if cell["class_name"] == "LSTM" else [0, 1, 2]
    columns = np.concatenate([np.arange(k * units, (k + 1) * units) for k in order])
    biases = np.zeros((2, kernel.shape[1]), np.float32)
    if len(weights) > 2:
        biases[: 2 if weights[2].ndim == 2 else 1] = weights[2]
    return [kernel.T[columns], recurrent.T[columns], biases[:, columns].reshape(-1)]


_MASKED = ("layer LSTM", "layer GRU", "layer Bidirectional")
_CONVERTERS: dict[str, Callable[[Graph, Config, list[str], list[NDArray]], str]] = {
    "layer Dropout": _identity,
    "layer SpatialDropout1D": _identity,
    "layer GaussianDropout": _identity,
    "layer GaussianNoise": _identity,
    "layer Activation": _only_activation,
    "layer Embedding": _embedding,
    "layer Reshape": _reshape,
    "layer Dense": _dense,
    "layer LayerNormalization": _layer_normalization,
    "layer LSTM": _recurrent,
    "layer GRU": _recurrent,
    "layer Bidirectional": _recurrent,
    "layer Add": _elementwise("Add"),
    "layer Multiply": _elementwise("Mul"),
    "layer Maximum": _elementwise("Max"),
    "layer Subtract": _elementwise("Sub"),
    "layer Average": _average,
    "layer Concatenate": _concatenate,
    "operation Add": _elementwise("Add"),
    "operation Subtract": _elementwise("Sub"),
    "operation Multiply": _elementwise("Mul"),
    "operation TrueDivide": _elementwise("Div"),
    "operation Concatenate": _concatenate,
    "operation Sum": _reduction("ReduceSum"),
    "operation Mean": _reduction("ReduceMean"),
    "operation Max": _reduction("ReduceMax"),
    "operation Gelu": _gelu,
    "operation Softmax": _softmax,
    "operation Relu": _named("Relu"),
    "operation Tanh": _named("Tanh"),
    "operation Sigmoid": _named("Sigmoid"),
}
