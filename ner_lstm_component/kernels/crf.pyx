# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
"""Recursions over the tags of sequences: Viterbi and forward-backward."""

import numpy as np

from . import numpy_kernels

from libc.math cimport INFINITY
from libc.stdint cimport int64_t
from libc.string cimport memcpy

cdef extern from "crf.h" nogil:
    const Py_ssize_t LANES
    void exponentials(
        const float *scores, float highest, double factor,
        double *results, Py_ssize_t n, Py_ssize_t width,
    )
    void max_plus(
        const double *scores, const double *matrix, double *result, Py_ssize_t n, Py_ssize_t width
    )
    void sum_product(
        const double *weights, const double *matrix, double *result, Py_ssize_t n, Py_ssize_t width
    )


cdef inline Py_ssize_t padded(Py_ssize_t n_tags) noexcept nogil:
    """Return the width of a padded row of tags, including the boundary."""
    return (n_tags + LANES) // LANES * LANES


cdef Py_ssize_t longest_of(const int64_t[::1] lengths) noexcept nogil:
    cdef Py_ssize_t longest = 0, k
    for k in range(lengths.shape[0]):
        longest = max(longest, lengths[k])
    return longest


def viterbi(
    const float[:, ::1] emissions, const float[:, ::1] transitions, const int64_t[::1] lengths
):
    cdef Py_ssize_t n_tags = emissions.shape[1], boundary = n_tags, width = padded(n_tags)
    cdef Py_ssize_t longest = longest_of(lengths), first = 0, length, time, i, j, k, tag
    tags = np.empty(emissions.shape[0], np.int64)
    if longest == 0:
        return tags
    cdef int64_t[::1] best = tags
    # By time, the score of the best path to each tag without the tag's emission. In doubles,
    # sums of floats are nearly exact, however long the sequence.
    cdef double[::1] scratch = np.empty((longest + n_tags + 3) * width)
    cdef double *paths = &scratch[0]
    cdef double *score = paths + (longest + 1) * width
    cdef double *matrix = score + width
    cdef double *path
    cdef const float *emission
    with nogil:
        for i in range(n_tags + 1):
            for j in range(width):
                matrix[i * width + j] = transitions[i, j] if j <= n_tags else -INFINITY
        memcpy(paths, matrix + boundary * width, width * sizeof(double))
        for k in range(lengths.shape[0]):
            length = lengths[k]
            for time in range(length):
                path = paths + time * width
                emission = &emissions[first + time, 0]
                for j in range(n_tags):
                    score[j] = path[j] + emission[j]
                max_plus(score, matrix, path + width, n_tags, width)
            tag = boundary
            for time in range(length - 1, -1, -1):
                # Backpointers are computed on the best path only. Most often they lead to O.
                path = paths + time * width
                emission = &emissions[first + time, 0]
                j = tag
                tag = 0
                for i in range(n_tags):
                    if path[i] + emission[i] + matrix[i * width + j] == path[width + j]:
                        tag = i
                        break
                best[first + time] = tag
            first += length
    return tags


# Scaled sums neither underflow nor overflow as long as the span of a token's emissions plus
# that of the transitions, divided by the temperature, stays below WIDEST_SPAN, because
# O or the begin of an entity can follow every tag. Otherwise NumPy sums logarithms.
cdef double WIDEST_SPAN = 300.0
cdef double SMALLEST_SCALE = 1e-200


def marginals(
    const float[:, ::1] emissions, const float[:, ::1] transitions, const int64_t[::1] lengths,
    const int64_t[:, ::1] spans, bint with_tags, double temperature,
):
    cdef Py_ssize_t n_tags = emissions.shape[1], n_spans = spans.shape[0]
    cdef Py_ssize_t first = 0, length, span = 0, k, i, j
    span_results = np.zeros(n_spans, np.float64)
    tag_results = np.zeros((emissions.shape[0], n_tags), np.float32) if with_tags else None
    if emissions.shape[0] == 0 or not (n_spans or with_tags):
        return span_results, tag_results
    cdef double[::1] of_spans = span_results
    cdef float[:, ::1] of_tags = tag_results
    cdef ForwardBackward sums
    cdef bint is_summed = True
    cdef double inverse
    cdef Py_ssize_t longest = longest_of(lengths), width = padded(n_tags)
    cdef double[::1] scratch = np.empty((2 * n_tags + 3 + 3 * longest) * width + longest)
    prepare(&sums, transitions, longest, 1.0 / temperature, &scratch[0])
    with nogil:
        for k in range(lengths.shape[0]):
            length = lengths[k]
            if length and (with_tags or (span < n_spans and spans[span, 0] < first + length)):
                is_summed = forward_backward(&sums, &emissions[first, 0], length)
                if not is_summed:
                    break
                while span < n_spans and spans[span, 0] < first + length:
                    of_spans[span] = span_probability(
                        &sums, length, spans[span, 0] - first, spans[span, 1] - first,
                        2 * spans[span, 2] + 1,
                    )
                    span += 1
                if with_tags:
                    inverse = 1.0 / sums.total
                    for i in range(length):
                        for j in range(n_tags):
                            of_tags[first + i, j] = <float>(
                                sums.forward[i * sums.width + j]
                                * sums.backward[i * sums.width + j]
                                * inverse
                            )
            first += length
    if not is_summed:
        return numpy_kernels.marginals(
            np.asarray(emissions), np.asarray(transitions), np.asarray(lengths),
            np.asarray(spans), with_tags, temperature,
        )
    return span_results, tag_results


cdef struct ForwardBackward:
    Py_ssize_t n_tags
    Py_ssize_t width  # of a padded row
    double inverse_temperature
    double span  # from the lowest allowed transition to the highest
    # The exponentials of transitions, of transposed transitions, and of emissions by time and
    # tag. The boundary is the last tag, with emissions of 0.
    double *transitions
    double *transposed
    double *emissions
    # By time and tag, sums over all paths to a tag and from it, both scaled alike (Rabiner,
    # 1989, V.A); the scales by time; a row of products; and the sum over all paths.
    double *forward
    double *backward
    double *scales
    double *products
    double total


cdef void prepare(
    ForwardBackward *sums, const float[:, ::1] transitions, Py_ssize_t longest,
    double inverse_temperature, double *scratch,
) noexcept:
    """Place the arrays in the scratch memory, and set the transitions."""
    cdef Py_ssize_t n_tags = transitions.shape[0] - 1, width = padded(n_tags), i, j
    cdef float highest = -INFINITY, lowest = INFINITY
    sums.n_tags, sums.width = n_tags, width
    sums.inverse_temperature = inverse_temperature
    sums.transitions = scratch
    sums.transposed = sums.transitions + (n_tags + 1) * width
    sums.products = sums.transposed + (n_tags + 1) * width
    sums.emissions = sums.products + width
    sums.forward = sums.emissions + longest * width
    sums.backward = sums.forward + longest * width
    sums.scales = sums.backward + longest * width
    for i in range(n_tags + 1):
        for j in range(n_tags + 1):
            if transitions[i, j] > -INFINITY and (i < n_tags or j < n_tags):
                highest = max(highest, transitions[i, j])
                lowest = min(lowest, transitions[i, j])
    sums.span = <double>highest - lowest
    for i in range(n_tags + 1):
        exponentials(
            &transitions[i, 0], highest, inverse_temperature,
            sums.transitions + i * width, n_tags + 1, width,
        )
    for i in range(n_tags + 1):
        for j in range(width):
            sums.transposed[i * width + j] = sums.transitions[j * width + i] if j <= n_tags else 0.0


cdef bint forward_backward(
    ForwardBackward *sums, const float *scores, Py_ssize_t length
) noexcept nogil:
    """Sum over all tag sequences, and return whether scaled sums were possible."""
    cdef Py_ssize_t n_tags = sums.n_tags, width = sums.width, time, j
    cdef float highest, lowest
    cdef double total, inverse
    cdef double *emissions
    cdef double *row
    cdef const double *start = sums.transitions + n_tags * width
    cdef const double *end = sums.transposed + n_tags * width
    for time in range(length):
        emissions = sums.emissions + time * width
        row = sums.forward + time * width
        highest, lowest = -INFINITY, INFINITY
        for j in range(n_tags):
            highest = scores[j] if scores[j] > highest else highest
            lowest = scores[j] if -INFINITY < scores[j] < lowest else lowest
        if not (<double>highest - lowest + sums.span) * sums.inverse_temperature <= WIDEST_SPAN:
            return False
        exponentials(scores, highest, sums.inverse_temperature, emissions, n_tags, width)
        if time == 0:
            memcpy(row, start, width * sizeof(double))
        else:
            sum_product(row - width, sums.transitions, row, n_tags, width)
        total = 0.0
        for j in range(n_tags):
            row[j] *= emissions[j]
            total += row[j]
        if not total >= SMALLEST_SCALE:
            return False
        sums.scales[time] = total
        inverse = 1.0 / total
        for j in range(n_tags):
            row[j] *= inverse
        scores += n_tags
    row = sums.backward + (length - 1) * width
    memcpy(row, end, width * sizeof(double))
    for time in range(length - 1, 0, -1):
        emissions = sums.emissions + time * width
        inverse = 1.0 / sums.scales[time]
        for j in range(width):
            sums.products[j] = emissions[j] * row[j] * inverse
        row -= width
        sum_product(sums.products, sums.transposed, row, n_tags, width)
    sums.total = 0.0
    for j in range(n_tags):
        sums.total += sums.forward[(length - 1) * width + j] * end[j]
    return True


cdef double span_probability(
    const ForwardBackward *sums, Py_ssize_t length, Py_ssize_t start, Py_ssize_t end,
    Py_ssize_t begin,
) noexcept nogil:
    """Sum over the paths with an entity from start to end whose B- tag is `begin`."""
    cdef Py_ssize_t width = sums.width, inside = begin + 1, last = begin, time, j
    cdef double probability = sums.forward[start * width + begin], after = 0.0
    for time in range(start + 1, end):
        probability *= sums.transitions[last * width + inside] / sums.scales[time]
        probability *= sums.emissions[time * width + inside]
        last = inside
    if end == length:
        after = sums.transitions[last * width + sums.n_tags]
    else:
        for j in range(sums.n_tags):
            if j != inside:
                after += (
                    sums.transitions[last * width + j]
                    * sums.emissions[end * width + j]
                    * sums.backward[end * width + j]
                )
        after /= sums.scales[end]
    # Rounding may raise the probability above 1.
    return min(probability * after / sums.total, 1.0)


def entity_spans(const int64_t[::1] tags):
    cdef Py_ssize_t n_spans = 0, token, k
    for token in range(tags.shape[0]):
        n_spans += tags[token] & 1
    found = np.empty((n_spans, 3), np.int64)
    cdef int64_t[:, ::1] spans = found
    k = -1
    for token in range(tags.shape[0]):
        if tags[token] & 1:
            k += 1
            spans[k, 0], spans[k, 2] = token, tags[token] >> 1
        if tags[token] > 0 and k >= 0:
            spans[k, 1] = token + 1
    return found
