# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
"""The hashed features of words."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    object PyUnicode_FromKindAndData(int kind, const void *data, Py_ssize_t size)
    int PyUnicode_4BYTE_KIND


def feature_ids(list forms, list labels, const int64_t[:, ::1] features):
    cdef Py_ssize_t n_features = features.shape[0], n_words = len(forms[0]), word, k, size, n
    cdef str form
    cdef const char *text
    cdef uint64_t hashed
    cdef uint32_t n_rows
    ids = np.empty((n_words, 2 * n_features), np.int32)
    cdef int32_t[:, ::1] result = ids
    for word in range(n_words):
        for k in range(n_features):
            form, n = forms[features[k, 0]][word], features[k, 1]
            labelled = <str>labels[k] + (form[:n] if n > 0 else form[n:])
            text = PyUnicode_AsUTF8AndSize(labelled, &size)
            hashed = murmur3(murmur2(text, size, 1))
            n_rows = <uint32_t>features[k, 2]
            result[word, 2 * k] = <int32_t>(<uint32_t>hashed % n_rows + features[k, 3])
            result[word, 2 * k + 1] = <int32_t>((hashed >> 32) % n_rows + features[k, 3])
    return ids


def word_shape(str word):
    cdef Py_UCS4 shape[100]
    cdef Py_UCS4 char, kind, last = 0
    cdef Py_ssize_t size = 0, repeated = 0
    if len(word) >= 100:
        return "LONG"
    for char in word:
        if char.isalpha():
            kind = u"X" if char.isupper() else u"x"
        else:
            kind = u"d" if char.isdigit() else char
        repeated = repeated + 1 if size and kind == last else 0
        last = kind
        if repeated < 4:
            shape[size] = kind
            size += 1
    return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, shape, size)


def find_rows(const uint32_t[::1] words, list forms):
    cdef Py_ssize_t n_words = len(forms[0]), word, size, low, middle, high
    cdef const char *text
    cdef uint32_t hashed
    rows = np.empty(n_words, np.int64)
    cdef int64_t[::1] result = rows
    for word in range(n_words):
        result[word] = -1
        for form in forms:
            text = PyUnicode_AsUTF8AndSize(form[word], &size)
            hashed, low, high = <uint32_t>murmur2(text, size, 1), 0, words.shape[0]
            while low < high:
                middle = (low + high) // 2
                if words[middle] < hashed:
                    low = middle + 1
                else:
                    high = middle
            if low < words.shape[0] and words[low] == hashed:
                result[word] = low
                break
    return rows


cdef uint64_t murmur2(const char *text, Py_ssize_t size, uint64_t seed) noexcept:
    """Return the MurmurHash64A of some bytes."""
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
    """Return the first 64 bits of MurmurHash3_x64_128 of a key of 64 bits with seed 0, as in Thinc."""
    cdef uint64_t first = key * <uint64_t>0x87C37B91114253D5, second = 8
    first = ((first << 31) | (first >> 33)) * <uint64_t>0x4CF5AD432745937F
    first = (first ^ 8) + second
    second += first
    return scrambled(first) + scrambled(second)


cdef inline uint64_t scrambled(uint64_t bits) noexcept:
    bits = (bits ^ (bits >> 33)) * <uint64_t>0xFF51AFD7ED558CCD
    bits = (bits ^ (bits >> 33)) * <uint64_t>0xC4CEB9FE1A85EC53
    return bits ^ (bits >> 33)
