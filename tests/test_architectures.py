"""The Thinc model from Docs to potentials, and its two ways to a gradient."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from thinc.api import Adam, set_dropout_rate

from ner_lstm_component.architectures import Annotated, build_keras_lstm_tagger
from ner_lstm_component.crf import Potentials, iob2_allowed, negative_log_likelihood

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


def test_shapes(model, docs):
    emissions, transitions = model.predict(docs)
    assert [e.shape for e in emissions] == [(len(doc), TAGS) for doc in docs]
    assert transitions.shape == (TAGS + 1, TAGS + 1)


def test_nothing_to_predict(model, vocab):
    assert model.predict([]).emissions == []
    (emissions,) = model.predict([Doc(vocab)]).emissions
    assert emissions.shape == (0, TAGS)


def test_a_docs_emissions_do_not_depend_on_its_batch(model, docs):
    together = model.predict(docs).emissions
    backwards = model.predict(docs[::-1]).emissions[::-1]
    for doc, a, b in zip(docs, together, backwards, strict=True):
        (alone,) = model.predict([doc]).emissions
        np.testing.assert_allclose(a, alone, atol=1e-5)
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_array_equal(together[2], model.predict(docs).emissions[2])


def test_sentences_are_read_alone(model, vocab):
    words = [f"w{n}" for n in range(9)]
    split = Doc(vocab, words=words, sent_starts=[n in (0, 4) for n in range(9)])
    parts = [Doc(vocab, words=words[:4]), Doc(vocab, words=words[4:])]
    np.testing.assert_allclose(
        model.predict([split]).emissions[0],
        np.concatenate(model.predict(parts).emissions),
        atol=1e-5,
    )


def test_wide_windows_read_as_if_uncut(docs, vocab):
    """Tokens far from any border must not see the cut: the context is long enough."""
    cut, uncut = make_model(window=160, context=60), make_model(window=10_000)
    cut.initialize(X=docs)
    uncut.initialize(X=docs)
    uncut.layers[1].shims[0].from_bytes(cut.layers[1].shims[0].to_bytes())
    doc = Doc(vocab, words=[f"w{(n * 7) % 31}" for n in range(300)])
    (a,), (b,) = cut.predict([doc]).emissions, uncut.predict([doc]).emissions
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
    loss, backprop = model.begin_update(Annotated(chosen, targets))
    backprop(0.5)
    fused = gradients(model)
    Y, backprop = model.begin_update(chosen)
    lengths = np.array([len(doc) for doc in chosen if len(doc)])
    expected = negative_log_likelihood(
        np.concatenate(Y.emissions), Y.transitions, lengths, np.concatenate(targets)
    )
    ends = np.cumsum([len(doc) for doc in chosen])[:-1]
    backprop(Potentials(np.split(expected.emissions * 0.5, ends), expected.transitions * 0.5))
    chained = gradients(model)
    assert loss == pytest.approx(expected.loss, rel=1e-5)
    assert fused.keys() == chained.keys()
    for name, gradient in fused.items():
        scale = max(np.abs(gradient).max(), 1e-3)
        np.testing.assert_allclose(chained[name], gradient, atol=1e-4 * scale, err_msg=name)


def test_cut_docs_learn_from_every_token_once(docs, vocab):
    """The gradient of a cut Doc reaches each token's tag; context adds none of its own."""
    model = make_model()
    model.initialize(X=docs)
    doc = docs[2]
    nothing = np.ones((len(doc), TAGS), bool)
    loss, backprop = model.begin_update(Annotated([doc], [nothing]))
    backprop(1.0)
    assert loss == pytest.approx(0, abs=1e-3)
    assert max(np.abs(g).max() for g in gradients(model).values()) < 1e-4
    tags = np.zeros((len(doc), TAGS), bool)
    tags[:, 0] = True
    tags[6:11] = False
    tags[6, 1], tags[7:11, 2] = True, True  # An entity over the cut between two windows.
    optimizer = Adam(0.02)
    losses = []
    for _ in range(60):
        loss, backprop = model.begin_update(Annotated([doc], [tags]))
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
        _, backprop = model.begin_update(Annotated([doc] * copies, [target] * copies))
        backprop(1.0)

    run(3, 2)
    traces = shim.traces
    for length, copies in [(1, 1), (5, 1), (12, 3), (30, 2), (2, 20)]:
        run(length, copies)
    gradients(model)
    assert shim.traces == traces


def test_constraints_reach_the_output(model, docs):
    transitions = model.predict(docs[:1]).transitions
    assert (transitions[~iob2_allowed(LABELS)] <= -1e4).all()


@pytest.mark.parametrize(
    "wrong", [{"window": 4}, {"batch_tokens": 0}, {"width": 0}, {"features": ["lower"]}]
)
def test_wrong_settings(wrong):
    with pytest.raises(ValueError, match="Received"):
        make_model(**wrong, **({"rows": [3]} if "features" in wrong else {}))
