"""White space is not a word: it changes no prediction, and no entity begins or ends with it."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
import spacy
from samples import SENTENCES, SMALL_MODEL, SMALL_TOK2VEC_MODEL, TOK2VEC, make_doc, overfit
from spacy.lang.en import English
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Adam

from ner_lstm_component import kernels
from ner_lstm_component.decoding.iob2 import entity_spans
from ner_lstm_component.kernels import numpy_kernels
from ner_lstm_component.text.characters import is_invisible

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

V2 = {
    **SMALL_MODEL,
    "@architectures": "ner_lstm_component.KerasLSTMTagger.v2",
    "word_dropout": 0.0,
    "normalize": True,
}
KERNELS = ("entity_spans", "find_sentences", "marginals", "viterbi")

WHITE_SPACE = [chr(code) for code in range(0x3001) if chr(code).isspace()]
INVISIBLE = list("\x00\x7f\xad\u200b\u200d\u200e\u2060\u2800\u3164\ufe0f\ufeff\U000e0041")
MARKUP = ["**", "_", "~~", "|", "#", "##", ">", "-", "*", "`", "•", "3.", "<br>", "@", "From:", "("]
WORDS = sorted({word.partition("/")[0] for sentence in SENTENCES for word in sentence.split()})
NAMES = ["New\nYork", "Anna\u2003Berg", "South \r\n Africa", "Nordic\n\nBank", "Oslo"]
TEXTS = st.builds(
    str.join,
    st.sampled_from(["", " "]),
    st.lists(
        st.one_of(map(st.sampled_from, (WORDS, NAMES, WHITE_SPACE, INVISIBLE, MARKUP))),
        max_size=25,
    ),
)

# Up to three tokens of white space without line breaks.
UNBROKEN = [char for char in WHITE_SPACE if char.splitlines() == [char]] + INVISIBLE
BLANKS = st.lists(st.text(st.sampled_from(UNBROKEN), min_size=1, max_size=3), max_size=3)
check = hypothesis.settings(deadline=None, max_examples=200)

# A sentence with blanks at each kind of place, and its entities.
SPACED = [" ", "Anna", " ", "Berg", "\u200b", "lives", "\n", "in", "New", "\n", "York", "\t", "."]
ANNOTATED = "Anna/B-per Berg/I-per lives in New/B-geo York/I-geo ."
ENTS = [(1, 4, "per"), (8, 11, "geo")]
IS_WORD = np.array([not is_invisible(word) for word in SPACED])
PLAIN = [word for word in SPACED if not is_invisible(word)]


def trained(model):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": copy.deepcopy(model)})
    return overfit(nlp)


def copy_of(nlp):
    return English.from_config(nlp.config).from_bytes(nlp.to_bytes())


@pytest.fixture(scope="module")
def v2():
    """A trained pipeline with ``KerasLSTMTagger.v2``; tests do not change it."""
    return trained(V2)


@pytest.fixture(scope="module")
def tok2vec():
    """A pipeline whose vectors do not depend on neighbours, which may be white space."""
    return trained({**SMALL_TOK2VEC_MODEL, "tok2vec": TOK2VEC["embed"]})


@pytest.fixture(scope="module", params=["v1", "v2"])
def lexical(request, trained_nlp):
    return trained_nlp if request.param == "v1" else request.getfixturevalue("v2")


@pytest.fixture(scope="module", params=["v1", "v2", "v2 in NumPy", "tok2vec"])
def confident(request, trained_nlp):
    """A pipeline that sets confidences."""
    name = request.param.split()[0]
    nlp = copy_of(trained_nlp if name == "v1" else request.getfixturevalue(name))
    nlp.get_pipe("ner_lstm").confidence = True
    with pytest.MonkeyPatch.context() as patch:
        for kernel in KERNELS if "NumPy" in request.param else ():
            patch.setattr(kernels, kernel, getattr(numpy_kernels, kernel))
        yield nlp


def entities(doc):
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def is_blank(token):
    return token.text.isspace() or is_invisible(token.text)


@check
@hypothesis.given(text=TEXTS)
def test_no_entity_is_blank_or_has_a_blank_edge(confident, text):
    ner, thresholds = confident.get_pipe("ner_lstm"), [0.0, 0.4]
    docs = [confident.make_doc(text) for _ in thresholds]
    predictions = [one.prediction for one in ner.analyse(docs, thresholds=thresholds)]
    ner.set_annotations(docs, predictions)
    for doc, prediction, threshold in zip(docs, predictions, thresholds, strict=True):
        assert doc.text == text
        assert not any(is_blank(ent[0]) or is_blank(ent[-1]) for ent in doc.ents)
        spans = [(a, b, ner.labels[label]) for a, b, label in entity_spans(prediction.tags)]
        assert entities(doc) == spans
        assert all(threshold <= ent._.confidence <= 1 for ent in doc.ents)
        before = entities(doc)
        doc.ents = list(doc.ents)  # refused if they overlap
        assert entities(doc) == before
        for previous, token in zip(doc, doc[1:] if len(doc) else (), strict=False):
            assert token.ent_iob_ != "I" or token.ent_type_ == previous.ent_type_


@check
@hypothesis.given(words=st.lists(st.sampled_from(WORDS), max_size=20), data=st.data())
def test_blanks_between_words_change_nothing(lexical, words, data):
    """Of any number and kind; line breaks may begin list items, or end sentences."""
    blanks = data.draw(st.lists(BLANKS, min_size=len(words), max_size=len(words)))
    spaced = [one for pair in zip(blanks, words, strict=True) for one in (*pair[0], pair[1])]
    docs = [lexical(Doc(lexical.vocab, words=some)) for some in (words, spaced)]
    found, expected = (
        [([t.text for t in ent if not is_blank(t)], ent.label_) for ent in doc.ents] for doc in docs
    )
    assert found == expected


def test_a_name_may_be_wrapped(confident):
    text = "\ufeff\n  Anna\r\n\tBerg lives\nin\u2003New\n York.\n"
    doc = confident(text)
    found = [(ent.text, ent.label_) for ent in doc.ents]
    assert found == [("Anna\r\n\tBerg", "per"), ("New\n York", "geo")]
    assert [len(ent) for ent in doc.ents] == [3, 3]
    assert [ent.text for ent in confident("lives in New\n\nYork").ents] != ["New\n\nYork"]


def test_rows_of_white_space_and_of_words(lexical):
    """Words have the rows that they have without white space; other rows are certainly O."""
    ner, vocab = lexical.get_pipe("ner_lstm"), lexical.vocab
    docs = [Doc(vocab, words=words) for words in (PLAIN, SPACED, [" ", "\n"], [], SPACED)]
    ends = np.cumsum([len(doc) for doc in docs])[:-1]
    emissions = np.split(ner.model.predict(docs).emissions, ends)
    analyses = ner.analyse(docs, probabilities=True)
    ner.set_annotations(docs, [one.prediction for one in analyses])
    probabilities = ner.probabilities(docs)
    certain = np.eye(1, len(ner.tags))
    for k, is_word in ((1, IS_WORD), (2, np.zeros(2, bool)), (4, IS_WORD)):
        others = np.repeat(certain, (~is_word).sum(), axis=0)
        assert (emissions[k][~is_word] == np.where(others, 0, -np.inf)).all()
        assert not analyses[k].prediction.tags[~is_word].any()
        for rows in (analyses[k].probabilities, probabilities[k].tags):
            assert (rows[~is_word] == others).all()
    for k in (1, 4):
        np.testing.assert_allclose(emissions[k][IS_WORD], emissions[0], atol=1e-4)
        tags = analyses[k].prediction.tags
        assert tags[IS_WORD].tolist() == analyses[0].prediction.tags.tolist()
        for rows in (analyses[k].probabilities, probabilities[k].tags):
            np.testing.assert_allclose(rows[IS_WORD], analyses[0].probabilities, atol=1e-4)
        for values in (analyses[k].prediction.confidence, probabilities[k].entities):
            np.testing.assert_allclose(values, probabilities[0].entities, atol=1e-4)
        assert entities(docs[k]) == ENTS
    assert entities(docs[0]) == [(0, 2, "per"), (4, 6, "geo")]
    assert probabilities[3].tags.shape == (0, len(ner.tags))


@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_entities_of_other_components_stay(confident, threshold):
    ner = confident.get_pipe("ner_lstm")
    doc = Doc(confident.vocab, words=SPACED)
    others = [Span(doc, 0, 1, "blank", kb_id="Q1"), Span(doc, 4, 7, "edges")]
    doc.set_ents(others, default="missing")
    for _ in range(2):
        (analysis,) = ner.analyse([doc], thresholds=[threshold])
        ner.set_annotations([doc], [analysis.prediction])
        assert entities(doc) == [(0, 1, "blank"), ENTS[0], (4, 7, "edges"), ENTS[1]]
        assert doc.ents[0].kb_id_ == "Q1"
    assert [ent._.confidence is None for ent in doc.ents] == [True, False, True, False]


@pytest.mark.parametrize(("token", "whole"), [(2, ENTS[1]), (9, ENTS[0])])
@pytest.mark.parametrize("label", ["", "other"])
def test_no_entity_crosses_white_space_blocked_or_taken(confident, token, whole, label):
    ner = confident.get_pipe("ner_lstm")
    doc = Doc(confident.vocab, words=SPACED)
    span = Span(doc, token, token + 1, label)
    doc.set_ents([span] if label else [], blocked=[] if label else [span], default="missing")
    ner(doc)
    assert (doc[token].ent_iob_, doc[token].ent_type_) == ("B", label)
    predicted = [ent for ent in entities(doc) if ent[2] != "other"]
    assert whole in predicted
    assert not any(start <= token < end for start, end, _ in predicted)
    assert not any(is_blank(doc[start]) or is_blank(doc[end - 1]) for start, end, _ in predicted)


def test_probabilities_of_entities_with_white_space(lexical):
    ner = lexical.get_pipe("ner_lstm")
    plain = make_doc(lexical.vocab, ANNOTATED)
    (expected,) = ner.probabilities([plain])
    doc = Doc(lexical.vocab, words=[*SPACED, "\n\n", "Oslo", "fell", "."])
    doc.ents = [Span(doc, 0, 5, "per"), Span(doc, 6, 7, "geo"), Span(doc, 8, 12, "geo")]
    _, (_, found) = ner.probabilities([plain, doc])
    np.testing.assert_allclose(found, np.insert(expected.entities, 1, np.nan), atol=1e-4)
    # An empty line ends the sentence; at the edge of an entity it does not matter.
    doc.ents = [Span(doc, 12, 14, "geo"), Span(doc, 14, 15, "geo")]
    at_edge = ner.probabilities([doc])[0].entities
    doc.ents = [Span(doc, 12, 13, "geo"), Span(doc, 13, 15, "geo")]
    np.testing.assert_allclose(ner.probabilities([doc])[0].entities, at_edge)
    assert not np.isnan(at_edge).any()
    doc.ents = [Span(doc, 12, 15, "geo")]
    assert np.isnan(ner.probabilities([doc])[0].entities).all()


# Tags of SPACED: the words of the entities, and white space in, before and after them.
GOLD = [
    "O B-per I-per I-per O O O O B-geo I-geo I-geo O O",
    "B-per I-per I-per I-per I-per O O O B-geo I-geo I-geo I-geo O",
]


def test_training_is_that_without_white_space(v2):
    nlp = copy_of(v2)
    ner, vocab = nlp.get_pipe("ner_lstm"), nlp.vocab

    def losses(words, reference):
        example = Example(Doc(vocab, words=words), reference)
        by_update = ner.update([example])["ner_lstm"]
        scores, backprop = ner.model.begin_update([example.predicted])
        loss, gradient = ner.get_loss([example], scores)
        backprop(gradient)
        return by_update, loss, gradient

    by_update, loss, expected = losses(PLAIN, make_doc(vocab, ANNOTATED))
    assert by_update == pytest.approx(loss, rel=1e-3)
    assert loss > 0
    for tags, words in product(GOLD, (PLAIN, SPACED)):
        found = losses(words, Doc(vocab, words=SPACED, ents=tags.split()))
        assert found[:2] == pytest.approx((by_update, loss), rel=1e-3)
        is_word = np.array([not is_invisible(word) for word in words])
        np.testing.assert_allclose(found[2].emissions[is_word], expected.emissions, atol=1e-5)
        assert not found[2].emissions[~is_word].any()
        np.testing.assert_allclose(found[2].transitions, expected.transitions, atol=1e-5)


@pytest.mark.parametrize("name", ["v2", "tok2vec"])
def test_docs_of_white_space_alone(request, name):
    nlp = copy_of(request.getfixturevalue(name))
    ner = nlp.get_pipe("ner_lstm")
    weights = ner.model.layers[1].shims[0].keras_model.get_weights
    before = weights()
    blanks = [Doc(nlp.vocab, words=words) for words in (["\n", " "], ["\u200b"])]
    examples = [
        Example(
            blank, Doc(nlp.vocab, words=[t.text for t in blank], ents=["B-geo"] + ["I-geo"] * n)
        )
        for n, blank in zip((1, 0), blanks, strict=True)
    ]
    assert ner.update(examples, sgd=Adam(0.1)) == {"ner_lstm": 0.0}
    scores, backprop = ner.model.begin_update(blanks)
    loss, gradient = ner.get_loss(examples, scores)
    assert loss == 0
    assert gradient.emissions.shape == (3, len(ner.tags))
    assert not gradient.emissions.any()
    backprop(gradient)
    ner.finish_update(Adam(0.1))
    for a, b in zip(before, weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not any(doc.ents for doc in nlp.pipe([" ", "\n\n\u200b", "", "\ufeff"]))
    # Beside others, they change no loss.
    plain = make_doc(nlp.vocab, SENTENCES[0])
    example = Example(Doc(nlp.vocab, words=[token.text for token in plain]), plain)
    alone, beside = (ner.update(some)["ner_lstm"] for some in ([example], [example, *examples]))
    assert beside == pytest.approx(alone, rel=1e-4)


TRAINED_ON_SPACED = [
    ("\nZork lives\nin New \n Qaanaaq.\n", [(0, 5, "per"), (15, 28, "geo")]),
    ("Nobody  said a word.", []),
]


def test_entities_with_white_space_are_learnt_without():
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner_lstm", config={"model": V2})
    examples = [
        Example.from_dict(nlp.make_doc(text), {"entities": ents})
        for text, ents in TRAINED_ON_SPACED
    ]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(40):
        nlp.update(examples, sgd=optimizer)
    assert ner.labels == ("geo", "per")
    for text in (TRAINED_ON_SPACED[0][0], "Zork lives in New Qaanaaq."):
        found = [(" ".join(ent.text.split()), ent.label_) for ent in nlp(text).ents]
        assert found == [("Zork", "per"), ("New Qaanaaq", "geo")]


def test_known_words_are_kept(v2, tmp_path):
    known = v2.get_pipe("ner_lstm").model.attrs["known_words"]
    assert all(map(len, known[:3]))
    v2.to_disk(tmp_path)
    texts = [
        "anna berg lives in\noslo .",
        "REUTERS REPORTS FROM SOUTH AFRICA .",
        "**Anna** met Mr. Costa .",
        " ".join(PLAIN),
    ]
    expected = [entities(v2(text)) for text in texts]
    assert all(expected)
    sourced = spacy.blank("en")
    sourced.add_pipe("ner_lstm", source=v2)
    copies = [spacy.load(tmp_path), copy_of(v2), copy.deepcopy(v2), sourced]
    copies.append(pickle.loads(pickle.dumps(v2)))  # noqa: S301
    for nlp in (*copies, copy_of(copies[0])):
        found = nlp.get_pipe("ner_lstm").model.attrs["known_words"]
        assert [array.dtype for array in found[:3]] == [array.dtype for array in known[:3]]
        for a, b in zip(found, known, strict=True):
            np.testing.assert_array_equal(a, b)
        assert [entities(doc) for doc in nlp.pipe(texts)] == expected
        assert nlp.to_bytes() == v2.to_bytes()


def test_normal_forms_are_a_setting_that_v1_lacks(trained_nlp):
    v1 = trained_nlp.get_pipe("ner_lstm").model
    default = spacy.blank("en").add_pipe("ner_lstm").model
    assert "known_words" not in v1.attrs
    assert "known_words" in default.attrs
    assert [model.attrs["reader"].normalize for model in (v1, default)] == [False, True]
    config = trained_nlp.config.copy()
    config["components"]["ner_lstm"]["model"] |= {
        "@architectures": "ner_lstm_component.KerasLSTMTagger.v2",
        "normalize": False,
    }
    other = English.from_config(config).from_bytes(trained_nlp.to_bytes())
    texts = ["anna berg lives in\noslo .", "**Anna** met Mr. Costa .", " ".join(PLAIN)]
    docs = [trained_nlp.make_doc(text) for text in texts]
    found, expected = other.get_pipe("ner_lstm").model.predict(docs), v1.predict(docs)
    np.testing.assert_allclose(found.emissions, expected.emissions, atol=1e-4)
    assert found.lengths.tolist() == expected.lengths.tolist()
