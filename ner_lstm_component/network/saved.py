"""Checks of a saved model before anything of it is used.

A model from an unknown source may not do more than predict entities: it may not have layers other
than those of `bilstm_crf.build_network`, which could run code, nor arrays that would be read
outside of their bounds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import srsly
from thinc.api import Model

from ..features.lexical import WORD_TABLES
from ..features.word_table import WordTable
from ..text.sentences import KnownWords
from .settings import NetworkSettings

# What Thinc saves of a layer's attributes. Others are objects that the config makes.
_PLAIN = (type(None), bool, int, float, str, list, tuple, dict, np.ndarray)
# The attributes that are the fields of a named tuple.
_TABLES = {"known_words": KnownWords, **dict.fromkeys(WORD_TABLES, WordTable)}
_OBJECT = {"class_name", "module", "registered_name"}
# The classes that the Keras config of a saved network may name, with all versions of Keras.
_CLASSES = {
    "Add",
    "BiLSTMCRF",
    "Bidirectional",
    "Concatenate",
    "DTypePolicy",
    "Dense",
    "Dropout",
    "Embedding",
    "Functional",
    "GlorotUniform",
    "InputLayer",
    "LSTM",
    "LayerNormalization",
    "Ones",
    "Orthogonal",
    "RandomUniform",
    "Reshape",
    "Sum",
    "Zeros",
    "__keras_tensor__",
}
_PACKAGE = "ner_lstm_component"


def check_structure(model: Model, saved: Any) -> None:
    """Check that a saved Thinc model has the nodes and the attributes of a model.

    :param saved: the unpacked result of ``Model.to_bytes()``.
    :raises ValueError: if it belongs to another model, or is damaged.
    """
    nodes = list(model.walk())
    lists = [saved.get(key) for key in ("nodes", "attrs", "params", "shims")]
    if any(not isinstance(one, list) or len(one) != len(nodes) for one in lists):
        raise ValueError(
            f"it does not have the {len(nodes)} layers that the config gives in "
            "[components.*.model]."
        )
    for node, info, attrs, params, shims in zip(nodes, *lists, strict=True):
        _check_node(node, info, nodes)
        if len(shims) != len(node.shims):
            raise ValueError(f"{node.name!r} has {len(shims)} networks, not {len(node.shims)}.")
        for name, data in attrs.items():
            if not isinstance(node.attrs.get(name), _PLAIN) or name not in node.attrs:
                raise ValueError(f"{node.name!r} has no attribute {name!r}.")
            value = srsly.msgpack_loads(data)
            if name == "n_pos" and not (type(value) is int and value >= 0):
                raise ValueError(f"'n_pos' is {value!r}; expected a number.")
            if name in _TABLES:
                if not isinstance(value, list):
                    raise ValueError(f"{name!r} is {value!r:.80}; expected a list of arrays.")
                _TABLES[name](*value).check()
        for name, value in params.items():
            if name not in node.param_names:
                raise ValueError(f"{node.name!r} has no weight {name!r}.")
            if value is not None:
                check_weight(f"{node.name}.{name}", value)


def _check_node(node: Model, info: Mapping[str, Any], nodes: Sequence[Model]) -> None:
    if info["name"] != node.name:
        raise ValueError(f"it has the layer {info['name']!r} in place of {node.name!r}.")
    for name, place in info["refs"].items():
        # Older versions lack some of them.
        expected = nodes.index(node.get_ref(name)) if node.has_ref(name) else None
        if place != expected:
            raise ValueError(f"{node.name!r} refers to the layer {place!r} as {name!r}.")
    for name, size in info["dims"].items():
        is_size = size is None or (type(size) is int and size > 0)
        if not is_size or name not in node.dim_names:
            raise ValueError(f"{node.name!r} has the size {name} = {size!r}.")


def check_network(
    state: Mapping[str, Any], settings: NetworkSettings, n_tags: int, n_pos: int
) -> None:
    """Check that a saved network is one of `bilstm_crf.build_network` for the settings.

    :param state: the state of the `TensorFlowShim`, as from `serialization.read_state`.
    :raises ValueError: if it names other classes, or has other weights.
    """
    for one in _objects(json.loads(state["config"])):
        name, registered = one.get("class_name"), one.get("registered_name")
        is_ours = str(one.get("module", "keras")).split(".")[0] in ("keras", _PACKAGE)
        is_registered_so = registered in (None, name, f"{_PACKAGE}>{name}")
        if name not in _CLASSES or not is_ours or not is_registered_so:
            raise ValueError(
                f"the network contains {name!r} of {one.get('module')!r}, registered as "
                f"{registered!r}, which no network of this component does."
            )
    expected = settings.weights(n_tags, n_pos)
    found = [(one["name"], tuple(one["shape"])) for one in state["weights"]]
    if len(found) != len(expected) or not all(
        name.endswith(ending) and shape == expected[ending]
        for (name, shape), ending in zip(found, expected, strict=True)
    ):
        raise ValueError(f"the network has the weights {found}; expected {expected}.")
    for one in state["weights"]:
        size = math.prod(one["shape"]) * 4
        if one["dtype"] != "float32" or len(one["data"]) != size:
            raise ValueError(
                f"the weight {one['name']!r} has {len(one['data'])} bytes of {one['dtype']!r}; "
                f"expected {size} of 'float32'."
            )
        check_weight(one["name"], np.frombuffer(one["data"], "<f4"))


def check_weight(name: str, weight: Any) -> None:
    """Raise a ValueError if a weight is no array of finite numbers."""
    if not isinstance(weight, np.ndarray) or weight.dtype.kind != "f":
        raise ValueError(f"the weight {name!r} is no array of numbers.")
    if not np.isfinite(weight).all():
        raise ValueError(f"the weight {name!r} contains NaN or infinity.")


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield all parts of a Keras config from which Keras makes objects."""
    if isinstance(config, dict):
        if not _OBJECT.isdisjoint(config):
            yield config
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _objects(value)
