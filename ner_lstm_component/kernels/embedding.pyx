# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
"""Numbers for rows of ids, and a dense layer on their embeddings."""

from threading import Lock

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from "embedding.h" nogil:
    void prefetch(const void *address)
    void sum_embeddings(
        const float *table, const int32_t *ids, float *x,
        Py_ssize_t n_groups, Py_ssize_t group, Py_ssize_t width,
    )
    void dense(
        const float *x, const float *kernel, const float *bias, float *result,
        Py_ssize_t width, Py_ssize_t units,
    )
    void sum_rows(
        const float *tables, const int64_t *rows, Py_ssize_t n_tables, Py_ssize_t size,
        float *result, Py_ssize_t n, Py_ssize_t width,
    )

cdef enum:
    BLOCK = 32  # rows whose places in memory are fetched together
    SMALLEST = 64  # the number of rows for which memory is allocated first


cdef class RowIndex:
    cdef readonly Py_ssize_t width
    cdef Py_ssize_t _n_rows
    cdef int32_t[:, ::1] _rows
    # An open-addressing hash table, with a row's number plus 1, or 0 in a free slot.
    cdef int32_t[::1] _slots

    def __init__(self, Py_ssize_t width):
        self.width = width
        self._rows = np.empty((SMALLEST, width), np.int32)
        self._slots = np.empty(4 * SMALLEST, np.int32)
        self.clear()

    def __len__(self):
        return self._n_rows

    def clear(self):
        self._n_rows = 0
        self._slots[:] = 0

    def add(self, const int32_t[:, ::1] rows):
        if rows.shape[1] != self.width:
            raise ValueError(f"Rows of {self.width} numbers expected. Received: {rows.shape[1]}")
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
        """Assign numbers to n rows, each a stride after the previous row."""
        cdef uint64_t[BLOCK] hashes
        cdef Py_ssize_t first = 0, count, i
        cdef int32_t taken
        while first < n:
            count = min(<Py_ssize_t>BLOCK, n - first)
            for i in range(count):
                hashes[i] = self._hash(rows + (first + i) * stride)
                prefetch(&self._slots[self._slot(hashes[i])])
            for i in range(count):
                taken = self._slots[self._slot(hashes[i])]
                prefetch(&self._rows[taken - 1 if taken else 0, 0])
            for i in range(count):
                numbers[first + i] = self._number(rows + (first + i) * stride, hashes[i])
            first += count
        return 0

    cdef Py_ssize_t _number(self, const int32_t *row, uint64_t hashed) except -1:
        if self._n_rows == self._rows.shape[0]:
            self._grow()
        cdef Py_ssize_t slot = self._find(row, hashed)
        if self._slots[slot] == 0:
            memcpy(&self._rows[self._n_rows, 0], row, self.width * sizeof(int32_t))
            self._n_rows += 1
            self._slots[slot] = <int32_t>self._n_rows
        return self._slots[slot] - 1

    cdef Py_ssize_t _find(self, const int32_t *row, uint64_t hashed) noexcept:
        """Return the slot of a row, or the free slot for a new row."""
        cdef Py_ssize_t slot = self._slot(hashed), size = self.width * sizeof(int32_t)
        while self._slots[slot] and memcmp(&self._rows[self._slots[slot] - 1, 0], row, size):
            slot = self._slot(slot + 1)
        return slot

    cdef inline Py_ssize_t _slot(self, uint64_t hashed) noexcept:
        return <Py_ssize_t>(hashed & <uint64_t>(self._slots.shape[0] - 1))

    cdef uint64_t _hash(self, const int32_t *row) noexcept:
        cdef uint64_t mixed = 0x9E3779B97F4A7C15
        cdef Py_ssize_t i
        for i in range(self.width):
            mixed = (mixed ^ <uint32_t>row[i]) * <uint64_t>0xBF58476D1CE4E5B9
            mixed ^= mixed >> 32
        return mixed

    cdef int _grow(self) except -1:
        cdef int32_t[:, ::1] rows = np.empty((2 * self._n_rows, self.width), np.int32)
        cdef int32_t *row
        cdef Py_ssize_t number
        rows[:self._n_rows] = self._rows
        self._slots = np.zeros(2 * self._slots.shape[0], np.int32)
        self._rows = rows
        for number in range(self._n_rows):
            row = &rows[number, 0]
            self._slots[self._find(row, self._hash(row))] = <int32_t>(number + 1)
        return 0


cdef class EmbeddedProduct:
    """A dense layer on embedded ids that caches the products of parts of the id row.

    The result is ``bias + x @ kernel``, where *x* concatenates the sums of each group's
    embeddings. This is a sum over parts of the id row, and most parts occur repeatedly: the same
    word has the same ids.

    :param table: embeddings. *Shape:* ``(n_rows, width)``
    :param kernel: the layer's weights. *Shape:* ``(n_groups * width, units)``
    :param group: number of ids in a group.
    :param parts: number of ids in each part of a row, a multiple of ``group``.
    :param capacity: number of cached rows of each part; a full cache is cleared.
    :raises ValueError: if the parts do not match the kernel, or ids are outside the table.
    """

    cdef tuple _parts
    cdef Py_ssize_t _capacity, _group
    cdef const float[:, ::1] _table
    cdef const float[:, ::1] _kernel
    # The first part has the layer's bias, and the other parts have a bias of 0.
    cdef float[:, ::1] _biases
    # The cached rows of each part, and their products.
    cdef list _indices
    cdef float[:, :, ::1] _products
    cdef float[::1] _x
    # The numbers of the rows that are looked up together.
    cdef int64_t[::1] _numbers
    cdef object _lock

    def __init__(self, table, kernel, bias, group, parts, capacity):
        n_groups, rest = divmod(kernel.shape[0], table.shape[1])
        if rest or sum(parts) != n_groups * group or any(part % group for part in parts):
            raise ValueError(
                f"'parts' must hold {n_groups} groups of {group} ids. Received: {list(parts)}"
            )
        self._table, self._kernel = table, kernel
        self._group, self._parts, self._capacity = group, tuple(parts), capacity
        self._lock = Lock()
        self._indices = [RowIndex(part) for part in parts]
        self._biases = np.zeros((len(parts), len(bias)), np.float32)
        np.asarray(self._biases)[0] = bias
        # The operating system provides memory only for the parts that are written.
        self._products = np.empty((len(parts), capacity, len(bias)), np.float32)
        self._x = np.empty(len(kernel), np.float32)
        self._numbers = np.empty(len(parts) * max(1, capacity // 8), np.int64)

    def __call__(self, const int32_t[:, ::1] ids):
        """Compute the layer for ids of shape ``(n, sum(parts))``. *Shape:* ``(n, units)``."""
        if ids.shape[1] != sum(self._parts):
            raise ValueError(f"Rows of {sum(self._parts)} ids expected. Received: {ids.shape[1]}")
        cdef Py_ssize_t n_parts = len(self._parts), units = self._products.shape[2]
        cdef Py_ssize_t block = self._numbers.shape[0] // n_parts, start, n, first, part, k
        results = np.empty((ids.shape[0], units), np.float32)
        cdef float[:, ::1] result = results
        cdef int64_t *numbers = &self._numbers[0]
        with self._lock:
            for start in range(0, ids.shape[0], block):
                n, first = min(block, ids.shape[0] - start), 0
                for k, part in enumerate(self._parts):
                    self._look_up(k, &ids[start, first], ids.shape[1], n, first, numbers + k * n)
                    first += part
                sum_rows(
                    &self._products[0, 0, 0], numbers, n_parts, self._capacity,
                    &result[start, 0], n, units,
                )
        return results

    cdef int _look_up(
        self, Py_ssize_t k, const int32_t *rows, Py_ssize_t stride, Py_ssize_t n,
        Py_ssize_t first, int64_t *numbers,
    ) except -1:
        """Number the rows of a part that begins at an id, and store the products of new rows."""
        cdef RowIndex index = self._indices[k]
        cdef Py_ssize_t known, row
        if index._n_rows + n > self._capacity:
            index.clear()
        known = index._n_rows
        try:
            index.number_all(rows, stride, n, numbers)
            for row in range(n):
                if numbers[row] == known:
                    self._compute(k, rows + row * stride, index.width, first, known)
                    known += 1
        except BaseException:
            index.clear()  # The index contains rows without products.
            raise
        return 0

    cdef int _compute(
        self, Py_ssize_t k, const int32_t *ids, Py_ssize_t n, Py_ssize_t first, Py_ssize_t number
    ) except -1:
        cdef Py_ssize_t width = self._table.shape[1], i
        for i in range(n):
            if not 0 <= ids[i] < self._table.shape[0]:
                raise ValueError(f"Id {ids[i]} is not from 0 to {self._table.shape[0] - 1}.")
        n //= self._group
        first //= self._group
        sum_embeddings(&self._table[0, 0], ids, &self._x[0], n, self._group, width)
        dense(
            &self._x[0], &self._kernel[first * width, 0], &self._biases[k, 0],
            &self._products[k, number, 0], n * width, self._products.shape[2],
        )
        return 0
