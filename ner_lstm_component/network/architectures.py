"""The registered Thinc models: Docs → the factors of the CRF.

They have two layers: one embeds Docs (lexical features, or any layer of spaCy's that gives
vectors), the other is the wrapped Keras network, which runs on padded batches of their
segments. Given Docs, a model gives `Potentials`, whose gradient it takes back. Given
`Annotated` Docs it gives the loss, computed with its gradient in one compiled call, and
takes back a factor to scale it. Vectors get their gradient either way.
"""

# No postponed annotations here: spaCy reads those of registered functions.

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import srsly
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Model, Ops
from thinc.types import ArgsKwargs, Floats2d

from ..decoding.crf import Potentials
from ..errors import check_finite
from ..features.lexical import LexicalFeatures, no_gradient
from ..features.ngram_tags import Lexicon
from ..tensorflow_wrapper import (
    TensorFlowWrapper,
    device_scope,
    import_tensorflow,
    set_keras_model,
    set_runtime,
    uses_onnx,
)
from ..text.batches import Batch, pad_windows
from ..text.sentences import Text, chunks, read_docs
from ..text.windows import Windowing, Windows, split_windows
from . import onnx as onnx  # registers how the network is exported
from .settings import NetworkSettings, TaggerSettings, check_saved

# In larger batches ONNX Runtime takes longer for a token: they exceed a processor's cache.
_ONNX_TOKENS = 1024
# Tokens whose features are held at once.
_TOKENS_AT_ONCE = 32_768


class Annotated(NamedTuple):
    """Docs with what is known of their tags.

    :param docs: the Docs.
    :param targets: which tags the annotation allows at each token, all where there is
        none. *Shape:* ``(n_tokens, n_tags)`` a Doc, bool
    :param pos: part-of-speech tags, -1 where unknown; None to learn none.
        *Shape:* ``(n_tokens,)`` a Doc
    :param text: what `sentences.read_docs` gives for the Docs, where they were read already.
    """

    docs: Sequence[Doc]
    targets: Sequence[NDArray[np.bool_]]
    pos: Sequence[NDArray[np.int32]] | None = None
    text: Text | None = None


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
    ngrams: list[list[int]] | None = None,
    feature_dropout: float = 0.0,
    pos_weight: float = 0.0,
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
    :param ngrams: n-grams whose tags in the training data are features too, each the
        offsets of its words from the token; see `lexicon.TagLexicon`. None for no such.
    :param feature_dropout: share of the words each other feature of which is hidden.
    :param pos_weight: weight of a token's part-of-speech tag in the training loss, where
        the training data has such tags; 0 leaves them out.
    :param nO: number of tags, ``2 * n_labels + 1``; the component sets it from its labels.
    :param runtime: what predicts: ``"auto"``, ``"onnx"`` or ``"tensorflow"``; see
        `tensorflow_wrapper.set_runtime`.
    :raises ValueError: for a value out of range, naming the argument.
    """
    settings = NetworkSettings(
        tuple(rows),
        embed_width,
        width,
        hidden_width,
        depth,
        word_dropout,
        ngrams=tuple(map(tuple, ngrams or ())),
        feature_dropout=feature_dropout,
        pos_weight=pos_weight,
        features=tuple(features),
    )
    windowing = Windowing(window, context, batch_tokens, _TOKENS_AT_ONCE)
    lexical = LexicalFeatures(features, rows)
    lexicon = Lexicon(ngrams or [])
    embedding = _side_by_side(lexical, lexicon) if ngrams else lexical
    model = _tagger("keras_lstm_tagger", embedding, _init_lexical, settings, windowing, nO)
    model.set_ref("lexicon", lexicon if ngrams else None)
    return set_runtime(model, runtime)


def _side_by_side(lexical: Model, lexicon: Model) -> Model[Text, NDArray[np.int32]]:
    """The ids of both layers; the lexicon's have the embedding table's last rows."""
    return Model("word_features", _forward_both, layers=[lexical, lexicon])


def _forward_both(
    model: Model, text: Text, is_train: bool
) -> tuple[NDArray[np.int32], Callable[[Any], list]]:
    lexical, lexicon = model.layers
    n_rows = lexical.attrs["table"].n_rows
    ids = [lexical(text, is_train)[0], lexicon(text, is_train)[0] + n_rows]
    return np.concatenate(ids, axis=1), no_gradient


def build_tok2vec_keras_lstm_tagger(
    tok2vec: Model[list[Doc], list[Floats2d]],
    hidden_width: int,
    depth: int,
    window: int,
    context: int,
    batch_tokens: int,
    nO: int | None = None,
    runtime: str = "auto",
) -> Model[Sequence[Doc] | Annotated, Potentials | float]:
    """`ner_lstm_component.Tok2VecKerasLSTMTagger.v1`: a BiLSTM-CRF over any word vectors.

    Constructing it does not import TensorFlow.

    :param tok2vec: from Docs to a vector for each token, as spaCy's architectures for
        ``tok2vec`` are. It is trained along; a listener passes the gradient on.
    :param hidden_width: LSTM units in each direction.
    :param depth: bidirectional LSTM layers.
    :param window: tokens that the network reads at once, at most.
    :param context: tokens that a window reads on either side of those it tags.
    :param batch_tokens: tokens, padding included, in a padded batch of several segments.
    :param nO: number of tags, ``2 * n_labels + 1``; the component sets it from its labels.
    :param runtime: what predicts: ``"auto"``, ``"onnx"`` or ``"tensorflow"``; see
        `tensorflow_wrapper.set_runtime`.
    :raises ValueError: for a value out of range, naming the argument.
    """
    settings = TaggerSettings(hidden_width, depth)
    windowing = Windowing(window, context, batch_tokens)
    vectors: Model = Model("word_vectors", _forward_vectors, layers=[tok2vec])
    model = _tagger("tok2vec_keras_lstm_tagger", vectors, _init_tok2vec, settings, windowing, nO)
    model.set_ref("tok2vec", tok2vec)
    return set_runtime(model, runtime)


def _forward_vectors(
    model: Model, text: Text, is_train: bool
) -> tuple[NDArray[np.float32], Callable[[Any], list]]:
    """The vectors of all words, on the host."""
    ops = model.ops
    by_doc, backprop_by_doc = model.layers[0](text.docs, is_train)
    flat = np.concatenate([ops.to_numpy(array) for array in by_doc])
    ends = np.cumsum([len(doc) for doc in text.docs])[:-1]

    def backprop(d_flat: Any) -> Any:
        # What is passed on to a shared tok2vec is no longer seen by the component.
        check_finite("the gradient of the word vectors", float(d_flat.sum()))
        by_doc: list[Any] = np.split(d_flat, ends)
        return backprop_by_doc([ops.asarray2f(d_vectors) for d_vectors in by_doc])

    return flat, backprop


def _tagger(
    name: str,
    embedding: Model,
    init: Callable,
    settings: NetworkSettings | TaggerSettings,
    windowing: Windowing,
    nO: int | None,
) -> Model[Sequence[Doc] | Annotated, Potentials | float]:
    network = TensorFlowWrapper(
        convert_outputs=_host_results,
        model_name="bilstm_crf",
        imports=[f"{__package__}.bilstm_crf"],
    )
    return Model(
        name,
        _forward,
        init=init,
        layers=[embedding, network],
        dims={"nO": nO},
        # Objects, which Thinc does not serialize: the config decides, also after loading.
        attrs={"windowing": windowing, "settings": settings, "n_pos": 0},
    )


def _init_lexical(model: Model, X: Any = None, Y: Any = None) -> None:
    """Build a new network for the number of tags in the dimension ``nO``."""
    with device_scope(model.layers[1]):
        from .bilstm_crf import build_network

        network = build_network(model.attrs["settings"], _n_labels(model), model.attrs["n_pos"])
    set_keras_model(model.layers[1], network)
    if X is not None:
        model.predict(X)


def _init_tok2vec(model: Model, X: Any = None, Y: Any = None) -> None:
    """Initialize the vectors, and build a new network for them and the dimension ``nO``."""
    import_tensorflow()  # which says what to install where it is missing
    # Not a reference kept elsewhere: Language.replace_listeners() may have put another here.
    tok2vec = model.layers[0].layers[0]
    tok2vec.initialize(X=X)
    width = tok2vec.maybe_get_dim("nO")
    if width is None:  # Listeners to transformers know it from what they give.
        width = tok2vec.predict(X)[0].shape[1]
    with device_scope(model.layers[1]):
        from .bilstm_crf import build_vector_network

        network = build_vector_network(model.attrs["settings"], width, _n_labels(model))
    set_keras_model(model.layers[1], network)
    if X is not None:
        model.predict(X)


def check_weights(name: str, model: Model, saved: dict[str, Any]) -> None:
    """Refuse saved weights whose shapes do not fit the config's settings.

    For components of 0.1.0, which do not say by what settings their weights were trained.

    :param name: the component's name.
    :param model: one of this module's.
    :param saved: what ``Model.to_dict()`` gave.
    :raises ValueError: for a difference, naming the setting and both values.
    """
    shapes: dict[str, Sequence[int]] = {}
    ngrams: list = []
    for data in chain.from_iterable(saved.get("shims", ())):
        with suppress(Exception):  # of a layer of the user's own
            state = srsly.msgpack_loads(data)
            shapes |= {one["name"]: one["shape"] for one in state.get("weights", ())}
            ngrams = state.get("ngrams", ngrams)
    found = model.attrs["settings"].known_by(shapes, ngrams)
    check_saved(name, *({key: pair[k] for key, pair in found.items()} for k in (0, 1)))


def restore_settings(name: str, model: Model) -> None:
    """Apply the config's settings that only training depends on to a loaded network.

    :param name: the component's name.
    :param model: one of this module's, just loaded.
    :raises ValueError: for ``pos_weight``, if the network was built without part-of-speech tags.
    """
    settings = model.attrs["settings"].in_training
    shim: Any = model.layers[1].shims[0]
    saved = shim.saved_config
    if saved.get("pos_weight") == 0 and settings.get("pos_weight", 0) > 0:
        check_saved(name, {"pos_weight": 0.0}, settings)
    shim.change_saved_config(settings)


def _n_labels(model: Model) -> int:
    return (model.get_dim("nO") - 1) // 2


def _forward(
    model: Model, X: Sequence[Doc] | Annotated, is_train: bool
) -> tuple[Potentials | float, Callable]:
    if isinstance(X, Annotated):
        return _loss(model, X, is_train)
    if is_train:
        return _potentials(model, read_docs(X))
    return _predict(model, read_docs(X)), no_gradient


def _predict(model: Model, text: Text) -> Potentials:
    """The CRF's factors, some thousands of tokens at a time, whatever the Docs' lengths."""
    embedding, network = model.layers
    windowing = model.attrs["windowing"]
    n_tokens = len(text.orths)
    if len(text.lengths) == 1 and n_tokens <= windowing.window:
        # One short sentence, as a request has: without what gathers and parts many.
        features = embedding.predict(text)
        mask = np.empty((1, n_tokens), bool)
        mask.fill(True)  # np.ones() takes three times as long
        inputs = ArgsKwargs((features[None], mask), {})
        scores, transitions = network.predict(inputs)
        return Potentials(scores[0], transitions, text.lengths)
    if uses_onnx(network):
        windowing = replace(windowing, batch_tokens=min(windowing.batch_tokens, _ONNX_TOKENS))
    emissions, transitions = _nothing(model, n_tokens)
    start = 0
    for part in chunks(text, windowing.tokens_at_once or n_tokens):
        features = embedding.predict(part)
        end = start + len(features)
        for batch in pad_windows(split_windows(part.lengths, windowing), windowing):
            inputs = ArgsKwargs((features[batch.tokens], batch.mask), {})
            scores, transitions = network.predict(inputs)
            batch.put(scores, emissions[start:end])
        start = end
    return Potentials(emissions, transitions, text.lengths)


def _nothing(model: Model, n_tokens: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Emissions to be filled in, and the transitions of no network."""
    n_tags = model.get_dim("nO")
    transitions = np.zeros((n_tags + 1, n_tags + 1), np.float32)
    return np.empty((n_tokens, n_tags), np.float32), transitions


def _annotated(windows: Windows, targets: NDArray[np.bool_]) -> Windows:
    """The windows with annotation on what they tag; the others have no gradient."""
    known = np.cumsum(np.append(0, ~targets.all(axis=1)))
    chosen = known[windows.core_end] > known[windows.core_start]
    return Windows(
        windows.start[chosen],
        windows.end[chosen],
        windows.core_start[chosen],
        windows.core_end[chosen],
    )


def _potentials(model: Model, text: Text) -> tuple[Potentials, Callable[[Potentials], Any]]:
    """The CRF's factors in training, and the way back to the vectors' gradient."""
    emissions, transitions = _nothing(model, len(text.orths))
    if not len(text.orths):
        return Potentials(emissions, transitions, text.lengths), no_gradient
    embedding, network = model.layers
    features, backprop_features = embedding(text, True)
    windowing = model.attrs["windowing"]
    batched = list(pad_windows(split_windows(text.lengths, windowing), windowing))
    callbacks = []
    for batch in batched:
        inputs = ArgsKwargs((features[batch.tokens], batch.mask), {})
        (scores, transitions), backprop_batch = network(inputs, True)
        batch.put(scores, emissions)
        callbacks.append(backprop_batch)

    def backprop(d: Potentials) -> Any:
        # The transitions are the same in every batch: their gradient goes back once.
        d_transitions: Any = d.transitions
        d_inputs = []
        for batch, backprop_batch in zip(batched, callbacks, strict=True):
            d_scores = d.emissions[batch.tokens] * batch.core[:, :, None]
            d_inputs.append(backprop_batch((d_scores, d_transitions)))
            d_transitions = None
        return backprop_features(_by_token(model.ops, features, batched, d_inputs))

    return Potentials(emissions, transitions, text.lengths), backprop


def _loss(
    model: Model, annotated: Annotated, is_train: bool
) -> tuple[float, Callable[[float], Any]]:
    """The sum of the segments' negative log-likelihoods, and the way back from its gradient.

    A window's context counts as not annotated: its tags are summed over, so that every
    annotated token counts once, and an entity may be cut.
    """
    text = annotated.text or read_docs(annotated.docs)
    if not len(text.orths):
        return 0.0, no_gradient
    embedding, network = model.layers
    features, backprop_features = embedding(text, is_train)
    targets = np.concatenate(annotated.targets)
    pos = None if annotated.pos is None else np.concatenate(annotated.pos)
    windowing = model.attrs["windowing"]
    batched = list(
        pad_windows(_annotated(split_windows(text.lengths, windowing), targets), windowing)
    )
    losses, callbacks = [], []
    for batch in batched:
        allowed = targets[batch.tokens] | ~batch.core[:, :, None]
        # An entity that a window without context cuts begins anew.
        allowed[:, 0, 1::2] |= allowed[:, 0, 2::2]
        annotation = {"targets": allowed}
        if pos is not None:
            annotation["pos"] = np.where(batch.core, pos[batch.tokens], -1)
        inputs = ArgsKwargs((features[batch.tokens], batch.mask), annotation)
        loss, backprop_batch = network(inputs, is_train)
        losses.append(float(loss))
        callbacks.append(backprop_batch)

    def backprop(factor: float) -> Any:
        d_inputs = [backprop_batch(factor) for backprop_batch in callbacks]
        return backprop_features(_by_token(model.ops, features, batched, d_inputs))

    return sum(losses), backprop


def _by_token(
    ops: Ops, features: NDArray, batched: Sequence[Batch], d_inputs: Sequence[ArgsKwargs]
) -> NDArray[np.float32] | None:
    """The gradient of each token's vector, which windows that overlap read twice.

    :return: *Shape:* that of ``features``; None for ids, which have no gradient.
    """
    if features.dtype.kind != "f":
        return None
    d_flat = np.zeros(features.shape, np.float32)
    for batch, d_batch in zip(batched, d_inputs, strict=True):
        d_vectors = ops.to_numpy(d_batch.args[0])
        np.add.at(d_flat, batch.tokens[batch.mask], d_vectors[batch.mask])
    return d_flat


def _host_results(model: Model, tensors: Any, is_train: bool) -> tuple[Any, Callable]:
    """Network outputs as NumPy arrays, wherever Thinc computes: the CRF decodes there."""
    if isinstance(tensors, (tuple, list)):
        return tuple(map(np.asarray, tensors)), tuple
    return np.asarray(tensors), _same


def _same(d_outputs: Any) -> Any:
    return d_outputs
