# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
"""Sentence boundaries."""

import numpy as np

from libc.stdint cimport int64_t, uint64_t


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
    cdef bint is_annotated, is_quoted, is_punct, closes, starts_sentence
    cdef uint64_t orth
    with nogil:
        for k in range(doc_lengths.shape[0]):
            end = first + doc_lengths[k]
            is_annotated = is_quoted = False
            for token in range(first + 1, end):
                is_annotated = is_annotated or attributes[token, 3] != 0
            # The end of the last sentence, if closing punctuation may still extend it.
            sentence_end = -1
            for token in range(first, end):
                orth, is_punct = attributes[token, 0], attributes[token, 1]
                closes = is_punct and (is_quoted if orth == quote else not contains(opening, orth))
                starts_sentence = token == sentence_end and not closes and not attributes[token, 2]
                if is_annotated:
                    starts_sentence = attributes[token, 3] == 1
                if starts_sentence or token == first:
                    starts[n_starts] = token
                    n_starts += 1
                if is_punct and ((token == sentence_end and closes) or contains(terminators, orth)):
                    sentence_end = token + 1
                if orth == quote:
                    is_quoted = not is_quoted
            first = end
    starts[n_starts] = first
    for k in range(n_starts):
        starts[k] = starts[k + 1] - starts[k]
    return starts_array[:n_starts]


cdef bint contains(const uint64_t[::1] ascending, uint64_t wanted) noexcept nogil:
    cdef Py_ssize_t low = 0, high = ascending.shape[0], middle
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low < ascending.shape[0] and ascending[low] == wanted
