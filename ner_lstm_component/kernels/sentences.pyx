# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True
"""Words and sentence boundaries."""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

# The values of `numpy_kernels.WordClass`.
cdef enum:
    BLANK = 1 << 0
    NEWLINE = 1 << 1
    EMPTY_LINE = 1 << 2
    LOWER = 1 << 3
    CLOSING = 1 << 4
    QUOTE = 1 << 5
    TERMINATOR = 1 << 6
    CAPITAL = 1 << 7
    STARTER = 1 << 8
    TITLE = 1 << 9
    ABBREVIATED = 1 << 10
    MARK = 1 << 11
    HEADING = 1 << 12
    SEPARATOR = 1 << 13
    BULLET = 1 << 14
    NUMBER = 1 << 15
    QUOTED_LINE = 1 << 16
    STOP = 1 << 17
    COLON = 1 << 18
    OPENING_BRACKET = 1 << 19
    CLOSING_BRACKET = 1 << 20
    TIME = 1 << 21

# The columns of the tokens' attributes.
cdef enum:
    ORTH, SENT_START, SPACY

# The values of `numpy_kernels.Case`.
cdef enum:
    NONE, SHORT_LOWER, LOWER_CASE, TITLE_CASE, UPPER_CASE, MIXED_CASE, GUESSED, N_CASES

# Whether a sentence may end after a word, or only before a word that usually begins one.
cdef enum:
    GOES_ON, ENDS, MAY_END

# The number of words that show a sentence's case.
cdef enum:
    CASED_WORDS = 3

# The maximum number of words of a key, as in "Date of birth: 1 May".
cdef enum:
    KEY_WORDS = 3


def find_sentences(
    const uint32_t[::1] classes,
    const uint8_t[::1] cases,
    const uint64_t[:, ::1] attributes,
    const int64_t[::1] doc_lengths,
    const uint64_t[::1] abbreviations,
):
    cdef Py_ssize_t n_tokens = classes.shape[0], n_words = 0, n_starts = 0, first = 0
    cdef Py_ssize_t end, token, marker_end, key_end, k
    starts_array = np.empty(n_tokens + 1, np.int64)
    is_word_array = np.zeros(n_tokens, np.uint8)
    is_caseless_array = np.zeros(n_tokens, np.uint8)
    cdef int64_t[::1] starts = starts_array
    cdef uint8_t[::1] is_word = is_word_array
    cdef uint8_t[::1] is_caseless = is_caseless_array
    cdef Py_ssize_t[N_CASES] counts
    cdef int newlines, state, depth, last_depth
    cdef bint is_annotated, begins, is_quoted, closes, is_heading, is_listed, after_colon
    cdef bint may_begin
    cdef uint32_t found
    with nogil:
        for k in range(doc_lengths.shape[0]):
            end = first + doc_lengths[k]
            is_annotated = False
            for token in range(first + 1, end):
                is_annotated = is_annotated or attributes[token, SENT_START] != 0
            begins, newlines, state = True, 2, GOES_ON
            is_quoted = is_heading = is_listed = after_colon = False
            depth = last_depth = 0
            marker_end = key_end = first
            for token in range(first, end):
                found = classes[token]
                if is_annotated:
                    begins = begins or attributes[token, SENT_START] == 1
                if found & BLANK:
                    if found & (NEWLINE | EMPTY_LINE):
                        if newlines == 0:
                            last_depth = depth
                        depth = 0
                        newlines += 2 if found & EMPTY_LINE else 1
                    if newlines and is_heading:
                        begins, is_heading = begins or not is_annotated, False
                    continue
                if token < marker_end:
                    continue
                if newlines:
                    if found & QUOTED_LINE:
                        depth += 1
                        continue
                    if newlines > 1:
                        is_listed = is_quoted = False
                    if not is_annotated and (newlines > 1 or depth != last_depth):
                        begins = True
                    newlines = 1
                    # Of the lines of a wrapped sentence, one may begin with a dash or a number.
                    may_begin = begins or is_listed or after_colon or state == ENDS
                    if (
                        found & BULLET
                        and is_spaced(classes, attributes, token, end)
                        and (
                            may_begin
                            or found & MARK
                            or token + 1 == end
                            or not classes[token + 1] & LOWER
                        )
                    ):
                        begins = begins or not is_annotated
                        is_listed = True
                        continue
                    if found & HEADING and is_spaced(classes, attributes, token, end):
                        begins = begins or not is_annotated
                        is_heading = True
                if found & SEPARATOR:
                    begins = begins or not is_annotated
                    continue
                if found & MARK:
                    continue
                if newlines:
                    if may_begin:
                        marker_end = list_number(classes, attributes, token, end)
                    if token < marker_end:
                        begins = begins or not is_annotated
                        is_listed = True
                        continue
                    if not is_annotated and found & (CAPITAL | TIME):
                        key_end = after_key(classes, attributes, token, end)
                        begins = begins or key_end > token
                    elif not is_annotated and found & OPENING_BRACKET and token + 1 < end:
                        begins = begins or classes[token + 1] & TIME != 0
                    newlines = 0
                is_word[token] = True
                closes = found & CLOSING or (found & QUOTE and is_quoted)
                if not is_annotated:
                    if state == ENDS and not closes and not found & LOWER:
                        begins = True
                    elif state == MAY_END and found & STARTER:
                        begins = True
                if begins:
                    if n_starts:
                        is_caseless[n_starts - 1] = has_one_case(counts)
                    memset(counts, 0, sizeof(counts))
                    starts[n_starts] = n_words
                    n_starts += 1
                    begins = False
                n_words += 1
                counts[cases[token]] += 1
                after_colon = found & COLON
                if found & TERMINATOR:
                    state = ENDS
                    if found & STOP and token > first and not attributes[token - 1, SPACY]:
                        if classes[token - 1] & TITLE:
                            state = GOES_ON
                        elif contains(abbreviations, attributes[token - 1, ORTH]):
                            state = MAY_END
                elif found & ABBREVIATED:
                    state = MAY_END
                elif not (state != GOES_ON and closes):
                    state = GOES_ON
                if found & QUOTE:
                    is_quoted = not is_quoted and not found & CLOSING
                if token + 1 == key_end and not is_annotated:
                    begins = True
            first = end
    if n_starts:
        is_caseless[n_starts - 1] = has_one_case(counts)
    starts[n_starts] = n_words
    for k in range(n_starts):
        starts[k] = starts[k + 1] - starts[k]
    words = is_word_array.view(bool) if n_words < n_tokens else None
    return starts_array[:n_starts], words, is_caseless_array[:n_starts].view(bool)


cdef bint has_one_case(const Py_ssize_t *counts) noexcept nogil:
    """Return whether the words of a sentence are all in lower case, capitals or title case."""
    cdef Py_ssize_t n_lower = counts[SHORT_LOWER] + counts[LOWER_CASE]
    cdef Py_ssize_t n_others = counts[TITLE_CASE] + counts[MIXED_CASE]
    if n_lower >= CASED_WORDS and counts[UPPER_CASE] + n_others == 0:
        return True
    if counts[UPPER_CASE] >= CASED_WORDS and n_lower + n_others == 0:
        return True
    return counts[TITLE_CASE] >= CASED_WORDS and counts[LOWER_CASE] == 0


cdef bint is_spaced(
    const uint32_t[::1] classes, const uint64_t[:, ::1] attributes, Py_ssize_t token, Py_ssize_t end
) noexcept nogil:
    """Return whether white space or the end of the Doc follows a token."""
    return token + 1 == end or attributes[token, SPACY] or classes[token + 1] & BLANK


cdef Py_ssize_t list_number(
    const uint32_t[::1] classes, const uint64_t[:, ::1] attributes, Py_ssize_t token, Py_ssize_t end
) noexcept nogil:
    """Return the end of a list item's number or box, or the token: "3.", "(c)", "[ ]"."""
    cdef Py_ssize_t number = token
    cdef uint32_t closing = CLOSING_BRACKET
    if classes[token] & OPENING_BRACKET:
        number += 1
        if number < end and classes[number] & CLOSING_BRACKET:
            return number + 1
    else:
        closing |= STOP
    if number >= end or not classes[number] & NUMBER:
        return token
    if number == token and classes[number] & STOP:
        return number + 1 if is_spaced(classes, attributes, number, end) else token
    if number + 1 >= end or not classes[number + 1] & closing:
        return token
    return number + 2 if is_spaced(classes, attributes, number + 1, end) else token


cdef Py_ssize_t after_key(
    const uint32_t[::1] classes, const uint64_t[:, ::1] attributes, Py_ssize_t token, Py_ssize_t end
) noexcept nogil:
    """Return the end of a key such as "Date of birth:" at the start of a line, or the token."""
    cdef Py_ssize_t k
    for k in range(token + 1, min(end, token + KEY_WORDS + 1)):
        if classes[k] & COLON:
            if is_spaced(classes, attributes, k, end) or classes[k + 1] & MARK:
                return k + 1
            return token
        if classes[k] & (BLANK | CLOSING | QUOTE | OPENING_BRACKET) and not classes[k] & BULLET:
            return token
    return token


cdef bint contains(const uint64_t[::1] ascending, uint64_t wanted) noexcept nogil:
    cdef Py_ssize_t low = 0, high = ascending.shape[0], middle
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low < ascending.shape[0] and ascending[low] == wanted
