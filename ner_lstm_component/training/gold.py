"""The annotation of Examples on the tokens of their ``predicted`` Docs.

The pipeline's tokenizer and the annotated data may divide a text differently. Where both
Docs have the same characters, apart from the spaces between tokens, all Examples of a
batch are aligned by character at once, with the results of ``Example.get_aligned_ner`` and
``Example.get_aligned``; those take longer than the network. Other Examples are left to
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_TYPE, LENGTH, ORTH
from spacy.tokens import Doc
from spacy.training import Example

from ..decoding.iob2 import tag_of_bilou, tags_of_entities
from ..errors import naming
from ..text.sentences import Text, read_docs, split

_ALIGNING = "Aligning the annotation with the pipeline's tokens"


class Gold:
    """The annotation of a batch of Examples.

    :param examples: the batch.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples
        self.text: Text = read_docs([eg.predicted for eg in examples])
        has_words = [_has_words_of_reference(eg) for eg in examples]
        self._by_character = [
            same or _characters(eg.predicted) == _characters(eg.reference)
            for eg, same in zip(examples, has_words, strict=True)
        ]
        aligned = [eg for eg, yes in zip(examples, self._by_character, strict=True) if yes]
        self._references = [eg.reference for eg in aligned]
        self._overlap = (
            None if all(has_words) else Overlap([eg.predicted for eg in aligned], self._references)
        )

    def tags(self, label_hashes: Sequence[int], labels: dict[str, int]) -> NDArray[np.int64]:
        """The annotated tag of each token, -1 where it is missing or fits no token.

        :param label_hashes: the string-store hash of each entity type.
        :param labels: the position of each entity type.
        :return: columns of the emissions. *Shape:* ``(n_tokens,)``
        :raises KeyError: with the name of an entity type that is not among these.
        :raises ValueError: naming a Doc that cannot be aligned.
        """
        iob, types = _of_docs(self._references, [ENT_IOB, ENT_TYPE]).T
        try:
            columns = tags_of_entities(iob, types, label_hashes)
        except KeyError as error:
            (unknown,) = error.args
            stores = (doc.vocab.strings for doc in self._references)
            raise KeyError(next(store[unknown] for store in stores if unknown in store)) from None
        if self._overlap is not None:
            columns = self._overlap.tags(columns)

        def of_example(example: Example) -> list[int]:
            with naming(example.reference, _ALIGNING):
                bilou = example.get_aligned_ner()
            return [-1 if tag in (None, "-", "") else tag_of_bilou(tag, labels) for tag in bilou]

        return self._with_others(columns, of_example)

    def values(self, attribute: int) -> NDArray[np.uint64]:
        """An attribute of each token, 0 where the gold tokens that it overlaps differ.

        :param attribute: one of `spacy.attrs`, such as ``TAG``.
        :return: *Shape:* ``(n_tokens,)``
        :raises ValueError: naming a Doc that cannot be aligned.
        """
        values = _of_docs(self._references, [attribute])[:, 0]
        if self._overlap is not None:
            values = self._overlap.unanimous(values, np.uint64(0))

        def of_example(example: Example) -> list[int]:
            with naming(example.reference, _ALIGNING):
                return [value or 0 for value in example.get_aligned(attribute)]

        return self._with_others(values, of_example)

    def _with_others(self, values: NDArray, of_example: Callable[[Example], list]) -> NDArray:
        """The values of the Examples aligned by character, and between them those of the others."""
        if all(self._by_character):
            return values
        lengths = [
            len(eg.predicted)
            for eg, yes in zip(self.examples, self._by_character, strict=True)
            if yes
        ]
        aligned = iter(split(values, lengths))
        parts = []
        for example, is_aligned in zip(self.examples, self._by_character, strict=True):
            if is_aligned:
                parts.append(next(aligned))
            else:
                parts.append(np.array(of_example(example), values.dtype))
        return np.concatenate(parts)


class Overlap:
    """Which gold tokens each token overlaps.

    :param docs: Docs with the tokens wanted.
    :param references: Docs of the same characters, in the same order.
    """

    def __init__(self, docs: Sequence[Doc], references: Sequence[Doc]) -> None:
        lengths = _of_docs(docs, [LENGTH])[:, 0].astype(np.int64)
        gold_lengths = _of_docs(references, [LENGTH])[:, 0].astype(np.int64)
        # Characters are counted through all Docs.
        self._ends, self._gold_ends = np.cumsum(lengths), np.cumsum(gold_lengths)
        self._starts, self._gold_starts = self._ends - lengths, self._gold_ends - gold_lengths
        self._first = np.searchsorted(self._gold_ends, self._starts, side="right")
        self._last = np.searchsorted(self._gold_ends, self._ends, side="left")
        doc_lengths = np.array([len(doc) for doc in references if len(doc)], np.int64)
        self._doc_starts = np.cumsum(doc_lengths) - doc_lengths

    def unanimous(self, values: NDArray, otherwise: np.generic | int) -> NDArray:
        """The value that all gold tokens have which a token overlaps.

        :param values: of the gold tokens. *Shape:* ``(n_gold_tokens,)``
        :param otherwise: the value where they differ.
        :return: *Shape:* ``(n_tokens,)``
        """
        if not len(values):
            return values
        changes = np.cumsum(np.append(False, values[1:] != values[:-1]))
        is_same = changes[self._first] == changes[self._last]
        return np.where(is_same, values[self._first], otherwise)

    def tags(self, gold: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tags of the tokens, -1 where an entity begins or ends inside one.

        :param gold: the tags of the gold tokens, -1 where missing. *Shape:* ``(n_gold_tokens,)``
        :return: *Shape:* ``(n_tokens,)``
        """
        label = (gold + 1) // 2
        in_entity = label > 0
        begins = in_entity & ((gold % 2 == 1) | (label != np.append(0, label[:-1])))
        begins[self._doc_starts] = in_entity[self._doc_starts]
        ends = in_entity & np.append(begins[1:] | ~in_entity[1:], True)[: len(gold)]
        # Entity 0 stands for none.
        start = np.append(-1, self._gold_starts[begins])
        end = np.append(-1, self._gold_ends[ends])
        is_whole = np.isin(start, self._starts) & np.isin(end, self._ends)
        entity = (np.cumsum(begins) * in_entity)[self._first]
        label_of_entity = np.append(0, label[begins])
        outside = np.where(self.unanimous(gold, -1) == 0, 0, -1)
        inside = 2 * label_of_entity[entity] - (self._starts == start[entity])
        return np.where(is_whole[entity], inside, outside)


def _of_docs(docs: Iterable[Doc], attributes: list[int]) -> NDArray[np.uint64]:
    """Attributes of all Docs' tokens. *Shape:* ``(n_tokens, n_attributes)``."""
    n = len(attributes)
    empty = np.zeros((0, n), np.uint64)
    return np.concatenate([empty, *(doc.to_array(attributes).reshape(-1, n) for doc in docs)])


def _has_words_of_reference(example: Example) -> bool:
    predicted, reference = example.predicted, example.reference
    return np.array_equal(predicted.to_array(ORTH), reference.to_array(ORTH))


def _characters(doc: Doc) -> str:
    return "".join([token.text for token in doc])
