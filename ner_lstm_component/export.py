"""The export of the network to files that Keras and ONNX Runtime open without this package.

The network computes emissions from ids of features, word vectors or both. The other files hold
the transitions, the tags, the settings, and the pipeline's tags for some sentences, with which
users can check their decoding. TensorFlow is not imported until a network is exported.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model

from .component import LSTMEntityRecognizer
from .decoding import crf
from .network.architectures import reader_of

KERAS, H5, ONNX = "model.keras", "ner_lstm.h5", "ner_lstm.onnx"
TRANSITIONS, SETTINGS, SAMPLE = "transitions.npy", "network.json", "sample.npz"

SENTENCES = (
    "Maria Costa of the World Bank flew from Nairobi to London.",
    "The president of France will visit Moscow on Monday.",
    "Reuters reports that rebels attacked a village in northern Iraq.",
    "Nobody was hurt.",
    "In 2004 the European Union took in ten countries.",
    "Officials in South Korea say the talks begin next week.",
    "Israeli troops left Gaza on Tuesday.",
    "Hurricane Katrina struck New Orleans in August 2005.",
    "Prime Minister Tony Blair met Secretary of State Colin Powell.",
    "The United Nations and the Red Cross sent food to Darfur.",
)


def export_network(nlp: Language, folder: Path) -> list[Path]:
    """Write the network of a pipeline's ``ner_lstm`` and the data needed to use it.

    :param folder: the output folder, created if missing; files with the same names are replaced.
    :return: the paths of the files.
    :raises ValueError: if the pipeline has no ``ner_lstm`` that is initialized and has its
        vectors, or its network has no Keras or ONNX form.
    """
    name, component = _component(nlp)
    wrapper: Any = component.model.layers[1].shims[0]
    docs = [_one_sentence(nlp, text) for text in SENTENCES]
    _set_vectors(nlp, name, component.model, docs)
    potentials = component.potentials(docs)
    sample = _sample(component, docs, potentials)
    settings = {
        "labels": component.labels,
        "tags": component.tags,
        "model": nlp.config["components"][name]["model"],
        "sentences": [[token.text for token in doc] for doc in docs],
    }
    # The network has no entity bias: as part of the transitions it has the same effect.
    transitions = potentials.transitions.copy()
    transitions[:, 0] -= component.entity_bias
    plain = plain_network(wrapper.keras_model.encoder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as scratch:
        new = Path(scratch)
        plain.save(new / KERAS)
        plain.save(new / H5)
        (new / ONNX).write_bytes(wrapper.to_onnx())
        np.save(new / TRANSITIONS, transitions)
        np.savez_compressed(new / SAMPLE, **sample)
        text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        (new / SETTINGS).write_text(text, encoding="utf-8")
        return [path.replace(folder / path.name) for path in sorted(new.iterdir())]


def plain_network(encoder: Any) -> Any:
    """Copy an encoder with layers as its only operations, which the older format .h5 requires.

    The sum over a feature's hashes becomes their mean, scaled by their number. This is
    exact, because a feature has two hashes.
    """
    import keras

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Layer):
            return operation(*args, **kwargs)
        if type(operation).__name__ != "Sum" or operation.axis not in (3, [3], (3,)):
            raise ValueError(
                f"The network has the operation {type(operation).__name__!r}, which is no layer. "
                "Expected: layers of Keras, and the sum over a feature's hashes."
            )
        (vectors,) = args
        hashes, dtype = vectors.shape[3], vectors.dtype
        pool = keras.layers.AveragePooling3D(
            (1, 1, hashes), data_format="channels_last", dtype=dtype, name="mean_of_hashes"
        )
        return keras.layers.Rescaling(hashes, dtype=dtype, name="sum_of_hashes")(pool(vectors))

    # The layers are new, so that the copy shares nothing with the trained network.
    clone = keras.models.clone_model(encoder, call_function=call)
    clone.set_weights(encoder.get_weights())
    return clone


def _component(nlp: Language) -> tuple[str, LSTMEntityRecognizer]:
    for name, pipe in nlp.pipeline:
        if isinstance(pipe, LSTMEntityRecognizer):
            if pipe.model.has_dim("nO") is not True:
                raise ValueError(f"{name!r} is not initialized: train the pipeline first")
            return name, pipe
    raise ValueError(
        "The pipeline has no component 'ner_lstm', so there is no network to export. Its "
        f"components: {', '.join(nlp.pipe_names) or 'none'}"
    )


def _one_sentence(nlp: Language, text: str) -> Doc:
    doc = nlp.make_doc(text)
    for token in doc[1:]:
        token.is_sent_start = False
    return doc


def _set_vectors(nlp: Language, name: str, model: Model, docs: Sequence[Doc]) -> None:
    """Run the components whose vectors a listener reads; otherwise the listener reads zeros."""
    before = nlp.pipeline[: nlp.pipe_names.index(name)]
    sources = [pipe for _, pipe in before if name in getattr(pipe, "listening_components", ())]
    # spaCy's listeners, also those to transformers, name the component they listen to.
    upstream = [u for node in model.walk() if (u := getattr(node, "upstream_name", None))]
    if upstream and not sources:
        raise ValueError(
            f"{name!r} listens to {upstream[0]!r}, but no enabled component before it gives it "
            f"vectors. The pipeline's components: {', '.join(nlp.pipe_names)}. Enable that "
            "component, or put its layer in the listener's place: nlp.replace_listeners()."
        )
    for pipe in sources:
        for doc in docs:
            pipe(doc)


def _sample(
    component: LSTMEntityRecognizer, docs: Sequence[Doc], potentials: crf.Potentials
) -> dict[str, Any]:
    """Return the right-padded features, mask and tags of Docs; the padding of tags is -1."""
    text = reader_of(component.model)(docs)
    lengths = np.array(text.doc_lengths)
    mask = np.arange(lengths.max()) < lengths[:, None]
    tags = np.full(mask.shape, -1)
    of_tokens = crf.viterbi(*potentials)
    tags[mask] = of_tokens if text.is_word is None else of_tokens[text.is_word]
    read = component.model.layers[0].predict(text)
    arrays = read if isinstance(read, tuple) else (read,)
    sample = {"mask": mask, "tags": tags}
    for name, array in zip(("features", "vectors"), arrays, strict=False):
        sample[name] = np.zeros((*mask.shape, array.shape[1]), array.dtype)
        sample[name][mask] = array
    return sample
