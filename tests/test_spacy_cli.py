"""spaCy's own commands on pipelines with ``ner_lstm``."""

import copy
import json
from functools import partial

import numpy as np
import pytest
import spacy
from samples import SMALL_MODEL, run_app
from spacy.cli import app
from spacy.cli.find_threshold import find_threshold
from spacy.pipeline.ner import DEFAULT_NER_MODEL
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus
from thinc.api import Config

from ner_lstm_component.training.calibration import fit_temperature

# Completed by `write_config`.
CONFIG = """
[nlp]
lang = "en"
pipeline = ["ner_lstm"]

[components]

[components.ner_lstm]
factory = "ner_lstm"

[training]
max_steps = 30
eval_frequency = 30

[training.optimizer]
@optimizers = "Adam.v1"
learn_rate = 0.01
"""

CONLL = """-DOCSTART- -X- O O

Anna NNP B-NP B-PER
Berg NNP I-NP I-PER
lives VBZ B-VP O
in IN B-PP O
Oslo NNP B-NP B-LOC
. . O O
"""


run = partial(run_app, app)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, train_examples):
    folder = tmp_path_factory.mktemp("cli")
    DocBin(docs=[eg.reference for eg in train_examples]).to_disk(folder / "data.spacy")
    return folder


def write_config(path, text, **models):
    """Write a config, completed with spaCy's defaults, in which components have ``models``."""
    config = Config().from_str(text, interpolate=False)
    for name, model in models.items():
        config["components"][name]["model"] = model
    base = path.with_name(f"base-{path.name}")
    config.to_disk(base)
    run("init", "fill-config", base, path)
    return path


@pytest.fixture(scope="module")
def config(folder, trained_nlp):
    model = trained_nlp.config["components"]["ner_lstm"]["model"]
    return write_config(folder / "config.cfg", CONFIG, ner_lstm=model)


def train(config, data, output, *options):
    paths = ("--paths.train", data, "--paths.dev", data)
    return run("train", config, "--output", output, *paths, *options).output


@pytest.fixture(scope="module")
def model(config, folder):
    train(config, folder / "data.spacy", folder / "trained")
    return folder / "trained" / "model-last"


def weights(path):
    nlp = spacy.load(path)
    return nlp.get_pipe("ner_lstm").model.layers[1].shims[0].keras_model.get_weights()


def assert_equal(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_finds_entities(nlp, person="per", place="geo"):
    doc = nlp(Doc(nlp.vocab, words=["Anna", "Berg", "lives", "in", "Oslo", "."]))
    found = [(ent.text, ent.label_) for ent in doc.ents]
    assert found == [("Anna Berg", person), ("Oslo", place)]


def test_init_labels_and_train_again(model, config, folder):
    """Labels from a file, the same seed: the same pipeline."""
    labels, data = folder / "labels" / "ner_lstm.json", folder / "data.spacy"
    run("init", "labels", config, labels.parent, "--paths.train", data, "--paths.dev", data)
    assert json.loads(labels.read_text()) == ["geo", "org", "per"]
    filled = Config().from_disk(config, interpolate=False)
    reader = {"@readers": "spacy.read_labels.v1", "path": str(labels)}
    filled["initialize"] = {"components": {"ner_lstm": {"labels": reader}}}
    filled.to_disk(folder / "labels.cfg")
    train(folder / "labels.cfg", data, folder / "again")
    assert_finds_entities(spacy.load(folder / "again" / "model-last"))
    assert_equal(weights(model), weights(folder / "again" / "model-last"))


def test_train_on_converted_files(tmp_path, config):
    (tmp_path / "data.conll").write_text(CONLL * 3, encoding="utf-8")
    run("convert", tmp_path / "data.conll", tmp_path, "-n", 10)
    train(config, tmp_path / "data.spacy", tmp_path / "out")
    assert_finds_entities(spacy.load(tmp_path / "out" / "model-last"), "PER", "LOC")


def test_assembled_frozen_and_sourced(model, folder):
    """A sourced, frozen and annotating component keeps its weights."""
    sourced = CONFIG.replace('factory = "ner_lstm"', f'source = "{model}"')
    run("assemble", write_config(folder / "assemble.cfg", sourced), folder / "assembled")
    assert_finds_entities(spacy.load(folder / "assembled"))
    text = sourced.replace('["ner_lstm"]', '["ner_lstm", "textcat"]')
    frozen = 'frozen_components = ["ner_lstm"]\nannotating_components = ["ner_lstm"]'
    textcat = '[components.textcat]\nfactory = "textcat"'
    text = text.replace("[training]", f"{textcat}\n\n[training]\n{frozen}")
    write_config(folder / "frozen.cfg", text)
    nlp = spacy.blank("en")
    docs = [nlp.make_doc("Anna Berg lives in Oslo ."), nlp.make_doc("Nobody said a word .")]
    for doc, cat in zip(docs, (1.0, 0.0), strict=True):
        doc.cats = {"a": cat, "b": 1 - cat}
    DocBin(docs=docs).to_disk(folder / "cats.spacy")
    steps = ("--training.max_steps", 3)
    train(folder / "frozen.cfg", folder / "cats.spacy", folder / "frozen", *steps)
    assert_equal(weights(model), weights(folder / "frozen/model-last"))


def test_evaluate(model, folder):
    assert_finds_entities(spacy.load(model))
    run("evaluate", model, folder / "data.spacy", "--output", folder / "scores.json")
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["ents_f"] > 0.9
    assert set(scores["ents_per_type"]) == {"geo", "org", "per"}


LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": 24, "upstream": "*"}


def emissions(nlp, examples):
    docs = [nlp(Doc(nlp.vocab, words=[t.text for t in eg.reference])) for eg in examples]
    return nlp.get_pipe("ner_lstm").model.predict(docs).emissions


def test_shared_listener(tmp_path, folder, train_examples, tok2vec_model, small_tok2vec_model):
    """ner_lstm and spaCy's ner share one tok2vec, which learns from both."""
    text = CONFIG.replace('["ner_lstm"]', '["tok2vec", "ner", "ner_lstm"]')
    others = '[components.tok2vec]\nfactory = "tok2vec"\n\n[components.ner]\nfactory = "ner"\n\n'
    text = text.replace("[training]", f"{others}[training]")
    ner, ner_lstm = (
        {**model, "tok2vec": LISTENER} for model in (DEFAULT_NER_MODEL, small_tok2vec_model)
    )
    models = {"tok2vec": tok2vec_model, "ner": ner, "ner_lstm": ner_lstm}
    path = write_config(tmp_path / "shared.cfg", text, **models)
    assert "LOSS TOK2VEC" in train(path, folder / "data.spacy", tmp_path / "out")
    nlp = spacy.load(tmp_path / "out/model-last")
    nlp.remove_pipe("ner")  # its entities would be kept
    assert_finds_entities(nlp)
    before = emissions(nlp, train_examples)
    nlp.replace_listeners("tok2vec", "ner_lstm", ["model.tok2vec"])
    nlp.remove_pipe("tok2vec")
    nlp.to_disk(tmp_path / "replaced")
    after = emissions(spacy.load(tmp_path / "replaced"), train_examples)
    np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("architecture", ["spacy.MultiHashEmbed.v2", "StaticVectors.v1"])
def test_static_vectors(tmp_path, folder, train_examples, small_tok2vec_model, architecture):
    """As a part of spaCy's layers, and as they are beside features."""
    rng = np.random.default_rng(0)
    with_vectors = spacy.blank("en")
    for word in sorted({token.text for eg in train_examples for token in eg.reference}):
        with_vectors.vocab.set_vector(word, rng.normal(0, 1, 20).astype("f"))
    with_vectors.to_disk(tmp_path / "vectors")
    model = copy.deepcopy(small_tok2vec_model)
    model["tok2vec"]["embed"]["include_static_vectors"] = True
    if architecture == "StaticVectors.v1":
        static = {"@architectures": f"ner_lstm_component.{architecture}"}
        model = {**SMALL_MODEL, "tok2vec": static}
        model["@architectures"] = "ner_lstm_component.KerasLSTMTagger.v2"
    path = write_config(tmp_path / "static.cfg", CONFIG, ner_lstm=model)
    options = ("--initialize.vectors", tmp_path / "vectors")
    train(path, folder / "data.spacy", tmp_path / "out", *options)
    nlp = spacy.load(tmp_path / "out/model-last")
    assert_finds_entities(nlp)
    before = emissions(nlp, train_examples)
    nlp.vocab.vectors.data[:] = 0
    assert (np.abs(before - emissions(nlp, train_examples)).max(axis=1) > 1e-3).all()


def test_averages_and_calibration(model, config, folder, tmp_path):
    """``[training.before_to_disk]`` calibrates the averaged weights that are saved."""
    calibrated = Config().from_disk(config, interpolate=False)
    callback = {"@callbacks": "ner_lstm_component.calibration.v1", "path": "${paths.dev}"}
    calibrated["training"]["before_to_disk"] = callback
    calibrated["training"]["optimizer"]["use_averages"] = True
    calibrated.to_disk(tmp_path / "calibrated.cfg")
    train(tmp_path / "calibrated.cfg", folder / "data.spacy", tmp_path / "out")
    nlp = spacy.load(tmp_path / "out/model-best")
    assert_finds_entities(nlp)
    averaged = weights(tmp_path / "out/model-last")
    assert all((a != b).any() for a, b in zip(weights(model), averaged, strict=True))
    ner = nlp.get_pipe("ner_lstm")
    assert ner.temperature != 1
    examples = list(Corpus(folder / "data.spacy")(spacy.blank("en")))
    assert fit_temperature(ner, examples) == pytest.approx(ner.temperature)


def test_find_threshold(model, folder):
    """spaCy's search finds the scores of each threshold."""
    arguments = (str(model), folder / "data.spacy", "ner_lstm", "threshold", "ents_f")
    threshold, *_, scores = find_threshold(*arguments, n_trials=3, silent=True)
    nlp = spacy.load(model)
    nlp.get_pipe("ner_lstm").threshold = threshold
    examples = list(Corpus(folder / "data.spacy")(nlp))
    assert scores[threshold] == nlp.evaluate(examples)["ents_f"] > 0.9
    assert scores[1.0] < 0.9
