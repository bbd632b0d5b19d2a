"""Lexical features: from words to integer ids, which are rows of the network's embedding table.

Each feature of a word (its lower-cased form, its shape, its first and last characters, its cluster,
whether it is a name) is hashed to ``HASHES`` rows in its own part of the table, and the network
sums their vectors (hash embeddings, Svenstrup et al., 2017, as in spaCy's ``MultiHashEmbed``).
There is no vocabulary: no word is unknown, and nothing but the word tables has to be saved. The
features depend only on the text of a word, not on how a Doc was created.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import is_
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc
from thinc.api import Model

from ..kernels import Case, RowIndex, feature_ids, find_rows, word_shape
from ..text.sentences import Text
from ..text.truecase import RECASED, in_case
from ..text.words import normal_form
from .clusters import load_clusters
from .gazetteer import Name, load_gazetteer
from .word_table import WordTable, in_cases

HASHES = 2
# Maximum number of words whose ids are cached.
_CACHE_SIZE = 100_000

# The functions that load the word tables of a language, by the names of the layer's attributes.
WORD_TABLES: Mapping[str, Callable[[str], WordTable]] = {
    "clusters": load_clusters,
    "gazetteer": load_gazetteer,
}


def LexicalFeatures(
    names: Sequence[str], rows: Sequence[int], normalize: bool = False
) -> Model[Text, NDArray[np.int32]]:
    """Create the Thinc layer that computes the lexical features of words.

    :param names: features: ``ORTH``, ``LOWER``, ``SHAPE``, or ``PREFIXn``, ``SUFFIXn`` for the
        first or last *n* characters, or ``CLUSTER``, ``CLUSTERn`` for the word's cluster or the
        first *n* bits of its path from the root, or ``NAME``, ``PERSON``, ``PLACE`` for the kinds
        of names, of people or of places that the word is in the gazetteer.
    :param rows: number of rows of the embedding table for each feature.
    :param normalize: whether to use the words' normal forms, from `words.normal_form`.
    :return: a layer that returns ids below ``sum(rows)``, with a feature's ids next to each other.
        Its attributes ``clusters`` and ``gazetteer``, if it uses them, contain the fields of a
        `WordTable`.
        *Shape:* ``(n_tokens, len(names) * HASHES)``
    :raises ValueError: if a feature is unknown, or the lists do not match.
    """
    table = FeatureTable(names, rows, normalize)
    attrs: dict[str, Any] = {name: list(WordTable()) for name in table.word_tables}
    attrs["table"] = table
    return Model("lexical_features", _forward, attrs=attrs, dims={"nO": len(names) * HASHES})


def _forward(
    model: Model, text: Text, is_train: bool
) -> tuple[NDArray[np.int32], Callable[[Any], list]]:
    table = model.attrs["table"]
    return table(text, [model.attrs[name] for name in table.word_tables]), no_gradient


def no_gradient(d_features: Any) -> list:
    """Return no gradient, because text has none."""
    return []


def words_of(orths: Sequence[int], docs: Sequence[Doc]) -> list[str]:
    """Look up the words with some hashes in the vocabularies of their Docs, which may differ."""
    first = docs[0].vocab.strings
    stores = {id(doc.vocab): doc.vocab.strings for doc in docs}.values()
    if len(stores) == 1:
        return [first[orth] for orth in orths]
    return [next((strings for strings in stores if orth in strings), first)[orth] for orth in orths]


# The forms of a word from which features are made.
_FORMS: dict[str, Callable[[str], str]] = {"ORTH": str, "LOWER": str.lower, "SHAPE": word_shape}


def _recased_shape(shape: str, case: int) -> str:
    """Return the shape of a word in a sentence without case, so that the network can tell."""
    if not case & RECASED:
        return shape
    return "?" if case == Case.GUESSED | RECASED else f"?{shape}"


class _Bits(NamedTuple):
    """The bits of a word's value in a word table that are a feature."""

    table: str
    mask: int


def _bits(feature: str) -> _Bits | None:
    """Return the bits that are a feature, or None if it is a feature of the word itself."""
    if feature in ("NAME", "PERSON", "PLACE"):
        return _Bits("gazetteer", Name[feature].value)
    cluster = re.fullmatch(r"CLUSTER([1-9]|[12]\d|3[01])?", feature)
    return cluster and _Bits("clusters", 2 ** int(cluster[1] or 32) - 1)


def _parse_feature(name: str) -> tuple[str, int]:
    """Return a feature's form and its number of characters, as `kernels.feature_ids` takes them."""
    if name in _FORMS:
        return name, 0
    affix = re.fullmatch(r"(PREFIX|SUFFIX)([1-9])", name)
    if affix is None:
        raise ValueError(
            "Unknown lexical feature. Expected in 'features': ORTH, LOWER, SHAPE, CLUSTER, NAME, "
            "PERSON, PLACE, or CLUSTERn with n from 1 to 31, or PREFIXn, SUFFIXn with n from 1 to "
            f"9. Received: {name!r}"
        )
    return "ORTH", int(affix[2]) if affix[1] == "PREFIX" else -int(affix[2])


class _Group:
    """Features whose ids are computed together.

    :param numbers: which of the features these are.
    :param forms: the number of each one's form, and its number of characters.
    """

    def __init__(
        self,
        names: Sequence[str],
        rows: Sequence[int],
        numbers: Sequence[int],
        forms: Sequence[tuple[int, int]],
    ) -> None:
        # Hashed with the value: equal strings of two features (the word "a" and the prefix "a")
        # then collide with different strings.
        self._labels = [f"{names[k]} " for k in numbers]
        first_rows = np.cumsum([0, *rows[:-1]])
        features = [(*form, rows[k], first_rows[k]) for k, form in zip(numbers, forms, strict=True)]
        self._features = np.array(features, np.int64)
        #: The columns of these features among the ids of all. A slice is faster than an array.
        self.columns: Any = (
            np.arange(len(names) * HASHES).reshape(-1, HASHES)[list(numbers)].ravel()
        )
        if len(numbers) and numbers[-1] - numbers[0] == len(numbers) - 1:
            self.columns = slice(HASHES * numbers[0], HASHES * (numbers[-1] + 1))

    def ids(self, forms: Sequence[Sequence[str]]) -> NDArray[np.int32]:
        """Hash the forms of words. *Shape:* ``(n_words, HASHES * len(numbers))``."""
        return feature_ids(forms, self._labels, self._features)


class _TableFeatures:
    """The features of words that are bits of their values in a word table.

    Their ids are computed once for each value.
    """

    def __init__(self, table: WordTable, group: _Group, masks: Sequence[int]) -> None:
        self._words = table.words
        values = [*table.values.tolist(), 0]
        # A word that the table lacks has the row -1, and the value 0. Both are the last.
        self._places = np.append(table.places.astype(np.int32), len(values) - 1)
        self._ids = group.ids([[str(value & mask) for value in values] for mask in masks])
        self.columns = group.columns

    def ids(self, forms: list[list[str]]) -> NDArray[np.int32]:
        """Look words up by the first of their forms that is in the table."""
        return self._ids.take(self._places.take(find_rows(self._words, forms)), axis=0)


class FeatureTable:
    """A function that computes the ids of words and caches them; a full cache is cleared."""

    def __init__(self, names: Sequence[str], rows: Sequence[int], normalize: bool = False) -> None:
        if len(names) != len(rows) or not names or min(rows) < 1:
            raise ValueError(
                "'features' and 'rows' must be lists of the same length, with at least one feature "
                f"and positive rows. Received: features={list(names)}, rows={list(rows)}"
            )
        self.names = tuple(names)
        self.rows = tuple(rows)
        self.normalize = normalize
        self.n_rows = np.int32(sum(rows))
        bits = {k: found for k, name in enumerate(names) if (found := _bits(name))}
        own = [k for k in range(len(names)) if k not in bits]
        features = [_parse_feature(names[k]) for k in own]
        forms = list(dict.fromkeys(form for form, _ in features))
        self._forms = [_FORMS[form] for form in forms]
        self._of_forms = _Group(names, rows, own, [(forms.index(form), n) for form, n in features])
        #: The names in `WORD_TABLES` of the tables whose values are features.
        self.word_tables = list(dict.fromkeys(found.table for found in bits.values()))
        self._groups: list[tuple[_Group, list[int]]] = []
        for table in self.word_tables:
            numbers = [k for k, found in bits.items() if found.table == table]
            group = _Group(names, rows, numbers, [(form, 0) for form in range(len(numbers))])
            self._groups.append((group, [bits[k].mask for k in numbers]))
        self._tables: list[WordTable] = []
        self._of_tables: list[_TableFeatures] = []
        self._lock = threading.Lock()
        # The hash of a word is two numbers of 32 bits.
        self._index = RowIndex(2)
        self._known = np.empty((1024, len(self.names) * HASHES), np.int32)

    def __getstate__(self) -> dict[str, Any]:
        return {"names": self.names, "rows": self.rows, "normalize": self.normalize}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(
        self, text: Text, word_tables: Sequence[Sequence[NDArray]] = ()
    ) -> NDArray[np.int32]:
        """Compute the ids of all words.

        :param word_tables: the fields of each `WordTable` that is named in ``word_tables``.
        :return: *Shape:* ``(n_tokens, len(names) * HASHES)``
        """
        if not len(text.orths):
            return np.zeros((0, len(self.names) * HASHES), np.int32)
        with self._lock:
            try:
                self._use(word_tables)
                return self._look_up(text)
            except BaseException:
                self._index.clear()  # The index may contain words without ids.
                raise

    def _use(self, word_tables: Sequence[Sequence[NDArray]]) -> None:
        """Forget the ids of words if the word tables are others than before."""
        tables = [WordTable(*fields) for fields in word_tables]
        if len(tables) == len(self._tables) and all(map(is_, chain(*tables), chain(*self._tables))):
            return
        self._index.clear()
        pairs = zip(tables, self._groups, strict=True)
        self._of_tables = [_TableFeatures(table, *group) for table, group in pairs]
        self._tables = tables

    def _look_up(self, text: Text) -> NDArray[np.int32]:
        if len(self._index) > _CACHE_SIZE:
            self._index.clear()
        n_known = len(self._index)
        keys = text.forms
        if text.is_recased:
            # Words of equal forms have other features in a sentence without case.
            keys = keys + (text.cases & RECASED)
        numbers, new = self._index.add(keys.view(np.int32).reshape(-1, 2))
        if new:
            while len(self._known) < len(self._index):
                self._known = np.concatenate([self._known, np.empty_like(self._known)])
            words = words_of(text.orths[new].tolist(), text.docs)
            if self.normalize:
                words = [normal_form(word, text.kept) for word in words]
            cases = text.cases[new].tolist() if text.is_recased else []
            if cases:
                words = list(map(in_case, words, cases))
            forms = [list(map(form, words)) for form in self._forms]
            if cases and word_shape in self._forms:
                shapes = forms[self._forms.index(word_shape)]
                shapes[:] = map(_recased_shape, shapes, cases)
            ids = self._known[n_known : n_known + len(new)]
            if forms:
                ids[:, self._of_forms.columns] = self._of_forms.ids(forms)
            if self._of_tables:
                forms = in_cases(words)
                for features in self._of_tables:
                    ids[:, features.columns] = features.ids(forms)
        return self._known.take(numbers, axis=0)
