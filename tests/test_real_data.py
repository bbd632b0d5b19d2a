"""A pipeline trained for a minute on the real corpus is the same however it is carried."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.lang.en import English
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import fix_random_seed, minibatch
from thinc.api import Adam

from ner_lstm_component.dataset import read_csv, split_sentences, to_doc
from ner_lstm_component.tensorflow_wrapper import set_runtime

pytestmark = pytest.mark.real

TAG = """
import pickle, sys
from pathlib import Path
import spacy
from spacy.tokens import DocBin

name, sentences, output = sys.argv[1:]
nlp = pickle.loads(Path(name).read_bytes()) if name.endswith("pickle") else spacy.load(name)
docs = list(DocBin().from_disk(sentences).get_docs(nlp.vocab))
DocBin(docs=nlp.pipe(docs, batch_size=64)).to_disk(output)
"""


@pytest.fixture(scope="module")
def parts(real_path):
    return split_sentences(read_csv(real_path).sentences, "community")


@pytest.fixture(scope="module")
def nlp(parts):
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm")
    docs = [to_doc(sentence, nlp.vocab) for sentence in parts["train"][:6000]]
    examples = [Example(Doc(nlp.vocab, [t.text for t in doc]), doc) for doc in docs]
    nlp.initialize(lambda: examples)
    optimizer = Adam(0.003)
    for batch in minibatch(examples, 64):
        nlp.update(batch, sgd=optimizer, drop=0.3)
    return nlp


@pytest.fixture(scope="module")
def words(parts):
    return [list(sentence.words) for sentence in parts["test"][:500]]


def docs_of(nlp, words):
    return [Doc(nlp.vocab, words=sentence) for sentence in words]


def entities(doc):
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def tag(nlp, words, batch_size=64):
    return [entities(doc) for doc in nlp.pipe(docs_of(nlp, words), batch_size=batch_size)]


@pytest.fixture(scope="module")
def expected(nlp, words):
    return tag(nlp, words)


def test_learns(nlp, words, expected, parts):
    gold = [entities(to_doc(sentence, nlp.vocab)) for sentence in parts["test"][:500]]
    hits = sum(len(set(a) & set(b)) for a, b in zip(gold, expected, strict=True))
    assert 2 * hits / (sum(map(len, gold)) + sum(map(len, expected))) > 0.7


def test_rebuilt_from_config_and_bytes(nlp, words, expected):
    rebuilt = English.from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert tag(rebuilt, words) == expected
    # By the runtime that trained the pipeline, emissions are equal to the last bit.
    model = set_runtime(rebuilt.get_pipe("ner_lstm").model, "tensorflow")
    emissions = nlp.get_pipe("ner_lstm").model.predict(docs_of(nlp, words)).emissions
    np.testing.assert_array_equal(model.predict(docs_of(rebuilt, words)).emissions, emissions)


@pytest.mark.parametrize("kind", ["disk", "pickle", pytest.param("wheel", marks=pytest.mark.slow)])
def test_in_another_process(nlp, words, expected, tmp_path, kind):
    model, site = tmp_path / "model", tmp_path / "site"
    nlp.to_disk(model)
    name = {"disk": str(model), "pickle": str(tmp_path / "pickle"), "wheel": "en_ner_lstm"}[kind]
    if kind == "pickle":
        Path(name).write_bytes(pickle.dumps(nlp))
    elif kind == "wheel":
        package = f"spacy package {model} {tmp_path} --name ner_lstm --build wheel"
        subprocess.run([sys.executable, "-m", *package.split()], check=True)
        install = ["pip", "install", "--no-deps", "--target", site, *tmp_path.glob("**/*.whl")]
        subprocess.run([sys.executable, "-m", *install], check=True)
    blank = spacy.blank("en")
    DocBin(docs=docs_of(blank, words)).to_disk(tmp_path / "words.spacy")
    command = [sys.executable, "-c", TAG, name, tmp_path / "words.spacy", tmp_path / "out"]
    paths = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths})
    docs = DocBin().from_disk(tmp_path / "out").get_docs(blank.vocab)
    assert [entities(doc) for doc in docs] == expected


@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_batch_size_and_order_do_not_matter(nlp, words, expected, batch_size):
    order = np.random.default_rng(batch_size).permutation(len(words))
    shuffled = tag(nlp, [words[k] for k in order], batch_size)
    assert shuffled == [expected[k] for k in order]
