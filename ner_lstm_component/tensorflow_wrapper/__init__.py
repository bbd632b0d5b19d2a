"""A Keras 3 model as a Thinc model.

Thinc ships a `TensorFlowWrapper` for Keras 2. This package has the same interface for native
Keras 3: any functional, Sequential or registered subclassed model. Nothing in it depends on
text, and importing the package does not import TensorFlow.
"""

from .layer import (
    TensorFlowWrapper,
    device_scope,
    gradient_sum,
    precisions,
    runtimes,
    set_keras_model,
    set_precision,
    set_runtime,
    uses_onnx,
    weights_changed,
)
from .placement import import_tensorflow
from .shim import RUNTIMES, TensorFlowShim

__all__ = [
    "RUNTIMES",
    "TensorFlowShim",
    "TensorFlowWrapper",
    "device_scope",
    "gradient_sum",
    "import_tensorflow",
    "precisions",
    "runtimes",
    "set_keras_model",
    "set_precision",
    "set_runtime",
    "uses_onnx",
    "weights_changed",
]
