"""IOB2 tags and what they mean: names, order, well-formedness, entity spans.

In IOB2 (Ramshaw and Marcus, 1995, in the variant of Tjong Kim Sang and Veenstra,
1999) every entity opens with ``B-TYPE`` and goes on with ``I-TYPE``; words outside
are ``O``. The network's output has one column per tag, in the order of
:func:`tag_names`: ``O`` is column 0, ``B-`` of the *k*-th label is ``2k + 1`` and its
``I-`` is ``2k + 2``. That arithmetic is used only here and in the kernels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .. import kernels

OUTSIDE = "O"
# Blanks within a type are its own, those around it belong to the file that it was read from.
_TAG = re.compile(r"O|[BI]-\S(?:.*\S)?", re.DOTALL)

# Values of spaCy's ENT_IOB attribute.
ENT_MISSING, ENT_IN, ENT_OUT, ENT_BEGIN = 0, 1, 2, 3


def tag_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The IOB2 tags of some entity types, in the order of the network's output.

    :param labels: entity types, in order.
    :return: ``("O", "B-x", "I-x", "B-y", …)``, ``2 * len(labels) + 1`` names.
    """
    return (OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in "BI"))


def is_tag(tag: str) -> bool:
    """Whether a string has the form of an IOB2 tag: ``O``, ``B-type`` or ``I-type``."""
    return _TAG.fullmatch(tag) is not None


def find_invalid(tags: Sequence[str]) -> int | None:
    """The position of the first ``I-`` that continues no entity of its type.

    :param tags: the IOB2 tags of one sentence.
    :return: a position in ``tags``, or None if the sequence is well-formed.
    """
    previous = OUTSIDE
    for i, tag in enumerate(tags):
        if tag.startswith("I-") and previous[2:] != tag[2:]:
            return i
        previous = tag
    return None


def repair(tags: Sequence[str]) -> tuple[list[str], int]:
    """Turn each ``I-`` that continues no entity of its type into ``B-``.

    :param tags: the tags of one sentence.
    :return: the mended tags and how many were changed.
    """
    mended: list[str] = []
    changed = 0
    for tag in tags:
        if tag.startswith("I-") and (not mended or mended[-1][2:] != tag[2:]):
            tag = f"B-{tag[2:]}"
            changed += 1
        mended.append(tag)
    return mended, changed


def tag_of_bilou(tag: str, labels: dict[str, int]) -> int:
    """The column of an aligned BILOU tag as spaCy's ``Example`` gives it.

    :param tag: ``O`` or ``[BILU]-type``.
    :param labels: entity type → its position among the labels.
    :raises KeyError: with the type, if it is not among ``labels``.
    """
    if tag == OUTSIDE:
        return 0
    return 2 * labels[tag[2:]] + (1 if tag[0] in "BU" else 2)


def begin_entity(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The columns with each ``I-`` turned into the ``B-`` of its type."""
    return np.where((columns > 0) & (columns % 2 == 0), columns - 1, columns)


def tags_of_entities(
    iob: NDArray[np.uint64], types: NDArray[np.uint64], label_hashes: Sequence[int]
) -> NDArray[np.int64]:
    """Translate what spaCy stores on tokens into columns; the way back of `entity_arrays`.

    :param iob: ENT_IOB values. *Shape:* ``(n_tokens,)``
    :param types: ENT_TYPE values. *Shape:* ``(n_tokens,)``
    :param label_hashes: the string-store hash of each label.
    :return: columns, -1 where there is no annotation. *Shape:* ``(n_tokens,)``
    :raises KeyError: with the hash of a type that is not among the labels.
    """
    is_label = types[:, None] == np.array(label_hashes, np.uint64)
    in_entity = types != 0
    unknown = in_entity & ~is_label.any(axis=1)
    if unknown.any():
        raise KeyError(int(types[unknown][0]))
    columns = 2 * is_label.argmax(axis=1) + np.where(iob == ENT_IN, 2, 1)
    return np.where(in_entity, columns, np.where(iob == ENT_MISSING, -1, 0))


def entity_arrays(tag_ids: NDArray[np.integer], label_hashes: Iterable[int]) -> NDArray[np.uint64]:
    """Translate tag columns into the values that spaCy stores on tokens.

    :param tag_ids: columns of the network's output. *Shape:* ``(n_tokens,)``
    :param label_hashes: the string-store hash of each label.
    :return: ENT_IOB and ENT_TYPE values. *Shape:* ``(n_tokens, 2)``
    """
    return _entity_table(tuple(label_hashes))[tag_ids]


@lru_cache(maxsize=8)
def _entity_table(label_hashes: tuple[int, ...]) -> NDArray[np.uint64]:
    """ENT_IOB and ENT_TYPE by tag."""
    iob = [ENT_OUT, *[ENT_BEGIN, ENT_IN] * len(label_hashes)]
    types = [0, *(label_hash for label_hash in label_hashes for _ in range(2))]
    return np.array([iob, types], np.uint64).T.copy()


def entity_spans(tag_ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """The entities of valid IOB2 tags.

    :param tag_ids: columns of the network's output, of one sequence or of several one
        after the other. *Shape:* ``(n_tokens,)``
    :return: first token, end (one past the last token) and label of each entity, in
        order. *Shape:* ``(n_entities, 3)``
    """
    return kernels.entity_spans(np.ascontiguousarray(tag_ids, np.int64))
