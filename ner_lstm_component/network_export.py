"""How `network.BiLSTMCRF` is exported to ONNX: without what only training needs.

This module does not import TensorFlow; `architectures.py` imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .crf import FORBIDDEN, iob2_allowed
from .onnx_export import Exported, Layers, Output, Weights, exporter


@exporter("ner_lstm_component>BiLSTMCRF")
def export_bilstm_crf(config: dict[str, Any], weights: Weights) -> Exported:
    """The encoder up to the emissions, and the transitions beside it."""
    layers = Layers(config["encoder"], weights)
    allowed = iob2_allowed(config["n_labels"])
    transitions = weights.take("crf", "transitions", allowed.shape)
    emissions = layers.value(["emissions", 0, 0])
    names = [one.name for one in layers.graph.inputs]
    features, mask = (layers.value(one) for one in layers.config["input_layers"])
    return Exported(
        layers.graph,
        [emissions],
        ("features", "mask"),
        (names.index(features), names.index(mask)),
        layers.right_padded,
        (Output(0), np.where(allowed, transitions, np.float32(FORBIDDEN))),
    )
