"""A Keras 3 model as a Thinc model.

Thinc ships a `TensorFlowWrapper` for Keras 2. This one has the same interface for native
Keras 3: any functional, Sequential or registered subclassed model. Nothing here knows about
text, and importing it does not import TensorFlow.

- `layer`: the Thinc model, and what can be done with one;
- `conversion`: Thinc's arrays ↔ TensorFlow's tensors;
- `shim`: holds the network, runs and updates it;
- `tracing`: calls of the network as compiled graphs;
- `optimizer`: Thinc's Adam in one pass;
- `serialization`: the network as bytes, without pickle;
- `placement`: devices, and TensorFlow's start;
- `onnx_*`: prediction with ONNX Runtime, without TensorFlow.
"""

from .layer import (
    TensorFlowWrapper,
    device_scope,
    gradient_sum,
    runtimes,
    set_keras_model,
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
    "runtimes",
    "set_keras_model",
    "set_runtime",
    "uses_onnx",
    "weights_changed",
]
