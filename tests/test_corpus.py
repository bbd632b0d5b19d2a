"""The embedded corpus: made by its generator, in GMB's format, and no toy."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest

from ner_lstm_component.decoding.iob2 import find_invalid, repair

ROOT = Path(__file__).parents[1]
SPLITS = ("train", "dev", "test")
TYPES = {"geo", "gpe", "org", "per", "tim", "art", "eve", "nat"}
GMB_POS = (
    "$ , . : ; `` CC CD DT EX FW IN JJ JJR JJS LRB MD NN NNP NNPS NNS PDT POS PRP PRP$ RB RBR RBS "
    "RP RRB TO UH VB VBD VBG VBN VBP VBZ WDT WP WP$ WRB"
)


class Sentence(NamedTuple):
    words: tuple[str, ...]
    pos: tuple[str, ...]
    tags: tuple[str, ...]


def read(text: str) -> list[Sentence]:
    """The sentences of a CSV; a filled first column begins the next one."""
    sentences: list[list[list[str]]] = []
    for number, *token in list(csv.reader(io.StringIO(text, newline="")))[1:]:
        if number:
            sentences.append([])
        sentences[-1].append(token)
    return [Sentence(*map(tuple, zip(*rows, strict=True))) for rows in sentences]


def spans(tags: Iterable[str]) -> list[tuple[int, int, str]]:
    """Start, end and type of each entity."""
    found: list[tuple[int, int, str]] = []
    for i, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((i, i + 1, tag[2:]))
        elif tag.startswith("I-"):
            start, _, label = found[-1]
            found[-1] = (start, i + 1, label)
    return found


def entities(sentence: Sentence) -> list[tuple[str, str]]:
    """Text and type of each entity."""
    return [(" ".join(sentence.words[a:b]), label) for a, b, label in spans(sentence.tags)]


def generate(*arguments: object) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "make_corpus.py"
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    return {split: (ROOT / "corpus" / f"{split}.csv").read_bytes() for split in SPLITS}


@pytest.fixture(scope="module")
def corpus(content: dict[str, bytes]) -> dict[str, list[Sentence]]:
    return {split: read(data.decode("cp1252")) for split, data in content.items()}


@pytest.fixture(scope="module")
def words(corpus: dict[str, list[Sentence]]) -> list[str]:
    return [word for sentence in corpus["train"] for word in sentence.words]


# --- the generator --------------------------------------------------------------------------


def test_committed_files_are_what_the_generator_writes(
    tmp_path: Path, content: dict[str, bytes]
) -> None:
    result = generate(tmp_path / "new")
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{s}.csv" for s in SPLITS}
    for split in SPLITS:
        # Not ==, whose report on two megabytes takes minutes.
        same = (tmp_path / "new" / f"{split}.csv").read_bytes() == content[split]
        assert same, f"corpus/{split}.csv is stale: run python scripts/make_corpus.py corpus"


def test_seed_and_size(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = generate(tmp_path / name, "--seed", seed, "--sentences", 50)
        assert result.returncode == 0, result.stderr
    made = {name: (tmp_path / name / "train.csv").read_bytes() for name in "abc"}
    assert made["a"] == made["b"]
    assert made["a"] != made["c"]
    assert len(read(made["a"].decode("cp1252"))) == 40


def test_too_few_sentences(tmp_path: Path) -> None:
    result = generate(tmp_path / "new", "--sentences", 9)
    assert result.returncode == 1
    assert "--sentences 9: expected at least 10" in result.stderr
    assert not (tmp_path / "new").exists()


def test_output_directory_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    result = generate(tmp_path / "taken", "--sentences", 10)
    assert result.returncode == 1
    assert "cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def test_readme_counts(corpus: dict[str, list[Sentence]]) -> None:
    expected: dict[str, list[int]] = {}
    for split in SPLITS:
        counts = Counter(label for s in corpus[split] for _, label in entities(s))
        counts["sentences"] = len(corpus[split])
        counts["without"] = sum(not entities(s) for s in corpus[split])
        counts["tokens"] = sum(len(s.words) for s in corpus[split])
        counts["entities"] = sum(counts[label] for label in TYPES)
        for name, number in counts.items():
            expected.setdefault(name, []).append(number)
    table = {}
    for line in (ROOT / "corpus" / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and "---" not in line and "train" not in line:
            name, *numbers = line.strip("| ").split(" | ")
            table[name.strip("… ").split()[0]] = [int(n.replace(",", "")) for n in numbers]
    assert table == expected


# --- the format -----------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_encoding_and_line_ends(content: dict[str, bytes], split: str) -> None:
    data = content[split]
    assert data.startswith(b"Sentence #,Word,POS,Tag\r\nSentence: 1,")
    assert data.endswith(b"\r\n")
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    data.decode("cp1252")
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")


@pytest.mark.parametrize("split", SPLITS)
def test_rows(content: dict[str, bytes], split: str) -> None:
    rows = list(csv.reader(io.StringIO(content[split].decode("cp1252"), newline="")))[1:]
    assert {len(row) for row in rows} == {4}
    assert all(all(row[1:]) for row in rows)
    numbers = [row[0] for row in rows if row[0]]
    assert numbers == [f"Sentence: {i}" for i in range(1, len(numbers) + 1)]


def test_size(content: dict[str, bytes], corpus: dict[str, list[Sentence]]) -> None:
    assert sum(map(len, content.values())) < 3_000_000
    assert {split: len(corpus[split]) for split in SPLITS} == {
        "train": 4800,
        "dev": 600,
        "test": 600,
    }
    for sentences in corpus.values():
        lengths = [len(sentence.words) for sentence in sentences]
        assert 3 <= min(lengths) <= 5
        assert 40 <= max(lengths) <= 50
        assert 16 <= median(lengths) <= 20


@pytest.mark.parametrize("split", SPLITS)
def test_tags(corpus: dict[str, list[Sentence]], split: str) -> None:
    for sentence in corpus[split]:
        assert find_invalid(sentence.tags) is None, sentence
    counts = Counter(label for s in corpus[split] for _, _, label in spans(s.tags))
    assert set(counts) == TYPES
    assert min(counts.values()) >= (60 if split == "train" else 8)
    # In the order of GMB's: geo first, the three rare types last and far behind.
    assert counts.most_common(1)[0][0] == "geo"
    assert {label for label, _ in counts.most_common(5)} == TYPES - {"art", "eve", "nat"}
    assert max(counts[rare] for rare in ("art", "eve", "nat")) < 0.04 * counts.total()
    plain = sum(set(s.tags) == {"O"} for s in corpus[split]) / len(corpus[split])
    assert 0.12 <= plain <= 0.15


def test_parts_of_speech(corpus: dict[str, list[Sentence]]) -> None:
    used = {pos for sentences in corpus.values() for s in sentences for pos in s.pos}
    assert used <= set(GMB_POS.split())
    assert all(s.pos[-1] == "." or s.words[-1] == '"' for s in corpus["train"])


# --- the traps ------------------------------------------------------------------------------


def test_traps_are_in_train(
    content: dict[str, bytes], corpus: dict[str, list[Sentence]], words: list[str]
) -> None:
    counts = Counter(words)
    assert b',""""' in content["train"]
    for trap in ('"', "'s", "’s", "–", "€", "U.S."):
        assert counts[trap] >= 3, trap
    assert any("\xa0" in word for word in counts)
    assert {"é", "ü", "ñ"} <= set("".join(counts))
    assert any(word.isalpha() and not word.isascii() for word in counts)
    assert sum(s.words[0] == "None" for s in corpus["train"]) >= 5
    assert not any(word == "None" for s in corpus["train"] for word in s.words[1:])


def test_one_token_per_word_as_in_gmb(words: list[str]) -> None:
    assert not any(" " in word for word in words)
    assert any("-" in word.strip("-") for word in words)
    for word in words:
        assert word in {"'s", "’s"} or not word.endswith(("'s", "’s")), word
        assert len(word) == 1 or not word.endswith((",", ";", '"')), word


def test_only_train_repeats_itself(corpus: dict[str, list[Sentence]]) -> None:
    texts = {split: [s.words for s in corpus[split]] for split in SPLITS}
    assert 10 <= len(texts["train"]) - len(set(texts["train"])) <= 100
    assert len({*texts["dev"], *texts["test"]}) == len(texts["dev"]) + len(texts["test"])
    assert set(texts["train"]).isdisjoint(texts["dev"])
    assert set(texts["train"]).isdisjoint(texts["test"])


# --- no toy ---------------------------------------------------------------------------------


def test_knowing_the_words_is_not_enough(corpus: dict[str, list[Sentence]]) -> None:
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in corpus["train"]:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            seen[word][tag] += 1
    usual = {word: tags.most_common(1)[0][0] for word, tags in seen.items()}
    right = gold = guessed = 0
    for sentence in corpus["test"]:
        mended, _ = repair([usual.get(word, "O") for word in sentence.words])
        expected, found = set(spans(sentence.tags)), set(spans(mended))
        right += len(expected & found)
        gold += len(expected)
        guessed += len(found)
    assert 0.25 < 2 * right / (gold + guessed) < 0.6


@pytest.mark.parametrize("split", ["dev", "test"])
def test_half_of_the_entities_are_new(corpus: dict[str, list[Sentence]], split: str) -> None:
    known = {entity for sentence in corpus["train"] for entity in entities(sentence)}
    asked = [entity for sentence in corpus[split] for entity in entities(sentence)]
    assert sum(entity not in known for entity in asked) >= len(asked) / 2


def test_a_tenth_of_the_entity_words_is_ambiguous(corpus: dict[str, list[Sentence]]) -> None:
    roles: defaultdict[str, set[str]] = defaultdict(set)
    for sentence in corpus["train"]:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            roles[word].add(tag[2:] or "O")
    in_entities = [word for word in roles if roles[word] != {"O"}]
    assert sum(len(roles[word]) > 1 for word in in_entities) >= len(in_entities) / 10
    # Numbers alone would not make it: "14" is a day of the month and a count of people.
    names = [word for word in in_entities if word.isalpha()]
    assert sum(len(roles[word]) > 1 for word in names) >= len(names) / 10
    assert sum({"geo", "org", "per"} <= roles[word] for word in names) >= 20
    assert {"tim", "per", "O"} <= roles["May"]
