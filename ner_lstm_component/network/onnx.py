"""How `network.BiLSTMCRF` is exported to ONNX: without what only training needs.

This module does not import TensorFlow; `architectures.py` imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..decoding.crf import FORBIDDEN, iob2_allowed
from ..tensorflow_wrapper.onnx_export import Exported, Layers, Output, Weights, exporter


@exporter("ner_lstm_component>BiLSTMCRF")
def export_bilstm_crf(config: dict[str, Any], weights: Weights, embeds: bool) -> Exported:
    """The encoder up to the emissions, and the transitions beside it."""
    parts = config.get("id_parts") if embeds and kernels.IS_COMPILED else None
    layers = Layers(config["encoder"], weights, parts)
    allowed = iob2_allowed(config["n_labels"])
    transitions = weights.take("crf", "transitions", allowed.shape)
    names = [one.name for one in layers.graph.inputs]
    emissions = layers.value(["emissions", 0, 0])
    features, mask = (names.index(layers.value(one)) for one in layers.config["input_layers"])
    return Exported(
        layers.graph,
        [emissions],
        ("features", "mask"),
        (features, mask),
        layers.right_padded,
        (Output(0), np.where(allowed, transitions, np.float32(FORBIDDEN))),
        layers.embedded,
    )
