"""The CRF against the enumeration of all tag sequences of small cases."""

import itertools

import numpy as np
import pytest

from ner_lstm_component import kernels
from ner_lstm_component.decoding import crf
from ner_lstm_component.decoding.iob2 import find_invalid, tag_names
from ner_lstm_component.kernels import numpy_kernels as plain

LENGTHS = np.array([3, 1, 4, 2])


@pytest.fixture(
    params=[
        pytest.param(
            True,
            id="compiled",
            marks=pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler"),
        ),
        pytest.param(False, id="plain"),
    ],
    autouse=True,
)
def _kernels(request, monkeypatch):
    if not request.param:
        for name in ("viterbi", "marginals"):
            monkeypatch.setattr(kernels, name, getattr(plain, name))


@pytest.fixture(params=[1, 2], ids=["one label", "two labels"])
def case(request):
    """Random factors of a few sequences, IOB2 constraints included."""
    n_labels = request.param
    rng = np.random.default_rng(n_labels)
    n_tags = 2 * n_labels + 1
    emissions = rng.normal(0, 2, (LENGTHS.sum(), n_tags)).astype(np.float32)
    transitions = rng.normal(0, 1, (n_tags + 1, n_tags + 1)).astype(np.float32)
    transitions[~crf.iob2_allowed(n_labels)] = crf.FORBIDDEN
    return emissions, transitions, n_labels


def sequences(emissions, transitions):
    """Each sequence's slice, with all its tag sequences and their scores."""
    n_tags = emissions.shape[1]
    start = 0
    for length in LENGTHS:
        paths = list(itertools.product(range(n_tags), repeat=int(length)))
        part = emissions[start : start + length].astype(np.float64)
        scores = np.array([score(part, transitions, path) for path in paths])
        yield slice(start, start + length), np.array(paths), scores
        start += length


def score(emissions, transitions, path):
    around = (-1, *path, -1)
    total = sum(emissions[t, tag] for t, tag in enumerate(path))
    return total + sum(float(transitions[i, j]) for i, j in itertools.pairwise(around))


def weights(scores):
    """Probabilities of the paths."""
    return np.exp(scores - np.logaddexp.reduce(scores))


def test_iob2_allowed_is_iob2():
    labels = ["a", "b"]
    names = tag_names(labels)
    allowed = crf.iob2_allowed(len(labels))
    for i, j in itertools.product(range(len(names)), repeat=2):
        assert allowed[i, j] == (find_invalid([names[i].replace("I-", "B-"), names[j]]) is None)
    for j, name in enumerate(names):
        assert allowed[-1, j] == (not name.startswith("I-"))
    assert allowed[:, -1].all()


def test_viterbi_is_the_best_of_all(case):
    emissions, transitions, _ = case
    tags = crf.viterbi(emissions, transitions, LENGTHS)
    for where, paths, scores in sequences(emissions, transitions):
        assert tags[where].tolist() == paths[scores.argmax()].tolist()


def test_viterbi_tags_are_valid_whatever_the_emissions(case):
    _, transitions, n_labels = case
    rng = np.random.default_rng(0)
    names = np.array(tag_names([f"l{i}" for i in range(n_labels)]))
    lengths = rng.integers(1, 30, 200)
    emissions = rng.normal(0, 50, (lengths.sum(), len(names))).astype(np.float32)
    tags = crf.viterbi(emissions, transitions, lengths)
    for part in np.split(names[tags], np.cumsum(lengths)[:-1]):
        assert find_invalid(part.tolist()) is None


def plain_viterbi(emissions, transitions, lengths):
    """Rabiner's recursion, word for word, in double precision."""
    tags = []
    emissions, transitions = emissions.astype(np.float64), transitions.astype(np.float64)
    for part in np.split(emissions, np.cumsum(lengths)[:-1]):
        score, came_from = transitions[-1, :-1] + part[0], []
        for own in part[1:]:
            ways = score[:, None] + transitions[:-1, :-1]
            came_from.append(ways.argmax(axis=0))
            score = ways.max(axis=0) + own
        path = [(score + transitions[:-1, -1]).argmax()]
        for back in reversed(came_from):
            path.append(back[path[-1]])
        tags += path[::-1]
    return tags


def outside_mostly(seed):
    """Factors as of real text, in which most tokens are O beyond doubt; some with ties."""
    rng = np.random.default_rng(seed)
    n_labels = int(rng.integers(1, 9))
    n_tags = 2 * n_labels + 1
    lengths = rng.integers(1, 12, int(rng.integers(1, 30)))
    emissions = rng.normal(0, rng.choice([1, 3, 10]), (lengths.sum(), n_tags))
    emissions[:, 0] += rng.choice([0, 5, 10, 20], len(emissions))
    transitions = rng.normal(0, rng.choice([0, 0.5, 2]), (n_tags + 1, n_tags + 1))
    if seed % 3 == 0:
        emissions, transitions = emissions.round(), transitions.round()
    if seed % 4:
        transitions[~crf.iob2_allowed(n_labels)] = crf.FORBIDDEN
    if seed % 5 == 0:
        emissions[rng.random(len(emissions)) < 0.2, 1:] = crf.FORBIDDEN
    return emissions.astype(np.float32), transitions.astype(np.float32), lengths


def test_viterbi_is_the_plain_recursion():
    """Ties are equal too."""
    for seed in range(60):
        emissions, transitions, lengths = outside_mostly(seed)
        expected = plain_viterbi(emissions, transitions, lengths)
        assert crf.viterbi(emissions, transitions, lengths).tolist() == expected


def test_viterbi_does_not_depend_on_the_batch(case):
    emissions, transitions, _ = case
    together = crf.viterbi(emissions, transitions, LENGTHS)
    alone = [
        crf.viterbi(part, transitions, np.array([len(part)]))
        for part in np.split(emissions, np.cumsum(LENGTHS)[:-1])
    ]
    assert together.tolist() == np.concatenate(alone).tolist()


NO_SPANS = np.zeros((0, 3), np.int64)


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_tag_marginals(case, temperature):
    emissions, transitions, _ = case
    factors = crf.Potentials(emissions, transitions, LENGTHS)
    found = crf.marginals(factors, NO_SPANS, temperature=temperature, with_tags=True)
    assert found.spans.shape == (0,)
    for where, paths, scores in sequences(emissions, transitions):
        p = weights(scores / temperature)
        expected = [
            [p[paths[:, t] == tag].sum() for tag in range(emissions.shape[1])]
            for t in range(paths.shape[1])
        ]
        np.testing.assert_allclose(found.tags[where], expected, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_span_marginals(case, temperature):
    emissions, transitions, n_labels = case
    spans, expected = [], []
    for where, paths, scores in sequences(emissions, transitions):
        p = weights(scores / temperature)
        length = paths.shape[1]
        for first, last in itertools.combinations(range(length + 1), 2):
            for label in range(n_labels):
                begin, inside = 2 * label + 1, 2 * label + 2
                agrees = paths[:, first] == begin
                agrees &= (paths[:, first + 1 : last] == inside).all(axis=1)
                if last < length:
                    agrees &= paths[:, last] != inside
                spans.append((where.start + first, where.start + last, label))
                expected.append(p[agrees].sum())
    order = np.random.default_rng(0).permutation(len(spans))
    factors = crf.Potentials(emissions, transitions, LENGTHS)
    found = crf.marginals(factors, np.array(spans)[order], temperature=temperature)
    assert found.tags is None
    np.testing.assert_allclose(found.spans, np.array(expected)[order], atol=1e-6)
    few = np.array(spans[-3:])
    np.testing.assert_allclose(
        crf.marginals(factors, few, temperature=temperature).spans, expected[-3:], atol=1e-6
    )


def test_arrays_of_any_kind_are_taken(case):
    """Not only those that the inner loops read, in one piece and of one type."""
    emissions, transitions, _ = case
    spans = np.array([[0, 1, 0], [3, 4, 0]])
    plain_factors = crf.Potentials(emissions, transitions, LENGTHS)
    others = crf.Potentials(
        np.repeat(emissions.astype(np.float64), 2, axis=1)[:, ::2],
        np.asfortranarray(transitions),
        LENGTHS.astype(np.int32),
    )
    assert crf.viterbi(*others).tolist() == crf.viterbi(*plain_factors).tolist()
    strided = np.repeat(spans.astype(np.int32), 2, axis=0)[::2]
    found, expected = crf.marginals(others, strided), crf.marginals(plain_factors, spans)
    np.testing.assert_allclose(found.spans, expected.spans, atol=1e-6)


def test_marginals_are_computed_in_pieces(case, monkeypatch):
    monkeypatch.setattr(plain, "_BLOCK_TOKENS", 4)
    emissions, transitions, _ = case
    factors = crf.Potentials(emissions, transitions, LENGTHS)
    spans = np.array([[9, 10, 0], [0, 1, 0], [3, 4, 0]])
    found = crf.marginals(factors, spans, with_tags=True)
    monkeypatch.setattr(plain, "_BLOCK_TOKENS", 1000)
    whole = crf.marginals(factors, spans, with_tags=True)
    np.testing.assert_allclose(found.tags, whole.tags, atol=1e-6)
    np.testing.assert_allclose(found.spans, whole.spans, atol=1e-6)


def test_what_iob2_forbids_has_no_probability(case):
    """However high its emission: sums that are scaled at each step do not vanish."""
    _, transitions, n_labels = case
    emissions = np.full((LENGTHS.sum(), 2 * n_labels + 1), -400, np.float32)
    emissions[:, 2] = 300
    factors = crf.Potentials(emissions, transitions, LENGTHS)
    found = crf.marginals(factors, np.array([[0, 3, 0]]), with_tags=True)
    starts = np.cumsum(LENGTHS) - LENGTHS
    assert (found.tags[starts, 2] < 1e-6).all()
    assert np.isfinite(found.tags).all()
    np.testing.assert_allclose(found.tags.sum(axis=1), 1, atol=1e-5)
    assert 0 <= found.spans[0] <= 1


def partial_targets(n_tags, seed=0):
    """Tags known at some tokens, several allowed at one, missing at the others."""
    rng = np.random.default_rng(seed)
    targets = np.ones((LENGTHS.sum(), n_tags), bool)
    for token in (1, 5, 8):
        targets[token] = False
        targets[token, rng.choice([0, 1])] = True
    targets[6] = False
    targets[6, [0, 1]] = True
    return targets


def enumerated_loss(emissions, transitions, targets):
    loss = 0.0
    for where, paths, scores in sequences(emissions, transitions):
        agrees = targets[where][np.arange(paths.shape[1]), paths].all(axis=1)
        loss += np.logaddexp.reduce(scores) - np.logaddexp.reduce(scores[agrees])
    return loss


def test_likelihood_of_partial_annotation(case):
    emissions, transitions, _ = case
    targets = partial_targets(emissions.shape[1])
    loss = crf.negative_log_likelihood(emissions, transitions, LENGTHS, targets).loss
    assert loss == pytest.approx(enumerated_loss(emissions, transitions, targets), abs=1e-4)


def test_gradient_by_finite_differences(case):
    emissions, transitions, n_labels = case
    targets = partial_targets(emissions.shape[1])
    result = crf.negative_log_likelihood(emissions, transitions, LENGTHS, targets)
    step = 1e-3
    for token, tag in np.ndindex(emissions.shape):
        high, low = emissions.astype(np.float64), emissions.astype(np.float64)
        high[token, tag] += step
        low[token, tag] -= step
        slope = (
            enumerated_loss(high, transitions, targets) - enumerated_loss(low, transitions, targets)
        ) / (2 * step)
        assert result.emissions[token, tag] == pytest.approx(slope, abs=1e-4)
    for i, j in np.argwhere(crf.iob2_allowed(n_labels)):
        high, low = transitions.astype(np.float64), transitions.astype(np.float64)
        high[i, j] += step
        low[i, j] -= step
        slope = (
            enumerated_loss(emissions, high, targets) - enumerated_loss(emissions, low, targets)
        ) / (2 * step)
        assert result.transitions[i, j] == pytest.approx(slope, abs=1e-4)


def test_no_annotation_no_gradient(case):
    emissions, transitions, _ = case
    everything = np.ones(emissions.shape, bool)
    loss, d_emissions, d_transitions = crf.negative_log_likelihood(
        emissions, transitions, LENGTHS, everything
    )
    assert loss == pytest.approx(0, abs=1e-9)
    assert np.abs(d_emissions).max() < 1e-6
    assert np.abs(d_transitions).max() < 1e-6


# ---------------------------------------------------------------- extreme numbers

TEMPERATURES = (0.01, 0.5, 1.0, 126.0, 10_000.0)


def far_apart(gap, lengths, n_labels=2, seed=0):
    """Factors whose emissions differ by about ``gap`` at each token; some tokens are taken."""
    rng = np.random.default_rng(seed)
    n_tags = 2 * n_labels + 1
    emissions = rng.normal(0, gap / 2, (sum(lengths), n_tags))
    emissions[rng.random(len(emissions)) < 0.2, 1:] = crf.FORBIDDEN
    transitions = rng.normal(0, 1, (n_tags + 1, n_tags + 1))
    transitions[~crf.iob2_allowed(n_labels)] = crf.FORBIDDEN
    return emissions.astype(np.float32), transitions.astype(np.float32), np.array(lengths)


def log_sum(scores, axis):
    return np.logaddexp.reduce(scores, axis=axis)


def log_forward_backward(emissions, transitions):
    """Of one sequence, by sums of logarithms alone: alpha, beta and the log partition."""
    alpha, beta = np.empty(emissions.shape), np.empty(emissions.shape)
    alpha[0] = transitions[-1, :-1] + emissions[0]
    for t in range(1, len(emissions)):
        alpha[t] = log_sum(alpha[t - 1][:, None] + transitions[:-1, :-1], 0) + emissions[t]
    beta[-1] = transitions[:-1, -1]
    for t in range(len(emissions) - 1, 0, -1):
        beta[t - 1] = log_sum(transitions[:-1, :-1] + emissions[t] + beta[t], 1)
    return alpha, beta, log_sum(alpha[-1] + transitions[:-1, -1], 0)


def log_marginals(emissions, transitions, lengths, spans, temperature):
    """Probabilities of tags and of spans, token by token."""
    matrix = transitions.astype(np.float64) / temperature
    tags, of_spans, start = [], np.empty(len(spans)), 0
    for part in np.split(emissions.astype(np.float64) / temperature, np.cumsum(lengths)[:-1]):
        alpha, beta, total = log_forward_backward(part, matrix)
        tags.append(np.exp(alpha + beta - total))
        for k, (first, end, label) in enumerate(np.asarray(spans) - [start, start, 0]):
            if not 0 <= first < len(part):
                continue
            begin, inside = 2 * label + 1, 2 * label + 2
            score, last = alpha[first, begin], begin
            for t in range(first + 1, end):
                score, last = score + matrix[last, inside] + part[t, inside], inside
            onward = matrix[last, -1]
            if end < len(part):
                onward = log_sum(np.delete(matrix[last, :-1] + part[end] + beta[end], inside), 0)
            of_spans[k] = np.exp(score + onward - total)
        start += len(part)
    return np.concatenate(tags), of_spans


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("gap", [1, 100, 400, 5000])
def test_marginals_of_scores_far_apart(gap, temperature):
    lengths = [1, 2, 7, 30, 4]
    emissions, transitions, lengths = far_apart(gap, lengths)
    begins = np.arange(len(emissions))
    ends = np.repeat(np.cumsum(lengths), lengths)
    spans = np.stack([begins, np.minimum(begins + 1 + begins % 3, ends), begins % 2], axis=1)
    factors = crf.Potentials(emissions, transitions, lengths)
    found = crf.marginals(factors, spans, temperature=temperature, with_tags=True)
    tags, of_spans = log_marginals(emissions, transitions, lengths, spans, temperature)
    np.testing.assert_allclose(found.tags, tags, atol=1e-6)
    np.testing.assert_allclose(found.spans, of_spans, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("gap", [1, 100, 5000])
def test_what_is_forbidden_is_impossible_at_any_temperature(gap, temperature):
    emissions, transitions, lengths = far_apart(gap, [3, 1, 40])
    factors = crf.Potentials(emissions, transitions, lengths)
    is_taken = np.isneginf(emissions[:, 1])
    within = np.flatnonzero(is_taken)[0]
    start = int(np.cumsum(lengths)[1])
    spans = np.array([[within, within + 1, 0]])
    found = crf.marginals(factors, spans, temperature=temperature, with_tags=True)
    assert (found.tags[is_taken, 1:] == 0).all()
    assert (found.tags[[0, 3, start], 2::2] == 0).all()  # no sequence begins with I-
    assert found.spans[0] == 0
    np.testing.assert_allclose(found.tags.sum(axis=1), 1, atol=1e-6)


def test_viterbi_of_a_long_sequence():
    """Rounding does not add up over a text without a full stop."""
    emissions, transitions, lengths = far_apart(10, [30_000], n_labels=3)
    expected = plain_viterbi(emissions, transitions, lengths)
    assert (crf.viterbi(emissions, transitions, lengths) == expected).all()


@pytest.mark.parametrize("gap", [100, 5000])
def test_viterbi_of_scores_far_apart(gap):
    emissions, transitions, lengths = far_apart(gap, [1, 2, 7, 300, 4])
    expected = plain_viterbi(emissions, transitions, lengths)
    assert crf.viterbi(emissions, transitions, lengths).tolist() == expected


def test_marginals_of_a_long_sequence():
    emissions, transitions, lengths = far_apart(100, [3000])
    factors = crf.Potentials(emissions, transitions, lengths)
    found = crf.marginals(factors, NO_SPANS, with_tags=True)
    tags, _ = log_marginals(emissions, transitions, lengths, NO_SPANS, 1.0)
    np.testing.assert_allclose(found.tags, tags, atol=1e-6)


@pytest.mark.parametrize("gap", [1, 100, 400, 5000])
def test_likelihood_of_scores_far_apart(gap):
    """With its gradient, which is the difference of the expected counts of tags."""
    emissions, transitions, lengths = far_apart(gap, [2, 20, 5])
    targets = np.ones(emissions.shape, bool)
    gold = np.random.default_rng(1).choice([0, 1, 3], len(emissions))
    gold[np.isneginf(emissions[:, 1])] = 0
    targets[::2] = np.arange(emissions.shape[1]) == gold[::2, None]
    found = crf.negative_log_likelihood(emissions, transitions, lengths, targets)
    loss, gradient = 0.0, []
    agreeing = np.where(targets, emissions, crf.FORBIDDEN)
    for part, clamped in zip(
        *(np.split(x.astype(np.float64), np.cumsum(lengths)[:-1]) for x in (emissions, agreeing)),
        strict=True,
    ):
        (a, b, free), (c, d, agreed) = (
            log_forward_backward(x, transitions.astype(np.float64)) for x in (part, clamped)
        )
        loss += free - agreed
        gradient.append(np.exp(a + b - free) - np.exp(c + d - agreed))
    assert loss > gap / 2
    assert found.loss == pytest.approx(loss, rel=1e-6)
    np.testing.assert_allclose(found.emissions, np.concatenate(gradient), atol=1e-6)
    assert np.isfinite(found.transitions).all()


def test_annotation_that_no_tag_sequence_agrees_with():
    """Its loss is large and finite, so that training goes on."""
    emissions, transitions, lengths = far_apart(1, [3, 4])
    targets = np.ones(emissions.shape, bool)
    targets[3] = [False, False, True, False, False]  # I- where a sequence begins
    found = crf.negative_log_likelihood(emissions, transitions, lengths, targets)
    assert 1000 < found.loss < 1e6
    assert np.isfinite(found.emissions).all()
    assert np.isfinite(found.transitions).all()


def test_nothing_to_do():
    nothing, none = np.zeros((0, 3), np.float32), np.zeros(0, np.int64)
    transitions = np.zeros((4, 4), np.float32)
    assert crf.viterbi(nothing, transitions, none).shape == (0,)
    found = crf.marginals(crf.Potentials(nothing, transitions, none), NO_SPANS, with_tags=True)
    assert found.spans.shape == (0,)
    assert found.tags.shape == (0, 3)
