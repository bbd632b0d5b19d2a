"""The embedded corpus: written by its generator, in the format of GMB, and not trivial."""

from __future__ import annotations

import csv
import io
import re
import runpy
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from spacy.scorer import get_ner_prf
from spacy.training import Example
from spacy.vocab import Vocab

from ner_lstm_component.dataset import Sentence, count, read_csv, to_doc
from ner_lstm_component.decoding.iob2 import repair

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "corpus" / "make_corpus.py"
SIZES = {"train": 4800, "dev": 600, "test": 600}
GMB_POS = """$ , . : ; `` CC CD DT EX FW IN JJ JJR JJS LRB MD NN NNP NNPS NNS PDT POS PRP PRP$
RB RBR RBS RP RRB TO UH VB VBD VBG VBN VBP VBZ WDT WP WP$ WRB"""
VOCAB = Vocab()


def generate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    return {split: (ROOT / "corpus" / f"{split}.csv").read_bytes() for split in SIZES}


@pytest.fixture(scope="module")
def corpus() -> dict[str, Sequence[Sentence]]:
    return {split: read_csv(ROOT / "corpus" / f"{split}.csv").sentences for split in SIZES}


def test_generator_writes_the_committed_files(tmp_path, content):
    result = generate(tmp_path / "new")
    assert result.returncode == 0, result.stderr
    for split in SIZES:
        # Not ==, whose report on two megabytes takes minutes.
        if (tmp_path / "new" / f"{split}.csv").read_bytes() != content[split]:
            pytest.fail(f"{split}.csv is stale: run python scripts/corpus/make_corpus.py corpus")


def test_seed_and_size(tmp_path):
    made = []
    for seed in (1, 1, 2):
        generate(tmp_path, "--seed", seed, "--sentences", 50)
        made.append(read_csv(tmp_path / "train.csv").sentences)
    assert made[0] == made[1] != made[2]
    assert len(made[0]) == 40


@pytest.mark.parametrize(
    ("name", "n", "message"), [("new", 9, "--sentences 9: expected"), ("taken", 10, "be written")]
)
def test_bad_arguments_are_refused(tmp_path, name, n, message):
    (tmp_path / "taken").touch()
    result = generate(tmp_path / name, "--sentences", n)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_mistakes_in_the_grammar_are_named():
    script = runpy.run_path(str(SCRIPT))
    with pytest.raises(ValueError, match=r"found <L\.oceans>; expected a rule, a list"):
        script["check_references"](script["parse_grammar"]("a:\n  the <L.oceans>"))
    with pytest.raises(ValueError, match="no part of speech for 'barked'; add it"):
        script["parse_grammar"]("a:\n  it barked")


def test_readme_counts(corpus):
    expected = defaultdict(list)
    for found in map(count, corpus.values()):
        counts = {"sentences": found.sentences, "without": found.without_entity}
        counts |= {"tokens": found.tokens, "entities": sum(found.entities.values())}
        for name, number in {**counts, **found.entities}.items():
            expected[name].append(number)
    text = (ROOT / "corpus" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[ …]*(\w+)[^|]*\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", text, re.M)
    table = {name: [int(n.replace(",", "")) for n in numbers] for name, *numbers in rows}
    assert table == expected


@pytest.mark.parametrize("split", SIZES)
def test_encoding_and_rows(content, split):
    data = content[split]
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    head, *rows = csv.reader(io.StringIO(data.decode("cp1252"), newline=""))
    assert head == ["Sentence #", "Word", "POS", "Tag"]
    assert all(len(row) == 4 and all(row[1:]) for row in rows)


@pytest.mark.parametrize("split", SIZES)
def test_tags_and_parts_of_speech(corpus, split):
    sentences = corpus[split]
    assert len(sentences) == SIZES[split]
    counts = count(sentences)
    # In the order of GMB: geo first, the three rare types last.
    labels = list(counts.entities)
    assert labels[0] == "geo"
    assert set(labels[5:]) == {"art", "eve", "nat"}
    assert 0.12 <= counts.without_entity / len(sentences) <= 0.15
    assert set().union(*(s.pos for s in sentences)) <= set(GMB_POS.split())


def test_train_has_the_difficulties_of_gmb(corpus):
    counts = Counter(word for sentence in corpus["train"] for word in sentence.words)
    for word in ('"', "'s", "’s", "–", "€", "U.S."):
        assert counts[word] >= 3, word
    assert {"é", "ü", "ñ", "\xa0"} <= set("".join(counts))
    assert sum(s.words[0] == "None" for s in corpus["train"]) >= 5
    # Only train has duplicates.
    train, dev, test = ([s.words for s in sentences] for sentences in corpus.values())
    assert 10 <= len(train) - len(set(train)) <= 100
    assert len({*train, *dev, *test}) == len(set(train)) + len(dev) + len(test)


def test_the_most_frequent_tag_of_each_word_is_not_enough(corpus):
    tags_of = defaultdict(Counter)
    for sentence in corpus["train"]:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            tags_of[word][tag] += 1
    usual = {word: tags.most_common(1)[0][0] for word, tags in tags_of.items()}
    examples = []
    for gold in corpus["test"]:
        tags, _ = repair([usual.get(word, "O") for word in gold.words])
        guess = Sentence(gold.id, gold.words, tuple(tags))
        examples.append(Example(to_doc(guess, VOCAB), to_doc(gold, VOCAB)))
    assert 0.25 < get_ner_prf(examples)["ents_f"] < 0.6


def test_half_of_the_entities_are_new(corpus):
    train, dev, test = (
        [(ent.text, ent.label_) for one in sentences for ent in to_doc(one, VOCAB).ents]
        for sentences in corpus.values()
    )
    known = set(train)
    for entities in (dev, test):
        assert sum(entity not in known for entity in entities) >= len(entities) / 2
