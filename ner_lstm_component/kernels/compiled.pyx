# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
"""The inner loops in C. `kernels/__init__.py` says what each does."""

from threading import Lock

import numpy as np

from . import plain

from libc.math cimport INFINITY, log, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef extern from "wide.h" nogil:
    void soon(const void *address)
    void sum_rows(
        float **tables,
        const int64_t *numbers,
        Py_ssize_t n_tables,
        float *result,
        Py_ssize_t n,
        Py_ssize_t width,
    )
    void dense(
        const float *x,
        const float *kernel,
        const float *bias,
        float *result,
        Py_ssize_t n,
        Py_ssize_t width,
        Py_ssize_t units,
    )
    const Py_ssize_t LANES
    void exponentials(
        const float *scores,
        float highest,
        double factor,
        double *results,
        Py_ssize_t n,
        Py_ssize_t width,
    )
    void best_ways(
        const double *scores,
        const double *matrix,
        double *best,
        Py_ssize_t n,
        Py_ssize_t width,
    )
    void sum_ways(
        const double *factors,
        const double *matrix,
        double *sums,
        Py_ssize_t n,
        Py_ssize_t width,
    )
    void add_pairs(
        const double *before,
        const double *after,
        double factor,
        double *sums,
        Py_ssize_t n,
        Py_ssize_t width,
    )
    void lstm_step_of "lstm_step"(
        float *gates,
        Py_ssize_t stride,
        const float *bias,
        const float *before,
        float *cells,
        float *hidden,
        Py_ssize_t n,
        Py_ssize_t units,
    )
    void lstm_step_back_of "lstm_step_back"(
        const float *gates,
        Py_ssize_t stride,
        const float *before,
        const float *cells,
        const float *d_outputs,
        const float *d_h,
        float *d_c,
        float *d_gates,
        Py_ssize_t n,
        Py_ssize_t units,
    )
    void look_up_of "look_up"(
        const float *table,
        const int32_t *ids,
        float *sums,
        Py_ssize_t n,
        Py_ssize_t group,
        Py_ssize_t width,
    )
    void add_rows_of "add_rows"(
        const float *rows,
        const int32_t *ids,
        float *table,
        Py_ssize_t n,
        Py_ssize_t group,
        Py_ssize_t width,
    )
    double squared(
        const float *x, const float *weights, float scale, float decay, Py_ssize_t n
    )
    struct adam_step:
        float scale
        float l2
        float b1
        float b2
        float eps
        float rate
        float decay
        float step
    void adam_of "adam"(
        float *weights,
        const float *x,
        float *mom1,
        float *mom2,
        float *average,
        const adam_step *of,
        Py_ssize_t n,
    )
    uint32_t mixed(uint32_t x)
    void drop_of "drop"(
        const float *x,
        uint32_t key,
        uint32_t other,
        uint32_t limit,
        float factor,
        float *result,
        Py_ssize_t n,
    )


# ---------------------------------------------------------------- sentences


def sentence_lengths(
    const uint64_t[:, ::1] attributes,
    const int64_t[::1] doc_lengths,
    const uint64_t[::1] terminators,
    const uint64_t[::1] opening,
    uint64_t quote,
):
    starts_array = np.empty(attributes.shape[0] + 1, np.int64)
    cdef int64_t[::1] starts = starts_array
    cdef Py_ssize_t n_starts = 0, first = 0, end, token, sentence_end, k
    cdef bint is_annotated, quoted, closes
    cdef uint64_t orth
    with nogil:
        for k in range(doc_lengths.shape[0]):
            end = first + doc_lengths[k]
            is_annotated = False
            for token in range(first + 1, end):
                is_annotated = is_annotated or attributes[token, 3] != 0
            if first < end:
                starts[n_starts] = first
                n_starts += 1
            if is_annotated:
                for token in range(first + 1, end):
                    if attributes[token, 3] == 1:
                        starts[n_starts] = token
                        n_starts += 1
            else:
                # One past the sentence's last token, if what closes it may still follow.
                sentence_end = -1
                quoted = False
                for token in range(first, end):
                    if token == sentence_end and not attributes[token, 1]:
                        if not attributes[token, 2]:
                            starts[n_starts] = token
                            n_starts += 1
                        sentence_end = -1
                    if not attributes[token, 1]:
                        continue
                    orth = attributes[token, 0]
                    closes = quoted if orth == quote else not is_in(orth, opening)
                    if token == sentence_end and not closes:
                        starts[n_starts] = token
                        n_starts += 1
                        sentence_end = -1
                    if token == sentence_end or is_in(orth, terminators):
                        sentence_end = token + 1
                    if orth == quote:
                        quoted = not quoted
            first = end
    starts[n_starts] = first
    for k in range(n_starts):
        starts[k] = starts[k + 1] - starts[k]
    return starts_array[:n_starts]


cdef bint is_in(uint64_t wanted, const uint64_t[::1] ascending) noexcept nogil:
    cdef Py_ssize_t low = 0, high = ascending.shape[0], middle
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low < ascending.shape[0] and ascending[low] == wanted


# ---------------------------------------------------------------- the CRF


cdef inline Py_ssize_t padded(Py_ssize_t n_tags) noexcept nogil:
    return (n_tags + LANES - 1) // LANES * LANES


def viterbi(
    const float[:, ::1] emissions, const float[:, ::1] transitions, const int64_t[::1] lengths
):
    cdef Py_ssize_t n_tags = emissions.shape[1], boundary = n_tags, longest = 0, k
    cdef Py_ssize_t width = padded(n_tags)
    tags = np.empty(emissions.shape[0], np.int64)
    for k in range(lengths.shape[0]):
        longest = max(longest, lengths[k])
    if longest == 0:
        return tags
    cdef int64_t[::1] best = tags
    # By time and tag the best way to it, its emission not included. In doubles: sums of
    # floats are all but exact in them, whatever a sequence's length.
    cdef double *ways = <double *>malloc((longest + n_tags + 1) * width * sizeof(double))
    if ways == NULL:
        raise MemoryError
    cdef double *matrix = ways + longest * width
    cdef double *score = matrix + n_tags * width
    cdef double *way
    cdef const float *own
    cdef Py_ssize_t first = 0, length, time, i, j, tag
    cdef double highest
    with nogil:
        for i in range(n_tags):
            for j in range(width):
                matrix[i * width + j] = transitions[i, j] if j < n_tags else -INFINITY
        for k in range(lengths.shape[0]):
            length = lengths[k]
            if length == 0:
                continue
            for j in range(n_tags):
                ways[j] = transitions[boundary, j]
            for time in range(length):
                way = ways + time * width
                if time:
                    best_ways(score, matrix, way, n_tags, width)
                own = &emissions[first + time, 0]
                for j in range(n_tags):
                    score[j] = way[j] + own[j]
            tag = 0
            highest = score[0] + transitions[0, boundary]
            for i in range(1, n_tags):
                if score[i] + transitions[i, boundary] > highest:
                    highest, tag = score[i] + transitions[i, boundary], i
            best[first + length - 1] = tag
            for time in range(length - 2, -1, -1):
                # Where a tag came from is looked up for the best path only: most often from O.
                way = ways + time * width
                own = &emissions[first + time, 0]
                highest = way[width + tag]
                j = tag
                tag = 0
                for i in range(n_tags):
                    if way[i] + own[i] + matrix[i * width + j] == highest:
                        tag = i
                        break
                best[first + time] = tag
            first += length
    free(ways)
    return tags


# Sums that are scaled at each step neither vanish nor overflow as long as twice the span of a
# token's emissions and that of the transitions, divided by the temperature, stay below this: O
# and what begins an entity follow every tag, and what continues one two tags at least. Beyond
# it, and where no tag sequence agrees with an annotation, `plain` adds logarithms.
cdef double WIDEST_SPAN = 300.0
cdef double LOWEST_SCALE = 1e-200


def marginals(
    const float[:, ::1] emissions,
    const float[:, ::1] transitions,
    const int64_t[::1] lengths,
    const int64_t[:, ::1] spans,
    bint with_tags,
    double temperature,
):
    cdef Py_ssize_t n_tags = emissions.shape[1], n_spans = spans.shape[0], longest = 0, k, i, j
    span_results = np.zeros(n_spans, np.float64)
    tag_results = np.zeros((emissions.shape[0], n_tags), np.float32) if with_tags else None
    if emissions.shape[0] == 0 or not (n_spans or with_tags):
        return span_results, tag_results
    # The recursions go through the sequences once: spans in the order of their starts.
    cdef bint is_sorted = True, is_summed = True
    for k in range(1, n_spans):
        if spans[k, 0] < spans[k - 1, 0]:
            is_sorted = False
    cdef const int64_t[::1] order = None
    if not is_sorted:
        order = np.argsort(spans[:, 0], kind="stable").astype(np.int64, copy=False)
    cdef double[::1] of_spans = span_results
    cdef float[:, ::1] of_tags = tag_results
    for k in range(lengths.shape[0]):
        longest = max(longest, lengths[k])
    cdef Lattice lattice
    allocate(&lattice, n_tags, longest)
    lattice.factor = 1.0 / temperature
    cdef Py_ssize_t first = 0, length, span = 0, wanted
    cdef double inverse
    with nogil:
        take_exponentials(&lattice, transitions)
        for k in range(lengths.shape[0]):
            length = lengths[k]
            wanted = n_spans
            if span < n_spans:
                wanted = span if is_sorted else order[span]
            if length and (with_tags or (span < n_spans and spans[wanted, 0] < first + length)):
                is_summed = sum_up(&lattice, &emissions[first, 0], length)
                if not is_summed:
                    break
                while span < n_spans and spans[wanted, 0] < first + length:
                    of_spans[wanted] = of_span(
                        &lattice, spans[wanted, 0] - first, spans[wanted, 1] - first,
                        2 * spans[wanted, 2] + 1,
                    )
                    span += 1
                    if span < n_spans:
                        wanted = span if is_sorted else order[span]
                if with_tags:
                    inverse = 1.0 / lattice.total
                    for i in range(length):
                        for j in range(n_tags):
                            of_tags[first + i, j] = <float>(
                                lattice.forward[i * lattice.width + j]
                                * lattice.backward[i * lattice.width + j]
                                * inverse
                            )
            first += length
    free(lattice.weights)
    if not is_summed:
        return plain.marginals(
            np.asarray(emissions), np.asarray(transitions), np.asarray(lengths),
            np.asarray(spans), with_tags, temperature,
        )
    return span_results, tag_results


def negative_log_likelihood(
    const float[:, ::1] emissions,
    const float[:, ::1] transitions,
    const int64_t[::1] lengths,
    const uint8_t[:, ::1] allowed,
):
    cdef Py_ssize_t n_tags = emissions.shape[1], width = padded(n_tags), longest = 0, first = 0
    cdef Py_ssize_t length, k, time, i, j
    cdef double loss = 0.0
    cdef bint is_summed = True
    for k in range(lengths.shape[0]):
        longest = max(longest, lengths[k])
    d_emissions = np.zeros((emissions.shape[0], n_tags), np.float32)
    counts = np.zeros((n_tags + 1, n_tags + 1), np.float32)
    if longest == 0:
        return loss, d_emissions, counts
    cdef float[:, ::1] d_transitions = counts
    cdef float[:, ::1] of_tags = d_emissions
    cdef float[:, ::1] agreeing = np.empty((longest, n_tags), np.float32)
    cdef double[:, ::1] pairs = np.zeros((n_tags, width))
    cdef Lattice lattice
    allocate(&lattice, n_tags, longest)
    with nogil:
        take_exponentials(&lattice, transitions)
        for k in range(lengths.shape[0]):
            length = lengths[k]
            if length == 0:
                continue
            is_summed = sum_up(&lattice, &emissions[first, 0], length)
            if not is_summed:
                break
            loss += log_sum(&lattice)
            add_counts(&lattice, 1.0, &of_tags[first, 0], &pairs[0, 0])
            for time in range(length):
                for j in range(n_tags):
                    agreeing[time, j] = -INFINITY
                    if allowed[first + time, j]:
                        agreeing[time, j] = emissions[first + time, j]
            is_summed = sum_up(&lattice, &agreeing[0, 0], length)
            if not is_summed:
                break
            loss -= log_sum(&lattice)
            add_counts(&lattice, -1.0, &of_tags[first, 0], &pairs[0, 0])
            for j in range(n_tags):
                d_transitions[n_tags, j] += of_tags[first, j]
                d_transitions[j, n_tags] += of_tags[first + length - 1, j]
            first += length
        for i in range(n_tags):
            for j in range(n_tags):
                d_transitions[i, j] = <float>(pairs[i, j] * lattice.weights[i * width + j])
    free(lattice.weights)
    if not is_summed:
        return plain.negative_log_likelihood(
            np.asarray(emissions), np.asarray(transitions), np.asarray(lengths),
            np.asarray(allowed),
        )
    return loss, d_emissions, counts


cdef struct Lattice:
    Py_ssize_t n_tags
    # Of a padded row.
    Py_ssize_t width
    Py_ssize_t length
    double factor
    # exp() of transitions between tags, transposed for the way back; at both ends.
    double *weights
    double *backward_weights
    double *start
    double *end
    # By time and tag: exp() of emissions, and the sums over all ways to and from a tag,
    # both scaled alike (Rabiner, 1989, V.A).
    double *likelihoods
    double *forward
    double *backward
    # Of the tags at a time, what they and all ways from them count to the time before it.
    double *onward
    # By time, what sums were divided by; the sum over all ways to the end; and the sum of the
    # best emissions, which all others are relative to.
    double *scales
    double total
    double peaks
    # From the lowest transition that is allowed to the highest.
    double span


cdef int allocate(Lattice *lattice, Py_ssize_t n_tags, Py_ssize_t longest) except -1:
    """Room for sequences; `weights` is to be freed."""
    cdef Py_ssize_t width = padded(n_tags)
    scratch = <double *>malloc(
        ((2 * n_tags + 2 + 4 * longest) * width + longest) * sizeof(double)
    )
    if scratch == NULL:
        raise MemoryError
    lattice.n_tags, lattice.width, lattice.factor = n_tags, width, 1.0
    lattice.weights = scratch
    lattice.backward_weights = lattice.weights + n_tags * width
    lattice.start = lattice.backward_weights + n_tags * width
    lattice.end = lattice.start + width
    lattice.onward = lattice.end + width
    lattice.likelihoods = lattice.onward + longest * width
    lattice.forward = lattice.likelihoods + longest * width
    lattice.backward = lattice.forward + longest * width
    lattice.scales = lattice.backward + longest * width
    return 0


cdef void take_exponentials(Lattice *lattice, const float[:, ::1] transitions) noexcept nogil:
    cdef Py_ssize_t n_tags = lattice.n_tags, width = lattice.width, i, j
    cdef float inner = transitions[0, 0], start = transitions[n_tags, 0]
    cdef float end = transitions[0, n_tags]
    cdef float lowest = inner
    for i in range(n_tags):
        start = max(start, transitions[n_tags, i])
        end = max(end, transitions[i, n_tags])
        for j in range(n_tags):
            inner = max(inner, transitions[i, j])
    for i in range(n_tags + 1):
        for j in range(n_tags + 1):
            if transitions[i, j] > -INFINITY and (i < n_tags or j < n_tags):
                lowest = min(lowest, transitions[i, j])
    lattice.span = <double>max(inner, max(start, end)) - lowest
    exponentials(&transitions[n_tags, 0], start, lattice.factor, lattice.start, n_tags, width)
    for j in range(width):
        lattice.end[j] = 0.0
    for i in range(n_tags):
        exponentials(&transitions[i, n_tags], end, lattice.factor, lattice.end + i, 1, 1)
        exponentials(
            &transitions[i, 0], inner, lattice.factor, lattice.weights + i * width, n_tags, width
        )
    for i in range(n_tags):
        for j in range(width):
            lattice.backward_weights[i * width + j] = 0.0
            if j < n_tags:
                lattice.backward_weights[i * width + j] = lattice.weights[j * width + i]


cdef bint sum_up(Lattice *lattice, const float *emissions, Py_ssize_t length) noexcept nogil:
    """Sum over all tag sequences; whether that could be done with scaled sums."""
    cdef Py_ssize_t n_tags = lattice.n_tags, width = lattice.width, time, j
    cdef float peak, lowest
    cdef double total, inverse
    cdef const float *scores
    cdef double *own
    cdef double *ways
    cdef double *onward
    lattice.length = length
    lattice.peaks = 0.0
    for time in range(length):
        own = lattice.likelihoods + time * width
        ways = lattice.forward + time * width
        scores = emissions + time * n_tags
        peak, lowest = -INFINITY, INFINITY
        for j in range(n_tags):
            peak = scores[j] if scores[j] > peak else peak
            lowest = scores[j] if -INFINITY < scores[j] < lowest else lowest
        if not (<double>peak - lowest + lattice.span) * lattice.factor <= WIDEST_SPAN:
            return False
        lattice.peaks += peak
        exponentials(scores, peak, lattice.factor, own, n_tags, width)
        if time == 0:
            memcpy(ways, lattice.start, width * sizeof(double))
        else:
            sum_ways(ways - width, lattice.weights, ways, n_tags, width)
        total = 0.0
        for j in range(n_tags):
            ways[j] *= own[j]
            total += ways[j]
        if not total >= LOWEST_SCALE:
            return False
        lattice.scales[time] = total
        inverse = 1.0 / total
        for j in range(n_tags):
            ways[j] *= inverse
    memcpy(lattice.backward + (length - 1) * width, lattice.end, width * sizeof(double))
    for time in range(length - 2, -1, -1):
        own = lattice.likelihoods + (time + 1) * width
        ways = lattice.backward + time * width
        onward = lattice.onward + (time + 1) * width
        inverse = 1.0 / lattice.scales[time + 1]
        for j in range(width):
            onward[j] = own[j] * ways[width + j] * inverse
        sum_ways(onward, lattice.backward_weights, ways, n_tags, width)
    lattice.total = 0.0
    for j in range(n_tags):
        lattice.total += lattice.forward[(length - 1) * width + j] * lattice.end[j]
    return True


cdef double log_sum(const Lattice *lattice) noexcept nogil:
    """The logarithm of the sum over all tag sequences, but for what transitions are relative to."""
    cdef Py_ssize_t time
    cdef double total = lattice.peaks + log(lattice.total)
    for time in range(lattice.length):
        total += log(lattice.scales[time])
    return total


cdef void add_counts(
    const Lattice *lattice, double sign, float *of_tags, double *pairs
) noexcept nogil:
    """Add what is expected of each tag by time, and of two that follow each other but for
    their transition's weight."""
    cdef Py_ssize_t n_tags = lattice.n_tags, width = lattice.width, time, j
    cdef double factor = sign / lattice.total
    for time in range(lattice.length):
        for j in range(n_tags):
            of_tags[time * n_tags + j] += <float>(
                lattice.forward[time * width + j] * lattice.backward[time * width + j] * factor
            )
    for time in range(1, lattice.length):
        add_pairs(
            lattice.forward + (time - 1) * width,
            lattice.onward + time * width,
            factor,
            pairs,
            n_tags,
            width,
        )


cdef double of_span(
    const Lattice *lattice, Py_ssize_t start, Py_ssize_t end, Py_ssize_t begin
) noexcept nogil:
    """All ways that begin an entity at its start, go on to its end, and not after that."""
    cdef Py_ssize_t n_tags = lattice.n_tags, width = lattice.width, inside = begin + 1
    cdef Py_ssize_t last = begin, time, j
    cdef double share = lattice.forward[start * width + begin], onward = 0.0
    for time in range(start + 1, end):
        share *= lattice.weights[last * width + inside] / lattice.scales[time]
        share *= lattice.likelihoods[time * width + inside]
        last = inside
    if end == lattice.length:
        onward = lattice.end[last]
    else:
        for j in range(n_tags):
            if j != inside:
                onward += (
                    lattice.weights[last * width + j]
                    * lattice.likelihoods[end * width + j]
                    * lattice.backward[end * width + j]
                )
        onward /= lattice.scales[end]
    # Rounding may take a certain entity above 1.
    return min(share * onward / lattice.total, 1.0)


def entity_spans(const int64_t[::1] tags):
    cdef Py_ssize_t n_spans = 0, k = 0, token, end
    for token in range(tags.shape[0]):
        n_spans += tags[token] & 1
    found = np.empty((n_spans, 3), np.int64)
    cdef int64_t[:, ::1] spans = found
    for token in range(tags.shape[0]):
        if tags[token] & 1:
            end = token + 1
            while end < tags.shape[0] and tags[end] > 0 and not tags[end] & 1:
                end += 1
            spans[k, 0], spans[k, 1], spans[k, 2] = token, end, tags[token] >> 1
            k += 1
    return found


# ---------------------------------------------------------------- n-grams


# Keys or rows that are looked up side by side: memory then is waited for once.
cdef enum:
    TOGETHER = 32


cdef class NgramTable:
    cdef const int64_t[::1] _offsets
    cdef const uint64_t[:, ::1] _factors
    cdef const uint64_t[::1] _terms
    cdef uint64_t _before, _after
    cdef const int32_t[::1] _starts
    cdef const uint16_t[::1] _rests
    # Bytes, and of larger numbers pairs.
    cdef const uint8_t[:, ::1] _levels
    cdef bint _is_pair
    cdef const int32_t[:, ::1] _first_rows

    def __init__(
        self, offsets, factors, terms, before, after, starts, rests, levels, first_rows
    ):
        self._offsets, self._factors, self._terms = offsets, factors, terms
        self._before, self._after = before, after
        self._starts, self._rests = starts, rests
        self._levels, self._is_pair = levels.view(np.uint8), levels.itemsize == 2
        self._first_rows = first_rows

    def keys(self, const uint64_t[::1] words, const int64_t[::1] lengths):
        cdef Py_ssize_t n_kinds = self._factors.shape[0], n_offsets = self._offsets.shape[0]
        keys = np.empty((words.shape[0], n_kinds), np.uint32)
        cdef uint32_t[:, ::1] hashed = keys
        cdef Py_ssize_t first = 0, end, place, token, k, o, kind
        cdef uint64_t total
        with nogil:
            for k in range(lengths.shape[0]):
                end = first + lengths[k]
                for token in range(first, end):
                    for kind in range(n_kinds):
                        total = self._terms[kind]
                        for o in range(n_offsets):
                            place = token + self._offsets[o]
                            if place < first:
                                total += self._factors[kind, o] * self._before
                            elif place >= end:
                                total += self._factors[kind, o] * self._after
                            else:
                                total += self._factors[kind, o] * words[place]
                        hashed[token, kind] = <uint32_t>(total >> 32)
                first = end
        return keys

    def ids(self, const uint32_t[:, ::1] keys):
        cdef Py_ssize_t n_kinds = self._first_rows.shape[0], n_ids = self._first_rows.shape[1]
        cdef Py_ssize_t n = keys.shape[0] * n_kinds, first = 0, count, i, k, place, end
        if keys.shape[1] != n_kinds:
            raise ValueError(f"Rows of {n_kinds} keys are expected. Received: {keys.shape[1]}")
        ids = np.empty((keys.shape[0], n_kinds * n_ids), np.int32)
        if n == 0:
            return ids
        cdef int32_t[:, ::1] result = ids
        cdef const uint32_t *key = &keys[0, 0]
        cdef int32_t *own = &result[0, 0]
        cdef Py_ssize_t[TOGETHER] found
        cdef uint16_t rest
        with nogil:
            while first < n:
                count = min(<Py_ssize_t>TOGETHER, n - first)
                for i in range(count):
                    soon(&self._starts[key[i] >> 16])
                for i in range(count):
                    found[i] = self._starts[key[i] >> 16]
                    soon(&self._rests[found[i]])
                for i in range(count):
                    place, end = found[i], self._starts[(key[i] >> 16) + 1]
                    rest = <uint16_t>key[i]
                    while place < end and self._rests[place] < rest:
                        place += 1
                    found[i] = -1
                    if place < end and self._rests[place] == rest:
                        found[i] = place
                        soon(&self._levels[place, 0])
                for i in range(count):
                    place = found[i]
                    for k in range(n_ids):
                        own[k] = self._first_rows[(first + i) % n_kinds, k]
                        if place < 0:
                            continue
                        if self._is_pair:
                            own[k] += (<const uint16_t *>&self._levels[place, 0])[k]
                        else:
                            own[k] += self._levels[place, k]
                    own += n_ids
                key += count
                first += count
        return ids


def beside(const int32_t[:, ::1] left, const int32_t[:, ::1] right, int32_t shift):
    cdef Py_ssize_t n_left = left.shape[1], n_right = right.shape[1], i, j
    both = np.empty((left.shape[0], n_left + n_right), np.int32)
    if right.shape[0] != left.shape[0]:
        raise ValueError(f"{left.shape[0]} rows are expected. Received: {right.shape[0]}")
    cdef int32_t[:, ::1] result = both
    for i in range(left.shape[0]):
        for j in range(n_left):
            result[i, j] = left[i, j]
        for j in range(n_right):
            result[i, n_left + j] = right[i, j] + shift
    return both


# ---------------------------------------------------------------- features of words


def feature_ids(list forms, list labels, const int64_t[:, ::1] features):
    cdef Py_ssize_t n_features = features.shape[0], n_words = len(forms[0]), word, k
    ids = np.empty((n_words, 2 * n_features), np.int32)
    cdef int32_t[:, ::1] result = ids
    cdef const char *label
    cdef const char *form
    cdef Py_ssize_t label_size, size, room = 0
    cdef char *text = NULL
    cdef uint64_t hashed
    try:
        for word in range(n_words):
            for k in range(n_features):
                label = PyUnicode_AsUTF8AndSize(labels[k], &label_size)
                form = PyUnicode_AsUTF8AndSize(forms[features[k, 0]][word], &size)
                form = characters(form, &size, features[k, 1])
                if text == NULL or label_size + size > room:
                    free(text)
                    room = 64 + 2 * (label_size + size)
                    text = <char *>malloc(room)
                    if text == NULL:
                        raise MemoryError
                memcpy(text, label, label_size)
                memcpy(text + label_size, form, size)
                hashed = murmur3(murmur2(text, label_size + size, 1))
                result[word, 2 * k] = <int32_t>(
                    <uint32_t>hashed % <uint32_t>features[k, 2] + features[k, 3]
                )
                result[word, 2 * k + 1] = <int32_t>(
                    (hashed >> 32) % <uint32_t>features[k, 2] + features[k, 3]
                )
    finally:
        free(text)
    return ids


cdef const char *characters(const char *text, Py_ssize_t *size, int64_t n) noexcept:
    """The first n characters of a text in UTF-8, the last of a number below zero; all of 0."""
    cdef Py_ssize_t place
    if n > 0:
        place = 0
        while place < size[0] and n > 0:
            place += 1
            while place < size[0] and is_within(text[place]):
                place += 1
            n -= 1
        size[0] = place
    elif n < 0:
        place = size[0]
        while place > 0 and n < 0:
            place -= 1
            while place > 0 and is_within(text[place]):
                place -= 1
            n += 1
        size[0] -= place
        text += place
    return text


cdef inline bint is_within(char byte) noexcept:
    """Whether a byte goes on with a character that began before it."""
    return (<uint8_t>byte & 0xC0) == 0x80


cdef uint64_t murmur2(const char *text, Py_ssize_t size, uint64_t seed) noexcept:
    """MurmurHash64A."""
    cdef uint64_t factor = 0xC6A4A7935BD1E995, hashed = seed ^ (<uint64_t>size * factor), block
    cdef Py_ssize_t place = 0, i
    while size - place >= 8:
        memcpy(&block, text + place, 8)
        block *= factor
        block ^= block >> 47
        hashed = (hashed ^ block * factor) * factor
        place += 8
    if place < size:
        for i in range(size - place):
            hashed ^= <uint64_t><uint8_t>text[place + i] << (8 * i)
        hashed *= factor
    hashed = (hashed ^ (hashed >> 47)) * factor
    return hashed ^ (hashed >> 47)


cdef uint64_t murmur3(uint64_t key) noexcept:
    """The first half of Murmur3's 128 bits of a key of 64, as Thinc has them, with seed 0."""
    cdef uint64_t first = key * <uint64_t>0x87C37B91114253D5, second = 8
    first = ((first << 31) | (first >> 33)) * <uint64_t>0x4CF5AD432745937F
    first = (first ^ 8) + second
    second += first
    return scrambled(first) + scrambled(second)


cdef inline uint64_t scrambled(uint64_t bits) noexcept:
    bits = (bits ^ (bits >> 33)) * <uint64_t>0xFF51AFD7ED558CCD
    bits = (bits ^ (bits >> 33)) * <uint64_t>0xC4CEB9FE1A85EC53
    return bits ^ (bits >> 33)


# ---------------------------------------------------------------- rows of numbers


cdef class RowIndex:
    cdef readonly Py_ssize_t width
    cdef Py_ssize_t _n_rows, _n_slots, _room
    cdef int32_t *_rows
    # Of each slot, by hash, the number of the row in it plus one, 0 if it is free.
    cdef int32_t *_slots

    def __cinit__(self, Py_ssize_t width):
        self.width = width
        self._room = 64
        self._n_slots = 256
        self._rows = <int32_t *>malloc(self._room * width * sizeof(int32_t))
        self._slots = <int32_t *>malloc(self._n_slots * sizeof(int32_t))
        if self._rows == NULL or self._slots == NULL:
            raise MemoryError
        self.clear()

    def __dealloc__(self):
        free(self._rows)
        free(self._slots)

    def __len__(self):
        return self._n_rows

    def clear(self):
        self._n_rows = 0
        memset(self._slots, 0, self._n_slots * sizeof(int32_t))

    def add(self, const int32_t[:, ::1] rows):
        if rows.shape[1] != self.width:
            raise ValueError(f"Rows of {self.width} numbers are expected. Received: {rows.shape[1]}")
        known = self._n_rows
        numbers = np.empty(rows.shape[0], np.int64)
        new = []
        cdef int64_t[::1] result = numbers
        cdef Py_ssize_t i
        if rows.shape[0]:
            self.number_all(&rows[0, 0], self.width, rows.shape[0], &result[0])
        for i in range(rows.shape[0]):
            if result[i] == known:
                new.append(i)
                known += 1
        return numbers, new

    cdef int number_all(
        self, const int32_t *rows, Py_ssize_t stride, Py_ssize_t n, int64_t *numbers
    ) except -1:
        """The numbers of n rows that are a stride apart; those that are new get the next ones."""
        cdef uint64_t[TOGETHER] hashes
        cdef Py_ssize_t first = 0, count, i
        cdef int32_t taken
        while first < n:
            count = min(<Py_ssize_t>TOGETHER, n - first)
            for i in range(count):
                hashes[i] = self._hash(rows + (first + i) * stride)
                soon(self._slots + (hashes[i] & <uint64_t>(self._n_slots - 1)))
            for i in range(count):
                taken = self._slots[hashes[i] & <uint64_t>(self._n_slots - 1)]
                soon(self._rows + (taken - 1 if taken else 0) * self.width)
            for i in range(count):
                numbers[first + i] = self._number(rows + (first + i) * stride, hashes[i])
            first += count
        return 0

    cdef Py_ssize_t _number(self, const int32_t *row, uint64_t hashed) except -1:
        cdef Py_ssize_t slot = <Py_ssize_t>(hashed & <uint64_t>(self._n_slots - 1))
        cdef Py_ssize_t size = self.width * sizeof(int32_t), number
        while self._slots[slot] != 0:
            number = self._slots[slot] - 1
            if memcmp(self._rows + number * self.width, row, size) == 0:
                return number
            slot = (slot + 1) & (self._n_slots - 1)
        if self._n_rows == self._room:
            self._grow()
            return self._number(row, hashed)
        number = self._n_rows
        memcpy(self._rows + number * self.width, row, size)
        self._slots[slot] = <int32_t>(number + 1)
        self._n_rows += 1
        return number

    cdef uint64_t _hash(self, const int32_t *row) noexcept:
        cdef uint64_t mixed = 0x9E3779B97F4A7C15
        cdef Py_ssize_t i
        for i in range(self.width):
            mixed = (mixed ^ <uint32_t>row[i]) * <uint64_t>0xBF58476D1CE4E5B9
            mixed ^= mixed >> 32
        return mixed

    cdef int _grow(self) except -1:
        cdef Py_ssize_t room = 2 * self._room, n_slots = 2 * self._n_slots, number, slot
        rows = <int32_t *>realloc(self._rows, room * self.width * sizeof(int32_t))
        if rows == NULL:
            raise MemoryError
        self._rows, self._room = rows, room
        slots = <int32_t *>realloc(self._slots, n_slots * sizeof(int32_t))
        if slots == NULL:
            raise MemoryError
        self._slots, self._n_slots = slots, n_slots
        memset(slots, 0, n_slots * sizeof(int32_t))
        for number in range(self._n_rows):
            slot = <Py_ssize_t>(self._hash(rows + number * self.width) & <uint64_t>(n_slots - 1))
            while slots[slot] != 0:
                slot = (slot + 1) & (n_slots - 1)
            slots[slot] = <int32_t>(number + 1)
        return 0


cdef class EmbeddedProduct:
    cdef readonly tuple parts
    cdef readonly Py_ssize_t capacity
    cdef Py_ssize_t _n_parts, _group, _width, _n_out
    cdef const float[:, ::1] _table
    cdef const float[:, ::1] _kernel
    cdef const float[::1] _bias
    # Of each part the rows that are known, their products, and how many there is room for.
    cdef list _indices
    cdef float **_stores
    cdef Py_ssize_t *_rooms
    # The embeddings of a row, and the bias of all parts but the first.
    cdef float *_x
    cdef float *_zeros
    cdef object _lock

    def __cinit__(self, table, kernel, bias, group, parts, capacity):
        self._table, self._kernel, self._bias = table, kernel, bias
        self.parts, self.capacity, self._n_parts = tuple(parts), capacity, len(parts)
        self._group, self._width, self._n_out = group, table.shape[1], kernel.shape[1]
        n_ids, rest = divmod(kernel.shape[0], self._width)
        if rest or sum(self.parts) != n_ids * group or any(part % group for part in self.parts):
            raise ValueError(
                f"'parts' must be groups of {group} ids, {n_ids * group} in all, as the kernel has "
                f"them. Received: {list(parts)}"
            )
        self._lock = Lock()
        self._indices = [RowIndex(part) for part in self.parts]
        self._stores = <float **>calloc(self._n_parts, sizeof(float *))
        self._rooms = <Py_ssize_t *>calloc(self._n_parts, sizeof(Py_ssize_t))
        self._x = <float *>malloc(kernel.shape[0] * sizeof(float))
        self._zeros = <float *>calloc(self._n_out, sizeof(float))
        if not (self._stores and self._rooms and self._x and self._zeros):
            raise MemoryError

    def __dealloc__(self):
        cdef Py_ssize_t k
        if self._stores != NULL:
            for k in range(self._n_parts):
                free(self._stores[k])
        free(self._stores)
        free(self._rooms)
        free(self._x)
        free(self._zeros)

    def __call__(self, const int32_t[:, ::1] ids):
        if ids.shape[1] != sum(self.parts):
            raise ValueError(f"Rows of {sum(self.parts)} ids are expected. Received: {ids.shape[1]}")
        cdef Py_ssize_t n = ids.shape[0], first = 0, part, k
        products = np.empty((n, self._n_out), np.float32)
        if n == 0:
            return products
        cdef float[:, ::1] result = products
        cdef int64_t *numbers = <int64_t *>malloc(self._n_parts * n * sizeof(int64_t))
        if numbers == NULL:
            raise MemoryError
        try:
            with self._lock:
                for k, part in enumerate(self.parts):
                    self._look_up(k, ids, first, part, numbers + k * n)
                    first += part
                sum_rows(self._stores, numbers, self._n_parts, &result[0, 0], n, self._n_out)
        finally:
            free(numbers)
        return products

    cdef int _look_up(
        self,
        Py_ssize_t k,
        const int32_t[:, ::1] ids,
        Py_ssize_t first,
        Py_ssize_t part,
        int64_t *numbers,
    ) except -1:
        """The numbers of a part's rows, whose products are stored then."""
        cdef RowIndex index = self._indices[k]
        cdef Py_ssize_t n = ids.shape[0], known, token
        if index._n_rows + n > self.capacity:
            index.clear()
        known = index._n_rows
        try:
            index.number_all(&ids[0, first], ids.shape[1], n, numbers)
            for token in range(n):
                if numbers[token] == known:
                    self._compute(k, &ids[token, first], first, part, known)
                    known += 1
        except BaseException:
            index.clear()  # which has rows whose products were not computed
            raise
        return 0

    cdef int _compute(
        self,
        Py_ssize_t k,
        const int32_t *row,
        Py_ssize_t first,
        Py_ssize_t part,
        Py_ssize_t number,
    ) except -1:
        """Store the product of a new row under its number."""
        cdef Py_ssize_t n_groups = part // self._group, width = self._width, room
        check_ids(row, part, self._table.shape[0])
        look_up_of(&self._table[0, 0], row, self._x, n_groups, self._group, width)
        if number == self._rooms[k]:
            room = max(<Py_ssize_t>64, 2 * number)
            store = <float *>realloc(self._stores[k], room * self._n_out * sizeof(float))
            if store == NULL:
                raise MemoryError
            self._stores[k], self._rooms[k] = store, room
        dense(
            self._x,
            &self._kernel[first // self._group * width, 0],
            &self._bias[0] if first == 0 else self._zeros,
            self._stores[k] + number * self._n_out,
            1,
            n_groups * width,
            self._n_out,
        )
        return 0


# ---------------------------------------------------------------- the LSTM in training


def lstm_step(
    float[:, :] gates,
    const float[::1] bias,
    const float[:, ::1] before,
    float[:, ::1] cells,
    float[:, ::1] hidden,
):
    if gates.shape[0]:
        lstm_step_of(
            &gates[0, 0],
            gates.strides[0] // sizeof(float),
            &bias[0],
            &before[0, 0],
            &cells[0, 0],
            &hidden[0, 0],
            gates.shape[0],
            hidden.shape[1],
        )


def lstm_step_back(
    const float[:, :] gates,
    const float[:, ::1] before,
    const float[:, ::1] cells,
    const float[:, ::1] d_outputs,
    const float[:, ::1] d_h,
    float[:, ::1] d_c,
    float[:, :] d_gates,
):
    if gates.shape[0]:
        lstm_step_back_of(
            &gates[0, 0],
            gates.strides[0] // sizeof(float),
            &before[0, 0],
            &cells[0, 0],
            &d_outputs[0, 0],
            &d_h[0, 0],
            &d_c[0, 0],
            &d_gates[0, 0],
            gates.shape[0],
            d_h.shape[1],
        )


# ---------------------------------------------------------------- embeddings in training


def look_up(const float[:, ::1] table, const int32_t[:, ::1] ids, float[:, ::1] sums):
    check_rows(table, ids, sums)
    if sums.size:
        look_up_of(
            &table[0, 0], &ids[0, 0], &sums[0, 0], ids.shape[0], ids.shape[1], sums.shape[1]
        )


def add_rows(const float[:, ::1] rows, const int32_t[:, ::1] ids, float[:, ::1] table):
    check_rows(table, ids, rows)
    if rows.size:
        add_rows_of(
            &rows[0, 0], &ids[0, 0], &table[0, 0], ids.shape[0], ids.shape[1], rows.shape[1]
        )


cdef int check_rows(
    const float[:, ::1] table, const int32_t[:, ::1] ids, const float[:, ::1] rows
) except -1:
    if rows.shape[0] != ids.shape[0] or rows.shape[1] != table.shape[1] or ids.shape[1] < 1:
        raise ValueError(
            f"{ids.shape[0]} rows of {table.shape[1]} numbers are expected, of an id at least. "
            f"Received: {rows.shape[0]} of {rows.shape[1]}, of {ids.shape[1]}"
        )
    if ids.shape[0]:
        check_ids(&ids[0, 0], ids.shape[0] * ids.shape[1], table.shape[0])
    return 0


cdef int check_ids(const int32_t *ids, Py_ssize_t n, Py_ssize_t n_rows) except -1:
    cdef Py_ssize_t i
    for i in range(n):
        if not 0 <= ids[i] < n_rows:
            raise ValueError(f"Ids must be from 0 to {n_rows - 1}. Received: {ids[i]}")
    return 0


# ---------------------------------------------------------------- dropout in training


def drop(const float[::1] x, const uint32_t[::1] seed, double rate, float[::1] result):
    cdef uint32_t key = mixed(seed[0]), other = mixed(key ^ seed[1])
    if x.shape[0]:
        drop_of(
            &x[0],
            mixed(other ^ seed[0]),
            other,
            <uint32_t>(rate * 4294967296.0),
            1.0 / (1.0 - rate),
            &result[0],
            x.shape[0],
        )


# ---------------------------------------------------------------- the optimizer


def adam(
    float[::1] weights,
    const float[::1] gradient,
    float[::1] mom1,
    float[::1] mom2,
    average,
    double b1,
    double b2,
    double eps,
    double rate,
    double l2,
    double decay,
    double clip,
    double step,
):
    cdef Py_ssize_t n = weights.shape[0]
    cdef float[::1] moving = average
    cdef float *moves = NULL
    for one in (gradient, mom1, mom2, *(() if average is None else (average,))):
        if len(one) != n:
            raise ValueError(f"Arrays of {n} numbers are expected. Received: {len(one)}")
    if n == 0:
        return
    if average is not None:
        moves = &moving[0]
    cdef adam_step of
    of.scale, of.l2, of.b1, of.b2, of.eps, of.rate = 1.0, l2, b1, b2, eps, rate
    of.decay, of.step = decay, step
    cdef double norm
    with nogil:
        if clip > 0.0:
            norm = sqrt(squared(&gradient[0], &weights[0], of.scale, of.l2, n))
            if norm >= clip:
                of.scale *= clip / norm
                of.l2 *= clip / norm
        adam_of(&weights[0], &gradient[0], &mom1[0], &mom2[0], moves, &of, n)
