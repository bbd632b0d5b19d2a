"""The annotation of Examples, on the tokens of their ``predicted`` Docs.

The pipeline's tokenizer and the annotated data may split a text differently. Examples whose two
Docs have the same characters, apart from white space and case, are aligned by character, for a
whole batch at once. ``Example.get_aligned_ner`` and ``Example.get_aligned`` would take longer than
the network, and lose entities with line breaks. They align the other Examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import getitem
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_TYPE, LENGTH, ORTH, TAG
from spacy.strings import get_string_id
from spacy.tokens import Doc
from spacy.training import Example

from .decoding.iob2 import begin_entity, tag_of_bilou, tags_of_entities, without
from .errors import naming, quote
from .text.sentences import Reader, Text, split

_READER = Reader()
_NONE = np.zeros(0, bool)


class Gold:
    """The annotation of a batch of Examples, on the words of their ``predicted`` Docs.

    :param read: the function with which the model reads Docs.
    """

    def __init__(
        self, examples: Sequence[Example], read: Callable[[Sequence[Doc]], Text] = _READER
    ) -> None:
        self.examples = examples
        self.text = read([eg.predicted for eg in examples])
        self._visible = _visible(self.text.docs)
        visible = _visible([eg.reference for eg in examples])
        self._by_character = [True] * len(examples)
        same_words = True
        for k, example in enumerate(examples):
            words = example.predicted.to_array(ORTH)[self._visible[k]]
            gold = example.reference.to_array(ORTH)[visible[k]]
            if not np.array_equal(words, gold):
                same_words = False
                self._by_character[k] = _join(words, example.predicted) == _join(
                    gold, example.reference
                )
        aligned = [k for k, yes in enumerate(self._by_character) if yes]
        self._references = [examples[k].reference for k in aligned]
        self._lengths = [int(self._visible[k].sum()) for k in aligned]
        gold_visible = [visible[k] for k in aligned]
        self._gold_visible = np.concatenate([_NONE, *gold_visible])
        self._overlap = None
        if not same_words:
            docs = [self.text.docs[k] for k in aligned]
            words = np.concatenate([_NONE, *(self._visible[k] for k in aligned)])
            self._overlap = Overlap(
                _attributes(docs, [LENGTH])[words, 0].astype(np.int64),
                _attributes(self._references, [LENGTH])[self._gold_visible, 0].astype(np.int64),
                [int(of_doc.sum()) for of_doc in gold_visible],
            )

    def tags(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """Read the annotated tag of each word.

        An entity that continues in the next sentence begins again there, since the network
        reads sentences one by one.

        :return: columns of the emissions, or -1 if the annotation is missing or matches no word.
            *Shape:* ``(n_words,)``
        :raises ValueError: if an entity type is not among the labels, or an Example cannot be
            aligned; the message quotes the Doc.
        """
        index = {label: i for i, label in enumerate(labels)}
        hashes = [get_string_id(label) for label in labels]

        def column(tag: str | None) -> int:
            return -1 if tag in (None, "-", "") else tag_of_bilou(tag, index)

        iob, types = _attributes(self._references, [ENT_IOB, ENT_TYPE]).T
        try:
            columns = without(tags_of_entities(iob, types, hashes), self._gold_visible)
            if self._overlap is not None:
                columns = self._overlap.tags(columns)
            columns = self._of_words(columns, Example.get_aligned_ner, column, without)
        except KeyError:
            raise self._unknown_type(labels) from None
        starts = np.cumsum(self.text.lengths)[:-1]
        columns[starts] = begin_entity(columns[starts])
        return columns

    def _unknown_type(self, labels: Sequence[str]) -> ValueError:
        references = (eg.reference for eg in self.examples)
        tokens = (token for doc in references for token in doc)
        token = next(token for token in tokens if token.ent_type_ not in ("", *labels))
        return ValueError(
            f"The Doc that begins {quote(token.doc)} has an entity of type {token.ent_type_!r}. "
            "Expected: one of the types that the component was initialized for, "
            f"{', '.join(labels) or 'none'}. "
            "Initialize it with examples of all types or with initialize(labels=…), or remove "
            "this type from the examples."
        )

    def allowed_tags(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Return which tags the annotation allows for each word.

        :raises ValueError: for the same reasons as :meth:`tags`.
        :return: True for allowed tags; all are allowed without annotation.
            *Shape:* ``(n_words, 2 * len(labels) + 1)``
        """
        columns = self.tags(labels)
        allowed = (columns[:, None] == np.arange(2 * len(labels) + 1)) | (columns[:, None] < 0)
        # An annotated entity ends with the annotation, unless the Doc ends there too.
        doc_of = np.repeat(np.arange(len(self.text.docs)), self.text.doc_lengths)
        ends = (columns[:-1] > 0) & (columns[1:] < 0) & (doc_of[:-1] == doc_of[1:])
        allowed[1:][ends, (columns[:-1][ends] + 1) // 2 * 2] = False
        return allowed

    def pos(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Return the position of each word's part-of-speech tag in ``names``, or -1 without it."""
        is_tag = self.values(TAG)[:, None] == np.array(list(map(get_string_id, names)), np.uint64)
        return np.where(is_tag.any(axis=1), is_tag.argmax(axis=1), -1).astype(np.int32)

    def values(self, attribute: int) -> NDArray[np.uint64]:
        """Read an attribute of each word, or 0 if the gold tokens that it overlaps differ."""
        values = _attributes(self._references, [attribute])[self._gold_visible, 0]
        if self._overlap is not None:
            values = self._overlap.unanimous(values, np.uint64(0))
        return self._of_words(
            values, lambda eg: eg.get_aligned(attribute), lambda value: value or 0, getitem
        )

    def _of_words(
        self,
        values: NDArray,
        align: Callable[[Example], list],
        convert: Callable[[Any], int],
        select: Callable[[NDArray, NDArray[np.bool_]], NDArray],
    ) -> NDArray:
        """Insert the values of the Examples that spaCy aligns, and select those of words.

        :param values: the values of visible tokens.
        :param select: a function that returns the values of some of the tokens.
        """
        if not all(self._by_character):
            given = iter(split(values, self._lengths))
            by_example = []
            for k, example in enumerate(self.examples):
                if self._by_character[k]:
                    by_example.append(next(given))
                    continue
                what = "Aligning the annotation with the pipeline's tokens"
                with naming(example.reference, what):
                    aligned = np.array(list(map(convert, align(example))), values.dtype)
                by_example.append(select(aligned, self._visible[k]))
            values = np.concatenate(by_example)
        if self.text.is_word is None:
            return values
        return select(values, self.text.is_word[np.concatenate(self._visible)])


class Overlap:
    """The gold tokens that each token overlaps, in Docs with the same characters.

    :param lengths: the tokens' lengths in characters. *Shape:* ``(n_tokens,)``
    :param gold_lengths: the same for the gold tokens. *Shape:* ``(n_gold_tokens,)``
    :param n_gold: the number of gold tokens of each Doc.
    """

    def __init__(
        self, lengths: NDArray[np.int64], gold_lengths: NDArray[np.int64], n_gold: Sequence[int]
    ) -> None:
        # Offsets in the concatenated characters of all Docs.
        self._ends, self._gold_ends = np.cumsum(lengths), np.cumsum(gold_lengths)
        self._starts, self._gold_starts = self._ends - lengths, self._gold_ends - gold_lengths
        self._first = np.searchsorted(self._gold_ends, self._starts, side="right")
        self._last = np.searchsorted(self._gold_ends, self._ends, side="left")
        doc_lengths = np.array([n for n in n_gold if n], np.int64)
        self._doc_starts = np.cumsum(doc_lengths) - doc_lengths

    def unanimous(self, values: NDArray, otherwise: np.generic | int) -> NDArray:
        """Return the value shared by all gold tokens that a token overlaps, or ``otherwise``."""
        if not len(values):
            return values
        changes = np.cumsum(np.append(False, values[1:] != values[:-1]))
        is_same = changes[self._first] == changes[self._last]
        return np.where(is_same, values[self._first], otherwise)

    def tags(self, gold: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tags of the tokens, or -1 if an entity begins or ends inside the token."""
        label = (gold + 1) // 2
        in_entity = label > 0
        begins = in_entity & ((gold % 2 == 1) | (label != np.append(0, label[:-1])))
        begins[self._doc_starts] = in_entity[self._doc_starts]
        ends = in_entity & np.append(begins[1:] | ~in_entity[1:], True)[: len(gold)]
        # Entity 0 means that the token is in no entity.
        start = np.append(-1, self._gold_starts[begins])
        end = np.append(-1, self._gold_ends[ends])
        is_whole = np.isin(start, self._starts) & np.isin(end, self._ends)
        entity = (np.cumsum(begins) * in_entity)[self._first]
        label_of_entity = np.append(0, label[begins])
        outside = np.where(self.unanimous(gold, -1) == 0, 0, -1)
        inside = 2 * label_of_entity[entity] - (self._starts == start[entity])
        return np.where(is_whole[entity], inside, outside)


def _attributes(docs: Iterable[Doc], attributes: list[int]) -> NDArray[np.uint64]:
    """Read attributes of all Docs' tokens. *Shape:* ``(n_tokens, n_attributes)``."""
    n = len(attributes)
    empty = np.zeros((0, n), np.uint64)
    return np.concatenate([empty, *(doc.to_array(attributes).reshape(-1, n) for doc in docs)])


def _visible(docs: Sequence[Doc]) -> list[NDArray[np.bool_]]:
    """Return which tokens of each Doc are not blank."""
    return split(_READER.is_visible(docs), map(len, docs))


def _join(orths: NDArray[np.uint64], doc: Doc) -> tuple[int, str]:
    """Return the number of the words' characters, and the characters in lower case."""
    strings = doc.vocab.strings
    text = "".join([strings[orth] for orth in orths.tolist()])
    return len(text), text.lower()
