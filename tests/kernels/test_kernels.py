"""The compiled inner loops give what those in NumPy give."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from spacy.strings import get_string_id
from thinc.api import NumpyOps

from ner_lstm_component import kernels
from ner_lstm_component.decoding.crf import FORBIDDEN, iob2_allowed
from ner_lstm_component.kernels import plain
from ner_lstm_component.text import sentences

needs_compiled = pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler")
LABELS = 3


WITHOUT_COMPILED = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, format="%(name)s %(levelname)s %(message)s")
sys.modules["ner_lstm_component.kernels.compiled"] = None
from ner_lstm_component import kernels, segments
assert not kernels.IS_COMPILED
"""


def test_fallback_is_logged_once():
    shown = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILED], capture_output=True, text=True, check=True
    )
    said = [line for line in shown.stderr.splitlines() if "ner_lstm_component" in line]
    (line,) = said
    assert line.startswith("ner_lstm_component.kernels DEBUG The kernels are not compiled")


def factors(seed, gap=4):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 40, 30)
    emissions = rng.normal(0, gap, (lengths.sum(), 2 * LABELS + 1)).astype(np.float32)
    transitions = rng.normal(0, 1, (2 * LABELS + 2, 2 * LABELS + 2))
    transitions[~iob2_allowed(LABELS)] = FORBIDDEN
    return emissions, transitions.astype(np.float32), lengths


@needs_compiled
@pytest.mark.parametrize("seed", range(5))
def test_decoding_and_marginals(seed):
    emissions, transitions, lengths = factors(seed)
    tags = kernels.viterbi(emissions, transitions, lengths)
    assert tags.tolist() == plain.viterbi(emissions, transitions, lengths).tolist()
    spans = kernels.entity_spans(tags)
    assert len(spans) > 30
    assert spans.tolist() == plain.entity_spans(tags).tolist()
    shuffled = np.random.default_rng(seed).permutation(spans)
    for some in (spans, shuffled, spans[-2:], spans[:0]):
        arguments = (emissions, transitions, lengths, some, True, 1.3)
        for found, expected in zip(
            kernels.marginals(*arguments), plain.marginals(*arguments), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=1e-6)
        only_spans = kernels.marginals(emissions, transitions, lengths, some, False, 1.3)
        np.testing.assert_array_equal(only_spans[0], kernels.marginals(*arguments)[0])


@needs_compiled
@pytest.mark.parametrize("temperature", [0.01, 1.0, 200.0, 10_000.0])
@pytest.mark.parametrize("gap", [1, 40, 100, 1000])
def test_marginals_of_scores_far_apart(gap, temperature):
    """Those of spans agree relatively, however little probable they are."""
    emissions, transitions, lengths = factors(0, gap)
    start = np.cumsum(lengths) - lengths
    spans = np.stack([start, np.minimum(start + 2, start + lengths), start % LABELS], axis=1)
    arguments = (emissions, transitions, lengths, spans, True, temperature)
    found, expected = kernels.marginals(*arguments), plain.marginals(*arguments)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-7, atol=1e-200)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-37)


@needs_compiled
@pytest.mark.parametrize("gap", [4, 100, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_likelihood(seed, gap):
    emissions, transitions, lengths = factors(seed, gap)
    lengths = np.insert(lengths, 3, 0)
    allowed = np.zeros(emissions.shape, np.uint8)
    allowed[:, 0] = 1
    allowed[np.random.default_rng(seed).random(len(allowed)) < 0.2] = 1
    arguments = (emissions, transitions, lengths, allowed)
    for found, expected in zip(
        kernels.negative_log_likelihood(*arguments),
        plain.negative_log_likelihood(*arguments),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-5)


@needs_compiled
@pytest.mark.parametrize("offsets", [[0], [-2, 0, 1], [-1, 3], []])
def test_ngram_keys(offsets):
    rng = np.random.default_rng(0)
    lengths = np.array([1, 2, 7, 3])
    words = rng.integers(0, 2**64, lengths.sum(), np.uint64)
    factors = rng.integers(0, 2**64, (2, len(offsets)), np.uint64)
    terms = rng.integers(0, 2**64, 2, np.uint64)
    hashing = (np.array(offsets, np.int64), factors, terms, 2**63 + 1, 5)
    levels, rows = np.zeros((0, 2), np.uint8), np.zeros((2, 2), np.int32)
    nothing = (np.zeros(2**16 + 1, np.int32), np.zeros(0, np.uint16), levels, rows)
    found, expected = (chosen.NgramTable(*hashing, *nothing) for chosen in (kernels, plain))
    assert expected.keys(words, lengths).shape == (13, 2)
    np.testing.assert_array_equal(found.keys(words, lengths), expected.keys(words, lengths))
    for table in (found, expected):
        assert table.keys(words[:0], lengths[:0]).shape == (0, 2)


@pytest.mark.parametrize("beside", [kernels.beside, plain.beside], ids=["chosen", "plain"])
def test_rows_beside_rows(beside):
    left, right = np.arange(6, dtype=np.int32).reshape(2, 3), np.array([[7], [8]], np.int32)
    both = beside(left, right, 10)
    assert both.dtype == np.int32
    assert both.tolist() == [[0, 1, 2, 17], [3, 4, 5, 18]]
    assert beside(left[:0], right[:0], 10).shape == (0, 4)
    with pytest.raises(ValueError, match="2"):
        beside(left, right[:1], 10)


@pytest.mark.parametrize(
    "feature_ids", [kernels.feature_ids, plain.feature_ids], ids=["chosen", "plain"]
)
def test_features_are_hashed_as_spacy_and_thinc_do(feature_ids):
    words = ["a", "ab", "Größe", "😀", "é😀ß", "word's", "sixteen letters.", "x" * 500, "कमल"]
    forms = [words, [word.lower() for word in words]]
    columns = [(0, 0), (1, 0), *((form, n) for form in (0, 1) for n in (1, 2, 9, -1, -2, -9))]
    labels = [f"FEATURE{k} " for k in range(len(columns))]
    sizes = [2**31 - 1, 1, *range(3, 15)]
    features = np.array([(*c, sizes[k], 10 * k) for k, c in enumerate(columns)], np.int64)
    ids = feature_ids(forms, labels, features)
    assert ids.dtype == np.int32
    for k, (form, n) in enumerate(columns):
        parts = [word[:n] if n > 0 else word[n:] for word in forms[form]]
        hashed = NumpyOps().hash(np.array([get_string_id(labels[k] + p) for p in parts], "u8"), 0)
        expected = hashed[:, :2] % np.uint32(sizes[k]) + 10 * k
        np.testing.assert_array_equal(ids[:, 2 * k : 2 * k + 2], expected.astype(np.int32))
    with pytest.raises(UnicodeEncodeError):
        feature_ids([["\ud800"], ["a"]], labels, features)


@pytest.fixture(params=[pytest.param(kernels.RowIndex, id="chosen"), plain.RowIndex])
def row_index(request):
    return request.param


def test_rows_are_numbered_as_they_come(row_index):
    index = row_index(2)
    numbers, new = index.add(np.array([[1, 2], [3, 4], [1, 2], [2, 1]], np.int32))
    assert numbers.tolist() == [0, 1, 0, 2]
    assert new == [0, 1, 3]
    numbers, new = index.add(np.array([[2, 1], [5, 5]], np.int32))
    assert numbers.tolist() == [2, 3]
    assert new == [1]
    assert len(index) == 4
    index.clear()
    assert len(index) == 0
    assert index.add(np.array([[5, 5]], np.int32))[0].tolist() == [0]


def test_many_rows(row_index):
    rows = np.random.default_rng(0).integers(0, 30, (5000, 3)).astype(np.int32)
    index = row_index(3)
    numbers = np.concatenate([index.add(part)[0] for part in np.array_split(rows, 7)])
    seen: dict[tuple, int] = {}
    expected = [seen.setdefault(tuple(row), len(seen)) for row in rows.tolist()]
    assert numbers.tolist() == expected
    assert len(index) == len(seen)


def test_rows_of_another_width(row_index):
    with pytest.raises(ValueError, match="Rows of 3 numbers"):
        row_index(3).add(np.zeros((1, 2), np.int32))


def embedded(capacity):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(20, 3)).astype(np.float32)
    kernel = rng.normal(size=(9, 5)).astype(np.float32)
    bias = rng.normal(size=5).astype(np.float32)
    product = kernels.EmbeddedProduct(table, kernel, bias, 2, [4, 2], capacity)
    return product, lambda ids: table[ids.reshape(-1, 3, 2)].sum(2).reshape(-1, 9) @ kernel + bias


@needs_compiled
@pytest.mark.parametrize("capacity", [1, 7, 10_000])
def test_embedded_product(capacity):
    product, expected = embedded(capacity)
    rng = np.random.default_rng(1)
    for n in (1, 300, 5, 300):
        ids = rng.integers(0, 20, (n, 6)).astype(np.int32)
        ids[:, :3] %= 4
        np.testing.assert_allclose(product(ids), expected(ids), rtol=1e-5, atol=1e-5)
    assert product(np.zeros((0, 6), np.int32)).shape == (0, 5)


@needs_compiled
@pytest.mark.parametrize("wrong", [20, -1])
def test_ids_outside_the_table_are_refused(wrong):
    product, expected = embedded(100)
    ids = np.zeros((2, 6), np.int32)
    ids[1, 5] = wrong
    for _ in range(2):
        with pytest.raises(ValueError, match="from 0 to 19"):
            product(ids)
    np.testing.assert_allclose(product(ids[:1]), expected(ids[:1]), rtol=1e-5, atol=1e-5)


@needs_compiled
def test_parts_must_fit():
    product, _ = embedded(100)
    with pytest.raises(ValueError, match="Rows of 6 ids"):
        product(np.zeros((1, 4), np.int32))
    arrays = [np.zeros(shape, np.float32) for shape in ((9, 3), (9, 5), 5)]
    for parts in ([6, 2], [3, 3], [4]):
        with pytest.raises(ValueError, match="'parts' must be groups of 2 ids"):
            kernels.EmbeddedProduct(*arrays, 2, parts, 10)


@needs_compiled
@pytest.mark.parametrize("seed", range(200))
def test_sentence_lengths(seed):
    """Of words, punctuation that ends a sentence, opens and closes; some Docs with boundaries."""
    rng = np.random.default_rng(seed)
    marks = [get_string_id(mark) for mark in ".!)(“”,"]
    orths = np.array([sentences._QUOTE, *marks, 1, 2, 3], np.uint64)
    doc_lengths = rng.integers(0, 30, rng.integers(1, 5))
    kind = rng.integers(0, len(orths), doc_lengths.sum())
    is_punct = kind < 8
    is_lower = (rng.random(len(kind)) < 0.3) & ~is_punct
    sent_start = np.zeros(len(kind), np.int64)
    if seed % 4 == 0:
        sent_start = rng.integers(-1, 2, len(kind))
    columns = [orths[kind], is_punct, is_lower, sent_start.view(np.uint64)]
    attributes = np.stack([column.astype(np.uint64) for column in columns], axis=1)
    sets = (sentences._TERMINATORS, sentences._OPENING, sentences._QUOTE)
    found = kernels.sentence_lengths(attributes, doc_lengths, *sets)
    assert found.sum() == doc_lengths.sum()
    assert found.tolist() == plain.sentence_lengths(attributes, doc_lengths, *sets).tolist()


@needs_compiled
@pytest.mark.parametrize("units", [1, 16, 21])
def test_lstm_steps(units):
    rng = np.random.default_rng(units)

    def floats(*shape, scale=2.0):
        return rng.normal(0.0, scale, shape).astype(np.float32)

    # Rows of gates that stand apart, and values at which they are saturated.
    projected, bias = floats(7, 4 * units + 3, scale=8.0), floats(4 * units)
    before = floats(7, units)
    d_outputs, d_h, d_c = (floats(7, units) for _ in range(3))
    results = []
    for chosen in (kernels, plain):
        gates = projected.copy()[:, : 4 * units]
        cells, hidden = np.empty_like(before), np.empty_like(before)
        chosen.lstm_step(gates, bias, before, cells, hidden)
        d_before, d_gates = d_c.copy(), np.empty_like(projected)[:, : 4 * units]
        chosen.lstm_step_back(gates, before, cells, d_outputs, d_h, d_before, d_gates)
        results.append((gates, cells, hidden, d_before, d_gates))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


@needs_compiled
def test_tanh_of_any_float():
    wide = np.float32([-np.inf, -1e30, -20, 20, 1e30, np.inf])
    near = np.linspace(-10, 10, 100_001, dtype=np.float32)
    tiny = np.float32([-1e-30, -0.0, 0.0, 1e-38, 1e-6])
    x = np.concatenate([wide, near, tiny])
    gates = np.zeros((len(x), 4), np.float32)
    gates[:, 2] = x  # of the candidate, which is tanh alone
    nothing, cells, hidden = np.zeros((3, len(x), 1), np.float32)
    kernels.lstm_step(gates, np.zeros(4, np.float32), nothing, cells, hidden)
    exact = np.tanh(x.astype(np.float64))
    assert (np.abs(gates[:, 2] - exact) <= 5 * np.spacing(np.abs(exact).astype(np.float32))).all()


@needs_compiled
def test_what_is_no_number_stays_none():
    gates = np.full((1, 4), np.nan, np.float32)
    cells, hidden = np.zeros((2, 1, 1), np.float32)
    kernels.lstm_step(gates, np.zeros(4, np.float32), cells.copy(), cells, hidden)
    assert np.isnan(gates).all()
    assert np.isnan(hidden).all()


@pytest.mark.parametrize("chosen", [kernels, plain], ids=["chosen", "plain"])
@pytest.mark.parametrize(("group", "width"), [(1, 1), (2, 16), (3, 40)])
def test_rows_of_a_table_by_their_ids(chosen, group, width):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 7, (300, group)).astype(np.int32)
    rows, table = (rng.normal(size=(n, width)).astype(np.float32) for n in (300, 9))
    sums = np.empty_like(rows)
    chosen.look_up(table, ids, sums)
    np.testing.assert_allclose(sums, table[ids].sum(axis=1), rtol=1e-5, atol=1e-6)
    expected = table.copy()
    np.add.at(expected, ids, rows[:, None])
    chosen.add_rows(rows, ids, table)
    np.testing.assert_allclose(table, expected, rtol=1e-5, atol=1e-5)
    before = table.copy()
    chosen.add_rows(rows[:0], ids[:0], table)
    chosen.look_up(table, ids[:0], sums[:0])
    np.testing.assert_array_equal(table, before)


@needs_compiled
@pytest.mark.parametrize("wrong", [-1, 4])
def test_ids_outside_of_a_table_are_refused(wrong):
    table = np.zeros((4, 3), np.float32)
    ids, rows = np.array([[0], [wrong]], np.int32), np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="from 0 to 3"):
        kernels.add_rows(rows, ids, table)
    with pytest.raises(ValueError, match="from 0 to 3"):
        kernels.look_up(table, ids, rows)
    with pytest.raises(ValueError, match="2 rows of 3 numbers"):
        kernels.add_rows(rows[:, :2].copy(), ids[[0, 0]], table)
    assert not table.any()
    assert (rows == 1).all()


@needs_compiled
def test_embedded_products_of_several_threads():
    product, expected = embedded(50)
    rng = np.random.default_rng(2)
    batches = [rng.integers(0, 20, (40, 6)).astype(np.int32) for _ in range(60)]
    with ThreadPoolExecutor(4) as pool:
        for ids, found in zip(batches, pool.map(product, batches), strict=True):
            np.testing.assert_allclose(found, expected(ids), rtol=1e-5, atol=1e-5)
