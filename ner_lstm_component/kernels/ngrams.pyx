# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
"""Hashing n-grams, and looking hashes up."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "simd.h" nogil:
    void prefetch(const void *address)

# The number of keys whose memory is fetched together.
cdef enum:
    BLOCK = 32


cdef class NgramTable:
    cdef const int64_t[::1] _offsets
    cdef const uint64_t[:, ::1] _factors
    cdef const uint64_t[::1] _terms
    cdef uint64_t _before, _after
    cdef const int32_t[::1] _starts
    cdef const uint16_t[::1] _rests
    # The bytes of levels, each with one byte or two.
    cdef const uint8_t[:, ::1] _levels
    cdef bint _is_two_bytes
    cdef const int32_t[:, ::1] _first_rows

    def __init__(self, hashing, index, levels, first_rows):
        self._offsets, self._factors, self._terms, self._before, self._after = hashing
        self._starts, self._rests = index
        self._levels, self._is_two_bytes = levels.view(np.uint8), levels.itemsize == 2
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
        ids = np.empty((keys.shape[0], n_kinds * n_ids), np.int32)
        if n == 0:
            return ids
        cdef int32_t[:, ::1] result = ids
        cdef const uint32_t *key = &keys[0, 0]
        cdef int32_t *own = &result[0, 0]
        cdef Py_ssize_t[BLOCK] found
        cdef uint16_t rest
        with nogil:
            while first < n:
                count = min(<Py_ssize_t>BLOCK, n - first)
                for i in range(count):
                    prefetch(&self._starts[key[i] >> 16])
                for i in range(count):
                    found[i] = self._starts[key[i] >> 16]
                    prefetch(&self._rests[found[i]])
                for i in range(count):
                    place, end = found[i], self._starts[(key[i] >> 16) + 1]
                    rest = <uint16_t>key[i]
                    while place < end and self._rests[place] < rest:
                        place += 1
                    found[i] = -1
                    if place < end and self._rests[place] == rest:
                        found[i] = place
                        prefetch(&self._levels[place, 0])
                for i in range(count):
                    place = found[i]
                    for k in range(n_ids):
                        own[k] = self._first_rows[(first + i) % n_kinds, k]
                        if place < 0:
                            continue
                        if self._is_two_bytes:
                            own[k] += (<const uint16_t *>&self._levels[place, 0])[k]
                        else:
                            own[k] += self._levels[place, k]
                    own += n_ids
                key += count
                first += count
        return ids
