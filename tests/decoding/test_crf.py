"""The CRF against the enumeration of all tag sequences, and against simple recursions."""

import itertools

import numpy as np
import pytest

from ner_lstm_component import kernels
from ner_lstm_component.decoding import crf, decoder
from ner_lstm_component.decoding.iob2 import find_invalid, tag_names
from ner_lstm_component.kernels import numpy_kernels

LENGTHS = np.array([3, 1, 4, 2])
NO_SPANS = np.zeros((0, 3), np.int64)
TEMPERATURES = (0.01, 0.5, 1.0, 126.0, 10_000.0)


@pytest.fixture(params=["compiled", "numpy"], autouse=True)
def _kernels(request, monkeypatch):
    if request.param == "compiled" and not kernels.IS_COMPILED:
        pytest.skip("built without a compiler")
    if request.param == "numpy":
        for name in ("viterbi", "marginals"):
            monkeypatch.setattr(kernels, name, getattr(numpy_kernels, name))


def random_potentials(spread, lengths, n_labels=2, seed=0, forbidden=0.2):
    """Random scores of IOB2 tags; some tokens can only be O."""
    rng = np.random.default_rng(seed)
    n_tags = 2 * n_labels + 1
    emissions = rng.normal(0, spread, (sum(lengths), n_tags))
    emissions[rng.random(len(emissions)) < forbidden, 1:] = crf.FORBIDDEN
    transitions = rng.normal(0, 1, (n_tags + 1, n_tags + 1))
    transitions[~crf.iob2_allowed(n_labels)] = crf.FORBIDDEN
    return crf.Potentials(
        emissions.astype(np.float32), transitions.astype(np.float32), np.array(lengths)
    )


@pytest.fixture(params=[1, 2], ids=["one label", "two labels"])
def potentials(request):
    return random_potentials(2, LENGTHS, n_labels=request.param, seed=request.param, forbidden=0)


def split(array, lengths):
    return np.split(array.astype(np.float64), np.cumsum(lengths)[:-1])


# ---------------------------------------------------------------- enumeration


def enumerate_paths(emissions, transitions, lengths):
    """Return the first token of each sequence, and all its tag sequences with their scores."""
    for part, end in zip(split(emissions, lengths), np.cumsum(lengths), strict=True):
        paths = list(itertools.product(range(emissions.shape[1]), repeat=len(part)))
        scores = [
            sum(part[t, tag] for t, tag in enumerate(path))
            + sum(float(transitions[i, j]) for i, j in itertools.pairwise((-1, *path, -1)))
            for path in paths
        ]
        yield end - len(part), np.array(paths), np.array(scores)


def enumerated_loss(emissions, transitions, allowed):
    loss = 0.0
    for first, paths, scores in enumerate_paths(emissions, transitions, LENGTHS):
        times = np.arange(paths.shape[1])
        agrees = allowed[first + times, paths].all(axis=1)
        loss += np.logaddexp.reduce(scores) - np.logaddexp.reduce(scores[agrees])
    return loss


def test_iob2_allowed_is_iob2():
    names = tag_names(["a", "b"])
    allowed = crf.iob2_allowed(2)
    for i, j in itertools.product(range(len(names)), repeat=2):
        assert allowed[i, j] == (find_invalid([names[i].replace("I-", "B-"), names[j]]) is None)
    assert allowed[-1, :-1].tolist() == [not name.startswith("I-") for name in names]
    assert allowed[:, -1].all()


def test_viterbi_finds_the_best_of_all_paths(potentials):
    tags = crf.viterbi(*potentials)
    for first, paths, scores in enumerate_paths(*potentials[:3]):
        best = paths[scores.argmax()]
        assert tags[first : first + len(best)].tolist() == best.tolist()


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_marginals_are_sums_over_all_paths(potentials, temperature):
    n_tags = potentials.emissions.shape[1]
    spans, of_spans, of_tags = [], [], []
    for first, paths, scores in enumerate_paths(*potentials[:3]):
        p = np.exp(scores / temperature - np.logaddexp.reduce(scores / temperature))
        length = paths.shape[1]
        of_tags += [[p[column == tag].sum() for tag in range(n_tags)] for column in paths.T]
        for start, end in itertools.combinations(range(length + 1), 2):
            for label in range(n_tags // 2):
                begin, inside = 2 * label + 1, 2 * label + 2
                agrees = paths[:, start] == begin
                agrees &= (paths[:, start + 1 : end] == inside).all(axis=1)
                if end < length:
                    agrees &= paths[:, end] != inside
                spans.append((first + start, first + end, label))
                of_spans.append(p[agrees].sum())
    order = np.random.default_rng(0).permutation(len(spans))
    for some in (order, order[:3], np.arange(len(spans)), order[:0]):
        chosen = np.array(spans)[some]
        found = crf.marginals(potentials, chosen, temperature=temperature, with_tags=True)
        np.testing.assert_allclose(found.spans, np.array(of_spans)[some], atol=1e-6)
        np.testing.assert_allclose(found.tags, of_tags, atol=1e-6)
        assert crf.marginals(potentials, chosen, temperature=temperature).tags is None


@pytest.fixture
def allowed(potentials):
    """A partial annotation: some tags are known, two are possible, the others are missing."""
    allowed = np.ones(potentials.emissions.shape, bool)
    for token, tags in {1: [0], 5: [1], 6: [0, 1], 8: [1]}.items():
        allowed[token] = np.isin(np.arange(allowed.shape[1]), tags)
    return allowed


def test_likelihood_of_partial_annotation(potentials, allowed):
    emissions, transitions, *_ = potentials
    assert crf.negative_log_likelihood(potentials, allowed | True).loss == pytest.approx(0)
    found = crf.negative_log_likelihood(potentials, allowed)
    assert found.loss == pytest.approx(enumerated_loss(emissions, transitions, allowed), abs=1e-4)
    step = 1e-3
    scores = {"emissions": emissions, "transitions": transitions}
    for name, gradient in (("emissions", found.emissions), ("transitions", found.transitions)):
        for place in zip(*np.nonzero(np.isfinite(scores[name])), strict=True):
            losses = []
            for change in (step, -step):
                changed = scores[name].astype(np.float64)
                changed[place] += change
                losses.append(enumerated_loss(**{**scores, name: changed}, allowed=allowed))
            slope = (losses[0] - losses[1]) / (2 * step)
            # A path does not use the transition from boundary to boundary.
            assert gradient[place] == pytest.approx(slope, abs=1e-4)


# ---------------------------------------------------------------- recursions of one sequence


def reference_viterbi(emissions, transitions, lengths):
    tags = []
    transitions = transitions.astype(np.float64)
    for part in split(emissions, lengths):
        score, backpointers = transitions[-1, :-1] + part[0], []
        for emission in part[1:]:
            paths = score[:, None] + transitions[:-1, :-1]
            backpointers.append(paths.argmax(axis=0))
            score = paths.max(axis=0) + emission
        path = [(score + transitions[:-1, -1]).argmax()]
        for back in reversed(backpointers):
            path.append(back[path[-1]])
        tags += path[::-1]
    return tags


log_sum = np.logaddexp.reduce


def reference_forward_backward(emissions, transitions):
    """Return alpha, beta and the log partition of one sequence."""
    alpha, beta = np.empty(emissions.shape), np.empty(emissions.shape)
    alpha[0] = transitions[-1, :-1] + emissions[0]
    for t in range(1, len(emissions)):
        alpha[t] = log_sum(alpha[t - 1][:, None] + transitions[:-1, :-1], 0) + emissions[t]
    beta[-1] = transitions[:-1, -1]
    for t in range(len(emissions) - 1, 0, -1):
        beta[t - 1] = log_sum(transitions[:-1, :-1] + emissions[t] + beta[t], 1)
    return alpha, beta, log_sum(alpha[-1] + transitions[:-1, -1], 0)


def reference_marginals(potentials, temperature):
    matrix = potentials.transitions.astype(np.float64) / temperature
    tags = []
    for part in split(potentials.emissions, potentials.lengths):
        alpha, beta, total = reference_forward_backward(part / temperature, matrix)
        tags.append(np.exp(alpha + beta - total))
    return np.concatenate(tags)


@pytest.mark.parametrize("spread", [0, 1, 10, 100, 5000])
@pytest.mark.parametrize("n_labels", [0, 1, 8])
@pytest.mark.parametrize("rounded", [False, True], ids=["", "ties"])
def test_viterbi_is_the_recursion(spread, n_labels, rounded):
    lengths = [1, 2, 7, 300, 4]
    emissions, transitions, lengths, _ = random_potentials(spread, lengths, n_labels)
    emissions[:, 0] += spread  # Most tokens are O, as in real text.
    if rounded:
        emissions, transitions = emissions.round(), transitions.round()
    tags = crf.viterbi(emissions, transitions, lengths)
    assert tags.tolist() == reference_viterbi(emissions, transitions, lengths)


def test_rounding_does_not_accumulate_in_long_sequences():
    potentials = random_potentials(5, [30_000], n_labels=3)
    assert crf.viterbi(*potentials).tolist() == reference_viterbi(*potentials[:3])
    potentials = random_potentials(50, [3000])
    found = crf.marginals(potentials, NO_SPANS, with_tags=True)
    np.testing.assert_allclose(found.tags, reference_marginals(potentials, 1.0), atol=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("spread", [0.5, 50, 200, 2500])
def test_marginals_of_any_scores(spread, temperature):
    potentials = random_potentials(spread, [1, 2, 7, 30, 4])
    begins = np.arange(len(potentials.emissions))
    spans = np.stack([begins, begins + 1, begins % 2], axis=1)
    found = crf.marginals(potentials, spans, temperature=temperature, with_tags=True)
    tags = reference_marginals(potentials, temperature)
    np.testing.assert_allclose(found.tags, tags, atol=1e-6)
    # An entity of one token is at most as probable as its B- tag.
    assert (found.spans <= tags[begins, 2 * spans[:, 2] + 1] + 1e-6).all()
    # What is forbidden is impossible at any temperature.
    is_outside = np.isneginf(potentials.emissions[:, 1])
    assert is_outside.any()
    assert (found.tags[is_outside, 1:] == 0).all()
    assert (found.spans[is_outside] == 0).all()
    starts = np.cumsum(potentials.lengths) - potentials.lengths
    assert (found.tags[starts, 2::2] == 0).all()


@pytest.mark.parametrize("spread", [0.5, 50, 200, 2500])
def test_gradient_is_the_difference_of_marginals(spread):
    potentials = random_potentials(spread, [2, 20, 5])
    emissions, transitions, lengths, _ = potentials
    allowed = np.ones(emissions.shape, bool)
    allowed[::2, 1:] = False
    found = crf.negative_log_likelihood(
        crf.Potentials(emissions, transitions, np.insert(lengths, 1, 0)), allowed
    )
    agreeing = potentials._replace(emissions=np.where(allowed, emissions, crf.FORBIDDEN))
    free, clamped = (crf.marginals(x, NO_SPANS, with_tags=True) for x in (potentials, agreeing))
    assert 0 < found.loss < np.inf
    np.testing.assert_allclose(found.emissions, free.tags - clamped.tags, atol=1e-6)
    assert np.isfinite(found.transitions).all()


def test_annotation_without_a_valid_tag_sequence():
    """The loss is large and finite, so that training continues."""
    potentials = random_potentials(1, [3, 4])
    allowed = np.ones(potentials.emissions.shape, bool)
    allowed[3] = [False, False, True, False, False]  # I- at the start of a sequence
    found = crf.negative_log_likelihood(potentials, allowed)
    assert 1000 < found.loss < 1e6
    assert np.isfinite(found.emissions).all()
    assert np.isfinite(found.transitions).all()


# ---------------------------------------------------------------- arrays and batches


def test_arrays_of_any_type_and_layout(potentials):
    emissions, transitions, lengths, _ = potentials
    spans = np.array([[0, 1, 0], [3, 4, 0]])
    others = crf.Potentials(
        np.repeat(emissions.astype(np.float64), 2, axis=1)[:, ::2],
        np.asfortranarray(transitions),
        lengths.astype(np.int32),
    )
    assert crf.viterbi(*others).tolist() == crf.viterbi(*potentials).tolist()
    strided = np.repeat(spans.astype(np.int32), 2, axis=0)[::2]
    found, expected = crf.marginals(others, strided), crf.marginals(potentials, spans)
    np.testing.assert_allclose(found.spans, expected.spans, atol=1e-6)


def test_results_do_not_depend_on_the_batch(potentials, monkeypatch):
    spans = np.array([[9, 10, 0], [0, 1, 0], [3, 4, 0]])
    whole = crf.marginals(potentials, spans, with_tags=True)
    monkeypatch.setattr(numpy_kernels, "_BLOCK_TOKENS", 4)
    blocks = crf.marginals(potentials, spans, with_tags=True)
    np.testing.assert_allclose(blocks.tags, whole.tags, atol=1e-6)
    np.testing.assert_allclose(blocks.spans, whole.spans, atol=1e-6)
    emissions, transitions, lengths, _ = potentials
    parts = np.split(emissions, np.cumsum(lengths)[:-1])
    alone = [crf.viterbi(part, transitions, np.array([len(part)])) for part in parts]
    assert crf.viterbi(*potentials).tolist() == np.concatenate(alone).tolist()


# ---------------------------------------------------------------- tokens that are not words

# Before, in, between and after sequences of 3, 1, 4 and 2 words.
IS_WORD = np.array([0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0], bool)


def with_blanks(potentials, value=np.nan):
    """The same potentials, with rows for tokens that are not words."""
    emissions = np.full((len(IS_WORD), potentials.emissions.shape[1]), value, np.float32)
    emissions[IS_WORD] = potentials.emissions
    return potentials._replace(emissions=emissions, is_word=IS_WORD)


def test_blanks_are_not_in_the_sequences(potentials, allowed):
    spaced = with_blanks(potentials)
    tags = crf.viterbi(*spaced)
    assert tags[IS_WORD].tolist() == crf.viterbi(*potentials).tolist()
    assert not tags[~IS_WORD].any()
    expected = crf.negative_log_likelihood(potentials, allowed)
    found = crf.negative_log_likelihood(spaced, allowed)
    assert found.loss == pytest.approx(expected.loss)
    np.testing.assert_allclose(found.emissions[IS_WORD], expected.emissions)
    assert not found.emissions[~IS_WORD].any()
    np.testing.assert_allclose(found.transitions, expected.transitions)


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_marginals_of_spans_with_blanks(potentials, temperature):
    """Blanks in a span and at its edges do not count; their tag is certain."""
    words = np.array([[4, 7, 0], [0, 1, 0], [8, 10, 0], [1, 3, 0]])
    tokens = np.array([[8, 14, 0], [0, 3, 0], [15, 18, 0], [3, 7, 0]])
    expected = crf.marginals(potentials, words, temperature=temperature, with_tags=True)
    found = crf.marginals(with_blanks(potentials), tokens, temperature=temperature, with_tags=True)
    np.testing.assert_allclose(found.spans, expected.spans, atol=1e-6)
    np.testing.assert_allclose(found.tags[IS_WORD], expected.tags, atol=1e-6)
    assert (found.tags[~IS_WORD] == np.eye(1, potentials.emissions.shape[1])).all()


def test_offsets_of_words(potentials):
    tokens = np.array([[0, 2], [2, 3], [4, 6], [17, 18]])
    expected = [[0, 0], [0, 1], [2, 3], [10, 10]]
    assert with_blanks(potentials).word_offsets(tokens).tolist() == expected
    assert potentials.word_offsets(tokens) is tokens


@pytest.mark.parametrize("n_tokens", [0, 3])
def test_no_words(potentials, n_tokens):
    none = crf.Potentials(
        np.zeros((n_tokens, 3), np.float32),
        potentials.transitions[:4, :4],
        np.zeros(0, np.int64),
        np.zeros(n_tokens, bool),
    )
    assert crf.viterbi(*none).tolist() == [0] * n_tokens
    found = crf.marginals(none, NO_SPANS, with_tags=True)
    assert found.tags.tolist() == [[1, 0, 0]] * n_tokens
    assert crf.negative_log_likelihood(none, np.ones((0, 3), bool)).loss == 0
    taken = decoder.forbid_entities(none, np.ones(n_tokens, bool))
    assert crf.viterbi(*taken).tolist() == [0] * n_tokens


def test_no_entity_contains_a_forbidden_blank(potentials):
    """Blanks 10 and 11 are between the words 9 and 12, and may be in an entity if not forbidden."""
    spaced = with_blanks(potentials, crf.FORBIDDEN)
    across = np.array([[9, 13, 0], [9, 14, 0], [9, 15, 0]])
    beside = np.array([[9, 10, 0], [12, 13, 0], [8, 12, 0], [12, 14, 0]])
    assert (crf.marginals(spaced, across).spans > 0).all()
    for blank in (10, 11):
        tokens = np.arange(len(IS_WORD)) == blank
        forbidden = decoder.forbid_entities(spaced, tokens)
        assert not crf.marginals(forbidden, across).spans.any()
        assert (crf.marginals(forbidden, beside).spans > 0).all()
    # Those that no word follows, or that are between sequences, forbid nothing.
    tokens = np.isin(np.arange(len(IS_WORD)), [0, 1, 6, 8, 17])
    found = crf.marginals(decoder.forbid_entities(spaced, tokens), NO_SPANS, with_tags=True)
    expected = crf.marginals(spaced, NO_SPANS, with_tags=True)
    np.testing.assert_allclose(found.tags, expected.tags, atol=1e-6)
