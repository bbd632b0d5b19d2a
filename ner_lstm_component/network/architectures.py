"""The registered Thinc models, which map Docs to the potentials of the CRF.

A model has two layers: an embedding of Docs, which yields ids of features, vectors or both, and
the wrapped Keras network, which runs on padded batches of windows. Constructing a model does not
import TensorFlow.

For Docs, a model returns `Potentials` and backpropagates their gradient. For `Annotated` Docs,
a model returns the loss, which is computed with its gradient in one compiled call; backprop
then takes a factor for the gradient. Both calls backpropagate to the vectors.
"""

# No postponed annotations here: spaCy reads the annotations of registered functions.

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import srsly
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Model, Ops
from thinc.types import ArgsKwargs, Floats2d

from ..decoding.crf import FORBIDDEN, Potentials
from ..errors import check_finite
from ..features.lexical import LexicalFeatures, no_gradient
from ..features.ngram_tags import Lexicon, TagLexicon
from ..tensorflow_wrapper import (
    TensorFlowWrapper,
    device_scope,
    import_tensorflow,
    set_keras_model,
    set_precision,
    set_runtime,
    uses_onnx,
)
from ..tensorflow_wrapper.onnx_runtime import FLOAT32, UnsupportedNetwork
from ..tensorflow_wrapper.serialization import EMPTY, read_state, unpack
from ..text.sentences import KnownWords, Reader, Text, chunks
from ..text.windows import Batch, Windowing, Windows, pad_windows, split_windows
from ..text.words import abbreviation_hashes
from .onnx import export_bilstm_crf
from .saved import check_network, check_structure
from .settings import NetworkSettings, check_saved

# ONNX Runtime is slower per token with larger batches, which exceed the processor's cache.
_ONNX_TOKENS = 1024
# The number of tokens whose features are in memory at a time.
_TOKENS_AT_ONCE = 32_768

# Ids and vectors of words.
Features = tuple[NDArray[np.int32], NDArray[np.float32]]


class Annotated(NamedTuple):
    """Docs with their annotation."""

    text: Text
    #: Tags that the annotation allows, or all without annotation. *Shape:* ``(n_words, n_tags)``
    allowed: NDArray[np.bool_]
    #: Part-of-speech tags, or -1 if unknown; None to ignore them. *Shape:* ``(n_words,)``
    pos: NDArray[np.int32] | None = None


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

    :param features: names of a word's lexical features, from `features.lexical.LexicalFeatures`.
    :param rows: number of rows in the embedding table for each feature.
    :param embed_width: width of a feature's embedding.
    :param width: width of a word's vector, the input of the LSTM.
    :param hidden_width: number of LSTM units in each direction.
    :param depth: number of bidirectional LSTM layers; all but the first have a residual connection.
    :param word_dropout: share of words whose first feature is hidden in training.
    :param window: maximum number of words that the network reads at once.
    :param context: number of words that a window reads on either side of the words it tags.
    :param batch_tokens: number of words, with padding, in a padded batch of several windows.
    :param ngrams: n-grams whose tags in the training data are features too, each given as the
        offsets of its words from the word, as in `features.ngram_tags.TagLexicon`.
    :param feature_dropout: share of words for which each other feature is hidden in training.
    :param pos_weight: weight of annotated part-of-speech tags in the training loss.
    :param nO: number of tags, ``2 * n_labels + 1``; the component sets it from its labels.
    :param runtime: what predicts: ``"auto"``, ``"onnx"`` or ``"tensorflow"``.
    :raises ValueError: if a value is out of range; the message names the argument.
    """
    return build_normalizing_tagger(**locals(), normalize=False)


def build_normalizing_tagger(
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
    normalize: bool = True,
    tok2vec: Model[list[Doc], list[Floats2d]] | None = None,
    precision: str = FLOAT32,
) -> Model[Sequence[Doc] | Annotated, Potentials | float]:
    """`ner_lstm_component.KerasLSTMTagger.v2`: a BiLSTM-CRF over features of any text's words.

    Parameters and errors are as in :func:`build_keras_lstm_tagger`.

    :param normalize: whether to read words, markup, lists, abbreviations and text without case as
        `sentences.Reader` describes. Without it, the model is the same as ``KerasLSTMTagger.v1``.
    :param tok2vec: a model that computes a vector for each token, which the network reads beside
        the features. It is trained too, even if it is a listener. With it, ``features``, ``rows``
        and ``ngrams`` may all be empty.
    :param precision: that of the LSTM in ONNX Runtime: ``"float32"``, or the faster ``"int8"``, as
        in `tensorflow_wrapper.layer.set_precision`.
    """
    settings = NetworkSettings(
        hidden_width,
        depth,
        tuple(rows),
        embed_width,
        width,
        word_dropout,
        ngrams=tuple(map(tuple, ngrams or ())),
        feature_dropout=feature_dropout,
        pos_weight=pos_weight,
        features=tuple(features),
        normalize=normalize,
    )
    model = _tagger(settings, Windowing(window, context, batch_tokens), tok2vec, nO, runtime)
    return set_precision(model, precision)


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
    """`ner_lstm_component.Tok2VecKerasLSTMTagger.v1`: a BiLSTM-CRF over word vectors alone.

    Parameters and errors are as in :func:`build_normalizing_tagger`.
    """
    settings = NetworkSettings(hidden_width, depth)
    return _tagger(settings, Windowing(window, context, batch_tokens), tok2vec, nO, runtime)


def _tagger(
    settings: NetworkSettings,
    windowing: Windowing,
    tok2vec: Model[list[Doc], list[Floats2d]] | None,
    nO: int | None,
    runtime: str,
) -> Model[Sequence[Doc] | Annotated, Potentials | float]:
    parts: list[Model] = []
    lexicon = Lexicon(settings.ngrams) if settings.ngrams else None
    if tok2vec is None or settings.features or settings.rows or lexicon is not None:
        parts = [LexicalFeatures(settings.features, settings.rows, settings.normalize)]
    # Saved models have these layers in this order.
    if lexicon is not None:
        parts = [Model("word_features", _forward_features, layers=[*parts, lexicon])]
    if tok2vec is None:
        windowing = replace(windowing, tokens_at_once=_TOKENS_AT_ONCE)
    else:
        parts.append(Model("word_vectors", _forward_vectors, layers=[tok2vec]))
        settings = replace(settings, vector_width=tok2vec.maybe_get_dim("nO"))
    embedding = parts[0] if len(parts) == 1 else Model("both", _forward_both, layers=parts)
    network = TensorFlowWrapper(
        convert_outputs=_to_host,
        model_name="bilstm_crf",
        imports=[f"{__package__}.bilstm_crf"],
        export=export_bilstm_crf,
    )
    # Thinc does not serialize objects, so the config decides, even after loading.
    attrs: dict[str, Any] = {"windowing": windowing, "settings": settings, "n_pos": 0}
    attrs |= {"reader": Reader(settings.normalize)}
    if settings.normalize:
        attrs |= {"known_words": list(KnownWords(abbreviation_hashes()))}
    model: Model = Model(
        "keras_lstm_tagger",
        _forward,
        init=_init,
        layers=[embedding, network],
        dims={"nO": nO},
        refs={"lexicon": lexicon, "tok2vec": tok2vec},
        attrs=attrs,
    )
    return set_runtime(model, runtime)


def _forward_features(
    model: Model, text: Text, is_train: bool
) -> tuple[NDArray[np.int32], Callable[[Any], list]]:
    """Concatenate the ids of both layers; the lexicon uses the last rows of the table."""
    lexical, lexicon = model.layers
    n_rows = lexical.attrs["table"].n_rows
    ids = [lexical(text, is_train)[0], lexicon(text, is_train)[0] + n_rows]
    return np.concatenate(ids, axis=1), no_gradient


def _forward_vectors(
    model: Model, text: Text, is_train: bool
) -> tuple[NDArray[np.float32], Callable[[Any], list]]:
    """Concatenate the vectors of all words in the CPU's memory."""
    ops = model.ops
    by_doc, backprop_by_doc = model.layers[0](text.docs, is_train)
    of_tokens = np.concatenate([ops.to_numpy(array) for array in by_doc])
    ends = np.cumsum([len(doc) for doc in text.docs])[:-1]
    is_word = slice(None) if text.is_word is None else text.is_word

    def backprop(d_words: Any) -> Any:
        # The component cannot check this gradient once a shared tok2vec has received it.
        check_finite("the gradient of the word vectors", float(d_words.sum()))
        d_tokens = np.zeros(of_tokens.shape, np.float32)
        d_tokens[is_word] = d_words
        by_doc: list[Any] = np.split(d_tokens, ends)
        return backprop_by_doc([ops.asarray2f(d_vectors) for d_vectors in by_doc])

    # Static vectors need no gradient, which would take time.
    return of_tokens[is_word], no_gradient if backprop_by_doc is no_gradient else backprop


def _forward_both(
    model: Model, text: Text, is_train: bool
) -> tuple[Features, Callable[[Any], list]]:
    """Return ids and vectors; the gradient is that of the vectors."""
    (ids, _), (vectors, backprop) = (layer(text, is_train) for layer in model.layers)
    return (ids, vectors), backprop


def _init(model: Model, X: Any = None, Y: Any = None) -> None:
    """Build a new network for ``nO`` tags, the model's output dimension."""
    import_tensorflow()  # raises an error that says what to install
    network = model.layers[1]
    tok2vec = model.maybe_get_ref("tok2vec")
    if tok2vec is not None:
        tok2vec.initialize(X=X)
        # Listeners to transformers learn the width from their vectors.
        width = tok2vec.maybe_get_dim("nO") or tok2vec.predict(X)[0].shape[1]
        model.attrs["settings"] = replace(model.attrs["settings"], vector_width=width)
    with device_scope(network):
        from .bilstm_crf import build_network

        n_labels = (model.get_dim("nO") - 1) // 2
        keras_model = build_network(model.attrs["settings"], n_labels, model.attrs["n_pos"])
    set_keras_model(network, keras_model)
    if X is not None:
        model.predict(X)


def load_weights(
    name: str, model: Model, data: bytes, saved_settings: dict[str, Any] | None
) -> None:
    """Load the result of ``Model.to_bytes()``, if the config's settings match the weights.

    :param saved_settings: the settings saved with the weights, or None from version 0.1.0, which
        did not save them. Then they are derived from the weights' shapes.
    :raises ValueError: if a setting differs; the message names the setting and both values.
    """
    if "settings" not in model.attrs:  # a user's own architecture
        model.from_bytes(data)
        return
    settings: NetworkSettings = model.attrs["settings"]
    given = settings.of_weights
    with _refusing(name):
        saved = srsly.msgpack_loads(data)
        if saved_settings is None:
            saved_settings, given = settings.derive(*_shapes(saved))
    known = {"normalize": False, "vector_width": None, **saved_settings}
    has_features = "embed_width" in known and known.get("rows") != []
    if known["vector_width"] is None and not has_features:
        del known["vector_width"]  # Earlier versions did not save it.
    if settings.vector_width is None and model.maybe_get_ref("tok2vec") is not None:
        # The config does not give the width of static vectors.
        given["vector_width"] = known.get("vector_width") or "that of 'tok2vec'"
    check_saved(name, known, given)
    width = known.get("vector_width", settings.vector_width)
    settings = replace(settings, vector_width=width)
    with _refusing(name):
        check_structure(model, saved)
        _check_contents(model, saved, settings)
    model.attrs["settings"] = settings
    model.from_dict(saved)
    if model.has_dim("nO") is True:
        shim: Any = model.layers[1].shims[0]
        if shim.saved_config.get("pos_weight") == 0:  # built without part-of-speech tags
            check_saved(name, {"pos_weight": 0.0}, settings.in_training)
        shim.change_saved_config(settings.in_training)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn every exception, whatever a damaged or malicious file causes, into a ValueError."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"The model of {name!r} is damaged: {error!r}") from error


def _check_contents(model: Model, saved: dict[str, Any], settings: NetworkSettings) -> None:
    """Check the network and the lexicon of a saved model with the right structure."""
    nodes = list(model.walk())
    n_tags = saved["nodes"][0]["dims"].get("nO")
    (network,) = saved["shims"][nodes.index(model.layers[1])]
    state = read_state(network)
    if n_tags is None or state["config"] is None:
        if state != EMPTY:
            raise ValueError("it has a network, but no size")
        return
    n_pos = srsly.msgpack_loads(saved["attrs"][0]["n_pos"]) if "n_pos" in saved["attrs"][0] else 0
    if settings.vector_width is None and model.maybe_get_ref("tok2vec") is not None:
        # Versions that did not save the width had vectors alone, which the LSTM reads first.
        settings = replace(settings, vector_width=state["weights"][0]["shape"][0])
    check_network(state, settings, n_tags, n_pos)
    weights = [(one["name"], unpack(one)) for one in state["weights"]]
    with suppress(UnsupportedNetwork):  # of an older version, which TensorFlow runs
        export_bilstm_crf(json.loads(state["config"]), weights, is_standalone=False)
    if (lexicon := model.maybe_get_ref("lexicon")) is not None:
        (data,) = saved["shims"][nodes.index(lexicon)]
        found = TagLexicon(settings.ngrams).from_bytes(data).n_tags
        if found != n_tags:
            raise ValueError(f"the lexicon is of {found} tags, the network of {n_tags}")


def _shapes(saved: dict[str, Any]) -> tuple[dict[str, Sequence[int]], list]:
    """Read the shapes of saved weights, and the n-grams of the saved lexicon."""
    shapes: dict[str, Sequence[int]] = {}
    ngrams: list = []
    for data in chain.from_iterable(saved.get("shims", ())):
        with suppress(Exception):  # a user's own layer
            state = srsly.msgpack_loads(data)
            shapes |= {one["name"]: one["shape"] for one in state.get("weights", ())}
            ngrams = state.get("ngrams", ngrams)
    return shapes, ngrams


def reader_of(model: Model) -> Callable[[Sequence[Doc]], Text]:
    """Return the function with which a model reads Docs."""
    reader = model.attrs.get("reader") or Reader()  # a user's own architecture may have none
    if "known_words" in model.attrs:
        return partial(reader, known=KnownWords(*model.attrs["known_words"]))
    return reader


def _forward(
    model: Model, X: Sequence[Doc] | Annotated, is_train: bool
) -> tuple[Potentials | float, Callable]:
    if isinstance(X, Annotated):
        return _loss(model, X, is_train)
    text = reader_of(model)(X)
    if is_train:
        return _potentials(model, text)
    return _by_token(_predict(model, text), text), no_gradient


def _by_token(potentials: Potentials, text: Text) -> Potentials:
    """Insert a row for each token that is not a word, which only allows O."""
    if text.is_word is None:
        return potentials
    shape = len(text.is_word), potentials.emissions.shape[1]
    emissions = np.full(shape, FORBIDDEN, np.float32)
    emissions[:, 0] = 0
    emissions[text.is_word] = potentials.emissions
    return potentials._replace(emissions=emissions, is_word=text.is_word)


def _predict(model: Model, text: Text) -> Potentials:
    """Compute the words' potentials, a bounded number of words at a time."""
    embedding, network = model.layers
    windowing = model.attrs["windowing"]
    n_words = len(text.orths)
    if len(text.lengths) == 1 and n_words <= windowing.window:
        # One short sentence, as in a request, needs no windows and no padding.
        mask = np.empty((1, n_words), bool)
        mask.fill(True)  # np.ones() takes three times as long
        scores, transitions = network.predict(_inputs(embedding.predict(text), None, mask))
        return Potentials(scores[0], transitions, text.lengths)
    if uses_onnx(network):
        windowing = replace(windowing, batch_tokens=min(windowing.batch_tokens, _ONNX_TOKENS))
    emissions, transitions, *_ = _empty(model, text)
    start = 0
    for part in chunks(text, windowing.tokens_at_once or n_words):
        features = embedding.predict(part)
        end = start + len(part.orths)
        for batch in pad_windows(split_windows(part.lengths, windowing), windowing):
            scores, transitions = network.predict(_inputs(features, batch.tokens, batch.mask))
            batch.put(scores, emissions[start:end])
        start = end
    return Potentials(emissions, transitions, text.lengths)


def _empty(model: Model, text: Text) -> Potentials:
    """Create uninitialized emissions, and the transitions for an empty text."""
    n_tags = model.get_dim("nO")
    emissions = np.empty((len(text.orths), n_tags), np.float32)
    return Potentials(emissions, np.zeros((n_tags + 1, n_tags + 1), np.float32), text.lengths)


def _inputs(
    features: NDArray | Features,
    tokens: NDArray[np.int64] | None,
    mask: NDArray[np.bool_],
    **annotation: NDArray,
) -> ArgsKwargs:
    """Arrange the arguments of the network; None for all tokens, as a batch of one sequence."""
    first, *others = features if isinstance(features, tuple) else (features,)
    return ArgsKwargs((first[tokens], mask, *(one[tokens] for one in others)), annotation)


def _potentials(model: Model, text: Text) -> tuple[Potentials, Callable[[Potentials], Any]]:
    """Compute the potentials in training, and return the backward pass too."""
    empty = _empty(model, text)
    emissions, transitions = empty.emissions, empty.transitions
    if not len(text.orths):
        return _by_token(empty, text), no_gradient
    embedding, network = model.layers
    features, backprop_features = embedding(text, True)
    batches = _batches(model, text)
    callbacks = []
    for batch in batches:
        inputs = _inputs(features, batch.tokens, batch.mask)
        (scores, transitions), backprop_batch = network(inputs, True)
        batch.put(scores, emissions)
        callbacks.append(backprop_batch)

    def backprop(d: Potentials) -> Any:
        # All batches share the transitions, so their gradient is passed back once.
        d_transitions: Any = d.transitions
        d_emissions = d.emissions if text.is_word is None else d.emissions[text.is_word]
        d_inputs = []
        for batch, backprop_batch in zip(batches, callbacks, strict=True):
            d_scores = d_emissions[batch.tokens] * batch.core[:, :, None]
            d_inputs.append(backprop_batch((d_scores, d_transitions)))
            d_transitions = None
        return _pass_back(model.ops, backprop_features, features, batches, d_inputs)

    return _by_token(Potentials(emissions, transitions, text.lengths), text), backprop


def _loss(
    model: Model, annotated: Annotated, is_train: bool
) -> tuple[float, Callable[[float], Any]]:
    """Sum the windows' negative log-likelihoods, and return the backward pass too."""
    text, allowed, pos = annotated
    if not len(text.orths):
        return 0.0, no_gradient
    embedding, network = model.layers
    features, backprop_features = embedding(text, is_train)
    batches = _batches(model, text, allowed)
    losses, callbacks = [], []
    for batch in batches:
        # The context of a window counts as not annotated, so that every token counts once.
        annotation = {"targets": allowed[batch.tokens] | ~batch.core[:, :, None]}
        # Without context, a window may start within an entity, which then begins again there.
        annotation["targets"][:, 0, 1::2] |= annotation["targets"][:, 0, 2::2]
        if pos is not None:
            annotation["pos"] = np.where(batch.core, pos[batch.tokens], -1)
        inputs = _inputs(features, batch.tokens, batch.mask, **annotation)
        loss, backprop_batch = network(inputs, is_train)
        losses.append(float(loss))
        callbacks.append(backprop_batch)

    def backprop(factor: float) -> Any:
        d_inputs = [backprop_batch(factor) for backprop_batch in callbacks]
        return _pass_back(model.ops, backprop_features, features, batches, d_inputs)

    return sum(losses), backprop


def _batches(model: Model, text: Text, allowed: NDArray[np.bool_] | None = None) -> list[Batch]:
    """Split a text into batches, but if annotated, only windows that tag annotated tokens."""
    windows = split_windows(text.lengths, model.attrs["windowing"])
    if allowed is not None:
        n_annotated = np.cumsum(np.append(0, ~allowed.all(axis=1)))
        chosen = n_annotated[windows.core_end] > n_annotated[windows.core_start]
        windows = Windows(*(array[chosen] for array in vars(windows).values()))
    return list(pad_windows(windows, model.attrs["windowing"]))


def _pass_back(
    ops: Ops,
    backprop: Callable[[Any], Any],
    features: NDArray | Features,
    batches: Sequence[Batch],
    d_inputs: Sequence[ArgsKwargs],
) -> Any:
    """Sum the gradients of each word's vector over the windows, and backpropagate the sums."""
    if backprop is no_gradient:
        return []
    vectors = features[-1] if isinstance(features, tuple) else features
    d_words = np.zeros(vectors.shape, np.float32)
    for batch, d_batch in zip(batches, d_inputs, strict=True):
        # Ids and masks have no gradient.
        (d_vectors,) = (ops.to_numpy(one) for one in d_batch.args if one is not None)
        np.add.at(d_words, batch.tokens[batch.mask], d_vectors[batch.mask])
    return backprop(d_words)


def _to_host(model: Model, tensors: Any, is_train: bool) -> tuple[Any, Callable]:
    """Convert outputs to NumPy arrays, since the CRF is decoded on the CPU."""
    if isinstance(tensors, (tuple, list)):
        return tuple(map(np.asarray, tensors)), tuple
    return np.asarray(tensors), lambda d_outputs: d_outputs
