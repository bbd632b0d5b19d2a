"""The Thinc model from Docs to potentials, and its two ways to a gradient."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.util import fix_random_seed
from thinc.api import Adam, Model, set_dropout_rate

from ner_lstm_component.decoding.crf import Potentials, iob2_allowed, negative_log_likelihood
from ner_lstm_component.network import architectures
from ner_lstm_component.network.architectures import (
    Annotated,
    build_keras_lstm_tagger,
    build_tok2vec_keras_lstm_tagger,
)
from ner_lstm_component.tensorflow_wrapper.onnx_runtime import OnnxNetwork
from ner_lstm_component.text.sentences import read_docs

LABELS = 2
TAGS = 2 * LABELS + 1


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


def make_model(**changes):
    settings = {
        "features": ["LOWER", "SHAPE"],
        "rows": [50, 20],
        "embed_width": 6,
        "width": 10,
        "hidden_width": 6,
        "depth": 1,
        "word_dropout": 0.0,
        "window": 12,
        "context": 3,
        "batch_tokens": 30,
        "nO": TAGS,
    }
    return build_keras_lstm_tagger(**{**settings, **changes})


@pytest.fixture(scope="module")
def docs(vocab):
    lengths = [5, 0, 40, 12, 1]
    return [Doc(vocab, words=[f"w{(n * 7) % 31}" for n in range(length)]) for length in lengths]


@pytest.fixture(scope="module")
def model(docs):
    model = make_model()
    model.initialize(X=docs)
    rng = np.random.default_rng(0)
    keras_model = model.layers[1].shims[0].keras_model
    keras_model.crf.transitions.assign(rng.normal(0, 1, (TAGS + 1, TAGS + 1)))
    set_dropout_rate(model, 0.0)
    return model


def gradients(model):
    shim = model.layers[1].shims[0]
    found, shim._gradients = {k: v.numpy() for k, v in shim._gradients.items()}, {}
    return found


def annotated(docs, targets):
    return Annotated(read_docs(docs), np.concatenate(targets))


def by_doc(model, docs):
    ends = np.cumsum([len(doc) for doc in docs])[:-1]
    return np.split(model.predict(docs).emissions, ends)


def test_shapes(model, docs):
    emissions, transitions, lengths = model.predict(docs)
    assert emissions.shape == (sum(map(len, docs)), TAGS)
    assert lengths.tolist() == [len(doc) for doc in docs if len(doc)]
    assert transitions.shape == (TAGS + 1, TAGS + 1)


def test_nothing_to_predict(model, vocab):
    for docs in ([], [Doc(vocab)]):
        emissions, transitions, lengths = model.predict(docs)
        assert emissions.shape == (0, TAGS)
        assert transitions.shape == (TAGS + 1, TAGS + 1)
        assert lengths.tolist() == []


def test_a_docs_emissions_do_not_depend_on_its_batch(model, docs):
    together = by_doc(model, docs)
    backwards = by_doc(model, docs[::-1])[::-1]
    for doc, a, b in zip(docs, together, backwards, strict=True):
        alone = model.predict([doc]).emissions
        np.testing.assert_allclose(a, alone, atol=1e-5)
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_array_equal(together[2], by_doc(model, docs)[2])


def test_sentences_are_read_alone(model, vocab):
    words = [f"w{n}" for n in range(9)]
    split = Doc(vocab, words=words, sent_starts=[n in (0, 4) for n in range(9)])
    parts = [Doc(vocab, words=words[:4]), Doc(vocab, words=words[4:])]
    np.testing.assert_allclose(
        model.predict([split]).emissions,
        model.predict(parts).emissions,
        atol=1e-5,
    )


def test_wide_windows_read_as_if_uncut(docs, vocab):
    """Tokens far from any border must not see the cut: the context is long enough."""
    fix_random_seed(0)
    cut, uncut = make_model(window=160, context=60), make_model(window=10_000)
    cut.initialize(X=docs)
    uncut.initialize(X=docs)
    uncut.layers[1].shims[0].from_bytes(cut.layers[1].shims[0].to_bytes())
    doc = Doc(vocab, words=[f"w{(n * 7) % 31}" for n in range(300)])
    a, b = cut.predict([doc]).emissions, uncut.predict([doc]).emissions
    np.testing.assert_allclose(a, b, atol=1e-3)


@pytest.mark.parametrize("which", [[0], [0, 3, 4], [1, 4]])
def test_fused_and_chained_gradients_agree(model, docs, which):
    """The loss inside the graph against begin_update → gradient → backprop.

    Of Docs that are one segment: chained, the CRF runs over the whole of a cut Doc, fused
    over each window with its context summed over.
    """
    rng = np.random.default_rng(1)
    chosen = [docs[k] for k in which]
    targets = []
    for doc in chosen:
        target = np.zeros((len(doc), TAGS), bool)
        target[np.arange(len(doc)), rng.choice([0, 1, 3], len(doc))] = True
        targets.append(target)
    loss, backprop = model.begin_update(annotated(chosen, targets))
    backprop(0.5)
    fused = gradients(model)
    Y, backprop = model.begin_update(chosen)
    expected = negative_log_likelihood(*Y, np.concatenate(targets))
    backprop(Potentials(expected.emissions * 0.5, expected.transitions * 0.5, Y.lengths))
    chained = gradients(model)
    assert loss == pytest.approx(expected.loss, rel=1e-5)
    assert fused.keys() == chained.keys()
    for name, gradient in fused.items():
        scale = max(np.abs(gradient).max(), 1e-3)
        np.testing.assert_allclose(chained[name], gradient, atol=1e-4 * scale, err_msg=name)


def test_an_entity_cut_by_windows_without_context(docs, vocab):
    """What is left of it in the next window begins anew: nothing else may begin there."""
    model = make_model(window=4, context=0)
    model.initialize(X=docs)
    set_dropout_rate(model, 0.0)
    doc = docs[2][:8].as_doc()
    target = np.zeros((8, TAGS), bool)
    target[np.arange(8), [0, 0, 0, 1, 2, 0, 0, 0]] = True
    loss, _ = model.begin_update(annotated([doc], [target]))
    halves = [doc[:4].as_doc(), doc[4:].as_doc()]
    target[4] = [False, True, False, False, False]
    expected, _ = model.begin_update(annotated(halves, [target[:4], target[4:]]))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_cut_docs_learn_from_every_token_once(docs, vocab):
    """The gradient of a cut Doc reaches each token's tag; context adds none of its own."""
    model = make_model()
    model.initialize(X=docs)
    set_dropout_rate(model, 0.0)
    doc = docs[2]
    nothing = np.ones((len(doc), TAGS), bool)
    loss, backprop = model.begin_update(annotated([doc], [nothing]))
    backprop(1.0)
    assert loss == 0
    assert gradients(model) == {}
    # One token's annotation: that of the window 3…14 with the core 6…11, read alone.
    one = nothing.copy()
    one[8, 1:] = False
    window = Doc(vocab, words=[token.text for token in doc[3:15]])
    found = []
    for docs_, targets in (([doc], [one]), ([window], [one[3:15]])):
        loss, backprop = model.begin_update(annotated(docs_, targets))
        backprop(1.0)
        found.append((loss, gradients(model)))
    (loss, cut), (expected_loss, expected) = found
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for name, gradient in cut.items():
        np.testing.assert_allclose(gradient, expected[name], atol=1e-5, err_msg=name)
    tags = np.zeros((len(doc), TAGS), bool)
    tags[:, 0] = True
    tags[6:11] = False
    tags[6, 1], tags[7:11, 2] = True, True  # An entity over the cut between two windows.
    optimizer = Adam(0.02)
    losses = []
    for _ in range(60):
        loss, backprop = model.begin_update(annotated([doc], [tags]))
        backprop(1.0)
        model.finish_update(optimizer)
        losses.append(loss)
    assert losses[-1] < 0.2 * losses[0]


def test_no_retracing_as_lengths_change(model, vocab):
    shim = model.layers[1].shims[0]

    def run(length, copies):
        doc = Doc(vocab, words=["word"] * length)
        target = np.zeros((length, TAGS), bool)
        target[:, 0] = True
        model.predict([doc] * copies)
        _, backprop = model.begin_update(annotated([doc] * copies, [target] * copies))
        backprop(1.0)

    run(3, 2)
    traces = shim.traces
    for length, copies in [(1, 1), (5, 1), (12, 3), (30, 2), (2, 20)]:
        run(length, copies)
    gradients(model)
    assert shim.traces == traces


def test_batches_of_onnx_runtime_are_small(model, docs, monkeypatch):
    expected = model.predict(docs)
    loaded = make_model().from_bytes(model.to_bytes())
    sizes = []
    predict = OnnxNetwork.predict

    def recorded(self, args, kwargs):
        sizes.append(args[0].shape[:2])
        return predict(self, args, kwargs)

    monkeypatch.setattr(OnnxNetwork, "predict", recorded)
    monkeypatch.setattr(architectures, "_ONNX_TOKENS", 12)
    found = loaded.predict(docs)
    assert len(sizes) > 1
    assert all(n * length <= 12 or n == 1 for n, length in sizes)
    np.testing.assert_allclose(found.emissions, expected.emissions, atol=1e-5)
    np.testing.assert_array_equal(found.transitions, expected.transitions)


def test_constraints_reach_the_output(model, docs):
    transitions = model.predict(docs[:1]).transitions
    assert (transitions[~iob2_allowed(LABELS)] <= -1e4).all()


@pytest.mark.parametrize(
    "wrong", [{"window": 4}, {"batch_tokens": 0}, {"width": 0}, {"features": ["lower"]}]
)
def test_wrong_settings(wrong):
    with pytest.raises(ValueError, match="Received"):
        make_model(**wrong, **({"rows": [3]} if "features" in wrong else {}))


# ---------------------------------------------------------------- over other vectors


def given_vectors(vectors, **dims):
    """A tok2vec that gives these vectors for the Docs' tokens, and keeps their gradient."""

    def forward(model, docs, is_train):
        ends = np.cumsum([len(doc) for doc in docs])
        by_doc = np.split(model.attrs["vectors"][: ends[-1]], ends[:-1])

        def backprop(d_by_doc):
            model.attrs["gradient"] = np.concatenate(d_by_doc)
            return []

        return by_doc, backprop

    return Model("given_vectors", forward, dims=dims, attrs={"vectors": vectors})


def over_vectors(docs, **dims):
    rng = np.random.default_rng(2)
    vectors = rng.normal(0, 1, (sum(map(len, docs)), 4)).astype(np.float32)
    model = build_tok2vec_keras_lstm_tagger(
        given_vectors(vectors, **dims),
        hidden_width=5,
        depth=2,
        window=12,
        context=3,
        batch_tokens=30,
        nO=TAGS,
    )
    model.initialize(X=docs)
    keras_model = model.layers[1].shims[0].keras_model
    keras_model.crf.transitions.assign(rng.normal(0, 1, (TAGS + 1, TAGS + 1)))
    set_dropout_rate(model, 0.0)
    return model


def some_targets(docs):
    """O, B-x or nothing known, in turn; one Doc without any annotation."""
    targets = [np.ones((len(doc), TAGS), bool) for doc in docs]
    for target in targets[:-1]:
        target[::3, 1:] = False
        target[1::3] = np.arange(TAGS) == 1
    return targets


def fused_loss(model, docs, targets):
    loss, backprop = model.begin_update(annotated(docs, targets))
    backprop(0.5)
    return 0.5 * loss


def chained_loss(model, docs, targets):
    Y, backprop = model.begin_update(docs)
    result = negative_log_likelihood(*Y, np.concatenate(targets))
    backprop(Potentials(result.emissions * 0.5, result.transitions * 0.5, Y.lengths))
    return 0.5 * result.loss


@pytest.mark.parametrize("compute_loss", [fused_loss, chained_loss])
def test_gradient_of_vectors_by_finite_differences(docs, compute_loss):
    """Of windows that overlap too: what is read twice gets the sum."""
    model = over_vectors(docs, nO=4)
    tok2vec = model.get_ref("tok2vec")
    vectors, targets = tok2vec.attrs["vectors"], some_targets(docs)
    compute_loss(model, docs, targets)
    gradient = tok2vec.attrs["gradient"]
    assert gradient.shape == vectors.shape
    # Of the long Doc's tokens, 5…44: near a cut, far from one, in a core and in a context.
    for token, column in [(0, 0), (4, 1), (7, 2), (10, 3), (11, 0), (14, 1), (26, 2), (44, 3)]:
        around = []
        for step in (0.02, -0.02):
            changed = vectors.copy()
            changed[token, column] += step
            tok2vec.attrs["vectors"] = changed
            around.append(compute_loss(model, docs, targets))
        tok2vec.attrs["vectors"] = vectors
        slope = (around[0] - around[1]) / 0.04
        assert gradient[token, column] == pytest.approx(slope, abs=2e-3, rel=2e-2)
    assert np.abs(gradient[:56]).max() > 0.05
    # The last Doc, of one token, has no annotation.
    assert np.abs(gradient[-1]).max() < 1e-6


def test_width_is_found_out(docs):
    model = over_vectors(docs)
    assert not model.get_ref("tok2vec").has_dim("nO")
    assert model.predict(docs).emissions.shape == (sum(map(len, docs)), TAGS)


def test_vectors_of_nothing(docs, vocab):
    model = over_vectors(docs, nO=4)
    assert model.predict([]).emissions.shape == (0, TAGS)
    Y, backprop = model.begin_update([Doc(vocab)])
    assert Y.emissions.shape == (0, TAGS)
    assert backprop(Y) == []


@pytest.mark.parametrize("wrong", [{"hidden_width": 0}, {"depth": 0}, {"window": 6}])
def test_wrong_settings_over_vectors(wrong):
    settings = {"hidden_width": 4, "depth": 1, "window": 12, "context": 3, "batch_tokens": 30}
    with pytest.raises(ValueError, match="Received"):
        build_tok2vec_keras_lstm_tagger(given_vectors(np.zeros((1, 4))), **{**settings, **wrong})
