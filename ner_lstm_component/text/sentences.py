"""Reading the words and sentences of Docs, without changing the Docs.

White space is not a word: no step after this one sees it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import LENGTH, ORTH, SENT_START, SPACY
from spacy.tokens import Doc
from spacy.training import Example

from .. import kernels
from ..errors import check_ascending
from ..kernels import Case, WordClass
from .lines import item_breaks
from .truecase import WordCases, recase, with_case
from .words import MARKUP, Words, abbreviation_hashes, inner_abbreviations

_ATTRIBUTES = [ORTH, SENT_START, SPACY, LENGTH]
# A mark of formatting is a word if a larger share of the training Docs contains it.
_MARKED_SHARE = 0.01
# What makes a line break as good as an empty line.
_NEW_ITEM = np.uint32(WordClass.NEWLINE | WordClass.EMPTY_LINE)
_NO_HASHES = np.zeros(0, np.uint64)
_NO_CASES = np.zeros(0, np.uint8)


class Text(NamedTuple):
    """The input of all layers: the words of Docs, or of some of their sentences.

    :param docs: the Docs.
    :param orths: hashes of the words. *Shape:* ``(n_words,)``
    :param forms: hashes of the forms that features are made of: of the words themselves, or of
        their normal forms in the case in which they are read. *Shape:* ``(n_words,)``
    :param cases: the `Case` of these forms, which is NONE for the words themselves.
        *Shape:* ``(n_words,)``
    :param lengths: lengths of all sentences in words. *Shape:* ``(n_sentences,)``
    :param is_word: which tokens of the Docs are words, or None if all are.
        *Shape:* ``(n_tokens,)``
    :param is_recased: whether sentences without case are read in another case.
    :param kept: the marks of formatting that are part of words.
    """

    docs: Sequence[Doc]
    orths: NDArray[np.uint64]
    forms: NDArray[np.uint64]
    cases: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    is_word: NDArray[np.bool_] | None = None
    is_recased: bool = False
    kept: str = ""

    @property
    def doc_lengths(self) -> list[int]:
        """The number of words of each Doc."""
        lengths = [len(doc) for doc in self.docs]
        if self.is_word is None:
            return lengths
        return [int(np.count_nonzero(of_doc)) for of_doc in split(self.is_word, lengths)]


class KnownWords(NamedTuple):
    """What the training data says about words, for reading text.

    :param abbreviations: the hashes of abbreviations, in ascending order.
    :param words: the hashes of words in lower case, in ascending order.
    :param cases: the `Case` that each of these words mostly has.
    :param kept: the marks of formatting that are part of words, such as ``@`` in tweets.
    """

    abbreviations: NDArray[np.uint64] = _NO_HASHES
    words: NDArray[np.uint64] = _NO_HASHES
    cases: NDArray[np.uint8] = _NO_CASES
    kept: str = ""

    def check(self) -> None:
        """Raise a ValueError if the fields, which were read from a file, are damaged."""
        check_ascending("The hashes of abbreviations", self.abbreviations, np.uint64)
        check_ascending("The hashes of words", self.words, np.uint64)
        is_array = isinstance(self.cases, np.ndarray) and self.cases.dtype == np.uint8
        if not is_array or self.cases.shape != self.words.shape:
            raise ValueError("The words and their cases do not match")
        if self.cases.max(initial=0) >= len(Case) or not isinstance(self.kept, str):
            raise ValueError("Cases of words, or marks, are out of range")


_NO_WORDS = KnownWords()


class Reader:
    """A function that reads the words of Docs, and finds their sentences.

    If a Doc has sentence boundaries, they are used. Otherwise a sentence ends after a punctuation
    mark of spaCy's ``Sentencizer`` and any closing quotes and brackets, unless the next word is in
    lower case, and before an empty line. Every second straight quote is a closing quote.

    With ``normalize``, features are made of the words' normal forms, and further rules apply:

    - Marks of formatting, list items and quoted lines are not words. A mark that is frequent in
      the training data is one, because there it means something.
    - Table cells, list items, and keys as in ``From: Maria Costa`` are sentences.
    - A line begins a sentence if it begins with a time in brackets, if it is quoted more or less
      deeply than the line before, or if it is an item by `lines.item_breaks`.
    - A sentence goes on after a title. It goes on after another abbreviation, unless the next word
      is a capitalized stop word.
    - The words of a sentence without case are read in the case that `truecase` finds.

    :param normalize: whether to apply these rules.
    """

    def __init__(self, normalize: bool = False) -> None:
        self.normalize = normalize
        self._words = Words(normalize)

    def __call__(self, docs: Sequence[Doc], known: KnownWords = _NO_WORDS) -> Text:
        """Read Docs."""
        text, is_caseless = self._read(docs, known.abbreviations, known.kept)
        if not is_caseless.any():
            return text
        hashes = with_case(text.forms, text.cases)
        cases = recase(hashes, text.cases, text.lengths, is_caseless, known.words, known.cases)
        return text._replace(cases=cases, forms=with_case(hashes, cases), is_recased=True)

    def _read(
        self, docs: Sequence[Doc], abbreviations: NDArray[np.uint64], kept: str = ""
    ) -> tuple[Text, NDArray[np.bool_]]:
        """Read Docs, without truecasing, and return which sentences have no case."""
        arrays = [np.zeros((0, len(_ATTRIBUTES)), np.uint64)] if not docs else []
        arrays += [doc.to_array(_ATTRIBUTES) for doc in docs]
        attributes = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        orths = attributes[:, 0].copy()
        classes, cases, forms = self._words(orths, docs, kept)
        doc_lengths = np.array([len(doc) for doc in docs], np.int64)
        tokens = classes, cases, attributes, doc_lengths, abbreviations
        lengths, is_word, is_caseless = kernels.find_sentences(*tokens)
        if is_word is not None and self.normalize and (classes & WordClass.NEWLINE).any():
            spaces, sizes = attributes[:, 2:].astype(np.int64).T
            classes[item_breaks(classes, orths, sizes, spaces > 0, doc_lengths)] ^= _NEW_ITEM
            lengths, is_word, is_caseless = kernels.find_sentences(*tokens)
        if is_word is None:
            return Text(docs, orths, forms, cases, lengths, kept=kept), is_caseless
        words = orths[is_word], forms[is_word], cases[is_word]
        return Text(docs, *words, lengths, is_word, kept=kept), is_caseless

    def is_visible(self, docs: Sequence[Doc]) -> NDArray[np.bool_]:
        """Return which tokens are not blank. *Shape:* ``(n_tokens,)``."""
        orths = np.concatenate([_NO_HASHES, *(doc.to_array(ORTH) for doc in docs)])
        return self._words(orths, docs)[0] & np.uint32(WordClass.BLANK) == 0

    def learn(self, batches: Iterable[Sequence[Example]]) -> KnownWords:
        """Learn abbreviations, marks and the case of words from batches of training examples."""
        learned: Counter[str] = Counter()
        marks: Counter[str] = Counter()
        n_docs = 0
        cases = WordCases()
        for examples in batches:
            for example in examples:
                learned.update(inner_abbreviations(example.reference))
                marks.update(set(MARKUP).intersection(example.reference.text))
                n_docs += 1
            text, is_caseless = self._read([eg.predicted for eg in examples], _NO_HASHES)
            # The first word of a sentence has a capital, whatever it is.
            is_known = np.repeat(~is_caseless, text.lengths)
            is_known[np.cumsum(text.lengths) - text.lengths] = False
            hashes = with_case(text.forms, text.cases)
            cases.count(hashes[is_known], text.cases[is_known])
        frequent = [word for word, count in learned.items() if count > 1]
        kept = "".join(mark for mark in MARKUP if marks[mark] > max(1, _MARKED_SHARE * n_docs))
        return KnownWords(abbreviation_hashes(frequent), *cases.known(), kept)


def chunks(text: Text, n_words: int) -> Iterator[Text]:
    """Split a text between sentences into chunks of ``n_words``, or of one longer sentence."""
    if 0 < len(text.orths) <= n_words:
        yield text
        return
    ends = np.cumsum(text.lengths)
    first = start = 0
    while first < len(ends):
        last = max(first + 1, int(ends.searchsorted(start + n_words, side="right")))
        end = int(ends[last - 1])
        words = slice(start, end)
        arrays = text.orths[words], text.forms[words], text.cases[words]
        part = Text(text.docs, *arrays, text.lengths[first:last])
        yield part._replace(is_recased=text.is_recased, kept=text.kept)
        first, start = last, end


def split(array: NDArray, lengths: Iterable[int]) -> list[NDArray]:
    """Split an array into parts of the given lengths, faster than `np.split`."""
    lengths = list(lengths)
    ends = accumulate(lengths)
    return [array[end - length : end] for length, end in zip(lengths, ends, strict=True)]
