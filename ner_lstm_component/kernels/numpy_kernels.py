"""The kernels in NumPy, which document all kernels, and replace them without a compiler.

Arrays must be C-contiguous and of the annotated types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray
from spacy.lang.lex_attrs import word_shape as word_shape
from spacy.strings import get_string_id, hash_string  # type: ignore[attr-defined]
from thinc.api import NumpyOps

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# The number of tokens whose sums are in memory at once.
_BLOCK_TOKENS = 16_384
# Smaller products of exponentials may have lost terms to underflow.
_SMALLEST = 1e-200


class WordClass:
    """What a word is for finding sentences; a word may belong to several classes."""

    # Python adds plain numbers much faster than flags.
    BLANK = 1 << 0  #: white space, or invisible characters alone; the other classes are of words
    NEWLINE = 1 << 1  #: a blank with one line break
    EMPTY_LINE = 1 << 2  #: a blank with more
    LOWER = 1 << 3  #: in lower case
    CLOSING = 1 << 4  #: punctuation that does not open a quotation or a bracket
    QUOTE = 1 << 5  #: a quotation mark; every second one closes, and any that is `CLOSING`
    TERMINATOR = 1 << 6  #: a mark that ends sentences
    CAPITAL = 1 << 7  #: begins with a capital
    STARTER = 1 << 8  #: a capitalized stop word, which usually begins a sentence
    TITLE = 1 << 9  #: an abbreviated title without the stop, such as "Sgt"
    ABBREVIATED = 1 << 10  #: ends in a stop, such as "U.S."
    MARK = 1 << 11  #: formatting, such as "**"
    HEADING = 1 << 12  #: formatting before a heading, such as "##"
    SEPARATOR = 1 << 13  #: formatting between sentences, such as "|" or "<p>"
    BULLET = 1 << 14  #: a bullet of a list item, at the start of a line
    NUMBER = 1 << 15  #: a number or letter that may number a list item
    QUOTED_LINE = 1 << 16  #: ">" before quoted lines
    STOP = 1 << 17  #: a full stop, or a number of a list item with a stop
    COLON = 1 << 18
    OPENING_BRACKET = 1 << 19
    CLOSING_BRACKET = 1 << 20
    TIME = 1 << 21  #: a time of day in digits, which begins the lines of a chat


class Case(IntEnum):
    """The case of a word's letters."""

    NONE = 0  #: no letters with case, or a single capital
    SHORT_LOWER = auto()  #: lower case, up to three characters
    LOWER = auto()
    TITLE = auto()  #: a capital, then lower case
    UPPER = auto()
    MIXED = auto()
    GUESSED = auto()  #: a capital, guessed by `truecase`; no word of a text has this case


class _State(IntEnum):
    """Whether a sentence may end after a word, or only before a word that usually begins one."""

    GOES_ON = auto()
    ENDS = auto()
    MAY_END = auto()


# The number of words that show a sentence's case.
_CASED_WORDS = 3
# The maximum number of words of a key, as in "Date of birth: 1 May".
_KEY_WORDS = 3


def find_sentences(
    classes: NDArray[np.uint32],
    cases: NDArray[np.uint8],
    attributes: Hashes,
    doc_lengths: Ints,
    abbreviations: Hashes,
) -> tuple[Ints, NDArray[np.bool_] | None, NDArray[np.bool_]]:
    """Find the words and sentences of Docs, like `sentences.Reader`.

    :param classes: the `WordClass` of each token. *Shape:* ``(n_tokens,)``
    :param cases: the `Case` of each token. *Shape:* ``(n_tokens,)``
    :param attributes: ORTH, SENT_START, SPACY and possibly others. *Shape:* ``(n_tokens, 3)``
    :param abbreviations: hashes of words after which a full stop does not end the sentence, in
        ascending order.
    :return: the number of words of each sentence, which tokens are words (None if all are), and
        which sentences have all their words in lower case, capitals or title case.
    """
    starts: list[int] = []
    is_word = np.zeros(len(classes), bool)
    first = n_words = 0
    for length in doc_lengths.tolist():
        own = slice(first, first + length)
        lines = _Lines(classes[own].tolist(), attributes[own, 2].tolist())
        known = np.isin(attributes[own, 0], abbreviations).tolist()
        for token, begins in lines.words(attributes[own, 1].tolist(), known):
            is_word[first + token] = True
            if begins:
                starts.append(n_words)
            n_words += 1
        first += length
    bounds = np.array([*starts, n_words], np.int64)
    by_sentence = np.split(cases[is_word], bounds[1:-1]) if starts else []
    counts = [np.bincount(found, minlength=len(Case)).tolist() for found in by_sentence]
    is_caseless = np.array(list(map(_has_one_case, counts)), bool)
    return np.diff(bounds), None if is_word.all() else is_word, is_caseless


def _has_one_case(counts: list[int]) -> bool:
    _, n_short, n_lower, n_title, n_upper, n_mixed, _ = counts
    if n_title + n_upper + n_mixed == 0:
        return n_short + n_lower >= _CASED_WORDS
    if n_short + n_lower + n_title + n_mixed == 0:
        return n_upper >= _CASED_WORDS
    return n_title >= _CASED_WORDS and n_lower == 0


class _Lines:
    """The tokens of a Doc, in lines."""

    def __init__(self, classes: list[int], spaces: list[int]) -> None:
        self.classes = classes
        self.spaces = spaces

    def words(self, sent_start: list[int], known: list[bool]) -> Iterator[tuple[int, bool]]:
        """Yield each word, and whether it begins a sentence.

        :param known: which tokens are abbreviations.
        """
        is_annotated = any(sent_start[1:])
        begins, newlines, state = True, 2, _State.GOES_ON
        is_quoted = is_heading = is_listed = after_colon = False
        depth = last_depth = 0
        marker_end = key_end = 0
        for token, found in enumerate(self.classes):
            begins |= is_annotated and sent_start[token] == 1
            if found & WordClass.BLANK:
                if found & (WordClass.NEWLINE | WordClass.EMPTY_LINE):
                    last_depth, depth = last_depth if newlines else depth, 0
                    newlines += 2 if found & WordClass.EMPTY_LINE else 1
                if newlines and is_heading:
                    begins, is_heading = begins or not is_annotated, False
                continue
            if token < marker_end:
                continue
            may_begin = False
            if newlines:
                if found & WordClass.QUOTED_LINE:
                    depth += 1
                    continue
                if newlines > 1:
                    is_listed = is_quoted = False
                if newlines > 1 or depth != last_depth:
                    begins |= not is_annotated
                newlines = 1
                # Of the lines of a wrapped sentence, one may begin with a dash or a number.
                may_begin = begins or is_listed or after_colon or state == _State.ENDS
                following = self.classes[token + 1 : token + 2]
                is_new = may_begin or not any(one & WordClass.LOWER for one in following)
                is_new |= bool(found & WordClass.MARK)
                if found & WordClass.BULLET and self.is_spaced(token) and is_new:
                    begins |= not is_annotated
                    is_listed = True
                    continue
                if found & WordClass.HEADING and self.is_spaced(token):
                    begins |= not is_annotated
                    is_heading = True
            if found & WordClass.SEPARATOR:
                begins |= not is_annotated
            if found & (WordClass.SEPARATOR | WordClass.MARK):
                continue
            if newlines:
                if may_begin:
                    marker_end = self.list_number(token)
                if token < marker_end:
                    begins |= not is_annotated
                    is_listed = True
                    continue
                if not is_annotated and found & (WordClass.CAPITAL | WordClass.TIME):
                    key_end = self.after_key(token)
                    begins |= key_end > token
                elif not is_annotated and found & WordClass.OPENING_BRACKET:
                    following = self.classes[token + 1 : token + 2]
                    begins |= any(one & WordClass.TIME for one in following)
                newlines = 0
            closes = bool(found & WordClass.CLOSING or (found & WordClass.QUOTE and is_quoted))
            if not is_annotated:
                is_end = state == _State.ENDS and not closes and not found & WordClass.LOWER
                begins |= is_end or (state == _State.MAY_END and bool(found & WordClass.STARTER))
            yield token, begins
            after_colon = bool(found & WordClass.COLON)
            begins = token + 1 == key_end and not is_annotated
            if found & WordClass.TERMINATOR:
                state = _State.ENDS
                if found & WordClass.STOP and token and not self.spaces[token - 1]:
                    if self.classes[token - 1] & WordClass.TITLE:
                        state = _State.GOES_ON
                    elif known[token - 1]:
                        state = _State.MAY_END
            elif found & WordClass.ABBREVIATED:
                state = _State.MAY_END
            elif state == _State.GOES_ON or not closes:
                state = _State.GOES_ON
            if found & WordClass.QUOTE:
                is_quoted = not is_quoted and not found & WordClass.CLOSING

    def is_spaced(self, token: int) -> bool:
        """Return whether white space or the end of the Doc follows a token."""
        following = self.classes[token + 1 : token + 2]
        is_blank = any(found & WordClass.BLANK for found in following)
        return not following or bool(self.spaces[token]) or is_blank

    def list_number(self, token: int) -> int:
        """Return the end of a list item's number or box, or the token: "3.", "(c)", "[ ]"."""
        number, closing = token, WordClass.CLOSING_BRACKET
        if self.classes[token] & WordClass.OPENING_BRACKET:
            number += 1
        else:
            closing |= WordClass.STOP
        found, following = (self.classes[k : k + 1] for k in (number, number + 1))
        if number > token and found and found[0] & WordClass.CLOSING_BRACKET:
            return number + 1
        if not found or not found[0] & WordClass.NUMBER:
            return token
        if number > token or not found[0] & WordClass.STOP:
            if not following or not following[0] & closing:
                return token
            number += 1
        return number + 1 if self.is_spaced(number) else token

    def after_key(self, token: int) -> int:
        """Return the end of a key such as "Date of birth:" at the start of a line, or the token."""
        ends = WordClass.BLANK | WordClass.CLOSING | WordClass.QUOTE | WordClass.OPENING_BRACKET
        for k, found in enumerate(self.classes[token + 1 : token + 1 + _KEY_WORDS], token + 1):
            if found & WordClass.COLON:
                is_marked = any(one & WordClass.MARK for one in self.classes[k + 1 : k + 2])
                return k + 1 if is_marked or self.is_spaced(k) else token
            if found & ends and not found & WordClass.BULLET:
                break
        return token


def viterbi(emissions: Floats, transitions: Floats, lengths: Ints) -> Ints:
    """Find the best tags, like `crf.viterbi`."""
    tags = np.empty(len(emissions), np.int64)
    first, active = _by_time(lengths)
    # In doubles, sums of floats are nearly exact, however long the sequence.
    matrix = transitions.astype(np.float64)
    inner = matrix[:-1, :-1, None]
    # The sequences are the last axis, along which NumPy is fast.
    scores = [emissions[first[: active[0]]].T + matrix[-1, :-1, None]] if active else []
    for time, running in enumerate(active[1:], 1):
        paths = scores[-1][:, None, :running] + inner
        scores.append(paths.max(axis=0) + emissions[first[:running] + time].T)
    following = np.zeros(0, np.int64)
    incoming = np.ascontiguousarray(matrix[:-1].T)
    for time in range(len(active) - 1, -1, -1):
        ended = np.full(active[time] - len(following), -1)
        paths = incoming.take(np.concatenate([following, ended]), axis=0)
        paths += scores[time].T
        following = paths.argmax(axis=1)
        tags[first[: active[time]] + time] = following
    return tags


def _by_time(lengths: Ints) -> tuple[Ints, list[int]]:
    """Return the first tokens of sequences, the longest first, and their number at each time."""
    order = np.argsort(-lengths, kind="stable")
    first = (np.cumsum(lengths) - lengths)[order]
    times = np.arange(lengths.max(initial=0))
    return first, np.searchsorted(-lengths[order], -times, side="left").tolist()


def marginals(
    emissions: Floats,
    transitions: Floats,
    lengths: Ints,
    spans: Ints,
    with_tags: bool,
    temperature: float,
) -> tuple[Doubles, Floats | None]:
    """Compute the probabilities of spans in ascending order, and of tags, like `crf.marginals`."""
    of_spans = np.zeros(len(spans))
    of_tags = np.empty(emissions.shape, np.float32) if with_tags else None
    matrix = transitions.astype(np.float64) / temperature
    ends = np.cumsum(lengths)
    block = (ends - 1) // _BLOCK_TOKENS
    for number in np.unique(block):
        chosen = block == number
        first, end = (ends - lengths)[chosen][0], ends[chosen][-1]
        within = np.flatnonzero((spans[:, 0] >= first) & (spans[:, 0] < end))
        if not (with_tags or len(within)):
            continue
        scores = emissions[first:end].astype(np.float64) / temperature
        alpha, beta, log_partition = forward_backward(scores, matrix, lengths[chosen])
        total, sequence_end = np.repeat([log_partition, ends[chosen] - first], lengths[chosen], 1)
        if of_tags is not None:
            of_tags[first:end] = np.exp(alpha + beta - total[:, None])
        for k in within:
            start, stop, label = spans[k] - [first, first, 0]
            path = np.full(stop - start, 2 * label + 2)
            path[0] -= 1
            score = alpha[start, path[0]] + matrix[path[:-1], path[1:]].sum()
            score += scores[np.arange(start + 1, stop), path[1:]].sum()
            after = matrix[path[-1], -1]
            if stop < sequence_end[start]:
                following = matrix[path[-1], :-1] + scores[stop] + beta[stop]
                after = _log_sum(np.delete(following, 2 * label + 2))
            # Rounding may exceed a probability of 1.
            of_spans[k] = np.exp(min(score + after - total[start], 0.0))
    return of_spans, of_tags


@np.errstate(divide="ignore", invalid="ignore")
def forward_backward(
    emissions: Doubles, transitions: Doubles, lengths: Ints
) -> tuple[Doubles, Doubles, Doubles]:
    """Sum over all tag sequences in the log domain (Rabiner, 1989, III.A).

    The backward pass is the forward pass of the reversed sequence with the transitions
    transposed, so a time step computes both.

    :return: the forward variables by token and tag, which include the token's emission, the
        backward variables, which do not, and the log partition of each sequence.
    """
    arriving = np.empty((2, *emissions.shape))
    if len(emissions) == 0:
        return arriving[0], arriving[1], np.zeros(len(lengths))
    first, active = _by_time(lengths)
    last = first + np.sort(lengths)[::-1] - 1
    both = np.stack([transitions[:-1, :-1], transitions[:-1, :-1].T])
    boundary = np.stack([transitions[-1, :-1], transitions[:-1, -1]])[:, None]
    highest = both.max()
    potentials = np.exp(both - highest)
    direction = np.array([[0], [1]])
    score = boundary
    for time, running in enumerate(active):
        if time:
            score = score[:, :running]
            peak = np.maximum(score.max(axis=2, keepdims=True), -1e300)
            product = np.exp(score - peak) @ potentials
            step = np.log(product) + peak + highest
            lost = np.nonzero((product < _SMALLEST).any(axis=2))
            step[lost] = _log_sum(score[lost][:, None] + both.transpose(0, 2, 1)[lost[0]])
        else:
            step = boundary
        tokens = np.stack([first[:running] + time, last[:running] - time])
        arriving[direction, tokens] = step
        score = step + emissions[tokens]
    alpha = arriving[0] + emissions
    return alpha, arriving[1], _log_sum(alpha[np.cumsum(lengths) - 1] + boundary[1])


def _log_sum(scores: Doubles) -> Doubles:
    return np.logaddexp.reduce(scores, axis=-1)


def entity_spans(tags: Ints) -> Ints:
    """Find the entities of IOB2 tags, like `iob2.entity_spans`."""
    start, inside = np.flatnonzero(tags % 2), np.flatnonzero(tags)
    following = np.append(start[1:], len(tags))[: len(start)]
    end = inside[np.searchsorted(inside, following) - 1] + 1
    return np.stack([start, end, tags[start] // 2], axis=1)


class NgramTable:
    """A hash table of n-grams and of the levels that say how the training data tagged them.

    Multilinear hashing (Dietzfelbinger, 1996; Lemire and Kaser, 2014) takes the high bits of a
    sum of the words' hashes, each multiplied by a factor.

    :param hashing: the offsets of words from the token; their factors in each kind of n-gram, 0
        for a word outside of it; a summand for each kind; hashes that stand for the words
        before and after a sentence.
    :param index: the start of each bucket of hashes with the same high half, followed by the end
        of the last bucket; and the low halves of the hashes.
    :param levels: the levels of the indexed hashes, uint8 or uint16. *Shape:* ``(n, n_levels)``
    :param first_rows: numbers to add to levels to make ids. *Shape:* ``(n_kinds, n_levels)``
    """

    def __init__(
        self,
        hashing: tuple[Ints, Hashes, Hashes, int, int],
        index: tuple[NDArray[np.int32], NDArray[np.uint16]],
        levels: NDArray[np.unsignedinteger],
        first_rows: NDArray[np.int32],
    ) -> None:
        self._offsets, self._factors, self._terms, *stand_ins = hashing
        self._before, self._after = np.array(stand_ins, np.uint64)
        self._starts, self._rests = index
        self._levels, self._first_rows = levels, first_rows

    def keys(self, words: Hashes, lengths: Ints) -> NDArray[np.uint32]:
        """Hash the n-grams around each token. *Shape:* ``(n_tokens, n_kinds)``."""
        ends = np.cumsum(lengths)
        first, end = np.repeat(ends - lengths, lengths), np.repeat(ends, lengths)
        hashes = np.repeat(self._terms[None], len(words), axis=0)
        for offset, by_kind in zip(self._offsets, self._factors.T, strict=True):
            place = np.arange(len(words)) + offset
            around = words[np.clip(place, 0, len(words) - 1)] if len(words) else words
            around = np.where(place < first, self._before, around)
            around = np.where(place >= end, self._after, around)
            hashes += around[:, None] * by_kind
        return (hashes >> np.uint64(32)).astype(np.uint32)

    def ids(self, keys: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Look hashes up; unknown hashes have level 0. *Shape:* ``(n_tokens, first_rows.size)``."""
        bucket, rest = keys >> np.uint32(16), keys.astype(np.uint16)
        low, end = (self._starts[bucket + np.uint32(k)].astype(np.int64) for k in (0, 1))
        padded, high = np.append(self._rests, np.uint16(0)), end
        # Search all buckets at once, by bisection.
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) // 2
            is_less = (middle < high) & (padded[middle] < rest)
            low, high = np.where(is_less, middle + 1, low), np.where(is_less, high, middle)
        is_known = (low < end) & (padded[low] == rest)
        ids = np.repeat(self._first_rows[None], len(keys), axis=0)
        ids[is_known] += self._levels[low[is_known]]
        return ids.reshape(len(keys), self._first_rows.size)


def feature_ids(
    forms: Sequence[Sequence[str]], labels: Sequence[str], features: Ints
) -> NDArray[np.int32]:
    """Hash features of words to two ids each, with spaCy's ``get_string_id`` and Thinc's hash.

    :param forms: the strings of all words for each form.
    :param labels: a prefix for each feature, hashed with its value.
    :param features: the form, number of characters (from the end if negative, or all if 0),
        number of rows and first row of each feature. *Shape:* ``(n_features, 4)``
    """
    values = []
    for word in zip(*forms, strict=True):
        for label, (form, n, *_) in zip(labels, features.tolist(), strict=True):
            values.append(get_string_id(label + (word[form][:n] if n > 0 else word[form][n:])))
    hashed = NumpyOps().hash(np.array(values, np.uint64), 0)[:, :2].reshape(-1, len(labels), 2)
    _, _, sizes, first_rows = features.T[:, :, None]
    return (hashed % sizes + first_rows).astype(np.int32).reshape(-1, 2 * len(labels))


def find_rows(words: NDArray[np.uint32], forms: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Find words in a sorted table, by the first of their forms that it has.

    :param words: the low halves of ``hash_string`` of the table's words, in ascending order.
        *Shape:* ``(n_rows,)``
    :param forms: the strings of all words for each form.
    :return: the row of each word, or -1. *Shape:* ``(n_words,)``
    """
    if not len(words) or not len(forms[0]):
        return np.full(len(forms[0]), -1)
    hashes = np.array([[hash_string(one) & 0xFFFFFFFF for one in form] for form in forms])
    rows = words.searchsorted(hashes.astype(np.uint32))
    is_found = words.take(rows, mode="clip") == hashes
    form = is_found.argmax(axis=0)[None]
    return np.where(is_found.any(axis=0), np.take_along_axis(rows, form, axis=0)[0], -1)


class RowIndex:
    """An index that numbers rows of integers in the order of their first occurrence."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def clear(self) -> None:
        """Remove all rows."""
        self._numbers.clear()

    def add(self, rows: NDArray[np.int32]) -> tuple[Ints, list[int]]:
        """Return the numbers of rows of shape ``(n, width)``, and the positions of new rows."""
        if rows.shape[1] != self.width:
            raise ValueError(f"Rows of {self.width} numbers expected. Received: {rows.shape[1]}")
        numbers, new = np.empty(len(rows), np.int64), []
        for k, row in enumerate(rows):
            n_known = len(self)
            numbers[k] = self._numbers.setdefault(row.tobytes(), n_known)
            if len(self) > n_known:
                new.append(k)
        return numbers, new
