"""Lexical features: from words to integer ids, which are rows of the network's embedding table.

Each feature of a word (its lower-cased form, its shape, its first and last characters, its cluster)
is hashed to ``HASHES`` rows in its own part of the table, and the network sums their vectors (hash
embeddings, Svenstrup et al., 2017, as in spaCy's ``MultiHashEmbed``). There is no vocabulary: no
word is unknown, and nothing but the clusters has to be saved. The features depend only on the text
of a word, not on how a Doc was created.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.lang.lex_attrs import word_shape
from spacy.tokens import Doc
from thinc.api import Model

from ..kernels import Case, RowIndex, feature_ids
from ..text.sentences import Text
from ..text.truecase import RECASED, in_case
from ..text.words import normal_form
from .clusters import Clusters

HASHES = 2
# Maximum number of words whose ids are cached.
_CACHE_SIZE = 100_000


def LexicalFeatures(
    names: Sequence[str], rows: Sequence[int], normalize: bool = False
) -> Model[Text, NDArray[np.int32]]:
    """Create the Thinc layer that computes the lexical features of words.

    :param names: features: ``ORTH``, ``LOWER``, ``SHAPE``, or ``PREFIXn``, ``SUFFIXn`` for the
        first or last *n* characters, or ``CLUSTER``, ``CLUSTERn`` for the word's cluster or the
        first *n* bits of its path from the root.
    :param rows: number of rows of the embedding table for each feature.
    :param normalize: whether to use the words' normal forms, from `words.normal_form`.
    :return: a layer that returns ids below ``sum(rows)``, with a feature's ids next to each other.
        If it uses clusters, its attribute ``clusters`` contains the fields of `Clusters`.
        *Shape:* ``(n_tokens, len(names) * HASHES)``
    :raises ValueError: if a feature is unknown, or the lists do not match.
    """
    table = FeatureTable(names, rows, normalize)
    attrs: dict[str, Any] = {"table": table}
    if table.uses_clusters:
        attrs["clusters"] = list(Clusters())
    return Model("lexical_features", _forward, attrs=attrs, dims={"nO": len(names) * HASHES})


def _forward(
    model: Model, text: Text, is_train: bool
) -> tuple[NDArray[np.int32], Callable[[Any], list]]:
    return model.attrs["table"](text, model.attrs.get("clusters", ())), no_gradient


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


def _n_bits(feature: str) -> int | None:
    """Return how many bits of a word's cluster are a feature, or None if it is no cluster."""
    cluster = re.fullmatch(r"CLUSTER([1-9]|[12]\d|3[01])?", feature)
    return cluster and int(cluster[1] or 32)


def _parse_feature(name: str) -> tuple[str, int]:
    """Return a feature's form and its number of characters, as `kernels.feature_ids` takes them."""
    if name in _FORMS or _n_bits(name):
        return name, 0
    affix = re.fullmatch(r"(PREFIX|SUFFIX)([1-9])", name)
    if affix is None:
        raise ValueError(
            "Unknown lexical feature. Expected in 'features': ORTH, LOWER, SHAPE, CLUSTER, or "
            "CLUSTERn with n from 1 to 31, or PREFIXn, SUFFIXn with n from 1 to 9. Received: "
            f"{name!r}"
        )
    return "ORTH", int(affix[2]) if affix[1] == "PREFIX" else -int(affix[2])


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
        features = [_parse_feature(name) for name in names]
        forms = list(dict.fromkeys(form for form, _ in features))
        self._forms = [_FORMS[form] for form in forms if form in _FORMS]
        # The forms of clusters come last.
        forms.sort(key=lambda form: form not in _FORMS)
        self._masks = [np.uint32(2**n - 1) for form in forms if (n := _n_bits(form))]
        self._clusters = Clusters()
        # Hashed with the value: equal strings of two features (the word "a" and the prefix "a")
        # then collide with different strings.
        self._labels = [f"{name} " for name in names]
        columns = [[forms.index(form) for form, _ in features], [n for _, n in features]]
        first_rows = np.cumsum([0, *rows[:-1]])
        self._features = np.array([*columns, rows, first_rows], np.int64).T.copy()
        self._lock = threading.Lock()
        # The hash of a word is two numbers of 32 bits.
        self._index = RowIndex(2)
        self._known = np.empty((1024, len(self.names) * HASHES), np.int32)

    @property
    def uses_clusters(self) -> bool:
        """Whether the words' clusters are among the features."""
        return bool(self._masks)

    def __getstate__(self) -> dict[str, Any]:
        return {"names": self.names, "rows": self.rows, "normalize": self.normalize}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(self, text: Text, clusters: Sequence[NDArray] = ()) -> NDArray[np.int32]:
        """Compute the ids of all words.

        :param clusters: the fields of the `Clusters` that are used.
        :return: *Shape:* ``(n_tokens, len(names) * HASHES)``
        """
        if not len(text.orths):
            return np.zeros((0, len(self.names) * HASHES), np.int32)
        with self._lock:
            try:
                if any(a is not b for a, b in zip(clusters, self._clusters, strict=False)):
                    self._index.clear()
                    self._clusters = Clusters(*clusters)
                return self._look_up(text)
            except BaseException:
                self._index.clear()  # The index may contain words without ids.
                raise

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
            if self._masks:
                found = self._clusters(words)
                forms += [list(map(str, (found & mask).tolist())) for mask in self._masks]
            ids = feature_ids(forms, self._labels, self._features)
            self._known[n_known : n_known + len(new)] = ids
        return self._known.take(numbers, axis=0)
