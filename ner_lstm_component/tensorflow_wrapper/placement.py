"""Where TensorFlow computes: on the device that Thinc computes on.

This module does not import TensorFlow.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Iterable
from typing import Any

from thinc.compat import cupy, has_cupy_gpu

logger = logging.getLogger(__name__)

CPU = "/CPU:0"


def device_name(device_type: str, device_id: int = 0) -> str:
    """TensorFlow's name for the device that Thinc's ops compute on.

    :param device_type: Thinc's ``ops.device_type``: ``"gpu"``, else the host.
    :param device_id: Thinc's ``ops.device_id``. Thinc leaves it at 0 in ``require_gpu(1)``
        and ``model.to_gpu(1)``, which make that GPU CuPy's current device: where it is 0,
        CuPy's current device is meant.
    """
    if device_type != "gpu":
        return CPU
    if device_id <= 0:
        device_id = cupy.cuda.runtime.getDevice() if has_cupy_gpu else 0
    return f"/GPU:{device_id}"


def are_on(variables: Iterable[Any], device: str) -> bool:
    """Whether all of some Keras variables are on a device."""
    suffix = device.replace("/", "/device:")
    return all(variable.value.device.endswith(suffix) for variable in variables)


def check_device(tf: Any, device: str) -> None:
    """Check that TensorFlow has a device, in place of which it would use the CPU in silence.

    :param tf: TensorFlow.
    :raises RuntimeError: for a GPU that it does not see.
    """
    if not device.startswith("/GPU"):
        return
    names = (gpu.name for gpu in tf.config.list_logical_devices("GPU"))
    seen = ["/" + name.rpartition("/device:")[2] for name in names]
    if device not in seen:
        raise RuntimeError(
            f"Thinc computes on the GPU {device}, which TensorFlow does not see. It sees: "
            f"{', '.join(seen) or 'no GPU'}. Install TensorFlow with its CUDA libraries (pip "
            "install 'ner-lstm-component[cuda]') and check CUDA_VISIBLE_DEVICES; or compute on "
            "the CPU: call spacy.require_cpu() before the pipeline is created or loaded, or "
            "train with --gpu-id -1. With runtime='onnx' a trained pipeline predicts on the CPU."
        )


@functools.cache
def is_tensorflow_installed() -> bool:
    """Whether there is TensorFlow; it is not imported."""
    return importlib.util.find_spec("tensorflow") is not None


@functools.cache
def warn_that_onnx_stands_in() -> None:
    """Warn, once in a process, that a network predicts on the CPU though Thinc uses a GPU."""
    logger.warning(
        "Thinc computes on a GPU, but TensorFlow is not installed: ner_lstm predicts with ONNX "
        "Runtime on the CPU. To predict on the GPU: pip install 'ner-lstm-component[cuda]'. "
        "To choose the CPU without this warning: runtime='onnx'."
    )
