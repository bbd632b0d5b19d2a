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
from samples import SMALL_MODEL, SMALL_TOK2VEC_MODEL, make_examples
from spacy.lang.en import English
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import fix_random_seed
from spacy.vocab import Vocab
from thinc.api import Adam

from ner_lstm_component.component import DEFAULT_CONFIG, LSTMEntityRecognizer
from ner_lstm_component.decoding import crf
from ner_lstm_component.features.ngram_tags import lexicon_of
from ner_lstm_component.text.sentences import Reader

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
    """A blank pipeline, its small ``ner_lstm``, and examples for it."""
    nlp = spacy.blank("en")
    return nlp, nlp.add_pipe("ner_lstm", config={"model": small_model}), examples_of(nlp)


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
    ner = nlp.get_pipe("ner_lstm")
    yield nlp, ner, examples_of(nlp)
    ner.finish_update(Adam(0.001))  # drops gradients
    shim = ner.model.layers[1].shims[0]
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
    sentences = "Paul Berg met Maria in Oslo . Reuters and the Nordic Bank went to New York ."
    words = sentences.split()
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(words, n)) for n in rng.integers(1, 40, 60)]


def assert_weights(nlp, expected):
    for a, b in zip(expected, weights(nlp), strict=True):
        np.testing.assert_array_equal(a, b)


def have_changed(before, after):
    return any((a != b).any() for a, b in zip(before, after, strict=True))


def run(*arguments, check=True):
    """Run Python in a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=180)


@pytest.mark.parametrize("drop", [[0.5], [0.5, 0.45, 0.4]], ids=["rate", "schedule"])
def test_no_retracing_after_the_first_epoch(small, drop):
    """The network is traced once for Docs of all lengths and batches of all kinds."""
    nlp, ner, examples = small
    fix_random_seed(0)
    optimizer = Adam((0.01 / n for n in range(1, 1000)), L2=0.01)
    nlp.initialize(lambda: examples)
    shim = ner.model.layers[1].shims[0]
    outside = (Doc(nlp.vocab, words=["x"] * n, ents=["O"] * n) for n in (7, 12, 20, 30))
    data = [*examples, *(Example(Doc(nlp.vocab, words=["x"] * len(doc)), doc) for doc in outside)]
    rng, rates, traces = np.random.default_rng(0), cycle(drop), []
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
    for other in (spacy.load(tmp_path / "nlp"), copy_of(nlp)):
        assert [entities(doc) for doc in other.pipe(texts)] == expected
        model = other.get_pipe("ner_lstm").model
        again = model.predict([other.make_doc(text) for text in texts]).emissions
        np.testing.assert_allclose(emissions, again, atol=1e-5)
        assert other.to_bytes() == nlp.to_bytes()
    code = (
        "import pickle, sys; nlp = pickle.load(open(sys.argv[1], 'rb'));"
        "print([[(e.start, e.end, e.label_) for e in nlp(t).ents] for t in sys.argv[2:]])"
    )
    assert run("-c", code, tmp_path / "pickle", *texts).stdout.strip() == str(expected)


def test_seed_governs_weights_dropout_and_hidden_words(small_model):
    def train(seed):
        fix_random_seed(seed)
        nlp = spacy.blank("en")
        nlp.add_pipe("ner_lstm", config={"model": {**small_model, "word_dropout": 0.3}})
        examples = examples_of(nlp)
        optimizer = nlp.initialize(lambda: examples)
        for _ in range(5):
            nlp.update(examples, sgd=optimizer, drop=0.3)
        return nlp

    first = train(1)
    assert_weights(train(1), weights(first))
    other = weights(train(2))
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(weights(first), other, strict=True))


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
    assert have_changed(before, weights(nlp))
    assert entities(nlp(doc.text)) == [(0, 1, "per"), (3, 4, "geo")]


def test_update_without_optimizer_gathers(initialized):
    """sgd=None of the component and spaCy's sgd=False: then finish_update applies the sum."""
    nlp, ner, examples = initialized
    optimizer = Adam(0.001)
    before = weights(nlp)
    ner.update(examples, sgd=None)
    ner.update(examples, sgd=False)
    assert_weights(nlp, before)
    ner.finish_update(optimizer)
    assert have_changed(before, weights(nlp))


def test_averages_change_the_evaluated_weights(initialized):
    nlp, ner, examples = initialized
    optimizer = Adam(0.01, use_averages=True)
    losses = {"ner_lstm": 100.0, "other": 1.0}
    for _ in range(10):
        assert ner.update(examples, sgd=optimizer, losses=losses) is losses
    assert losses["ner_lstm"] > 100
    assert losses["other"] == 1.0
    own = weights(nlp)
    with nlp.use_params(optimizer.averages):
        averaged = weights(nlp)
        saved = nlp.to_bytes()
    assert_weights(nlp, own)
    assert all((a != b).any() for a, b in zip(own, averaged, strict=True))
    assert_weights(English.from_config(nlp.config).from_bytes(saved), averaged)


def test_incomplete_data(small):
    """Missing annotation is not the annotation that nothing is an entity."""
    nlp, _, examples = small
    partial, complete = (
        Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words, ents=ents))
        for words, ents in [
            (["I", "like", "London"], ["", "", "B-LOC"]),
            (["I", "like", "him"], ["O", "O", "O"]),
        ]
    )
    optimizer = nlp.initialize(lambda: [*examples, partial])
    optimizer.learn_rate = 0.01
    for _ in range(60):
        nlp.update([partial, complete], sgd=optimizer)
    assert entities(nlp("I like London")) == [(2, 3, "LOC")]


def test_nothing_to_learn_from(initialized):
    """Docs without annotation, Docs without tokens, and no Docs."""
    nlp, ner, examples = initialized
    before, docs = weights(nlp), [nlp.make_doc("London calls"), Doc(nlp.vocab)]
    bare, empty = (Example(doc, doc) for doc in docs)
    for batch in ([], [empty], [bare, bare]):
        assert ner.update(batch, sgd=Adam(0.001)) == {"ner_lstm": 0.0}
    assert_weights(nlp, before)
    outside = Doc(nlp.vocab, words=["London", "calls"], ents=["O", "O"])
    for batch in ([empty, *examples], [Example(nlp.make_doc("London calls"), outside)]):
        assert ner.update(batch)["ner_lstm"] > 0
    assert [len(doc.ents) for doc in ner.pipe([Doc(nlp.vocab)])] == [0]
    assert list(ner.pipe([])) == ner.probabilities([]) == []
    assert ner.probabilities([Doc(nlp.vocab)])[0].tags.shape == (0, len(ner.tags))


def test_labels_of_initialize_and_add_label(small, trained_nlp):
    nlp, ner, examples = small
    nothing = [Example.from_dict(nlp.make_doc("no"), {"entities": []})]
    with pytest.raises(ValueError, match="E143"):
        nlp.initialize(lambda: nothing)
    assert ner.add_label("EXTRA") == 1
    assert ner.add_label("EXTRA") == 0
    for labels in (["LOC", "PERSON"], ["Z", "LOC", "PERSON"]):
        ner.temperature = 1.3
        ner.initialize(lambda: examples, nlp=nlp, labels=labels)
        assert ner.temperature == 1.0
    assert ner.labels == ("EXTRA", "LOC", "PERSON", "Z")
    trained = trained_nlp.get_pipe("ner_lstm")
    assert list(trained.labels) == trained.label_data == ["geo", "org", "per"]
    assert trained.tags == ("O", "B-geo", "I-geo", "B-org", "I-org", "B-per", "I-per")
    assert trained.add_label("geo") == 0
    with pytest.raises(ValueError, match="'new' cannot be added"):
        trained.add_label("new")
    for wrong in ("", 3, None):
        with pytest.raises(ValueError, match="entity type"):
            ner.add_label(wrong)


ODD_LABELS = ["College Name", "a\tb", " edge ", "B-x", "|", "日本", "-"]


def test_any_string_may_be_a_label(small):
    """As to spaCy's ner, which refuses the empty one only."""
    nlp, ner, _ = small
    data = [(f"Zork{n} fell", [(0, 5, label)]) for n, label in enumerate(ODD_LABELS)]
    examples = examples_of(nlp, data)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    assert ner.labels == tuple(sorted(ODD_LABELS))
    assert "B-College Name" in ner.tags
    assert [entities(nlp(text)) for text, _ in data] == [[(0, 1, label)] for label in ODD_LABELS]
    again = copy_of(nlp)
    assert again.get_pipe("ner_lstm").labels == ner.labels


def test_uninitialized(small):
    for nlp in (small[0], copy_of(small[0])):
        with pytest.raises(ValueError, match="E109"):
            nlp("text")


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
    ner, vocab = trained_nlp.get_pipe("ner_lstm"), trained_nlp.vocab
    starts = [i in (0, 7) for i in range(13)]
    whole = ner(Doc(vocab, [*FIRST, *SECOND], sent_starts=starts))
    first, second = (entities(ner(Doc(vocab, words))) for words in (FIRST, SECOND))
    assert entities(whole) == first + [(a + 7, b + 7, label) for a, b, label in second]
    assert len(whole.ents) >= 3


def test_existing_entities_and_blocked_tokens_stay(trained_nlp):
    nlp, ner = trained_nlp, trained_nlp.get_pipe("ner_lstm")
    assert entities(nlp("Anna Berg lives in Oslo .")) == [(0, 2, "per"), (4, 5, "geo")]
    doc = nlp.make_doc("Anna Berg lives in Oslo .")
    doc.set_ents([Span(doc, 1, 3, "other", kb_id="Q1")], default="missing")
    for _ in range(2):
        assert entities(ner(doc)) == [(0, 1, "per"), (1, 3, "other"), (4, 5, "geo")]
        assert doc.ents[1].kb_id_ == "Q1"
    doc = nlp.make_doc("Anna Berg lives in Oslo .")
    doc.set_ents([], blocked=[Span(doc, 4, 5)], default="missing")
    assert entities(ner(doc)) == [(0, 2, "per")]


@pytest.mark.parametrize(
    "text", ["No one .", "", " ", "\n\n", "\x00", "😀 👩‍👩‍👧", "a" * 5000, "\u0085", "١٢"]
)
def test_annotation_of_odd_texts_is_complete(trained_nlp, text):
    doc = trained_nlp(text)
    assert doc.text == text
    assert {token.ent_iob_ for token in doc} <= {"O", "B", "I"}


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
    for doc in confident.pipe(texts[:20], batch_size=7):
        (probabilities,) = ner.probabilities([doc])
        np.testing.assert_allclose(confidences(doc), probabilities.entities, atol=1e-5)
        assert all(isinstance(value, float) and 0 < value <= 1 for value in confidences(doc))
        np.testing.assert_allclose(confidences(confident(doc.text)), confidences(doc), atol=1e-5)


def test_confidence_is_computed_only_if_asked_for(trained_nlp, monkeypatch):
    monkeypatch.delattr("ner_lstm_component.decoding.crf.marginals")
    doc = trained_nlp("Anna Berg lives in Oslo .")
    assert confidences(doc) == [None, None]
    assert doc.user_data == {}


def test_confidence_next_to_existing_entities(confident):
    """Those have none; the others have the probability given those."""
    ner = confident.get_pipe("ner_lstm")
    doc = confident.make_doc("Anna Berg lives in Oslo .")
    doc.set_ents([Span(doc, 1, 3, "other")], default="missing")
    spans = np.array([(0, 1, ner.labels.index("per")), (4, 5, ner.labels.index("geo"))])
    given, unconstrained = (
        crf.marginals(potentials, spans).spans
        for potentials in (ner.potentials([doc]), ner.model.predict([doc]))
    )
    assert np.abs(given - unconstrained).max() > 0.01
    for _ in range(2):  # in the second run all entities exist already
        ner(doc)
        assert entities(doc) == [(0, 1, "per"), (1, 3, "other"), (4, 5, "geo")]
        assert confidences(doc) == [pytest.approx(given[0]), None, pytest.approx(given[1])]
    doc.set_ents([Span(doc, 1, 3, "other")], default="missing")
    ner.threshold = 1.0
    assert entities(ner(doc)) == [(1, 3, "other")]


def test_threshold_drops_whole_entities(confident, texts):
    ner = confident.get_pipe("ner_lstm")

    def found():
        ents = [(n, ent) for n, doc in enumerate(confident.pipe(texts)) for ent in doc.ents]
        return {(n, ent.start, ent.end, ent.label_): ent._.confidence for n, ent in ents}

    before = found()
    values = sorted(before.values())
    ner.threshold = (values[len(values) // 3] + values[len(values) // 3 + 1]) / 2
    expected = {ent: value for ent, value in before.items() if value >= ner.threshold}
    assert 0 < len(expected) < len(before)
    assert found() == pytest.approx(expected, abs=1e-5)
    ner.confidence = False
    assert found() == dict.fromkeys(expected)
    assert confident(texts[0]).has_annotation("ENT_IOB")


def test_thresholds_of_labels(confident):
    ner = confident.get_pipe("ner_lstm")
    doc = confident("Anna Berg lives in Oslo .")
    before = dict(zip(entities(doc), confidences(doc), strict=True))
    assert [label for _, _, label in before] == ["per", "geo"]
    ner.threshold = {"per": 1.0, "org": 0.5}
    assert entities(confident(doc.text)) == [(4, 5, "geo")]
    ner.threshold = {"geo": 1.0, "per": before[0, 2, "per"] - 1e-5}
    assert entities(confident(doc.text)) == [(0, 2, "per")]
    blank = [confident.make_doc(doc.text) for _ in range(2)]
    # A number for a Doc takes the place of all of them.
    analyses = ner.analyse(blank, thresholds=[0.0, 1.0])
    assert [len(one.prediction.confidence) for one in analyses] == [2, 0]
    ner.confidence = False
    assert entities(confident(doc.text)) == [(0, 2, "per")]
    with pytest.raises(TypeError):
        ner.threshold["geo"] = 0.0


def test_thresholds_of_unknown_labels(copied, small_model, tmp_path):
    ner = copied.get_pipe("ner_lstm")
    unknown = r"'ner_lstm'.*does not have: loc\. Its labels are geo, org, per"
    with pytest.raises(ValueError, match=unknown):
        ner.threshold = {"loc": 0.5}
    assert in_config(copied)["threshold"] == ner.threshold == 0.0
    copied.to_disk(tmp_path)
    with pytest.raises(ValueError, match=unknown):
        spacy.load(tmp_path, config=as_override({"threshold": [["loc", 0.5]]}))
    # Before training, the labels are not known.
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": small_model, "threshold": {"loc": 0.5}})
    with pytest.raises(ValueError, match=unknown):
        nlp.initialize(lambda: make_examples(nlp.vocab))
    nlp.get_pipe("ner_lstm").threshold = {"geo": 0.5}
    nlp.initialize(lambda: make_examples(nlp.vocab))
    assert in_config(nlp)["threshold"] == {"geo": 0.5}
    with pytest.raises(ValueError, match=r'threshold = \[\["a:b", 0.5\]\]'):
        nlp.add_pipe("ner_lstm", "other", config={"threshold": {"a:b": 0.5}})


@pytest.mark.parametrize("name", ["threshold", "temperature"])
@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_settings_out_of_range(confident, small_model, name, wrong):
    ner = confident.get_pipe("ner_lstm")
    with pytest.raises(ValueError, match=f"'{name}'.*Received"):
        setattr(ner, name, wrong)
    with pytest.raises(ValueError, match=r"'confidence'.*Received"):
        ner.confidence = 0.5
    with pytest.raises(ValueError, match="'threshold'"):
        spacy.blank("en").add_pipe("ner_lstm", config={"model": small_model, "threshold": wrong})


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


@pytest.mark.parametrize("values", [{}, UNSET, {"threshold": 0.0}, {"threshold": 0.5}, SET])
def test_settings_are_saved_in_the_config_which_decides_on_loading(copied, tmp_path, values):
    ner = copied.get_pipe("ner_lstm")
    assert in_config(copied) == settings_of(ner) == UNSET
    set_all(ner, SET)
    ner.temperature = 1.3
    assert in_config(copied) == settings_of(ner) == SET
    copied.to_disk(tmp_path / "first")
    nlp = spacy.load(tmp_path / "first", config=as_override(values))
    nlp.to_disk(tmp_path / "again")
    for one in (nlp, spacy.load(tmp_path / "again"), copy_of(nlp)):
        assert settings_of(one.get_pipe("ner_lstm")) == in_config(one) == {**SET, **values}
        assert one.get_pipe("ner_lstm").temperature == 1.3


@pytest.mark.parametrize("values", [{}, {"threshold": 0.0}, {"threshold": [["org", 0.1]]}])
def test_thresholds_of_labels_are_saved_in_the_config(copied, tmp_path, values):
    ner, given = copied.get_pipe("ner_lstm"), {"geo": 0.5, "per": 0.25}
    ner.threshold = given
    assert in_config(copied)["threshold"] == given
    copied.to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config=as_override(values))
    for one in (nlp, copy_of(nlp)):
        expected = values.get("threshold", given)
        assert in_config(one)["threshold"] == expected
        # Pairs are another way to write a mapping.
        found = one.get_pipe("ner_lstm").threshold
        assert found == (dict(expected) if isinstance(expected, list) else expected)
    path = "components.ner_lstm.threshold.geo"
    changed = spacy.load(tmp_path, config={path: 0.7}).get_pipe("ner_lstm").threshold
    assert changed == {**given, "geo": 0.7}


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


def test_a_component_keeps_no_pipeline_alive():
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
    for values in (SET, {**SET, "threshold": {"geo": 0.5}}):
        set_all(ner, values)
        ner.to_disk(tmp_path)
        for again in (make().from_disk(tmp_path), make().from_bytes(ner.to_bytes())):
            assert settings_of(again) == values


def as_of_0_1_0(folder, **cfg):
    """Have a saved pipeline look like one of 0.1.0, whose settings the config did not have."""
    path = folder / "ner_lstm" / "cfg"
    (folder / "ner_lstm" / "checksums").unlink()
    saved = json.loads(path.read_text(encoding="utf-8"))
    del saved["network"], saved["format"]
    saved |= {"config": {"confidence": False, "threshold": 0.0}, **cfg}
    path.write_text(json.dumps(saved), encoding="utf-8")


def test_settings_of_pipelines_of_0_1_0(trained_nlp, tmp_path):
    trained_nlp.to_disk(tmp_path)
    as_of_0_1_0(tmp_path, threshold=0.9, confidence=True)
    nlp = spacy.load(tmp_path)
    expected = {"confidence": True, "threshold": 0.9, "runtime": "auto"}
    assert settings_of(nlp.get_pipe("ner_lstm")) == in_config(nlp) == expected
    nlp = spacy.load(tmp_path, config=as_override({"threshold": 0.7}))
    assert nlp.get_pipe("ner_lstm").threshold == 0.7
    nlp = spacy.load(tmp_path, config=as_override({"threshold": [["geo", 0.7]]}))
    assert nlp.get_pipe("ner_lstm").threshold == {"geo": 0.7}
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


@pytest.mark.parametrize("version", ["present", "0.1.0"])
@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_settings_that_do_not_fit_the_weights_are_refused(saved, tmp_path, name, version):
    folder = shutil.copytree(saved, tmp_path / "nlp")
    changed = {name: OF_WEIGHTS[name]}
    message = re.escape(f"{name}: saved {SMALL_MODEL.get(name, NGRAMS)}, given {changed[name]}")
    if version == "0.1.0":
        as_of_0_1_0(folder)
        message = f"{name}: saved .*, given"  # of rows their sum
        if name == "features":  # which ones cannot be told from the weights
            changed = {"features": ["LOWER"], "rows": [1000]}
            message = "the number of features: saved 4, given 1"
    with pytest.raises(ValueError, match=f"'ner_lstm' do not fit.*{message}"):
        spacy.load(folder, config={"components": {"ner_lstm": {"model": changed}}})


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


def test_training_on_examples_of_several_vocabularies(small):
    nlp, ner, _ = small
    examples = []
    for text, ents in TRAIN:
        (eg,) = examples_of(spacy.blank("en"), [(text, ents)])
        for token in eg.reference:
            token.tag_ = f"TAG{len(token)}"
        # The first word is split in two: the annotation is aligned.
        words = [text[:1], text[1 : len(eg.reference[0])], *(t.text for t in eg.reference[1:])]
        predicted = Doc(spacy.blank("en").vocab, words=[word for word in words if word])
        examples.append(Example(predicted, eg.reference))
    optimizer = nlp.initialize(lambda: examples)
    assert "TAG3" in ner.cfg["pos"]
    optimizer.learn_rate = 0.02
    for _ in range(40):
        nlp.update(examples, sgd=optimizer)
    docs = [ner(eg.predicted.copy()) for eg in examples]
    found, expected = (
        [(ent.text.replace(" ", ""), ent.label_) for doc in some for ent in doc.ents]
        for some in (docs, [eg.reference for eg in examples])
    )
    assert found == expected
    with pytest.raises(ValueError, match="'CITY'"):
        ner.update(examples_of(spacy.blank("en"), [("Rome", [(0, 4, "CITY")])]))


# Without the words that training hides at random.
V2 = {**SMALL_MODEL, "@architectures": "ner_lstm_component.KerasLSTMTagger.v2", "word_dropout": 0.0}


@pytest.fixture(params=[SMALL_TOK2VEC_MODEL, V2], ids=["vectors alone", "beside features"])
def shared(request, tok2vec_model):
    """A pipeline in which ``ner_lstm`` listens to ``tok2vec``, initialized, and examples."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": tok2vec_model})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 24, "upstream": "tok2vec"}
    nlp.add_pipe("ner_lstm", config={"model": {**request.param, "tok2vec": listener}})
    examples = examples_of(nlp)
    optimizer = nlp.initialize(lambda: examples)
    return nlp, examples, optimizer


@pytest.mark.parametrize("extra", [None, ["Not", "annotated"], []])
def test_chaining_the_model_is_update(shared, extra):
    """begin_update → get_loss → backprop has the same loss, and gives tok2vec its gradient."""
    nlp, examples, _ = shared
    tok2vec, ner = nlp.get_pipe("tok2vec"), nlp.get_pipe("ner_lstm")
    assert tok2vec.listening_components == ["ner_lstm"]
    if extra is not None:
        examples.insert(1, Example(Doc(nlp.vocab, words=extra), Doc(nlp.vocab, words=extra)))

    def take_gradients():
        nodes = [(node, name) for node in tok2vec.model.walk() for name in node.grad_names]
        found = [node.get_grad(name).copy() for node, name in nodes]
        for node, name in nodes:
            node.set_grad(name, np.zeros_like(node.get_grad(name)))
        return found

    losses = nlp.update(examples, sgd=False)
    assert losses["tok2vec"] > 0
    fused = take_gradients()
    tok2vec.update(examples, sgd=None)
    scores, backprop = ner.model.begin_update([eg.predicted for eg in examples])
    loss, d_scores = ner.get_loss(examples, scores)
    backprop(d_scores)
    assert loss == pytest.approx(losses["ner_lstm"], rel=1e-4)
    assert max(np.abs(gradient).max() for gradient in fused) > 1e-4
    for a, b in zip(fused, take_gradients(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_learning_over_a_shared_tok2vec(shared, tmp_path):
    nlp, examples, optimizer = shared
    optimizer.learn_rate = 0.01
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(tmp_path)
    texts, expected = [eg.text for eg in examples], [entities(eg.reference) for eg in examples]
    has_features = "features" in nlp.config["components"]["ner_lstm"]["model"]
    for prepare in (lambda folder: None, *([] if has_features else [as_of_0_1_0])):
        prepare(tmp_path)
        for one in (nlp, spacy.load(tmp_path), copy_of(nlp)):
            assert [entities(doc) for doc in one.pipe(texts)] == expected
        with pytest.raises(ValueError, match="hidden_width: saved 16, given 8"):
            spacy.load(tmp_path, config={"components.ner_lstm.model.hidden_width": 8})


def test_a_shared_tok2vec_in_both_runtimes_and_replaced(shared, tmp_path):
    """The same potentials within rounding; the layer in the listener's place is saved with it."""
    nlp, examples, _ = shared
    nlp.update(examples, sgd=Adam(0.01))

    def potentials_of(nlp, runtime):
        nlp.get_pipe("ner_lstm").runtime = runtime
        docs = list(nlp.pipe([eg.text for eg in examples], disable=["ner_lstm"]))
        return nlp.get_pipe("ner_lstm").model.predict(docs).emissions

    expected = potentials_of(nlp, "tensorflow")
    np.testing.assert_allclose(potentials_of(nlp, "onnx"), expected, atol=1e-4)
    ner = nlp.get_pipe("ner_lstm")
    listener = ner.model.get_ref("tok2vec")
    nlp.replace_listeners("tok2vec", "ner_lstm", ["model.tok2vec"])
    nlp.remove_pipe("tok2vec")
    assert ner.model.get_ref("tok2vec") is not listener
    assert ner.model.get_ref("tok2vec") in list(ner.model.walk())
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for runtime in ("auto", "tensorflow"):
        np.testing.assert_allclose(potentials_of(loaded, runtime), expected, atol=1e-4)
    before = weights(loaded)
    loaded.update(examples, sgd=Adam(0.01))
    assert have_changed(before, weights(loaded))
    loaded.initialize(lambda: examples)
    assert potentials_of(loaded, "auto").shape == expected.shape


def test_weights_for_other_vectors_are_refused(tmp_path, tok2vec_model, small_tok2vec_model):
    """Also those of pipelines from before features and vectors could be together."""
    static = {"@architectures": "ner_lstm_component.StaticVectors.v1"}
    models = {"both": {**V2, "tok2vec": tok2vec_model}, "features": V2, "old": V2}
    models |= {"vectors": small_tok2vec_model, "old vectors": small_tok2vec_model}
    for name, model in models.items():
        nlp = spacy.blank("en")
        nlp.add_pipe("ner_lstm", config={"model": copy.deepcopy(model)})
        nlp.initialize(lambda nlp=nlp: examples_of(nlp))
        nlp.to_disk(tmp_path / name)
        if name.startswith("old"):
            path = tmp_path / name / "ner_lstm" / "cfg"
            cfg = json.loads(path.read_text(encoding="utf-8"))
            del cfg["network"]["vector_width"], cfg["format"]
            (tmp_path / name / "ner_lstm" / "checksums").unlink()
            if not cfg["network"]["rows"]:
                cfg["network"] = {"hidden_width": 16, "depth": 1}
            path.write_text(json.dumps(cfg), encoding="utf-8")
        assert (
            spacy.load(tmp_path / name).get_pipe("ner_lstm").cfg["network"]
            == (nlp.get_pipe("ner_lstm").cfg["network"])
        )
    narrow = copy.deepcopy(tok2vec_model)
    narrow["embed"]["width"] = narrow["encode"]["width"] = 16
    for name, given, message in [
        ("both", None, "saved 24, given None"),
        ("both", narrow, "saved 24, given 16"),
        ("features", narrow, "saved None, given 16"),
        ("features", static, "saved None, given that of 'tok2vec'"),
        ("old", static, "saved None, given that of 'tok2vec'"),
        ("vectors", narrow, "saved 24, given 16"),
    ]:
        config = spacy.util.load_config(tmp_path / name / "config.cfg")
        config["components"]["ner_lstm"]["model"]["tok2vec"] = given
        with pytest.raises(ValueError, match=f"vector_width: {message}"):
            spacy.util.load_model_from_config(config).from_disk(tmp_path / name)


def test_old_vectors_of_unknown_width_are_loaded_and_saved_again(tmp_path, small_tok2vec_model):
    """As those of listeners to transformers, whose width earlier versions did not save."""
    nlp = spacy.blank("en")
    nlp.vocab.set_vector("Oslo", np.ones(4, np.float32))
    static = {"@architectures": "ner_lstm_component.StaticVectors.v1"}
    nlp.add_pipe("ner_lstm", config={"model": {**small_tok2vec_model, "tok2vec": static}})
    nlp.initialize(lambda: examples_of(nlp))
    nlp.get_pipe("ner_lstm").cfg["network"] = {"hidden_width": 16, "depth": 1}
    nlp.to_disk(tmp_path / "old")
    spacy.load(tmp_path / "old").to_disk(tmp_path / "again")
    spacy.load(tmp_path / "again")


def test_source_and_scores(trained_nlp, texts, train_examples):
    examples = [Example(trained_nlp.make_doc(eg.text), eg.reference) for eg in train_examples]
    scores = trained_nlp.evaluate(examples)
    assert scores["ents_f"] > 0.95
    assert set(scores["ents_per_type"]) == {"geo", "org", "per"}
    nlp = spacy.blank("en")
    sentencizer = nlp.add_pipe("sentencizer")
    nlp.add_pipe("ner_lstm", source=trained_nlp, name="other_name")
    for text in texts[:10]:
        expected = trained_nlp.get_pipe("ner_lstm")(sentencizer(trained_nlp.make_doc(text)))
        assert entities(nlp(text)) == entities(expected)


RUN = """
import json, multiprocessing, sys
import spacy

if __name__ == "__main__":
    method, use_before, runtime, folder, *texts = sys.argv[1:]
    multiprocessing.set_start_method(method)
    nlp = spacy.load(folder, config={"components.ner_lstm.model.runtime": runtime})
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
    shown = run(tmp_path / "run.py", method, state, "auto", saved, *texts[:8])
    expected = [[list(ent) for ent in entities(trained_nlp(text))] for text in texts[:8]]
    assert json.loads(shown.stdout) == expected


def test_processes_forked_after_tensorflow(saved, tmp_path, texts):
    """TensorFlow would hang: an error says so instead, and names the way out."""
    (tmp_path / "run.py").write_text(RUN, encoding="utf-8")
    arguments = ("fork", "used", "tensorflow", saved, *texts[:8])
    shown = run(tmp_path / "run.py", *arguments, check=False)
    assert shown.returncode != 0
    assert "set_start_method('spawn')" in shown.stderr


WITHOUT_TENSORFLOW = """
import sys

sys.modules.update(tensorflow=None, keras=None, matplotlib=None, tensorboardX=None)

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
    shown = run("-c", WITHOUT_TENSORFLOW, saved, text, device_type)
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


def losses_of(model):
    """Train on some examples, and return the pipeline and its losses."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": model})
    examples = make_examples(nlp.vocab)[:4]
    for example in examples:
        for token in example.reference:
            token.tag_ = "NNP" if token.is_title else "NN"
    optimizer = nlp.initialize(lambda: examples)
    return nlp, [nlp.update(examples, sgd=optimizer)["ner_lstm"] for _ in range(2)]


LEXICAL = {**SMALL_MODEL, "feature_dropout": 0.2, "pos_weight": 0.5}


@pytest.fixture(scope="module", params=[LEXICAL, SMALL_TOK2VEC_MODEL], ids=["lexical", "tok2vec"])
def model_and_losses(request):
    """A model, and its losses with Keras' own settings."""
    model = {**request.param, "runtime": "tensorflow"}
    return model, losses_of(model)[1]


def test_training_with_any_settings_of_keras(model_and_losses, keras_settings):
    """The network is float32, and learns the same as with Keras' own settings."""
    model, expected = model_and_losses
    nlp, losses = losses_of(model)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    network = nlp.get_pipe("ner_lstm").model.layers[1].shims[0].keras_model
    assert {variable.dtype for variable in network.weights} == {"float32"}
    docs = [nlp.make_doc("Anna Berg lives in Oslo .")]
    found = [one.get_pipe("ner_lstm").model.predict(docs) for one in (nlp, copy_of(nlp))]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_runtimes_agree(trained_nlp, texts):
    """Same tags, and emissions that differ by rounding only."""
    docs = [trained_nlp.make_doc(text) for text in texts]
    found = []
    for runtime in ("tensorflow", "auto", "onnx"):
        ner = copy_of(trained_nlp).get_pipe("ner_lstm")
        ner.runtime = runtime
        tags = np.concatenate([prediction.tags for prediction in ner.predict(docs)])
        found.append((tags, *ner.model.predict(docs)))
        np.testing.assert_array_equal(tags, found[0][0])
        np.testing.assert_allclose(found[-1][1], found[0][1], atol=1e-4)
        np.testing.assert_array_equal(found[-1][2], found[0][2])


def test_tensorflow_is_imported_when_needed():
    code = (
        "import sys, ner_lstm_component, spacy;"
        "nlp = spacy.blank('en'); nlp.add_pipe('ner_lstm');"
        "loaded = {'tensorflow', 'keras', 'pandas', 'matplotlib', 'sklearn', 'flask'};"
        "print(sorted(loaded & set(sys.modules)))"
    )
    assert run("-c", code).stdout.strip() == "[]"


def test_parts_of_speech_are_learnt_where_the_data_has_them(small):
    nlp, ner, _ = small
    references = [
        Doc(nlp.vocab, words=["Rome", "fell"], tags=["NNP", "VBD"], ents=["B-LOC", "O"]),
        Doc(nlp.vocab, words=["Oslo", "."], tags=["NNP", ""], ents=["B-LOC", "O"]),
    ]
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in references]
    nlp.initialize(lambda: examples)
    assert ner.cfg["pos"] == ["NNP", "VBD"]
    pos = ner.model.layers[1].shims[0].keras_model.pos
    before = pos.get_weights()[0].copy()
    ner.update(examples, sgd=Adam(0.01))
    assert (pos.get_weights()[0] != before).any()
    assert not nlp("Rome fell").has_annotation("TAG")  # they are not predicted


def ids_in_lexicon(nlp, text):
    """The ids of the words themselves, two each."""
    lexicon = lexicon_of(nlp.get_pipe("ner_lstm").model.get_ref("lexicon"))
    return lexicon.ids(Reader()([nlp.make_doc(text)]))[:, :2]


def features_of(nlp, examples, is_train):
    docs = [Doc(nlp.vocab, words=[t.text for t in eg.predicted]) for eg in examples]
    return nlp.get_pipe("ner_lstm").model.layers[0](Reader()(docs), is_train=is_train)[0]


def test_in_training_an_example_does_not_see_its_own_tags(initialized, tmp_path):
    """Neither before saving nor after loading: the lexicon is saved with its counts."""
    nlp, _, examples = initialized
    shown = features_of(nlp, examples, is_train=True)
    assert (shown != features_of(nlp, examples, is_train=False)).any()
    nlp.to_disk(tmp_path)
    sourced = spacy.blank("en")
    sourced.add_pipe("ner_lstm", source=spacy.load(tmp_path))
    for loaded in (sourced, copy_of(nlp), spacy.load(tmp_path)):
        loaded.resume_training()
        london, oslo, unseen = ids_in_lexicon(loaded, "London Oslo xyz")
        assert (london != unseen).all()
        assert (oslo == unseen).all()
        np.testing.assert_array_equal(features_of(loaded, examples, is_train=True), shown)
        assert_weights(loaded, weights(nlp))


def test_initialize_learns_from_a_corpus_instead_of_examples(small, caplog):
    nlp, ner, examples = small
    nlp.config["training"]["max_epochs"] = -1
    ner.initialize(lambda: examples[:1], nlp=nlp, corpus=lambda nlp: iter(examples))
    assert not caplog.records
    assert ner.labels == ("LOC", "PERSON")
    london, unseen = ids_in_lexicon(nlp, "London xyz")
    assert (london != unseen).all()
    with pytest.raises(ValueError, match="'nlp'"):
        ner.initialize(lambda: examples, corpus=lambda nlp: iter(examples))
    nlp.initialize(lambda: examples)
    assert "[initialize.components.ner_lstm]" in caplog.text


def test_a_tagger_without_lexicon_and_parts_of_speech(small_model, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": {**small_model, "ngrams": None, "pos_weight": 0.0}})
    nlp.initialize(lambda: examples_of(nlp))
    ner = nlp.get_pipe("ner_lstm")
    assert ner.model.maybe_get_ref("lexicon") is None
    assert ner.model.layers[1].shims[0].keras_model.pos is None
    nlp.to_disk(tmp_path)
    with pytest.raises(ValueError, match=r"pos_weight: saved 0\.0, given 0\.2"):
        spacy.load(tmp_path, config={"components.ner_lstm.model.pos_weight": 0.2})


def test_analyse_agrees_with_predict_and_probabilities(trained_nlp):
    component = trained_nlp.get_pipe("ner_lstm")
    texts = ["Anna Berg lives in Oslo .", "", "It rained .", "Paul met Maria in Paris ."]
    docs = [trained_nlp.make_doc(text) for text in texts]
    analyses = component.analyse(docs, probabilities=True)
    predictions, before = component.predict(docs), component.probabilities(docs)
    component.set_annotations(docs, [analysis.prediction for analysis in analyses])
    after = component.probabilities(docs)
    for analysis, predicted, tags, ents in zip(analyses, predictions, before, after, strict=True):
        np.testing.assert_array_equal(analysis.prediction.tags, predicted.tags)
        np.testing.assert_allclose(analysis.probabilities, tags.tags, atol=1e-6)
        np.testing.assert_allclose(analysis.prediction.confidence, ents.entities, atol=1e-6)


def test_analyse_holds_each_doc_to_its_own_threshold(trained_nlp):
    component = trained_nlp.get_pipe("ner_lstm")
    docs = [trained_nlp.make_doc("Anna Berg lives in Oslo .") for _ in range(3)]
    analyses = component.analyse(docs, thresholds=[0.0, 1.0, 0.0])
    assert [len(one.prediction.confidence) for one in analyses] == [2, 0, 2]
    assert not analyses[1].prediction.tags.any()
    assert analyses[0].probabilities is None


def test_exclusion_and_failure_in_loading_a_component(trained_nlp, tmp_path, monkeypatch):
    trained_nlp.get_pipe("ner_lstm").to_disk(tmp_path)
    other = English.from_config(trained_nlp.config).get_pipe("ner_lstm")
    with monkeypatch.context() as patch:
        patch.delattr(type(other.model), "from_dict")  # an AttributeError, as of other layers
        with pytest.raises(ValueError, match="E149"):
            other.from_disk(tmp_path)
    (tmp_path / "model").unlink()
    other.from_disk(tmp_path, exclude=iter(["model"]))  # any iterable, as for spaCy's components
    assert other.labels == trained_nlp.get_pipe("ner_lstm").labels


def test_errors_in_training_name_the_doc(small):
    nlp, ner, examples = small
    nlp.initialize(lambda: examples)
    words = ["One", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "x"]
    reference = Doc(nlp.vocab, words=words, ents=["B-GPE", *["O"] * 10])
    unknown, unaligned = (Example(Doc(nlp.vocab, words=w), reference) for w in (words, ["text"]))
    begins = r"'One two three four five six seven eight nine ten …'"
    with pytest.raises(ValueError, match=f"{begins}.*'GPE'.*LOC, PERSON"):
        ner.update([*examples, unknown])
    with pytest.raises(ValueError, match=begins):
        ner.update([*examples, unaligned])
    with pytest.raises(ValueError, match=f"{begins}.*'GPE'"):
        ner.initialize(lambda: [unknown], labels=["LOC"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("how", ["update", "nlp.update", "gathering", "get_loss"])
def test_training_that_diverges_stops(initialized, value, how):
    nlp, ner, examples = initialized
    optimizer = Adam(0.001)
    variable = ner.model.layers[1].shims[0].keras_model.trainable_weights[-1]
    variable.assign(np.full(variable.shape, value, np.float32))
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
    docs = "4 Docs that begin 'Who is Shaka Khan ?', 'I like London and Berlin .'"
    for part in (docs, "and 1 more", "learn_rate", "grad_clip", "vectors"):
        assert part in str(error.value)
    ner.finish_update(optimizer)
    assert_weights(nlp, before)


def test_a_gradient_that_is_not_finite_stops_training(initialized, monkeypatch):
    nlp, ner, examples = initialized
    optimizer = Adam(0.001)
    before = weights(nlp)
    shim = ner.model.layers[1].shims[0]
    begin_update = shim.begin_update

    def begin(inputs):
        loss, backprop = begin_update(inputs)
        return loss, lambda factor: backprop(np.inf)

    monkeypatch.setattr(shim, "begin_update", begin)
    with pytest.raises(ValueError, match=r"diverged: the gradient is .*'Who is Shaka Khan \?'"):
        ner.update(examples, sgd=optimizer)
    assert_weights(nlp, before)


def test_a_gradient_of_vectors_that_is_not_finite_is_not_passed_on(shared):
    nlp, examples, *_ = shared
    nlp.get_pipe("tok2vec").update(examples)
    model = nlp.get_pipe("ner_lstm").model
    scores, backprop = model.begin_update([eg.predicted for eg in examples])
    nothing = np.full_like(scores.emissions, np.nan)
    with pytest.raises(FloatingPointError, match="gradient of the word vectors"):
        backprop(scores._replace(emissions=nothing))
