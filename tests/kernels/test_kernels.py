"""The compiled kernels compute what `numpy_kernels` computes."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from spacy.lang.lex_attrs import word_shape
from spacy.strings import get_string_id, hash_string
from thinc.api import NumpyOps

from ner_lstm_component import kernels
from ner_lstm_component.decoding.crf import FORBIDDEN, iob2_allowed
from ner_lstm_component.kernels import Case, WordClass, numpy_kernels

CLASSES = {name: value for name, value in vars(WordClass).items() if name.isupper()}
needs_compiled = pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler")
both = pytest.mark.parametrize("module", [kernels, numpy_kernels], ids=["compiled", "numpy"])

WITHOUT_COMPILED = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, format="%(name)s %(levelname)s %(message)s")
sys.modules["ner_lstm_component.kernels.crf"] = None
from ner_lstm_component import component, kernels
assert not kernels.IS_COMPILED
assert kernels.RowIndex is kernels.numpy_kernels.RowIndex
assert kernels.adam is kernels.EmbeddedProduct is None
"""


def test_fallback_is_logged_once():
    run = [sys.executable, "-c", WITHOUT_COMPILED]
    shown = subprocess.run(run, capture_output=True, text=True, check=True)
    (line,) = (line for line in shown.stderr.splitlines() if "ner_lstm_component" in line)
    assert line.startswith("ner_lstm_component.kernels DEBUG The kernels are not compiled")


def assert_same(found, expected, **tolerances):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, **tolerances)


@needs_compiled
@pytest.mark.parametrize("density", [0.05, 0.15, 0.4])
@pytest.mark.parametrize("seed", range(20))
def test_words_and_sentences(seed, density):
    rng = np.random.default_rng(seed)
    # No Docs, empty ones, and some with sentence boundaries.
    doc_lengths = rng.integers(0, 30, rng.integers(0, 20))
    n = int(doc_lengths.sum())
    bits = rng.random((n, len(CLASSES))) < density
    classes = (bits << np.arange(len(CLASSES))).sum(axis=1).astype(np.uint32)
    is_blank = rng.random(n) < 0.2
    blanks = np.array([1, 1 | WordClass.NEWLINE, 1 | WordClass.EMPTY_LINE], np.uint32)
    classes = np.where(is_blank, rng.choice(blanks, n), classes & ~np.uint32(7))
    is_annotated = np.repeat(rng.random(len(doc_lengths)) < 0.3, doc_lengths)
    sent_start = np.where(is_annotated, rng.choice(np.array([0, 1, -1]), n), 0)
    orths, spaces = rng.integers(0, 10, n, np.uint64), rng.integers(0, 2, n, np.uint64)
    attributes = np.stack([orths, sent_start.astype(np.uint64), spaces], axis=1)
    common = rng.choice(np.arange(len(Case), dtype=np.uint8), len(doc_lengths))
    cases = np.where(rng.random(n) < density, rng.choice(common, n), np.repeat(common, doc_lengths))
    abbreviations = np.array([2, 3, 5, 7], np.uint64)
    given = classes, cases, attributes, doc_lengths, abbreviations
    found, expected = (module.find_sentences(*given) for module in (kernels, numpy_kernels))
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)
    lengths, is_word, _ = found
    is_word = np.ones(n, bool) if is_word is None else is_word
    assert lengths.sum() == is_word.sum()
    assert (lengths > 0).all()


def test_word_classes_have_the_same_values_in_cython():
    source = (Path(kernels.__file__).parent / "sentences.pyx").read_text()
    found = dict(re.findall(r"^    ([A-Z_]+) = 1 << (\d+)$", source, re.MULTILINE))
    assert {name: 1 << int(bit) for name, bit in found.items()} == CLASSES


def random_potentials(rng):
    """Sequences of random number, length and number of tags, with scores of random spread."""
    n_labels = int(rng.choice([0, 1, 3, 8]))
    lengths = rng.integers(1, rng.choice([2, 5, 40]), rng.choice([0, 1, 2, 30]))
    spread = rng.choice([0.1, 4, 40, 100, 1000])
    emissions = rng.normal(0, spread, (lengths.sum(), 2 * n_labels + 1))
    emissions[rng.random(len(emissions)) < 0.1, 1:] = FORBIDDEN
    transitions = rng.normal(0, rng.choice([0.1, 1, 10]), (2 * n_labels + 2, 2 * n_labels + 2))
    transitions[~iob2_allowed(n_labels)] = FORBIDDEN
    if rng.random() < 0.2:  # ties
        emissions, transitions = emissions.round(), transitions.round()
    return emissions.astype(np.float32), transitions.astype(np.float32), lengths


def random_spans(rng, lengths, n_labels):
    """Spans within sequences, by their starts."""
    n = 50 if len(lengths) and n_labels else 0
    sequence = rng.integers(0, max(len(lengths), 1), n)
    ends = np.cumsum(lengths)[sequence]
    start = ends - rng.integers(1, lengths[sequence] + 1)
    stop = np.minimum(start + rng.integers(1, 5, n), ends)
    label = rng.integers(0, max(n_labels, 1), n)
    return np.stack([start, stop, label], axis=1)[np.argsort(start)]


@needs_compiled
@pytest.mark.parametrize("seed", range(60))
def test_viterbi_and_entities(seed):
    potentials = random_potentials(np.random.default_rng(seed))
    tags = kernels.viterbi(*potentials)
    assert_same(tags, numpy_kernels.viterbi(*potentials))
    assert_same(kernels.entity_spans(tags), numpy_kernels.entity_spans(tags))
    # Invalid tags too.
    shuffled = np.random.default_rng(seed).permutation(tags)
    assert_same(kernels.entity_spans(shuffled), numpy_kernels.entity_spans(shuffled))


@needs_compiled
@pytest.mark.parametrize("temperature", [0.01, 1.0, 1.3, 200.0, 10_000.0])
@pytest.mark.parametrize("seed", range(40))
def test_marginals(seed, temperature):
    """Those of spans agree relatively, however improbable the spans are."""
    rng = np.random.default_rng(seed)
    emissions, transitions, lengths = random_potentials(rng)
    spans = random_spans(rng, lengths, len(transitions) // 2 - 1)
    given = emissions, transitions, lengths, spans
    of_spans, of_tags = kernels.marginals(*given, True, temperature)
    expected = numpy_kernels.marginals(*given, True, temperature)
    assert_same(of_spans, expected[0], rtol=1e-7, atol=1e-200)
    assert_same(of_tags, expected[1], rtol=1e-5, atol=1e-37)
    without_tags = kernels.marginals(*given, False, temperature)
    assert_same(without_tags[0], of_spans, rtol=0)
    assert without_tags[1] is None


@needs_compiled
@pytest.mark.parametrize("offsets", [[0], [-2, 0, 1], [-1, 3], []])
@pytest.mark.parametrize("lengths", [[], [1], [1, 2, 7, 3]])
def test_ngram_keys(offsets, lengths):
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**64, sum(lengths), np.uint64)
    factors = rng.integers(0, 2**64, (2, len(offsets)), np.uint64)
    terms = rng.integers(0, 2**64, 2, np.uint64)
    hashing = (np.array(offsets, np.int64), factors, terms, 2**63 + 1, 5)
    index = np.zeros(2**16 + 1, np.int32), np.zeros(0, np.uint16)
    tables = (
        module.NgramTable(hashing, index, np.zeros((0, 2), np.uint8), np.zeros((2, 2), np.int32))
        for module in (kernels, numpy_kernels)
    )
    found, expected = (table.keys(words, np.array(lengths, np.int64)) for table in tables)
    assert found.shape == (sum(lengths), 2)
    assert_same(found, expected)


@both
def test_features_are_hashed_by_spacy_and_thinc(module):
    words = ["a", "", "ab", "Größe", "😀", "é😀ß", "word's", "sixteen letters.", "x" * 500, "कमल"]
    forms = [words, [word.lower() for word in words]]
    columns = [(0, 0), (1, 0), *((form, n) for form in (0, 1) for n in (1, 2, 9, -1, -2, -9))]
    labels = [f"FEATURE{k} " for k in range(len(columns))]
    sizes = [2**31 - 1, 1, *range(3, 15)]
    features = np.array([(*c, sizes[k], 10 * k) for k, c in enumerate(columns)], np.int64)
    ids = module.feature_ids(forms, labels, features)
    assert ids.dtype == np.int32
    for k, (form, n) in enumerate(columns):
        parts = [word[:n] if n > 0 else word[n:] for word in forms[form]]
        hashed = NumpyOps().hash(np.array([get_string_id(labels[k] + p) for p in parts], "u8"), 0)
        expected = hashed[:, :2] % np.uint32(sizes[k]) + 10 * k
        np.testing.assert_array_equal(ids[:, 2 * k : 2 * k + 2], expected.astype(np.int32))
    assert module.feature_ids([[], []], labels, features).shape == (0, 2 * len(labels))
    with pytest.raises(UnicodeEncodeError):
        module.feature_ids([["\ud800"], ["a"]], labels, features)


@both
def test_shapes_are_those_of_spacy(module):
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    rng = random.Random(0)
    words = ["", "a" * 99, "a" * 100, "\x00\x00", "Aa1" * 20, "ǅǅ", "\ud800", *characters]
    odd = [*"aAbB19.,-'_éÉßǅ²½٣Ⅷⅷ中😀\x00 \ud800"]
    words += ["".join(rng.choices(odd, k=rng.randrange(12))) for _ in range(5000)]
    assert [module.word_shape(word) for word in words] == list(map(word_shape, words))


@both
def test_words_are_found_by_their_first_known_form(module):
    known = ["", "a", "case", "B", "😀", "Größe", "x" * 500]
    table = np.sort(np.array([hash_string(word) & 0xFFFFFFFF for word in known], np.uint32))
    words = [*known, "CASE", "A", "b", "größe", "new", "x"]
    rows = module.find_rows(table, [words, [word.lower() for word in words]])
    expected = [*known, "case", "a", None, None, None, None]
    hashes = [word is not None and hash_string(word) & 0xFFFFFFFF for word in expected]
    assert [row >= 0 and table[row] for row in rows] == hashes
    both_known = [["a", "😀"], ["😀", "a"]]
    assert module.find_rows(table, both_known).tolist() == [
        table.tolist().index(hash_string(word) & 0xFFFFFFFF) for word in both_known[0]
    ]
    assert module.find_rows(table, [[], []]).tolist() == []
    assert module.find_rows(np.zeros(0, np.uint32), [words]).tolist() == [-1] * len(words)
    with pytest.raises(UnicodeEncodeError):
        module.find_rows(table, [["\ud800"]])


@both
@pytest.mark.parametrize("n", [0, 1, 5000])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_rows_are_numbered_by_first_occurrence(module, n, width):
    rows = np.random.default_rng(n).integers(-15, 15, (n, width)).astype(np.int32)
    index = module.RowIndex(width)
    for _ in range(2):
        seen: dict[tuple, int] = {}
        for part in np.array_split(rows, 7):
            n_known = len(seen)
            expected = [seen.setdefault(tuple(row), len(seen)) for row in part.tolist()]
            numbers, new = index.add(part)
            assert numbers.tolist() == expected
            assert new == [expected.index(number) for number in range(n_known, len(seen))]
            assert len(index) == len(seen)
        index.clear()
        assert len(index) == 0
    with pytest.raises(ValueError, match=f"Rows of {width} numbers"):
        index.add(np.zeros((1, width + 1), np.int32))


def embedded(capacity):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(20, 3)).astype(np.float32)
    kernel = rng.normal(size=(9, 5)).astype(np.float32)
    bias = rng.normal(size=5).astype(np.float32)
    product = kernels.EmbeddedProduct(table, kernel, bias, 2, [4, 2], capacity)
    return product, lambda ids: table[ids.reshape(-1, 3, 2)].sum(2).reshape(-1, 9) @ kernel + bias


@needs_compiled
@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("capacity", [1, 7, 100, 10_000])
def test_embedded_product(capacity, n_threads):
    product, expected = embedded(capacity)
    rng = np.random.default_rng(1)
    sizes = [1, 300, 5, 300, 0] + 50 * [40]
    batches = [rng.integers(0, [4, 4, 4, 20, 20, 20], (n, 6)).astype(np.int32) for n in sizes]
    with ThreadPoolExecutor(n_threads) as pool:
        for ids, found in zip(batches, pool.map(product, batches), strict=True):
            assert_same(found, expected(ids), rtol=1e-5, atol=1e-5)


@needs_compiled
@pytest.mark.parametrize("wrong", [20, -1])
def test_ids_outside_the_table_are_refused(wrong):
    product, expected = embedded(100)
    ids = np.zeros((2, 6), np.int32)
    ids[1, 5] = wrong
    for _ in range(2):
        with pytest.raises(ValueError, match="from 0 to 19"):
            product(ids)
    assert_same(product(ids[:1]), expected(ids[:1]), rtol=1e-5, atol=1e-5)


@needs_compiled
def test_parts_must_fit():
    product, _ = embedded(100)
    with pytest.raises(ValueError, match="Rows of 6 ids"):
        product(np.zeros((1, 4), np.int32))
    arrays = [np.zeros(shape, np.float32) for shape in ((9, 3), (9, 5), 5)]
    for parts in ([6, 2], [3, 3], [4]):
        with pytest.raises(ValueError, match="'parts' must hold 3 groups of 2 ids"):
            kernels.EmbeddedProduct(*arrays, 2, parts, 10)


@needs_compiled
@pytest.mark.parametrize("n", [0, 1, 7, 5000])
@pytest.mark.parametrize("clip", [0.0, 0.5, 1e6])
@pytest.mark.parametrize("has_average", [False, True])
def test_adam(n, clip, has_average):
    rng = np.random.default_rng(n)
    weights, gradient, mom1, mom2, average = rng.random((5, n), np.float32)
    b1, b2, eps, rate, l2, decay, step = rng.random(7)
    g = gradient + l2 * weights
    norm = np.linalg.norm(g)
    if clip and norm >= clip:
        g *= clip / norm
    expected_mom1, expected_mom2 = b1 * mom1 + (1 - b1) * g, b2 * mom2 + (1 - b2) * g**2
    expected = (1 - decay) * (weights - rate * expected_mom1 / (np.sqrt(expected_mom2) + eps))
    expected_average = average + step * (expected - average) if has_average else average.copy()
    kernels.adam(
        *(weights, gradient, mom1, mom2, average if has_average else None),
        *(b1, b2, eps, rate, l2, decay, clip, step),
    )
    found = np.stack([weights, mom1, mom2, average])
    wanted = np.stack([expected, expected_mom1, expected_mom2, expected_average])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    larger = np.zeros(n + 1, np.float32)
    with pytest.raises(ValueError, match=f"{n} numbers are expected"):
        kernels.adam(weights, gradient, mom1, mom2, larger, 0.9, 0.999, 1e-8, 0.1, 0, 0, 0, 0)
