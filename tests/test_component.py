"""What a spaCy user expects of a trainable entity recognizer, of ``ner_lstm``."""

import copy
import gc
import json
import pickle
import re
import shutil
import subprocess
import sys
import weakref
from itertools import cycle

import numpy as np
import pytest
import spacy
from samples import SMALL_MODEL, make_examples
from spacy.lang.en import English
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import fix_random_seed
from spacy.vocab import Vocab
from thinc.api import Adam, set_dropout_rate

from ner_lstm_component.app import create_app
from ner_lstm_component.component import DEFAULT_CONFIG, LSTMEntityRecognizer
from ner_lstm_component.features.ngram_tags import lexicon_of
from ner_lstm_component.text.sentences import read_docs

TRAIN = [
    ("Who is Shaka Khan?", [(7, 17, "PERSON")]),
    ("I like London and Berlin.", [(7, 13, "LOC"), (18, 24, "LOC")]),
    ("Ann Lee left Paris for New York City.", [(0, 7, "PERSON"), (13, 18, "LOC"), (23, 36, "LOC")]),
    ("Nothing to see here.", []),
]


def examples_of(nlp, data=TRAIN):
    return [Example.from_dict(nlp.make_doc(text), {"entities": ents}) for text, ents in data]


def entities(doc):
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def weights(nlp):
    return nlp.get_pipe("ner_lstm").model.layers[1].shims[0].keras_model.get_weights()


@pytest.fixture
def small(small_model):
    """A blank pipeline with a small ``ner_lstm``, and examples for it."""
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": small_model})
    return nlp, examples_of(nlp)


@pytest.fixture(scope="module")
def _initialized():
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": SMALL_MODEL})
    nlp.initialize(lambda: examples_of(nlp))
    return nlp, weights(nlp)


@pytest.fixture
def initialized(_initialized):
    """An initialized pipeline like ``small``, with traced graphs; tests may change its weights."""
    nlp, initial = _initialized
    yield nlp, examples_of(nlp)
    nlp.get_pipe("ner_lstm").finish_update(Adam(0.001))  # drops gradients
    shim = nlp.get_pipe("ner_lstm").model.layers[1].shims[0]
    shim.keras_model.set_weights(initial)
    shim.weights_changed()


def copy_of(nlp):
    """A copy of a pipeline that may be changed."""
    return English.from_config(nlp.config).from_bytes(nlp.to_bytes())


@pytest.fixture
def copied(trained_nlp):
    return copy_of(trained_nlp)


@pytest.fixture(scope="module")
def saved(trained_nlp, tmp_path_factory):
    """The folder of ``trained_nlp``."""
    folder = tmp_path_factory.mktemp("saved")
    trained_nlp.to_disk(folder)
    return folder


@pytest.fixture(scope="module")
def texts():
    words = "Paul Berg met Maria in Oslo . Reuters and the Nordic Bank went to New York ."
    words = words.split()
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(words, n)) for n in rng.integers(1, 40, 60)]


# ---------------------------------------------------------------- learning


@pytest.mark.parametrize("drop", [[0.5], [0.5, 0.45, 0.4]], ids=["rate", "schedule"])
def test_no_retracing_after_the_first_epoch(small, drop):
    """The network is traced once for Docs of all lengths and batches of all kinds."""
    nlp, examples = small
    fix_random_seed(0)
    texts = [" ".join(eg.reference.text for eg in examples[:n]) for n in range(1, 5)]
    long = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in texts]
    for example in long:
        example.reference.set_ents([], default="outside")
    learn_rate = (0.01 / n for n in range(1, 1000))
    optimizer = Adam(learn_rate, L2=0.01)
    nlp.initialize(lambda: examples)
    shim = nlp.get_pipe("ner_lstm").model.layers[1].shims[0]
    rng = np.random.default_rng(0)
    data, rates, traces = [*examples, *long], cycle(drop), []
    for _ in range(2):
        for size in (1, 3, 2, 5, 1, 8):
            batch = [data[i] for i in rng.permutation(len(data))[:size]]
            nlp.update(batch, sgd=optimizer, drop=next(rates))
            optimizer.step_schedules()
        traces.append(shim.traces)
    assert traces[0] == traces[1]
    assert traces[0] >= len(drop)


def test_overfitting_IO(tmp_path):
    """The plain loop with the default config and the optimizer of initialize()."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner_lstm")
    examples = examples_of(nlp)
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(80):
        losses = {}
        nlp.update(examples, sgd=optimizer, losses=losses)
    assert losses["ner_lstm"] < 0.01
    texts = [text for text, _ in TRAIN]
    expected = [entities(eg.reference) for eg in examples]
    assert [entities(doc) for doc in nlp.pipe(texts)] == expected

    emissions = ner.model.predict([nlp.make_doc(text) for text in texts]).emissions
    nlp.to_disk(tmp_path / "nlp")
    (tmp_path / "pickle").write_bytes(pickle.dumps(nlp))
    rebuilt = English.from_config(nlp.config)
    rebuilt.from_bytes(nlp.to_bytes())
    for other in (spacy.load(tmp_path / "nlp"), rebuilt):
        assert [entities(doc) for doc in other.pipe(texts)] == expected
        model = other.get_pipe("ner_lstm").model
        again = model.predict([other.make_doc(text) for text in texts]).emissions
        np.testing.assert_allclose(emissions, again, atol=1e-5)
        assert other.to_bytes() == nlp.to_bytes()
    code = (
        "import pickle, sys; nlp = pickle.load(open(sys.argv[1], 'rb'));"
        "print([[(e.start, e.end, e.label_) for e in nlp(t).ents] for t in sys.argv[2:]])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pickle"), *texts],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.strip() == str(expected)


def test_seed_governs_weights_dropout_and_hidden_words(small_model):
    def train(seed):
        fix_random_seed(seed)
        nlp = spacy.blank("en")
        nlp.add_pipe("ner_lstm", config={"model": {**small_model, "word_dropout": 0.3}})
        examples = examples_of(nlp)
        optimizer = nlp.initialize(lambda: examples)
        for _ in range(5):
            nlp.update(examples, sgd=optimizer, drop=0.3)
        return weights(nlp)

    first, second, other = train(1), train(1), train(2)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(first, other, strict=True))


def test_resume_training(trained_nlp):
    nlp = copy_of(trained_nlp)
    doc = nlp("Zork lives in Oslo .")
    gold = Doc(nlp.vocab, [t.text for t in doc], ents=["B-per", "O", "O", "B-geo", "O"])
    new = Example(nlp.make_doc(doc.text), gold)
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 0.01
    before = weights(nlp)
    for _ in range(30):
        nlp.update([new], sgd=optimizer)
    assert any((a != b).any() for a, b in zip(before, weights(nlp), strict=True))
    assert entities(nlp(doc.text)) == [(0, 1, "per"), (3, 4, "geo")]


def test_update_without_optimizer_gathers(initialized):
    """sgd=None of the component and spaCy's sgd=False: then finish_update applies the sum."""
    nlp, examples = initialized
    optimizer = Adam(0.001)
    ner = nlp.get_pipe("ner_lstm")
    before = weights(nlp)
    ner.update(examples, sgd=None)
    ner.update(examples, sgd=False)
    for a, b in zip(before, weights(nlp), strict=True):
        np.testing.assert_array_equal(a, b)
    ner.finish_update(optimizer)
    assert any((a != b).any() for a, b in zip(before, weights(nlp), strict=True))
    after = weights(nlp)
    ner.finish_update(optimizer)
    for a, b in zip(after, weights(nlp), strict=True):
        np.testing.assert_array_equal(a, b)


def test_get_loss_is_the_loss_of_update(small):
    nlp, examples = small
    nlp.initialize(lambda: examples)
    ner = nlp.get_pipe("ner_lstm")
    network = ner.model.layers[1].shims[0].keras_model
    network.word_dropout = network.feature_dropout = 0.0
    set_dropout_rate(ner.model, 0.0)
    examples[1] = Example(nlp.make_doc("Not annotated"), nlp.make_doc("Not annotated"))
    scores, _ = ner.model.begin_update([eg.predicted for eg in examples])
    loss, gradient = ner.get_loss(examples, scores)
    losses = ner.update(examples, sgd=False)
    assert loss == pytest.approx(losses["ner_lstm"], rel=1e-4)
    first, second, *_ = np.split(gradient.emissions, np.cumsum([len(eg) for eg in examples]))
    assert np.abs(second).max() < 1e-6
    assert np.abs(first).max() > 1e-3


def test_losses_add_up(initialized):
    nlp, examples = initialized
    losses = {"ner_lstm": 100.0, "other": 1.0}
    returned = nlp.get_pipe("ner_lstm").update(examples, losses=losses)
    assert returned is losses
    assert losses["ner_lstm"] > 100
    assert losses["other"] == 1.0


def test_averages_change_the_evaluated_weights(initialized):
    nlp, examples = initialized
    optimizer = Adam(0.01, use_averages=True)
    for _ in range(10):
        nlp.update(examples, sgd=optimizer)
    own = weights(nlp)
    with nlp.use_params(optimizer.averages):
        averaged = weights(nlp)
        saved = nlp.to_bytes()
    for a, b in zip(own, weights(nlp), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all((a != b).any() for a, b in zip(own, averaged, strict=True))
    loaded = English.from_config(nlp.config).from_bytes(saved)
    for a, b in zip(averaged, weights(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- annotation


def test_incomplete_data(small):
    """Missing annotation is not the annotation that nothing is an entity."""
    nlp, examples = small
    reference = Doc(nlp.vocab, words=["I", "like", "London"])
    reference.set_ents([Span(reference, 2, 3, "LOC")], default="missing")
    predicted = Doc(nlp.vocab, words=["I", "like", "London"])
    partial = Example(predicted, reference)
    optimizer = nlp.initialize(lambda: [*examples, partial])
    ner = nlp.get_pipe("ner_lstm")
    outside = Doc(nlp.vocab, words=["I", "like", "him"], ents=["O"] * 3)
    complete = Example(nlp.make_doc("I like him"), outside)
    optimizer.learn_rate = 0.01
    for _ in range(60):
        ner.update([partial, complete], sgd=optimizer)
    assert entities(nlp("I like London")) == [(2, 3, "LOC")]


def test_no_annotation_no_gradient(initialized):
    nlp, _ = initialized
    optimizer = Adam(0.001)
    ner = nlp.get_pipe("ner_lstm")
    before = weights(nlp)
    bare = Example(nlp.make_doc("London calls"), nlp.make_doc("London calls"))
    losses = ner.update([bare, bare], sgd=optimizer)
    assert losses == {"ner_lstm": 0.0}
    for a, b in zip(before, weights(nlp), strict=True):
        np.testing.assert_array_equal(a, b)
    outside = Doc(nlp.vocab, words=["London", "calls"], ents=["O", "O"])
    assert ner.update([Example(nlp.make_doc("London calls"), outside)])["ner_lstm"] > 0


def test_docs_without_tokens(initialized):
    nlp, examples = initialized
    optimizer = Adam(0.001)
    ner = nlp.get_pipe("ner_lstm")
    empty = Example(Doc(nlp.vocab), Doc(nlp.vocab))
    assert ner.update([empty], sgd=optimizer) == {"ner_lstm": 0.0}
    assert ner.update([], sgd=optimizer) == {"ner_lstm": 0.0}
    assert ner.update([empty, *examples], sgd=optimizer)["ner_lstm"] > 0
    assert [len(doc.ents) for doc in ner.pipe([Doc(nlp.vocab)])] == [0]
    assert list(ner.pipe([])) == []
    assert ner.probabilities([]) == []
    assert ner.probabilities([Doc(nlp.vocab)])[0].tags.shape == (0, len(ner.tags))


# ---------------------------------------------------------------- labels


def test_labels_are_types_sorted(trained_nlp):
    ner = trained_nlp.get_pipe("ner_lstm")
    assert ner.labels == ("geo", "org", "per")
    assert ner.label_data == ["geo", "org", "per"]
    assert ner.tags == ("O", "B-geo", "I-geo", "B-org", "I-org", "B-per", "I-per")
    assert trained_nlp.pipe_labels["ner_lstm"] == ["geo", "org", "per"]


def test_no_label(small):
    nlp, _ = small
    nothing = [Example.from_dict(nlp.make_doc("no"), {"entities": []})]
    with pytest.raises(ValueError, match="E143"):
        nlp.initialize(lambda: nothing)


def test_labels_given_to_initialize(small):
    nlp, examples = small
    nlp.get_pipe("ner_lstm").initialize(lambda: examples, nlp=nlp, labels=["Z", "LOC", "PERSON"])
    assert nlp.get_pipe("ner_lstm").labels == ("LOC", "PERSON", "Z")


def test_add_label(small, trained_nlp):
    nlp, examples = small
    ner = nlp.get_pipe("ner_lstm")
    assert ner.add_label("EXTRA") == 1
    assert ner.add_label("EXTRA") == 0
    nlp.initialize(lambda: examples)
    assert ner.labels == ("EXTRA", "LOC", "PERSON")
    assert trained_nlp.get_pipe("ner_lstm").add_label("geo") == 0
    with pytest.raises(ValueError, match="'new' cannot be added"):
        trained_nlp.get_pipe("ner_lstm").add_label("new")
    for wrong in ("", 3, None):
        with pytest.raises(ValueError, match="entity type"):
            ner.add_label(wrong)


ODD_LABELS = ["College Name", "a\tb", " edge ", "B-x", "|", "日本", "-"]


def test_any_string_may_be_a_label(small):
    """As to spaCy's ner, which refuses the empty one only."""
    nlp, _ = small
    data = [(f"Zork{n} fell", [(0, 5, label)]) for n, label in enumerate(ODD_LABELS)]
    examples = examples_of(nlp, data)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    ner = nlp.get_pipe("ner_lstm")
    assert ner.labels == tuple(sorted(ODD_LABELS))
    assert "B-College Name" in ner.tags
    assert [entities(nlp(text)) for text, _ in data] == [[(0, 1, label)] for label in ODD_LABELS]
    again = copy_of(nlp)
    assert again.get_pipe("ner_lstm").labels == ner.labels
    answer = create_app(again).test_client().post("/predict", json={"text": "Zork0 fell"}).json
    assert answer["ents"][0]["label"] == "College Name"
    assert answer["tags"] == ["B-College Name", "O"]


def test_unknown_label_in_update(trained_nlp):
    (example,) = examples_of(trained_nlp, [("London", [(0, 6, "GPE")])])
    retokenized = Example(Doc(trained_nlp.vocab, words=["Lon", "don"]), example.reference)
    for eg in (example, retokenized):
        with pytest.raises(ValueError, match=r"'GPE'.*geo, org, per"):
            trained_nlp.get_pipe("ner_lstm").update([eg])


def test_initialize_again(small):
    nlp, examples = small
    nlp.initialize(lambda: examples)
    nlp.get_pipe("ner_lstm").add_label("LOC")
    nlp.get_pipe("ner_lstm").temperature = 1.3
    first = weights(nlp)
    nlp.initialize(lambda: examples)
    assert nlp.get_pipe("ner_lstm").temperature == 1.0
    assert any((a != b).any() for a, b in zip(first, weights(nlp), strict=True))


# ---------------------------------------------------------------- prediction


def test_uninitialized(small):
    nlp, _ = small
    with pytest.raises(ValueError, match="E109"):
        nlp("text")
    other = copy_of(nlp)
    with pytest.raises(ValueError, match="E109"):
        other("text")


@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_batches_do_not_matter(trained_nlp, texts, batch_size):
    expected = [entities(trained_nlp(text)) for text in texts]
    assert sum(map(len, expected)) > 50
    assert [entities(doc) for doc in trained_nlp.pipe(texts, batch_size=batch_size)] == expected
    backwards = list(trained_nlp.pipe(texts[::-1], batch_size=batch_size))[::-1]
    assert [entities(doc) for doc in backwards] == expected


# Two sentences that `trained_nlp` knows.
FIRST = ["Paul", "met", "Maria", "Costa", "in", "Paris", "."]
SECOND = ["Prices", "fell", "in", "York", "again", "."]


def test_sentences_are_tagged_alone(trained_nlp):
    words = [*FIRST, *SECOND]
    starts = [i in (0, 7) for i in range(len(words))]
    whole = trained_nlp.get_pipe("ner_lstm")(Doc(trained_nlp.vocab, words, sent_starts=starts))
    parts = [
        trained_nlp.get_pipe("ner_lstm")(Doc(trained_nlp.vocab, part)) for part in (FIRST, SECOND)
    ]
    expected = entities(parts[0]) + [(a + 7, b + 7, label) for a, b, label in entities(parts[1])]
    assert entities(whole) == expected
    assert len(expected) >= 3


def test_long_doc_without_sentences(trained_nlp):
    sentence = [*FIRST, *SECOND]
    doc = trained_nlp.get_pipe("ner_lstm")(Doc(trained_nlp.vocab, sentence * 200))
    assert len(doc) == 2600
    # Everywhere the same, but near the Doc's own ends.
    found = [[(a % 13, label) for a, _, label in entities(doc) if a // 13 == n] for n in range(200)]
    assert len(found[100]) >= 4
    assert all(one == found[100] for one in found[5:-5])


def test_existing_entities_stay(trained_nlp):
    nlp = trained_nlp
    plain = nlp("Anna Berg lives in Oslo .")
    assert entities(plain) == [(0, 2, "per"), (4, 5, "geo")]
    doc = nlp.make_doc("Anna Berg lives in Oslo .")
    doc.set_ents([Span(doc, 1, 3, "other", kb_id="Q1")], default="missing")
    entities_before = list(doc.ents)
    nlp.get_pipe("ner_lstm")(doc)
    assert entities(doc) == [(0, 1, "per"), (1, 3, "other"), (4, 5, "geo")]
    assert doc.ents[1].kb_id_ == entities_before[0].kb_id_ == "Q1"
    again = entities(nlp.get_pipe("ner_lstm")(doc))
    assert again == entities(doc)


def test_blocked_tokens(trained_nlp):
    doc = trained_nlp.make_doc("Anna Berg lives in Oslo .")
    doc.set_ents([], blocked=[Span(doc, 4, 5)], default="missing")
    trained_nlp.get_pipe("ner_lstm")(doc)
    assert entities(doc) == [(0, 2, "per")]


def test_annotation_is_complete(trained_nlp):
    doc = trained_nlp("No one .")
    assert doc.has_annotation("ENT_IOB")
    assert [token.ent_iob_ for token in doc] == ["O"] * 3


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\x00", "😀 👩‍👩‍👧", "a" * 5000, "\u0085", "١٢"])
def test_odd_texts(trained_nlp, text):
    doc = trained_nlp(text)
    assert doc.text == text


def test_probabilities(trained_nlp):
    ner = trained_nlp.get_pipe("ner_lstm")
    doc = trained_nlp("Anna Berg lives in Oslo .")
    other = trained_nlp("Paul lives in Paris .")
    (_, _), (tags, scores) = ner.probabilities([other, doc])
    assert tags.shape == (6, 7)
    np.testing.assert_allclose(tags.sum(axis=1), 1, atol=1e-4)
    begin = ner.tags.index("B-geo")
    assert scores[1] == pytest.approx(tags[4, begin] - tags[5, begin + 1], abs=1e-5)
    assert 0.5 < scores[0] <= tags[0, ner.tags.index("B-per")] + 1e-6
    doc.ents = [Span(doc, 0, 1, "elsewhere")]
    assert np.isnan(ner.probabilities([doc])[0].entities).all()


# ---------------------------------------------------------------- confidence


def confidences(doc):
    return [ent._.confidence for ent in doc.ents]


@pytest.fixture
def confident(trained_nlp):
    """A copy of ``trained_nlp`` that may be changed, with confidences."""
    nlp = copy_of(trained_nlp)
    nlp.get_pipe("ner_lstm").confidence = True
    return nlp


def test_confidence_is_the_spans_marginal(confident, texts):
    ner = confident.get_pipe("ner_lstm")
    for doc in confident.pipe(texts[:20]):
        (probabilities,) = ner.probabilities([doc])
        np.testing.assert_allclose(confidences(doc), probabilities.entities, atol=1e-5)
        assert all(isinstance(value, float) and 0 < value <= 1 for value in confidences(doc))
    shuffled = [confident(text) for text in texts[:20]]
    for doc, again in zip(confident.pipe(texts[:20], batch_size=7), shuffled, strict=True):
        np.testing.assert_allclose(confidences(doc), confidences(again), atol=1e-5)


def test_confidence_is_computed_only_if_asked_for(trained_nlp, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("computed")

    monkeypatch.setattr("ner_lstm_component.decoding.crf.marginals", refuse)
    doc = trained_nlp("Anna Berg lives in Oslo .")
    assert confidences(doc) == [None, None]
    assert doc.user_data == {}


def test_confidence_next_to_existing_entities(confident):
    """Those have none; the others have the probability given those, by enumeration."""
    ner = confident.get_pipe("ner_lstm")
    doc = confident.make_doc("Anna Berg lives in Oslo .")
    doc.set_ents([Span(doc, 1, 3, "other")], default="missing")
    emissions, transitions, _ = ner.potentials([doc])
    ner(doc)
    assert entities(doc) == [(0, 1, "per"), (1, 3, "other"), (4, 5, "geo")]
    n_tags = len(ner.tags)
    paths = np.indices((n_tags,) * 6).reshape(6, -1).T
    paths = paths[(paths[:, 1:3] == 0).all(axis=1)]
    bounded = np.pad(paths, ((0, 0), (1, 1)), constant_values=-1)
    scores = emissions[np.arange(6), paths].sum(axis=1, dtype=float)
    scores += transitions[bounded[:, :-1], bounded[:, 1:]].sum(axis=1, dtype=float)
    p = np.exp(scores - np.logaddexp.reduce(scores))
    first = p[paths[:, 0] == ner.tags.index("B-per")].sum()
    last = paths[:, 4] == ner.tags.index("B-geo")
    last &= paths[:, 5] != ner.tags.index("I-geo")
    first_found, other, last_found = confidences(doc)
    assert other is None
    assert first_found == pytest.approx(first, abs=1e-5)
    assert last_found == pytest.approx(p[last].sum(), abs=1e-5)
    # In a second run all entities exist already: their confidences stay.
    ner(doc)
    assert confidences(doc) == [first_found, None, last_found]


def test_confidence_survives_bytes(confident, tmp_path):
    doc = confident("Anna Berg lives in Oslo .")
    assert None not in confidences(doc)
    assert confidences(Doc(spacy.blank("en").vocab).from_bytes(doc.to_bytes())) == confidences(doc)
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "docs.spacy")
    (read,) = DocBin().from_disk(tmp_path / "docs.spacy").get_docs(spacy.blank("en").vocab)
    assert confidences(read) == confidences(doc)


def test_threshold_drops_whole_entities(confident, texts):
    ner = confident.get_pipe("ner_lstm")
    found = [
        (n, ent.start, ent.end, ent.label_, ent._.confidence)
        for n, doc in enumerate(confident.pipe(texts))
        for ent in doc.ents
    ]
    values = sorted(entity[-1] for entity in found)
    threshold = (values[len(values) // 3] + values[len(values) // 3 + 1]) / 2
    ner.threshold = threshold
    for is_shown in (True, False):
        ner.confidence = is_shown
        kept = [
            (n, ent.start, ent.end, ent.label_, ent._.confidence)
            for n, doc in enumerate(confident.pipe(texts))
            for ent in doc.ents
        ]
        expected = [entity for entity in found if entity[-1] >= threshold]
        assert [entity[:4] for entity in kept] == [entity[:4] for entity in expected]
        if is_shown:
            np.testing.assert_allclose(
                [entity[-1] for entity in kept], [entity[-1] for entity in expected], atol=1e-5
            )
        else:
            assert {entity[-1] for entity in kept} == {None}
    assert 0 < len(kept) < len(found)
    assert confident(texts[0]).has_annotation("ENT_IOB")


def test_threshold_spares_other_entities(confident):
    confident.get_pipe("ner_lstm").threshold = 1.0
    doc = confident.make_doc("Anna Berg lives in Oslo .")
    doc.set_ents([Span(doc, 0, 2, "other")], default="missing")
    assert entities(confident.get_pipe("ner_lstm")(doc)) == [(0, 2, "other")]


@pytest.mark.parametrize("name", ["threshold", "temperature"])
@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_settings_out_of_range(confident, name, wrong):
    with pytest.raises(ValueError, match=f"'{name}'.*Received"):
        setattr(confident.get_pipe("ner_lstm"), name, wrong)
    with pytest.raises(ValueError, match=r"'confidence'.*Received"):
        confident.get_pipe("ner_lstm").confidence = 0.5


def test_a_setting_out_of_range_in_the_config(small_model):
    with pytest.raises(ValueError, match="'threshold'"):
        spacy.blank("en").add_pipe("ner_lstm", config={"model": small_model, "threshold": 1.5})


SET = {"confidence": True, "threshold": 0.9, "runtime": "onnx"}
UNSET = {"confidence": False, "threshold": 0.0, "runtime": "auto"}


def settings_of(ner):
    return {name: getattr(ner, name) for name in SET}


def set_all(ner, values):
    for name, value in values.items():
        setattr(ner, name, value)


def in_config(nlp, name="ner_lstm"):
    config = nlp.config["components"][name]
    found = {key: config[key] for key in ("confidence", "threshold")}
    return {**found, "runtime": config["model"]["runtime"]}


def as_override(values):
    paths = {"runtime": "model.runtime"}
    return {f"components.ner_lstm.{paths.get(k, k)}": value for k, value in values.items()}


def test_settings_set_in_python_are_those_of_the_config(copied, tmp_path):
    assert in_config(copied) == UNSET
    set_all(copied.get_pipe("ner_lstm"), SET)
    copied.get_pipe("ner_lstm").temperature = 1.3
    assert in_config(copied) == SET
    copied.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    from_bytes = copy_of(copied)
    for nlp in (loaded, from_bytes):
        assert in_config(nlp) == settings_of(nlp.get_pipe("ner_lstm")) == SET
        assert nlp.get_pipe("ner_lstm").temperature == 1.3


@pytest.mark.parametrize("values", [UNSET, {"threshold": 0.0}, {"threshold": 0.5}, SET])
def test_on_loading_the_config_decides(copied, tmp_path, values):
    set_all(copied.get_pipe("ner_lstm"), SET)
    copied.to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config=as_override(values))
    assert settings_of(nlp.get_pipe("ner_lstm")) == in_config(nlp) == {**SET, **values}
    nlp.to_disk(tmp_path / "again")
    again = spacy.load(tmp_path / "again").get_pipe("ner_lstm")
    assert settings_of(again) == {**SET, **values}


def test_settings_of_a_component_that_was_renamed_sourced_or_copied(copied, tmp_path):
    copied.rename_pipe("ner_lstm", "first")
    set_all(copied.get_pipe("first"), {"threshold": 0.25})
    assert in_config(copied, "first")["threshold"] == 0.25
    other = spacy.blank("en")
    other.add_pipe("first", source=copied, name="second")
    assert in_config(other, "second")["threshold"] == 0.25
    set_all(other.get_pipe("second"), SET)
    # spaCy shares the component: both pipelines have it, and the settings.
    assert in_config(other, "second") == in_config(copied, "first") == SET
    other.to_disk(tmp_path)
    assert settings_of(spacy.load(tmp_path).get_pipe("second")) == SET
    pickled = pickle.loads(pickle.dumps(other))  # noqa: S301
    for other_copy in (pickled, copy.deepcopy(other)):
        ner = other_copy.get_pipe("second")
        assert settings_of(ner) == in_config(other_copy, "second") == SET
        set_all(ner, UNSET)
        assert settings_of(ner) == in_config(other_copy, "second") == UNSET
        assert in_config(other, "second") == settings_of(other.get_pipe("second")) == SET


def test_a_component_keeps_no_pipeline_alive(copied):
    ner = copied.get_pipe("ner_lstm")
    ner.threshold = 0.5
    alone = pickle.loads(pickle.dumps(ner))  # noqa: S301
    alone.threshold = 0.6
    assert in_config(copied)["threshold"] == 0.5
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner_lstm")
    ner.threshold = 0.5
    alive = weakref.ref(nlp)
    del nlp
    gc.collect()
    assert alive() is None
    ner.threshold = 0.6


def test_settings_without_a_pipeline(trained_nlp, tmp_path):
    """There is no config: what was saved is taken over."""

    def make():
        model = English.from_config(trained_nlp.config).get_pipe("ner_lstm").model
        return LSTMEntityRecognizer(Vocab(), model)

    ner = make().from_bytes(trained_nlp.get_pipe("ner_lstm").to_bytes())
    set_all(ner, SET)
    ner.to_disk(tmp_path)
    for again in (make().from_disk(tmp_path), make().from_bytes(ner.to_bytes())):
        assert settings_of(again) == SET


def as_of_0_1_0(folder, **cfg):
    """Have a saved pipeline look like one of 0.1.0, whose settings the config did not have."""
    path = folder / "ner_lstm" / "cfg"
    saved = json.loads(path.read_text(encoding="utf-8"))
    del saved["network"]
    saved |= {"config": {"confidence": False, "threshold": 0.0}, **cfg}
    path.write_text(json.dumps(saved), encoding="utf-8")


def test_settings_of_pipelines_of_0_1_0(trained_nlp, tmp_path):
    trained_nlp.to_disk(tmp_path)
    as_of_0_1_0(tmp_path, threshold=0.9, confidence=True)
    nlp = spacy.load(tmp_path)
    expected = {"confidence": True, "threshold": 0.9, "runtime": "auto"}
    assert settings_of(nlp.get_pipe("ner_lstm")) == in_config(nlp) == expected
    nlp = spacy.load(tmp_path, config={"components.ner_lstm.threshold": 0.7})
    assert nlp.get_pipe("ner_lstm").threshold == 0.7
    nlp.to_disk(tmp_path / "new")
    nlp = spacy.load(tmp_path / "new", config=as_override(UNSET))
    assert settings_of(nlp.get_pipe("ner_lstm")) == UNSET


NGRAMS = DEFAULT_CONFIG["model"]["ngrams"]
# The settings of the weights, with other values than those of `SMALL_MODEL`.
OF_WEIGHTS = {
    "features": ["LOWER", "SHAPE", "PREFIX2", "SUFFIX3"],
    "rows": [600, 100, 200, 200],
    "embed_width": 8,
    "width": 16,
    "hidden_width": 8,
    "depth": 2,
    "ngrams": [[0]],
}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        *((name, "present") for name in OF_WEIGHTS),
        # What features these are cannot be told from the weights, only how many.
        *((name, "0.1.0") for name in OF_WEIGHTS if name != "features"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_refused(saved, tmp_path, name, version):
    folder = shutil.copytree(saved, tmp_path / "nlp")
    given = OF_WEIGHTS[name]
    values = re.escape(f"saved {SMALL_MODEL.get(name, NGRAMS)}, given {given}")
    if version == "0.1.0":
        as_of_0_1_0(folder)
        values = "saved .*, given"  # of rows their sum
    override = {"components": {"ner_lstm": {"model": {name: given}}}}
    message = rf"'ner_lstm' do not fit.*{name}: {values}"
    with pytest.raises(ValueError, match=message):
        spacy.load(folder, config=override)


def test_fewer_features_than_were_saved(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "nlp")
    as_of_0_1_0(folder)
    changed = {"features": ["LOWER"], "rows": [1000]}
    with pytest.raises(ValueError, match="the number of features: saved 4, given 1"):
        spacy.load(folder, config={"components": {"ner_lstm": {"model": changed}}})


def test_settings_that_do_not_fit_over_a_tok2vec(shared, tmp_path):
    nlp, _, _ = shared
    nlp.to_disk(tmp_path)
    override = {"components": {"ner_lstm": {"model": {"hidden_width": 8}}}}
    for prepare in (lambda folder: None, as_of_0_1_0):
        prepare(tmp_path)
        assert spacy.load(tmp_path).get_pipe("ner_lstm").labels
        with pytest.raises(ValueError, match="hidden_width: saved 16, given 8"):
            spacy.load(tmp_path, config=override)


def test_other_settings_of_the_config_take_effect(saved):
    changed = {
        "window": 9,
        "context": 2,
        "batch_tokens": 77,
        "runtime": "tensorflow",
        "word_dropout": 0.5,
        "feature_dropout": 0.25,
        "pos_weight": 0.75,
    }
    nlp = spacy.load(saved, config={"components": {"ner_lstm": {"model": changed}}})
    model = nlp.get_pipe("ner_lstm").model
    network = model.layers[1].shims[0].keras_model
    found = {name: getattr(model.attrs["windowing"], name) for name in list(changed)[:3]}
    found["runtime"] = nlp.get_pipe("ner_lstm").runtime
    found |= {name: getattr(network, name) for name in list(changed)[4:]}
    assert found == changed
    assert entities(nlp("Anna Berg lives in Oslo .")) == [(0, 2, "per"), (4, 5, "geo")]


def test_parts_of_speech_cannot_be_added_to_a_network(small_model, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": {**small_model, "pos_weight": 0.0}})
    nlp.initialize(lambda: examples_of(nlp))
    nlp.to_disk(tmp_path)
    with pytest.raises(ValueError, match=r"pos_weight: saved 0\.0, given 0\.2"):
        spacy.load(tmp_path, config={"components.ner_lstm.model.pos_weight": 0.2})


def test_temperature_changes_probabilities_only(confident, texts):
    ner = confident.get_pipe("ner_lstm")
    before = list(confident.pipe(texts))
    ner.temperature = 3.0
    after = list(confident.pipe(texts))
    assert [entities(doc) for doc in after] == [entities(doc) for doc in before]
    means = [np.mean([c for doc in docs for c in confidences(doc)]) for docs in (before, after)]
    assert means[1] < means[0] - 0.01
    (probabilities,) = ner.probabilities(after[:1])
    np.testing.assert_allclose(confidences(after[0]), probabilities.entities, atol=1e-5)


# ---------------------------------------------------------------- several vocabularies


def test_docs_of_several_vocabularies(copied):
    """Made by other pipelines, with words and labels that this one's vocabulary lacks."""
    texts = ["Zlatko met Maria Costa in Qaqortoq .", "Anna Berg lives in Oslo ."]
    expected = [entities(copied(text)) for text in texts]
    nlps = [copied, spacy.blank("en"), spacy.blank("de")]
    docs = [nlp.make_doc(f"{text} Xyzzy{n}") for n, nlp in enumerate(nlps) for text in texts]
    assert "per" not in nlps[1].vocab.strings
    found = list(copied.pipe(docs))
    for doc, ents in zip(found, expected * 3, strict=True):
        assert entities(doc)[: len(ents)] == ents
        assert Doc(Vocab()).from_bytes(doc.to_bytes()).ents[0].label_ == doc.ents[0].label_
    ner = copied.get_pipe("ner_lstm")
    assert len(ner.probabilities(found)) == len(found)
    assert len(ner.analyse(docs, probabilities=True)) == len(found)


@pytest.mark.parametrize("is_aligned", [False, True])
def test_training_on_examples_of_several_vocabularies(small_model, is_aligned):
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("ner_lstm", config={"model": small_model})
    examples = []
    for text, ents in TRAIN:
        other = spacy.blank("en")
        eg = Example.from_dict(other.make_doc(text), {"entities": ents})
        words = [token.text for token in eg.reference]
        spaces = [bool(token.whitespace_) for token in eg.reference]
        for token in eg.reference:
            token.tag_ = f"TAG{len(token)}"
        if is_aligned:
            words[1:2], spaces[1:2] = [words[1][:1], words[1][1:]], [False, spaces[1]]
        predicted = Doc(spacy.blank("en").vocab, words=words, spaces=spaces)
        examples.append(Example(predicted, eg.reference))
    optimizer = nlp.initialize(lambda: examples)
    assert "TAG3" in ner.cfg["pos"]
    optimizer.learn_rate = 0.02
    for _ in range(40):
        nlp.update(examples, sgd=optimizer)
    docs = [ner(eg.predicted.copy()) for eg in examples]
    found = [(ent.text, ent.label_) for doc in docs for ent in doc.ents]
    assert found == [(ent.text, ent.label_) for eg in examples for ent in eg.reference.ents]
    unknown = Example.from_dict(spacy.blank("en").make_doc("Rome"), {"entities": [(0, 4, "CITY")]})
    with pytest.raises(ValueError, match="'CITY'"):
        ner.update([unknown])


# ---------------------------------------------------------------- over a shared tok2vec


@pytest.fixture
def shared(tok2vec_model, small_tok2vec_model):
    """A pipeline in which ``ner_lstm`` listens to ``tok2vec``, initialized, and examples."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": tok2vec_model})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 24, "upstream": "tok2vec"}
    nlp.add_pipe("ner_lstm", config={"model": {**small_tok2vec_model, "tok2vec": listener}})
    examples = examples_of(nlp)
    optimizer = nlp.initialize(lambda: examples)
    return nlp, examples, optimizer


def parameters(nlp):
    """Those of ``tok2vec``."""
    return [
        node.get_param(name).copy()
        for node in nlp.get_pipe("tok2vec").model.walk()
        for name in node.param_names
        if node.has_param(name)
    ]


@pytest.mark.parametrize("extra", ["none", "not annotated", "empty"])
def test_gradient_reaches_the_shared_tok2vec(shared, extra):
    """The listener has vectors for all Docs of a batch."""
    nlp, examples, optimizer = shared
    assert nlp.get_pipe("tok2vec").listening_components == ["ner_lstm"]
    if extra == "not annotated":
        examples.insert(1, Example(nlp.make_doc("Not annotated"), nlp.make_doc("Not annotated")))
    elif extra == "empty":
        examples.insert(1, Example(Doc(nlp.vocab), Doc(nlp.vocab)))
    before = parameters(nlp)
    losses = nlp.update(examples, sgd=optimizer)
    assert losses["ner_lstm"] > 0
    assert losses["tok2vec"] > 0
    # Language.update() ends the update of tok2vec before its listeners have theirs.
    nlp.get_pipe("tok2vec").finish_update(optimizer)
    assert any((a != b).any() for a, b in zip(before, parameters(nlp), strict=True))


def test_chained_gradient_of_a_shared_tok2vec(shared):
    """begin_update → get_loss → backprop gives tok2vec the gradient that update gives it."""
    nlp, examples, _ = shared
    tok2vec, ner = nlp.get_pipe("tok2vec"), nlp.get_pipe("ner_lstm")

    def gradients():
        found = [
            node.get_grad(name).copy() for node in tok2vec.model.walk() for name in node.grad_names
        ]
        for node in tok2vec.model.walk():
            for name in node.grad_names:
                node.set_grad(name, np.zeros_like(node.get_grad(name)))
        return found

    nlp.update(examples, sgd=False)
    fused = gradients()
    tok2vec.update(examples, sgd=None)
    scores, backprop = ner.model.begin_update([eg.predicted for eg in examples])
    _, d_scores = ner.get_loss(examples, scores)
    backprop(d_scores)
    assert max(np.abs(gradient).max() for gradient in fused) > 1e-4
    for a, b in zip(fused, gradients(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_learning_over_a_shared_tok2vec(shared, tmp_path):
    nlp, examples, optimizer = shared
    optimizer.learn_rate = 0.01
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    texts = [text for text, _ in TRAIN]
    expected = [entities(eg.reference) for eg in examples]
    assert [entities(doc) for doc in nlp.pipe(texts)] == expected
    nlp.to_disk(tmp_path)
    rebuilt = copy_of(nlp)
    for other in (spacy.load(tmp_path), rebuilt):
        assert [entities(doc) for doc in other.pipe(texts)] == expected


# ---------------------------------------------------------------- in a pipeline


def test_select_pipes_and_scores(trained_nlp, train_examples):
    with trained_nlp.select_pipes(disable="ner_lstm"):
        assert trained_nlp("Oslo").ents == ()
    scores = trained_nlp.evaluate(
        [Example(trained_nlp.make_doc(eg.text), eg.reference) for eg in train_examples]
    )
    assert scores["ents_f"] > 0.95
    assert set(scores["ents_per_type"]) == {"geo", "org", "per"}


def test_source_into_another_pipeline(trained_nlp, texts):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("ner_lstm", source=trained_nlp, name="other_name")
    trained = trained_nlp.get_pipe("ner_lstm")
    for text in texts[:10]:
        doc = nlp(text)
        expected = nlp.get_pipe("sentencizer")(trained_nlp.make_doc(text))
        assert entities(doc) == entities(trained(expected))


def test_pipe_analysis():
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm")
    meta = nlp.get_pipe_meta("ner_lstm")
    assert meta.assigns == ["doc.ents", "token.ent_iob", "token.ent_type"]
    assert meta.default_score_weights == {
        "ents_f": 1.0,
        "ents_p": 0.0,
        "ents_r": 0.0,
        "ents_per_type": None,
    }


def test_error_handler_keeps_the_stream(trained_nlp, monkeypatch):
    nlp = copy_of(trained_nlp)
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, error: failed.extend(docs))
    ner = nlp.get_pipe("ner_lstm")
    predict = ner.predict

    def predict_or_fail(docs):
        if any("bad" in doc.text for doc in docs):
            raise RuntimeError("no")
        return predict(docs)

    monkeypatch.setattr(ner, "predict", predict_or_fail)
    docs = list(nlp.pipe(["good", "bad", "good"], batch_size=1))
    assert len(docs) == 2
    assert len(failed) == 1


RUN = """
import json, multiprocessing, sys
import spacy

if __name__ == "__main__":
    method, use_before, folder, *texts = sys.argv[1:]
    multiprocessing.set_start_method(method)
    nlp = spacy.load(folder)
    if use_before == "used":
        nlp(texts[0])
    docs = nlp.pipe(texts, n_process=2, batch_size=2)
    print(json.dumps([[(e.start, e.end, e.label_) for e in doc.ents] for doc in docs]))
"""


@pytest.mark.parametrize(
    ("method", "state"), [("fork", "fresh"), ("fork", "used"), ("spawn", "used")]
)
def test_processes(trained_nlp, saved, tmp_path, texts, method, state):
    """Processes find the same entities, before and after a first prediction in the parent."""
    (tmp_path / "run.py").write_text(RUN, encoding="utf-8")
    shown = subprocess.run(
        [sys.executable, tmp_path / "run.py", method, state, saved, *texts[:8]],
        check=True,
        capture_output=True,
        text=True,
        timeout=180,
    )
    expected = [[list(ent) for ent in entities(trained_nlp(text))] for text in texts[:8]]
    assert json.loads(shown.stdout) == expected


def test_processes_forked_after_tensorflow(saved, tmp_path, texts):
    """TensorFlow would hang: an error says so instead, and names the way out."""
    run = RUN.replace("nlp = spacy.load(folder)", TENSORFLOW)
    (tmp_path / "run.py").write_text(run, encoding="utf-8")
    shown = subprocess.run(
        [sys.executable, tmp_path / "run.py", "fork", "used", saved, *texts[:8]],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert shown.returncode != 0
    assert "set_start_method('spawn')" in shown.stderr


TENSORFLOW = """nlp = spacy.load(
        folder, config={"components": {"ner_lstm": {"model": {"runtime": "tensorflow"}}}}
    )"""


WITHOUT_TENSORFLOW = """
import sys

sys.modules.update(tensorflow=None, keras=None)

import json
import spacy
from spacy.training import Example
from thinc.api import NumpyOps, set_current_ops
from ner_lstm_component.app import create_app

folder, text, device_type = sys.argv[1:]
set_current_ops(NumpyOps(device_type=device_type))
nlp = spacy.load(folder)
component = nlp.get_pipe("ner_lstm")
(probabilities,) = component.probabilities([nlp(text)])
found = {
    "entities": [[(e.start, e.end, e.label_) for e in doc.ents] for doc in nlp.pipe([text] * 3)],
    "probabilities": probabilities.tags.tolist(),
    "saved": nlp.to_bytes() == spacy.load(folder).to_bytes(),
    # Last: the service has the pipeline to itself.
    "answer": create_app(nlp).test_client().post("/predict", json={"text": text}).json["tags"],
}
example = Example.from_dict(nlp.make_doc(text), {"entities": [(0, 4, "per")]})

def said(action):
    try:
        action()
    except ImportError as error:
        return str(error)

found["update"] = said(lambda: nlp.update([example]))
found["initialize"] = said(lambda: nlp.initialize(lambda: [example]))
print(json.dumps(found))
"""


@pytest.mark.parametrize("device_type", ["cpu", "gpu"])
def test_without_tensorflow(trained_nlp, saved, device_type):
    """A loaded pipeline does everything but train; training says what to install.

    Where Thinc computes on a GPU, a single warning says that TensorFlow is missing.
    """
    text = "Anna Berg lives in Oslo ."
    shown = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, saved, text, device_type],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = json.loads(shown.stdout)
    doc = trained_nlp(text)
    assert found["entities"] == [[list(ent) for ent in entities(doc)]] * 3
    (expected,) = trained_nlp.get_pipe("ner_lstm").probabilities([doc])
    np.testing.assert_allclose(found["probabilities"], expected.tags, atol=1e-5)
    assert found["answer"] == ["B-per", "I-per", "O", "O", "B-geo", "O"]
    assert found["saved"] is True
    for message in (found["update"], found["initialize"]):
        assert "pip install 'ner-lstm-component[train]'" in message
    assert shown.stderr.count("TensorFlow is not installed: ner_lstm") == (device_type == "gpu")


@pytest.mark.parametrize("kind", ["small_model", "small_tok2vec_model"])
def test_overfitting_with_any_settings_of_keras(request, kind, keras_settings):
    """The network is float32, and learns the same as with Keras' own settings."""
    import keras

    own = {"feature_dropout": 0.2, "pos_weight": 0.5} if kind == "small_model" else {}
    model = {**request.getfixturevalue(kind), **own, "runtime": "tensorflow"}

    def train():
        fix_random_seed(0)
        keras.utils.set_random_seed(0)
        nlp = spacy.blank("en")
        nlp.add_pipe("ner_lstm", config={"model": model})
        examples = make_examples(nlp.vocab)
        for example in examples:
            for token in example.reference:
                token.tag_ = "NNP" if token.is_title else "NN"
        optimizer = nlp.initialize(lambda: examples)
        losses = [nlp.update(examples, sgd=optimizer)["ner_lstm"] for _ in range(3)]
        return nlp, losses

    def potentials(nlp):
        docs = [nlp.make_doc("Anna Berg lives in Oslo .")]
        return nlp.get_pipe("ner_lstm").model.predict(docs)

    nlp, losses = train()
    network = nlp.get_pipe("ner_lstm").model.layers[1].shims[0].keras_model
    assert {variable.dtype for variable in network.weights} == {"float32"}
    loaded = copy_of(nlp)
    for one, other in zip(potentials(loaded), potentials(nlp), strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("floatx", "dtype_policy"):
        getattr(keras.config, f"set_{name}")("float32")
    expected = train()[1]
    for name in ("floatx", "dtype_policy"):
        getattr(keras.config, f"set_{name}")(keras_settings[name])
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert losses[-1] < losses[0]


def test_runtimes_agree(trained_nlp, texts):
    """Same tags, and emissions that differ by rounding only."""
    found = {}
    for runtime in ("auto", "onnx", "tensorflow"):
        config = trained_nlp.config.copy()
        config["components"]["ner_lstm"]["model"]["runtime"] = runtime
        nlp = English.from_config(config).from_bytes(trained_nlp.to_bytes())
        docs = list(nlp.pipe(texts))
        model = nlp.get_pipe("ner_lstm").model
        assert model.layers[1].shims[0].runtime == runtime
        emissions, transitions, _ = model.predict([nlp.make_doc(text) for text in texts])
        found[runtime] = ([entities(doc) for doc in docs], emissions, transitions)
    for runtime in ("auto", "onnx"):
        assert found[runtime][0] == found["tensorflow"][0]
        np.testing.assert_allclose(found[runtime][1], found["tensorflow"][1], atol=1e-4)
        np.testing.assert_array_equal(found[runtime][2], found["tensorflow"][2])


def test_tensorflow_is_imported_when_needed():
    code = (
        "import sys, ner_lstm_component, spacy;"
        "nlp = spacy.blank('en'); nlp.add_pipe('ner_lstm');"
        "loaded = {'tensorflow', 'keras', 'pandas', 'sklearn', 'flask'} & set(sys.modules);"
        "print(sorted(loaded))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"


# ---------------------------------------------------------------- initialization


def tagged_example(nlp, words, pos):
    reference = Doc(nlp.vocab, words=words, tags=pos)
    reference.ents = [Span(reference, 0, 1, label="LOC")]
    return Example(Doc(nlp.vocab, words=words), reference)


def test_parts_of_speech_are_learnt_where_the_data_has_them(small):
    nlp, _ = small
    examples = [
        tagged_example(nlp, ["Rome", "fell"], ["NNP", "VBD"]),
        tagged_example(nlp, ["Oslo", "grew", "."], ["NNP", "VBD", ""]),
    ]
    nlp.initialize(lambda: examples)
    ner = nlp.get_pipe("ner_lstm")
    assert ner.cfg["pos"] == ["NNP", "VBD"]
    pos = ner.model.layers[1].shims[0].keras_model.pos
    before = pos.get_weights()[0].copy()
    ner.update(examples, sgd=Adam(0.01))
    assert (pos.get_weights()[0] != before).any()
    # They are not predicted.
    assert not nlp("Rome fell").has_annotation("TAG")


def test_the_lexicon_is_learnt_at_initialize_and_saved(initialized, tmp_path):
    nlp, _ = initialized
    ner = nlp.get_pipe("ner_lstm")
    lexicon = lexicon_of(ner.model.get_ref("lexicon"))
    text = read_docs([nlp.make_doc("I like London and Oslo.")])
    ids = lexicon.ids(text)
    unseen = lexicon.ids(read_docs([nlp.make_doc("xyz")]))[0]
    # The word itself comes first, in two ids: London is known, Oslo is not.
    assert (ids[2, :2] != unseen[:2]).all()
    assert (ids[4, :2] == unseen[:2]).all()
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path).get_pipe("ner_lstm").model
    np.testing.assert_array_equal(lexicon_of(loaded.get_ref("lexicon")).ids(text), ids)
    np.testing.assert_array_equal(loaded.layers[0].predict(text), ner.model.layers[0].predict(text))


def test_in_training_an_example_does_not_see_its_own_tags(initialized):
    nlp, examples = initialized
    features = nlp.get_pipe("ner_lstm").model.layers[0]
    text = read_docs([eg.predicted for eg in examples])
    shown, _ = features(text, is_train=True)
    full, _ = features(text, is_train=False)
    assert (shown != full).any()


def shown_in_training(nlp, examples):
    features = nlp.get_pipe("ner_lstm").model.layers[0]
    docs = [Doc(nlp.vocab, words=[t.text for t in eg.predicted]) for eg in examples]
    return features(read_docs(docs), is_train=True)[0]


@pytest.mark.parametrize("way", ["disk", "bytes", "source"])
def test_a_loaded_pipeline_does_not_show_examples_their_own_tags(small, tmp_path, way):
    nlp, examples = small
    nlp.initialize(lambda: examples)
    nlp.to_disk(tmp_path)
    if way == "source":
        loaded = spacy.blank("en")
        loaded.add_pipe("ner_lstm", source=spacy.load(tmp_path))
    elif way == "bytes":
        loaded = copy_of(nlp)
    else:
        loaded = spacy.load(tmp_path)
    loaded.resume_training()
    np.testing.assert_array_equal(
        shown_in_training(loaded, examples), shown_in_training(nlp, examples)
    )


def test_training_goes_on_where_it_was_saved(small_model, tmp_path):
    """Another loss on the same data would mean other features."""
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": {**small_model, "word_dropout": 0.0}})
    examples = examples_of(nlp)
    fix_random_seed(0)
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(20):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    loaded.resume_training()
    before, after = (
        one.get_pipe("ner_lstm").update(examples_of(one), drop=0.0)["ner_lstm"]
        for one in (nlp, loaded)
    )
    assert after == pytest.approx(before, rel=1e-4)


def test_initialize_learns_from_a_corpus_instead_of_examples(small):
    nlp, examples = small
    ner = nlp.get_pipe("ner_lstm")
    ner.initialize(lambda: examples[:1], nlp=nlp, corpus=lambda nlp: iter(examples))
    assert ner.labels == ("LOC", "PERSON")
    ids = lexicon_of(ner.model.get_ref("lexicon")).ids(read_docs([nlp.make_doc("London xyz")]))
    assert (ids[0, :2] != ids[1, :2]).all()
    with pytest.raises(ValueError, match="'nlp'"):
        ner.initialize(lambda: examples, corpus=lambda nlp: iter(examples))


def test_warning_for_a_stream_without_a_corpus(small, caplog):
    nlp, examples = small
    nlp.initialize(lambda: examples)
    assert not caplog.records
    nlp.config["training"]["max_epochs"] = -1
    nlp.initialize(lambda: examples)
    assert "[initialize.components.ner_lstm]" in caplog.text


def test_a_tagger_without_lexicon(small_model):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": {**small_model, "ngrams": None, "pos_weight": 0.0}})
    nlp.initialize(lambda: examples_of(nlp))
    ner = nlp.get_pipe("ner_lstm")
    assert ner.model.maybe_get_ref("lexicon") is None
    assert ner.model.layers[1].shims[0].keras_model.pos is None
    features = ner.model.layers[0].predict(read_docs([nlp.make_doc("Rome")]))
    assert features.shape == (1, 2 * len(small_model["features"]))


def test_analyse_agrees_with_predict_and_probabilities(trained_nlp):
    component = trained_nlp.get_pipe("ner_lstm")
    texts = ["Anna Berg lives in Oslo .", "", "It rained .", "Paul met Maria in Paris ."]
    docs = [trained_nlp.make_doc(text) for text in texts]
    analyses = component.analyse(docs, probabilities=True)
    for analysis, prediction in zip(analyses, component.predict(docs), strict=True):
        np.testing.assert_array_equal(analysis.prediction.tags, prediction.tags)
    for analysis, other in zip(analyses, component.probabilities(docs), strict=True):
        np.testing.assert_allclose(analysis.probabilities, other.tags, atol=1e-6)
    component.set_annotations(docs, [analysis.prediction for analysis in analyses])
    for analysis, other in zip(analyses, component.probabilities(docs), strict=True):
        np.testing.assert_allclose(analysis.prediction.confidence, other.entities, atol=1e-6)


def test_analyse_holds_each_doc_to_its_own_threshold(trained_nlp):
    component = trained_nlp.get_pipe("ner_lstm")
    docs = [trained_nlp.make_doc("Anna Berg lives in Oslo .") for _ in range(3)]
    analyses = component.analyse(docs, thresholds=[0.0, 1.0, 0.0])
    assert [len(one.prediction.confidence) for one in analyses] == [2, 0, 2]
    assert not analyses[1].prediction.tags.any()
    assert all(one.probabilities is None for one in analyses)
    assert component.analyse([]) == []


def test_what_is_excluded_is_not_loaded(trained_nlp, tmp_path):
    """Given by any iterable, as to spaCy's components."""
    trained_nlp.get_pipe("ner_lstm").to_disk(tmp_path)
    (tmp_path / "model").unlink()
    other = English.from_config(trained_nlp.config).get_pipe("ner_lstm")
    other.from_disk(tmp_path, exclude=iter(["model"]))
    assert other.labels == trained_nlp.get_pipe("ner_lstm").labels
    with pytest.raises(FileNotFoundError):
        other.from_disk(tmp_path)


def test_a_model_of_another_kind_is_refused(trained_nlp, tmp_path, monkeypatch):
    def fail(model, message):
        raise AttributeError("no such layer")

    component = trained_nlp.get_pipe("ner_lstm")
    component.to_disk(tmp_path)
    other = English.from_config(trained_nlp.config).get_pipe("ner_lstm")
    monkeypatch.setattr(type(other.model), "from_dict", fail)
    with pytest.raises(ValueError, match="E149"):
        other.from_disk(tmp_path)


# ---------------------------------------------------------------- errors in training


def test_errors_in_training_name_the_doc(small):
    nlp, examples = small
    nlp.initialize(lambda: examples)
    ner = nlp.get_pipe("ner_lstm")
    words = ["One", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "x"]
    bad = Doc(nlp.vocab, words=words, ents=["B-GPE", *["O"] * 10])
    begins = r"'One two three four five six seven eight nine ten …'"
    with pytest.raises(ValueError, match=f"{begins}.*'GPE'"):
        ner.update([*examples, Example(Doc(nlp.vocab, words=words), bad)])
    with pytest.raises(ValueError, match=begins):
        ner.update([*examples, Example(Doc(nlp.vocab, words=["another", "text"]), bad)])
    with pytest.raises(ValueError, match=f"{begins}.*'GPE'"):
        ner.initialize(lambda: [Example(Doc(nlp.vocab, words=words), bad)], labels=["LOC"])


def test_initialize_names_the_doc_of_a_wrong_label(small, monkeypatch):
    nlp, examples = small
    bad = Doc(nlp.vocab, words=["Oslo", "fell"])
    bad.ents = [Span(bad, 0, 1, label="geo")]
    monkeypatch.setattr("ner_lstm_component.component._check_label", refuse_geo)
    with pytest.raises(ValueError, match=r"'Oslo fell'.*no such type"):
        nlp.initialize(lambda: [*examples, Example(nlp.make_doc("Oslo fell"), bad)])


def refuse_geo(label):
    if label == "geo":
        raise ValueError("no such type")


def spoil(nlp, value):
    """Make the network compute NaN or infinity."""
    shim = nlp.get_pipe("ner_lstm").model.layers[1].shims[0]
    variable = shim.keras_model.trainable_weights[-1]
    variable.assign(np.full(variable.shape, value, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("how", ["update", "nlp.update", "gathering", "get_loss"])
def test_training_that_diverges_stops(initialized, value, how):
    nlp, examples = initialized
    optimizer = Adam(0.001)
    ner = nlp.get_pipe("ner_lstm")
    spoil(nlp, value)
    before = weights(nlp)
    scores = ner.model.predict([eg.predicted for eg in examples])
    train = {
        "update": lambda: ner.update(examples, sgd=optimizer),
        "nlp.update": lambda: nlp.update(examples, sgd=optimizer),
        "gathering": lambda: ner.update(examples),
        "get_loss": lambda: ner.get_loss(examples, scores),
    }
    with pytest.raises(ValueError, match=r"'ner_lstm' has diverged: the loss is") as error:
        train[how]()
    message = str(error.value)
    assert "4 Docs that begin 'Who is Shaka Khan ?', 'I like London and Berlin .'" in message
    assert "and 1 more" in message
    for way_out in ("learn_rate", "grad_clip", "vectors"):
        assert way_out in message
    ner.finish_update(optimizer)
    for old, new in zip(before, weights(nlp), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_gradient_that_is_not_finite_stops_training(initialized, monkeypatch):
    nlp, examples = initialized
    optimizer = Adam(0.001)
    ner = nlp.get_pipe("ner_lstm")
    before = weights(nlp)
    shim = ner.model.layers[1].shims[0]
    begin_update = shim.begin_update

    def begin(inputs):
        loss, backprop = begin_update(inputs)
        return loss, lambda factor: backprop(np.inf)

    monkeypatch.setattr(shim, "begin_update", begin)
    with pytest.raises(ValueError, match=r"diverged: the gradient is .*'Who is Shaka Khan \?'"):
        ner.update(examples, sgd=optimizer)
    for old, new in zip(before, weights(nlp), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_gradient_of_vectors_that_is_not_finite_is_not_passed_on(shared):
    nlp, examples, *_ = shared
    nlp.get_pipe("tok2vec").update(examples)
    model = nlp.get_pipe("ner_lstm").model
    scores, backprop = model.begin_update([eg.predicted for eg in examples])
    nothing = np.full_like(scores.emissions, np.nan)
    with pytest.raises(FloatingPointError, match="gradient of the word vectors"):
        backprop(scores._replace(emissions=nothing))
