"""The embedded corpus: written by its generator, in the format of GMB, and not trivial."""

from __future__ import annotations

import csv
import io
import runpy
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest
from spacy.scorer import get_ner_prf
from spacy.training import Example
from spacy.vocab import Vocab

from ner_lstm_component.dataset import Sentence, count, read_csv, to_doc
from ner_lstm_component.decoding.iob2 import repair

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "corpus" / "make_corpus.py"
SIZES = {"train": 4800, "dev": 600, "test": 600}
TYPES, RARE = {"geo", "gpe", "org", "per", "tim"}, {"art", "eve", "nat"}
GMB_POS = (
    "$ , . : ; `` CC CD DT EX FW IN JJ JJR JJS LRB MD NN NNP NNPS NNS PDT POS PRP PRP$ RB RBR RBS "
    "RP RRB TO UH VB VBD VBG VBN VBP VBZ WDT WP WP$ WRB"
)
VOCAB = Vocab()


def entities(sentence: Sentence) -> list[tuple[str, str]]:
    """Text and type of each entity."""
    return [(ent.text, ent.label_) for ent in to_doc(sentence, VOCAB).ents]


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
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{s}.csv" for s in SIZES}
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


def test_bad_arguments_are_refused(tmp_path):
    new, taken = tmp_path / "new", tmp_path / "taken"
    taken.write_text("mine")
    expected = {(new, 9): "--sentences 9: expected at least 10", (taken, 10): "cannot be written"}
    for (path, n), message in expected.items():
        result = generate(path, "--sentences", n)
        assert result.returncode == 1
        assert message in result.stderr
        assert "Traceback" not in result.stderr
    assert not new.exists()
    assert taken.read_text() == "mine"


def test_mistakes_in_the_grammar_are_named():
    script = runpy.run_path(str(SCRIPT))
    with pytest.raises(ValueError, match=r"found <L\.oceans>; expected a rule, a list"):
        script["check_references"](script["parse_grammar"]("a:\n  the <L.oceans>"))
    with pytest.raises(ValueError, match="no part of speech for 'barked'; add it"):
        script["parse_grammar"]("a:\n  it barked")


def test_readme_counts(corpus):
    expected = defaultdict(list)
    for sentences in corpus.values():
        found = count(sentences)
        n_entities = sum(found.entities.values())
        counts = {"sentences": found.sentences, "tokens": found.tokens, "entities": n_entities}
        counts |= {"without": found.without_entity, **found.entities}
        for name, number in counts.items():
            expected[name].append(number)
    table = {}
    for line in (ROOT / "corpus" / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and "---" not in line and "train" not in line:
            name, *numbers = line.strip("| ").split(" | ")
            table[name.strip("… ").split()[0]] = [int(n.replace(",", "")) for n in numbers]
    assert table == expected


@pytest.mark.parametrize("split", SIZES)
def test_encoding_and_rows(content, split):
    data = content[split]
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")
    head, *rows = csv.reader(io.StringIO(data.decode("cp1252"), newline=""))
    assert head == ["Sentence #", "Word", "POS", "Tag"]
    assert all(len(row) == 4 and all(row[1:]) for row in rows)
    numbers = [row[0] for row in rows if row[0]]
    assert numbers == [f"Sentence: {i}" for i in range(1, len(numbers) + 1)]


def test_size(content, corpus):
    assert sum(map(len, content.values())) < 3_000_000
    assert {split: len(sentences) for split, sentences in corpus.items()} == SIZES
    for sentences in corpus.values():
        lengths = [len(sentence.words) for sentence in sentences]
        assert 3 <= min(lengths) <= 5
        assert 40 <= max(lengths) <= 50
        assert 16 <= median(lengths) <= 20


@pytest.mark.parametrize("split", SIZES)
def test_tags_and_parts_of_speech(corpus, split):
    sentences = corpus[split]
    counts = count(sentences)
    # In the order of GMB: geo first, the three rare types last and far behind.
    labels, numbers = list(counts.entities), list(counts.entities.values())
    assert labels[0] == "geo"
    assert (set(labels[:5]), set(labels[5:])) == (TYPES, RARE)
    assert numbers[-1] >= (60 if split == "train" else 8)
    assert numbers[5] < 0.04 * sum(numbers)
    assert 0.12 <= counts.without_entity / len(sentences) <= 0.15
    assert set().union(*(s.pos for s in sentences)) <= set(GMB_POS.split())
    assert all(s.pos[-1] == "." or s.words[-1] == '"' for s in sentences)


def test_train_has_the_traps_of_gmb(content, corpus):
    counts = Counter(word for sentence in corpus["train"] for word in sentence.words)
    assert b',""""' in content["train"]
    for trap in ('"', "'s", "’s", "–", "€", "U.S."):
        assert counts[trap] >= 3, trap
    assert any("\xa0" in word for word in counts)
    assert {"é", "ü", "ñ"} <= set("".join(counts))
    assert sum(s.words[0] == "None" for s in corpus["train"]) >= 5
    assert not any(word == "None" for s in corpus["train"] for word in s.words[1:])
    for word in counts:  # tokens are words
        assert " " not in word
        assert word in {"'s", "’s"} or not word.endswith(("'s", "’s")), word
        assert len(word) == 1 or not word.endswith((",", ";", '"')), word


def test_only_train_has_duplicates(corpus):
    train, dev, test = ([s.words for s in sentences] for sentences in corpus.values())
    assert 10 <= len(train) - len(set(train)) <= 100
    assert len({*train, *dev, *test}) == len(set(train)) + len(dev) + len(test)


@pytest.fixture(scope="module")
def tags_of(corpus) -> dict[str, Counter[str]]:
    """The tags of each word in train."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in corpus["train"]:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            found[word][tag] += 1
    return found


def test_most_frequent_tags_are_not_enough(corpus, tags_of):
    usual = {word: tags.most_common(1)[0][0] for word, tags in tags_of.items()}
    examples = []
    for gold in corpus["test"]:
        tags, _ = repair([usual.get(word, "O") for word in gold.words])
        guess = Sentence(gold.id, gold.words, tuple(tags))
        examples.append(Example(to_doc(guess, VOCAB), to_doc(gold, VOCAB)))
    assert 0.25 < get_ner_prf(examples)["ents_f"] < 0.6


@pytest.mark.parametrize("split", ["dev", "test"])
def test_half_of_the_entities_are_new(corpus, split):
    known = {entity for sentence in corpus["train"] for entity in entities(sentence)}
    is_new = [entity not in known for sentence in corpus[split] for entity in entities(sentence)]
    assert sum(is_new) >= len(is_new) / 2


def test_a_tenth_of_the_words_in_entities_are_ambiguous(tags_of):
    roles = {word: {tag[2:] or "O" for tag in tags} for word, tags in tags_of.items()}
    # Without numbers: "14" is a day of the month and a count of people.
    names = [found for word, found in roles.items() if found != {"O"} and word.isalpha()]
    assert sum(len(found) > 1 for found in names) >= len(names) / 10
    assert sum({"geo", "org", "per"} <= found for found in names) >= 20
    assert {"tim", "per", "O"} <= roles["May"]
