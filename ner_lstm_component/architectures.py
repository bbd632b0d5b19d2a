"""The registered Thinc model: Docs → the factors of the CRF.

It has two layers: one embeds Docs (lexical features), the other is the wrapped Keras
network, which runs on padded batches of their segments. Given Docs, the model gives
`Potentials`, whose gradient it takes back. Given `Annotated` Docs it gives the loss,
computed with its gradient in one compiled call, and takes back a factor to scale it.
"""

# No postponed annotations here: spaCy reads those of registered functions.

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import ArgsKwargs

from . import network_export as network_export  # registers how the network is exported
from .crf import Potentials
from .features import LexicalFeatures
from .segments import Batch, Reading, batches, cut, sentence_lengths, split
from .settings import NetworkSettings
from .tensorflow_wrapper import TensorFlowWrapper, import_tensorflow, set_keras_model


class Annotated(NamedTuple):
    """Docs with what is known of their tags.

    :param docs: the Docs.
    :param targets: which tags the annotation allows at each token, all where there is
        none. *Shape:* ``(n_tokens, n_tags)`` a Doc, bool
    """

    docs: Sequence[Doc]
    targets: Sequence[NDArray[np.bool_]]


def build_keras_lstm_tagger(
    features: list[str],
    rows: list[int],
    embed_width: int,
    width: int,
    hidden_width: int,
    depth: int,
    word_dropout: float,
    window: int,
    context: int,
    batch_tokens: int,
    nO: int | None = None,
    runtime: str = "auto",
) -> Model[Sequence[Doc] | Annotated, Potentials | float]:
    """`ner_lstm_component.KerasLSTMTagger.v1`: a BiLSTM-CRF over lexical features.

    Constructing it does not import TensorFlow.

    :param features: lexical features of a word; see `features.LexicalFeatures`. The first
        is the one that word dropout hides.
    :param rows: rows of the embedding table for each feature.
    :param embed_width: width of a feature's embedding.
    :param width: width of a word's vector, the LSTM's input.
    :param hidden_width: LSTM units in each direction.
    :param depth: bidirectional LSTM layers.
    :param word_dropout: share of words hidden in training, from 0 to below 1.
    :param window: tokens that the network reads at once, at most.
    :param context: tokens that a window reads on either side of those it tags.
    :param batch_tokens: tokens, padding included, in a padded batch of several segments.
    :param nO: number of tags, ``2 * n_labels + 1``; the component sets it from its labels.
    :param runtime: what predicts: ``"auto"``, ``"onnx"`` or ``"tensorflow"``; see
        `tensorflow_wrapper.set_runtime`.
    :raises ValueError: for a value out of range, naming the argument.
    """
    settings = NetworkSettings(tuple(rows), embed_width, width, hidden_width, depth, word_dropout)
    network = TensorFlowWrapper(
        convert_outputs=_host_results,
        model_name="bilstm_crf",
        imports=[f"{__package__}.network"],
        runtime=runtime,
    )
    return Model(
        "keras_lstm_tagger",
        _forward,
        init=_init,
        layers=[LexicalFeatures(features, rows), network],
        dims={"nO": nO},
        # Objects, which Thinc does not serialize: the config decides, also after loading.
        attrs={
            "reading": Reading(window, context, batch_tokens),
            "settings": settings,
        },
    )


def _init(model: Model, X: Any = None, Y: Any = None) -> None:
    """Build a new network for the number of tags in the dimension ``nO``."""
    import_tensorflow()  # which says what to install where it is missing
    from .network import build_network

    n_labels = (model.get_dim("nO") - 1) // 2
    set_keras_model(model.layers[1], build_network(model.attrs["settings"], n_labels))
    if X is not None:
        model.predict(X)


def _forward(
    model: Model, X: Sequence[Doc] | Annotated, is_train: bool
) -> tuple[Potentials | float, Callable]:
    docs = X.docs if isinstance(X, Annotated) else X
    features, _ = model.layers[0](docs, is_train)
    reading = model.attrs["reading"]
    segments = cut(sentence_lengths(docs), reading)
    flat = np.concatenate(features) if features else np.zeros((0, 0), np.int32)
    batched = list(batches(segments, reading))
    if isinstance(X, Annotated):
        return _loss(model, flat, np.concatenate(X.targets), batched, is_train)
    return _potentials(model, flat, [len(doc) for doc in docs], batched, is_train)


def _potentials(
    model: Model,
    features: NDArray[np.int32],
    lengths: list[int],
    batched: Sequence[Batch],
    is_train: bool,
) -> tuple[Potentials, Callable]:
    """Run the network on each batch, and put what it gives for the cores in its place."""
    n_tags = model.get_dim("nO")
    emissions = np.zeros((len(features), n_tags), np.float32)
    transitions = np.zeros((n_tags + 1, n_tags + 1), np.float32)
    callbacks = []
    for batch in batched:
        inputs = ArgsKwargs((features[batch.tokens], batch.mask), {})
        (scores, transitions), backprop_batch = model.layers[1](inputs, is_train)
        emissions[batch.tokens[batch.core]] = scores[batch.core]
        callbacks.append(backprop_batch)

    def backprop(d: Potentials) -> list:
        d_emissions = np.concatenate(d.emissions)
        # The transitions are the same in every batch: their gradient goes back once.
        d_transitions: Any = d.transitions
        for batch, backprop_batch in zip(batched, callbacks, strict=True):
            d_scores = d_emissions[batch.tokens] * batch.core[:, :, None]
            backprop_batch((d_scores, d_transitions))
            d_transitions = None
        return []

    return Potentials(split(emissions, lengths), transitions), backprop


def _loss(
    model: Model,
    features: NDArray[np.int32],
    targets: NDArray[np.bool_],
    batched: Sequence[Batch],
    is_train: bool,
) -> tuple[float, Callable]:
    """The sum of the segments' negative log-likelihoods.

    A window's context counts as not annotated: its tags are summed over, so that every
    annotated token counts once, and an entity may be cut.
    """
    losses, callbacks = [], []
    for batch in batched:
        inputs = ArgsKwargs(
            (features[batch.tokens], batch.mask),
            {"targets": targets[batch.tokens] | ~batch.core[:, :, None]},
        )
        loss, backprop_batch = model.layers[1](inputs, is_train)
        losses.append(float(loss))
        callbacks.append(backprop_batch)

    def backprop(factor: float) -> list:
        for backprop_batch in callbacks:
            backprop_batch(factor)
        return []

    return sum(losses), backprop


def _host_results(model: Model, tensors: Any, is_train: bool) -> tuple[Any, Callable]:
    """Network outputs as NumPy arrays, wherever Thinc computes: the CRF decodes there."""
    if isinstance(tensors, (tuple, list)):
        return tuple(map(np.asarray, tensors)), tuple
    return np.asarray(tensors), _same


def _same(d_outputs: Any) -> Any:
    return d_outputs
