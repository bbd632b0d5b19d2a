"""Which pipeline is served: finding, checking and loading it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import spacy
from spacy.glossary import GLOSSARY
from spacy.language import Language
from spacy.util import is_package

from ..component import LSTMEntityRecognizer
from ..tensorflow_wrapper import TensorFlowShim, uses_onnx

MODEL_VARIABLE = "NER_LSTM_MODEL"
PACKAGE = "en_ner_lstm"
TRAINED = Path("training/model-best")
FACTORY = "ner_lstm"


class ModelError(ValueError):
    """There is no pipeline to serve. The message says what was looked for, and what to do."""


def load_pipeline(model: str | Path | None = None) -> Language:
    """Load a pipeline with a component ``ner_lstm``.

    :param model: as of `application.create_app`.
    :raises ModelError: if there is none, it cannot be loaded, or it lacks the component.
    """
    source = model or os.environ.get(MODEL_VARIABLE) or _default_model()
    try:
        nlp = spacy.load(source)
    # Whatever is wrong with a folder's files comes out of the libraries that read them.
    except Exception as error:
        raise ModelError(
            f"The pipeline {str(source)!r} cannot be loaded. Expected: the folder of a trained "
            "pipeline, such as spacy train writes to model-best, or the name of an installed one; "
            f"see also {MODEL_VARIABLE}. Received: {error} (Working folder: {str(Path.cwd())!r})"
        ) from error
    find_component(nlp)
    return nlp


def find_component(nlp: Language) -> LSTMEntityRecognizer:
    """The component made by the factory ``ner_lstm``, whatever its name.

    :raises ModelError: if there is none.
    """
    for name, pipe in nlp.pipeline:
        if nlp.get_pipe_meta(name).factory == FACTORY:
            return pipe
    raise ModelError(
        f"The pipeline {nlp.meta['name']!r} cannot be served: expected a component made by "
        f"the factory {FACTORY!r}. Received: {', '.join(nlp.pipe_names) or 'none'}"
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


def network_runtime(component: LSTMEntityRecognizer) -> str:
    """What a component that has been run predicts with: ``onnx`` or ``tensorflow``."""
    wrappers = [
        node
        for node in component.model.walk()
        if any(isinstance(shim, TensorFlowShim) for shim in node.shims)
    ]
    return "onnx" if all(map(uses_onnx, wrappers)) else "tensorflow"


def legend(meta: Mapping[str, Any], labels: Iterable[str]) -> dict[str, str]:
    """Explain entity types in words.

    :param meta: of the pipeline, whose ``legend`` comes first; else spaCy's glossary.
    :param labels: the types; those of which neither says anything are left out.
    """
    own = dict(meta.get("legend") or {})
    found = {label: own.get(label) or GLOSSARY.get(label.upper(), "") for label in labels}
    # The glossary also has tags of other kinds ("art": an article), in lower case.
    return {label: str(text) for label, text in found.items() if label in own or text[:1].isupper()}
