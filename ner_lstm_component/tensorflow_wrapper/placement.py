"""The start of TensorFlow, and its choice of the device that Thinc computes on."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from thinc.compat import cupy, has_cupy_gpu

logger = logging.getLogger(__name__)

CPU = "/CPU:0"

# The beginnings of lines that absl logs before it is initialized and at the level INFO.
_NOTICES = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ")

_start_lock = threading.Lock()
# The process that started TensorFlow; a forked child inherits this number.
_started_in: int | None = None


def import_tensorflow() -> Any:
    """Import TensorFlow, and let its GPU memory grow on demand, to leave some for CuPy.

    :raises RuntimeError: in a fork of a process that used TensorFlow. The fork lacks
        TensorFlow's threads, and would wait for them forever.
    :raises ImportError: if TensorFlow is not installed.
    """
    global _started_in
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _without_notices():
            import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "Training a network, and running one that has no ONNX form, needs TensorFlow, which "
            "is not installed; run: pip install 'ner-lstm-component[train]'"
        ) from error

    if _started_in is None:
        with _start_lock:
            if _started_in is None:
                _prepare(tf)
                _started_in = os.getpid()
    if _started_in != os.getpid():
        raise RuntimeError(
            "TensorFlow was started in the parent of this process and does not survive a "
            "fork. Call multiprocessing.set_start_method('spawn') first, or save the pipeline "
            "and load it again: a pipeline predicts without TensorFlow until it is trained."
        )
    return tf


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Drop the notices that TensorFlow's import writes to stderr despite ``TF_CPP_MIN_LOG_LEVEL``.

    A level of 0 keeps the notices. Any other output is printed after the import.
    """
    if "tensorflow" in sys.modules or os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0":
        yield
        return
    try:
        stderr = os.dup(2)
    except OSError:  # a daemon may run without stderr
        yield
        return
    with _start_lock, tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held_back.seek(0)
            lines = [line for line in held_back if not line.startswith(_NOTICES)]
            with contextlib.suppress(OSError):  # the reader of stderr may be gone
                os.write(2, b"".join(lines))


def _prepare(tf: Any) -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"Keras runs on the backend {keras.backend.backend()!r}; TensorFlowWrapper needs "
            "'tensorflow'. Set the environment variable KERAS_BACKEND=tensorflow before "
            "Keras is imported."
        )
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            logger.warning(
                "TensorFlow was initialized before ner_lstm_component could set memory "
                "growth on %s: TensorFlow may use all of the GPU's memory.",
                gpu.name,
            )


def device_name(device_type: str, device_id: int = 0) -> str:
    """Return TensorFlow's name for the device of Thinc's ops.

    :param device_type: the type of the device, ``"cpu"`` or ``"gpu"``.
    :param device_id: the number of the GPU, or 0 for CuPy's current device: ``require_gpu(1)`` and
        ``model.to_gpu(1)`` leave ``ops.device_id`` at 0 and make GPU 1 the current device.
    """
    if device_type != "gpu":
        return CPU
    if device_id <= 0:
        device_id = cupy.cuda.runtime.getDevice() if has_cupy_gpu else 0
    return f"/GPU:{device_id}"


def are_on(variables: Iterable[Any], device: str) -> bool:
    """Return whether all Keras variables are on a device."""
    suffix = device.replace("/", "/device:")
    return all(variable.value.device.endswith(suffix) for variable in variables)


def check_device(tf: Any, device: str) -> None:
    """Check that TensorFlow sees a device; otherwise TensorFlow would silently use the CPU."""
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
def is_installed(package: str) -> bool:
    """Return whether a package is installed, without importing it."""
    return importlib.util.find_spec(package) is not None


@functools.cache
def warn_that_onnx_stands_in() -> None:
    """Warn once per process that ONNX Runtime predicts on the CPU though Thinc uses a GPU."""
    logger.warning(
        "Thinc computes on a GPU, but TensorFlow is not installed: ner_lstm predicts with ONNX "
        "Runtime on the CPU. To predict on the GPU: pip install 'ner-lstm-component[cuda]'. "
        "To choose the CPU without this warning: runtime='onnx'."
    )
