"""Finding, checking and describing the pipeline to serve."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import spacy
from spacy.glossary import GLOSSARY
from spacy.language import Language
from spacy.util import is_package

from .. import __version__
from ..component import LSTMEntityRecognizer
from ..tensorflow_wrapper import TensorFlowShim, uses_onnx

MODEL_VARIABLE = "NER_LSTM_MODEL"
PACKAGE = "en_ner_lstm"
TRAINED = Path("training/model-best")


class ModelError(ValueError):
    """An error that no pipeline can be served. The message says what was tried, and what to do."""


def load_pipeline(model: str | Path | None = None) -> Language:
    """Load a pipeline and check that it has a component ``ner_lstm``, or raise `ModelError`."""
    source = model or os.environ.get(MODEL_VARIABLE) or _default_model()
    try:
        nlp = spacy.load(source)
    # The libraries that read the folder's files raise exceptions of many kinds.
    except Exception as error:
        raise ModelError(
            f"The pipeline {str(source)!r} cannot be loaded. Expected: the folder of a trained "
            "pipeline, such as model-best written by spacy train, or the name of an installed "
            f"one; see also {MODEL_VARIABLE}. Received: {error} "
            f"(Working folder: {str(Path.cwd())!r})"
        ) from error
    find_component(nlp)
    return nlp


def find_component(nlp: Language) -> LSTMEntityRecognizer:
    """Return the component made by the factory ``ner_lstm``, or raise `ModelError`."""
    for name, pipe in nlp.pipeline:
        if nlp.get_pipe_meta(name).factory == "ner_lstm":
            return pipe
    raise ModelError(
        f"The pipeline {nlp.meta['name']!r} cannot be served: expected a component made by "
        f"the factory 'ner_lstm'. Received: {', '.join(nlp.pipe_names) or 'none'}"
    )


def _default_model() -> str | Path:
    if is_package(PACKAGE):
        return PACKAGE
    if TRAINED.is_dir():
        return TRAINED
    raise ModelError(
        f"There is no pipeline to serve: {MODEL_VARIABLE} is not set, the package {PACKAGE} is not "
        f"installed, and there is no folder {TRAINED}. Train one (spacy project run train), or set "
        f"{MODEL_VARIABLE} to the folder of one or the name of a package."
    )


def describe(nlp: Language, component: LSTMEntityRecognizer) -> dict[str, Any]:
    """Describe a pipeline that has been run, for ``/version``."""
    nodes = component.model.walk()
    threshold = component.threshold
    wrappers = (n for n in nodes if any(isinstance(shim, TensorFlowShim) for shim in n.shims))
    return {
        "name": f"{nlp.meta['lang']}_{nlp.meta['name']}",
        "version": nlp.meta["version"],
        "package": __version__,
        "labels": list(component.labels),
        "legend": _legend(nlp.meta.get("legend") or {}, component.labels),
        "threshold": threshold if isinstance(threshold, float) else dict(threshold),
        "runtime": {
            "python": platform.python_version(),
            "spacy": version("spacy"),
            "onnxruntime": getattr(sys.modules.get("onnxruntime"), "__version__", None),
            "network": "onnx" if all(map(uses_onnx, wrappers)) else "tensorflow",
            "precision": component.precision,
        },
    }


def _legend(own: dict[str, str], labels: tuple[str, ...]) -> dict[str, str]:
    """Explain entity types with the pipeline's own legend, or else with spaCy's glossary."""
    found = {label: own.get(label) or GLOSSARY.get(label.upper(), "") for label in labels}
    # The glossary also explains other tags, such as "art" (article); these texts are in lower case.
    return {label: str(text) for label, text in found.items() if label in own or text[:1].isupper()}
