"""The format of a Keras network as bytes: its JSON config, and its weights as plain arrays.

Nothing is unpickled, and Keras deserializes in safe mode.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import srsly

if TYPE_CHECKING:
    import keras

FORMAT = 1
# The state of a wrapper without a network; other states have the same keys.
EMPTY: dict[str, Any] = {"format": FORMAT, "config": None, "call": None, "weights": []}


def read_state(data: bytes) -> dict[str, Any]:
    """Read a state from bytes, or raise a ValueError."""
    try:
        state = srsly.msgpack_loads(data)
        found, *_ = (state[key] for key in EMPTY)
    except Exception as error:
        raise ValueError(
            "The bytes of a TensorFlowWrapper's network could not be read: they are "
            f"truncated or something else ({len(data)} bytes, {error!r})."
        ) from error
    if found != FORMAT:
        raise ValueError(
            f"A TensorFlowWrapper's network of format {FORMAT} is expected. Received: "
            f"format {found!r}. It was saved by another version of ner-lstm-component: "
            "install that version, or train again."
        )
    return state


def state_of(
    model: keras.Model, weights: Iterable[tuple[str, Any]], call: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the state of a network in memory.

    :param weights: names and variables, in Keras' order.
    :param call: the result of :func:`describe` for the call that built the network, if any.
    :raises ValueError: if Keras cannot serialize the network.
    """
    import keras

    try:
        config = keras.saving.serialize_keras_object(model)
    except NotImplementedError as error:
        raise ValueError(
            f"{type(model).__name__} cannot be saved: give it get_config() and register it "
            "with keras.saving.register_keras_serializable()."
        ) from error
    config.pop("compile_config", None)
    return {
        "format": FORMAT,
        "config": json.dumps(config, sort_keys=True),
        "call": call,
        "weights": [_pack(name, variable) for name, variable in weights],
    }


def restore(state: dict[str, Any], imports: Sequence[str]) -> keras.Model:
    """Rebuild a saved network on the current device.

    :param imports: modules that register the network's classes.
    :raises ValueError: if the weights do not match the network.
    """
    import keras

    for module in imports:
        importlib.import_module(module)
    model = keras.saving.deserialize_keras_object(json.loads(state["config"]), safe_mode=True)
    call, saved = state["call"], state["weights"]
    if call is not None and (not model.built or len(model.weights) < len(saved)):
        build(model, call)
    if len(model.weights) != len(saved):
        raise ValueError(
            f"The saved network has {len(saved)} weights, the one built from its config "
            f"{len(model.weights)}: {[variable.path for variable in model.weights]}"
        )
    for variable, packed in zip(model.weights, saved, strict=True):
        array = unpack(packed)
        if array.shape != tuple(variable.shape):
            raise ValueError(
                f"The saved weight {packed['name']!r} has shape {array.shape}, the "
                f"network's {variable.path!r} {tuple(variable.shape)}."
            )
        variable.assign(array)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # this layer computes with copies of its weights
    return model


def build(model: keras.Model, call: dict[str, Any]) -> None:
    """Build a network for a call, given the result of :func:`describe`."""
    args, kwargs = _example(call)
    model(*args, training=False, **kwargs)


def describe(structure: Any) -> dict[str, Any]:
    """Describe the structure of a call in JSON, so that :func:`build` can repeat the call."""
    import tensorflow as tf

    if tf.is_tensor(structure):
        # Layers may be unable to build on an axis without elements.
        return {"tensor": [[max(n, 1) for n in structure.shape], structure.dtype.name]}
    if isinstance(structure, dict):
        return {"dict": {key: describe(value) for key, value in structure.items()}}
    if isinstance(structure, (list, tuple)):
        kind = "list" if isinstance(structure, list) else "tuple"
        return {kind: [describe(value) for value in structure]}
    return {"value": structure}


def _example(description: dict[str, Any]) -> Any:
    """Return zeros in the structure that a result of :func:`describe` describes."""
    import tensorflow as tf

    ((kind, content),) = description.items()
    if kind == "tensor":
        return tf.zeros(*content)  # its shape and type
    if kind == "dict":
        return {key: _example(value) for key, value in content.items()}
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(map(_example, content))
    return content


def _pack(name: str, variable: Any) -> dict[str, Any]:
    array = np.asarray(variable.numpy())
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Return a saved weight as an array."""
    dtype = np.dtype(packed["dtype"]).newbyteorder("<")
    return np.frombuffer(packed["data"], dtype).reshape(packed["shape"])
