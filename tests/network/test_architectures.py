"""The Thinc model from Docs to potentials, and its two ways to a gradient."""

from dataclasses import replace

import numpy as np
import pytest
from spacy.tokens import Doc
from thinc.api import Model, set_dropout_rate

from ner_lstm_component.decoding.crf import Potentials, iob2_allowed, negative_log_likelihood
from ner_lstm_component.network.architectures import (
    Annotated,
    build_keras_lstm_tagger,
    build_normalizing_tagger,
    build_tok2vec_keras_lstm_tagger,
    reader_of,
)
from ner_lstm_component.text.sentences import Reader

LABELS = 2
TAGS = 2 * LABELS + 1
READ = Reader()


COMMON = {"hidden_width": 6, "depth": 1, "window": 12, "context": 3, "batch_tokens": 30, "nO": TAGS}
FEATURES = {"features": ["LOWER", "SHAPE"], "rows": [50, 20], "word_dropout": 0.0}
LEXICAL = {**COMMON, **FEATURES, "embed_width": 6, "width": 10}


@pytest.fixture(scope="module")
def docs(vocab):
    lengths = [5, 0, 40, 12, 1]
    return [Doc(vocab, words=[f"w{(n * 7) % 31}" for n in range(length)]) for length in lengths]


@pytest.fixture(scope="module")
def model(docs):
    return initialized(build_keras_lstm_tagger(**LEXICAL), docs)


def initialized(model, docs):
    """Initialize a model, with random transitions and without dropout."""
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


def test_shapes(model, docs, vocab):
    for given in (docs, [], [Doc(vocab)]):
        emissions, transitions, lengths, _ = model.predict(given)
        assert emissions.shape == (sum(map(len, given)), TAGS)
        assert lengths.tolist() == [len(doc) for doc in given if len(doc)]
        assert transitions.shape == (TAGS + 1, TAGS + 1)
    assert (model.predict(docs).transitions[~iob2_allowed(LABELS)] <= -1e4).all()


def test_a_sentences_emissions_do_not_depend_on_its_batch(model, docs, vocab):
    ends = np.cumsum([len(doc) for doc in docs])[:-1]
    together = np.split(model.predict(docs).emissions, ends)
    for doc, emissions in zip(docs, together, strict=True):
        np.testing.assert_allclose(emissions, model.predict([doc]).emissions, atol=1e-5)
    words = [token.text for doc in docs for token in doc]
    starts = [n in (0, *ends) for n in range(len(words))]
    one = model.predict([Doc(vocab, words=words, sent_starts=starts)]).emissions
    np.testing.assert_allclose(np.concatenate(together), one, atol=1e-5)


def set_windows(monkeypatch, model, **changes):
    windowing = replace(model.attrs["windowing"], **changes)
    monkeypatch.setitem(model.attrs, "windowing", windowing)


def test_a_long_context_hides_the_cuts(model, vocab, monkeypatch):
    doc = Doc(vocab, words=[f"w{(n * 7) % 31}" for n in range(300)])
    set_windows(monkeypatch, model, window=160, context=60)
    cut = model.predict([doc]).emissions
    set_windows(monkeypatch, model, window=10_000)
    np.testing.assert_allclose(cut, model.predict([doc]).emissions, atol=1e-3)


@pytest.mark.parametrize("which", [[0], [0, 3, 4], [1, 4]])
def test_fused_and_chained_gradients_agree(model, docs, which):
    """The loss inside the graph against begin_update → gradient → backprop, in one window."""
    rng = np.random.default_rng(1)
    chosen = [docs[k] for k in which]
    targets = [rng.choice([0, 1, 3], len(doc))[:, None] == np.arange(TAGS) for doc in chosen]
    loss = fused_loss(model, chosen, targets)
    fused = gradients(model)
    assert loss == pytest.approx(chained_loss(model, chosen, targets), rel=1e-5)
    chained = gradients(model)
    assert fused.keys() == chained.keys()
    for name, gradient in fused.items():
        scale = max(np.abs(gradient).max(), 1e-3)
        np.testing.assert_allclose(chained[name], gradient, atol=1e-4 * scale, err_msg=name)


def test_an_entity_cut_by_windows_without_context(model, docs, monkeypatch):
    """The rest of it begins again in the next window, where nothing else may begin."""
    set_windows(monkeypatch, model, window=4, context=0)
    doc = docs[2][:8].as_doc()
    target = np.array([0, 0, 0, 1, 2, 0, 0, 0])[:, None] == np.arange(TAGS)
    loss = fused_loss(model, [doc], [target])
    target[4] = np.arange(TAGS) == 1
    halves = [doc[:4].as_doc(), doc[4:].as_doc()]
    assert loss == pytest.approx(fused_loss(model, halves, [target[:4], target[4:]]), rel=1e-5)
    gradients(model)


def test_cut_docs_learn_from_every_token_once(model, docs, vocab):
    """The gradient of a cut Doc reaches each token's tag; context adds none of its own."""
    doc = docs[2]
    nothing = np.ones((len(doc), TAGS), bool)
    assert fused_loss(model, [doc], [nothing]) == 0
    assert gradients(model) == {}
    # The annotation of one token, against the window 3…14 with the core 6…11, read alone.
    one = nothing.copy()
    one[8, 1:] = False
    loss, cut = fused_loss(model, [doc], [one]), gradients(model)
    window = Doc(vocab, words=[token.text for token in doc[3:15]])
    assert loss == pytest.approx(fused_loss(model, [window], [one[3:15]]), rel=1e-5)
    expected = gradients(model)
    for name, gradient in cut.items():
        np.testing.assert_allclose(gradient, expected[name], atol=1e-5, err_msg=name)


WRONG = {"hidden_width": 0, "depth": 0, "window": 6, "batch_tokens": 0}
WRONG_LEXICAL = {"width": 0, "embed_width": -1, "word_dropout": 1.0, "features": ["lower", "SHAPE"]}


@pytest.mark.parametrize(("name", "wrong"), [*WRONG.items(), *WRONG_LEXICAL.items()])
def test_wrong_settings_are_named(name, wrong):
    with pytest.raises(ValueError, match=f"(?s){name}.*Received"):
        build_keras_lstm_tagger(**{**LEXICAL, name: wrong})
    if name in WRONG:
        with pytest.raises(ValueError, match=f"{name}.*Received"):
            build_tok2vec_keras_lstm_tagger(
                given_vectors(np.zeros((1, 4))), **{**COMMON, name: wrong}
            )


def test_ngrams_need_features_also_beside_vectors():
    nothing = {"tok2vec": given_vectors(np.zeros((1, 4))), "features": [], "rows": []}
    for settings in ({"ngrams": [[0]]}, {"rows": [50]}, {"tok2vec": None}):
        with pytest.raises(ValueError, match=r"'features' and 'rows'.*Received: features=\[\]"):
            build_normalizing_tagger(**{**LEXICAL, **nothing, **settings})


def given_vectors(vectors):
    """A tok2vec that gives these vectors for the Docs' tokens, and keeps their gradient."""

    def forward(model, docs, is_train):
        ends = np.cumsum([len(doc) for doc in docs])
        by_doc = np.split(model.attrs["vectors"][: ends[-1]], ends[:-1])

        def backprop(d_by_doc):
            model.attrs["gradient"] = np.concatenate(d_by_doc)
            return []

        return by_doc, backprop

    return Model("given_vectors", forward, attrs={"vectors": vectors})


V2 = {**LEXICAL, "normalize": False}
OVER_VECTORS = {
    "alone": (build_tok2vec_keras_lstm_tagger, COMMON),
    "beside features": (build_normalizing_tagger, V2),
    "beside n-grams": (build_normalizing_tagger, {**V2, "ngrams": [[0], [-1, 0]]}),
    "in place of features": (build_normalizing_tagger, {**V2, "features": [], "rows": []}),
}


@pytest.fixture(scope="module", params=OVER_VECTORS)
def over_vectors(request, docs):
    """A tagger over random vectors, whose width it has to find out."""
    rng = np.random.default_rng(2)
    vectors = rng.normal(0, 1, (sum(map(len, docs)), 4)).astype(np.float32)
    build, settings = OVER_VECTORS[request.param]
    return initialized(build(tok2vec=given_vectors(vectors), **settings), docs)


def fused_loss(model, docs, targets, read=READ):
    loss, backprop = model.begin_update(Annotated(read(docs), np.concatenate(targets)))
    backprop(0.5)
    return 0.5 * loss


def chained_loss(model, docs, targets, read=READ):
    Y, backprop = model.begin_update(docs)
    result = negative_log_likelihood(Y, np.concatenate(targets))
    backprop(Potentials(result.emissions * 0.5, result.transitions * 0.5, Y.lengths))
    return 0.5 * result.loss


@pytest.mark.parametrize("compute_loss", [fused_loss, chained_loss])
def test_gradient_of_vectors_by_finite_differences(over_vectors, docs, compute_loss):
    """Tokens that overlapping windows read twice get the sum."""
    model = over_vectors
    tok2vec = model.get_ref("tok2vec")
    vectors = tok2vec.attrs["vectors"]
    # O, B-x or nothing known, in turn; one Doc without any annotation.
    targets = [np.ones((len(doc), TAGS), bool) for doc in docs]
    for target in targets[:-1]:
        target[::3, 1:] = False
        target[1::3] = np.arange(TAGS) == 1
    compute_loss(model, docs, targets)
    gradient = tok2vec.attrs["gradient"]
    assert gradient.shape == vectors.shape
    # The long Doc has the tokens 5…44: near a cut, far from one, in a core and in a context.
    for token, column in [(0, 0), (7, 2), (11, 0), (14, 1), (26, 2), (44, 3)]:
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


def test_vectors_of_nothing(over_vectors, vocab):
    assert over_vectors.predict([]).emissions.shape == (0, TAGS)
    Y, backprop = over_vectors.begin_update([Doc(vocab)])
    assert Y.emissions.shape == (0, TAGS)
    assert backprop(Y) == []


# White space before, in, between and after sentences; a Doc of white space alone.
BLANKS = [["\n", " "], ["\u200b"], ["\t"], ["\n"]]


@pytest.fixture(scope="module")
def spaced(vocab, docs):
    """``docs`` with white space after every third word and at both ends, and which are words."""
    rows = []
    for k, doc in enumerate(docs):
        words = BLANKS[k % 4].copy()
        for token in doc:
            words += [token.text, *BLANKS[token.i // 3 % 4]] if token.i % 3 == 2 else [token.text]
        rows.append([*words, "\n"])
    is_word = np.array([word.startswith("w") for words in rows for word in words])
    return [Doc(vocab, words=words) for words in rows], is_word


@pytest.fixture(scope="module", params=["v1", "v2", "v2 without normal forms"])
def lexical(request, docs):
    if request.param == "v1":
        return request.getfixturevalue("model")
    normalize = request.param == "v2"
    return initialized(build_normalizing_tagger(**LEXICAL, normalize=normalize), docs)


def test_emissions_do_not_depend_on_white_space(lexical, docs, spaced):
    spaced, is_word = spaced
    expected = lexical.predict(docs)
    for found in (lexical.predict(spaced), lexical.begin_update(spaced)[0]):
        assert found.lengths.tolist() == expected.lengths.tolist()
        np.testing.assert_array_equal(found.is_word, is_word)
        np.testing.assert_allclose(found.emissions[is_word], expected.emissions, atol=1e-5)
        np.testing.assert_array_equal(found.transitions, expected.transitions)
        assert not found.emissions[~is_word, 0].any()
        assert np.isneginf(found.emissions[~is_word, 1:]).all()
    alone = lexical.predict([spaced[1]])
    assert alone.emissions.tolist() == [[0, *[-np.inf] * (TAGS - 1)]] * len(spaced[1])
    assert alone.lengths.tolist() == []


@pytest.mark.parametrize("which", [[0, 1], [0, 2, 4]])
def test_gradients_do_not_depend_on_white_space(lexical, docs, spaced, which):
    rng = np.random.default_rng(3)
    targets = [rng.choice([0, 1, 3], len(docs[k]))[:, None] == np.arange(TAGS) for k in which]
    read, found = reader_of(lexical), {}
    for compute_loss in (fused_loss, chained_loss):
        for name, of in (("plain", docs), ("spaced", spaced[0])):
            loss = compute_loss(lexical, [of[k] for k in which], targets, read)
            found[name] = loss, gradients(lexical)
        assert found["spaced"][0] == pytest.approx(found["plain"][0], rel=1e-4)
        assert found["spaced"][1].keys() == found["plain"][1].keys() != set()
        for name, gradient in found["plain"][1].items():
            other = found["spaced"][1][name]
            np.testing.assert_allclose(other, gradient, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("compute_loss", [fused_loss, chained_loss])
def test_gradient_of_the_vectors_of_white_space_is_zero(over_vectors, docs, spaced, compute_loss):
    """The network does not read these vectors; words have the gradient of before."""
    spaced, is_word = spaced
    tok2vec = over_vectors.get_ref("tok2vec")
    vectors = tok2vec.attrs["vectors"]
    targets = [np.arange(len(doc))[:, None] % 2 == np.arange(TAGS) for doc in docs]
    expected = compute_loss(over_vectors, docs, targets), tok2vec.attrs["gradient"]
    assert np.abs(expected[1]).max() > 0.01
    of_spaced = np.full((len(is_word), vectors.shape[1]), np.nan, np.float32)
    of_spaced[is_word] = vectors
    try:
        tok2vec.attrs["vectors"] = of_spaced
        loss = compute_loss(over_vectors, spaced, targets)
    finally:
        tok2vec.attrs["vectors"] = vectors
    assert loss == pytest.approx(expected[0], rel=1e-4)
    gradient = tok2vec.attrs["gradient"]
    assert not gradient[~is_word].any()
    np.testing.assert_allclose(gradient[is_word], expected[1], atol=1e-4)
