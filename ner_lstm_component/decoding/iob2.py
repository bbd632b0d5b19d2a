"""IOB2 tags: names, validity, and conversion to and from entities.

In IOB2 (Ramshaw and Marcus, 1995; Tjong Kim Sang and Veenstra, 1999), an entity begins with
``B-TYPE`` and continues with ``I-TYPE``, and all other words are ``O``. The number of ``O`` is 0,
and the *k*-th label has ``2k + 1`` for ``B-`` and ``2k + 2`` for ``I-``. Only this module and the
kernels rely on these numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .. import kernels

OUTSIDE = "O"
# White space within a type is part of the type, but white space around it is not.
_TAG = re.compile(r"O|[BI]-\S(?:.*\S)?", re.DOTALL)

# Values of spaCy's ENT_IOB attribute.
ENT_MISSING, ENT_IN, ENT_OUT, ENT_BEGIN = 0, 1, 2, 3


def tag_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the IOB2 tags of entity types by number: ``("O", "B-x", "I-x", "B-y", …)``."""
    return (OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in "BI"))


def is_tag(tag: str) -> bool:
    """Return whether a string is ``O``, ``B-type`` or ``I-type``."""
    return _TAG.fullmatch(tag) is not None


def find_invalid(tags: Sequence[str]) -> int | None:
    """Find the first ``I-`` of a sentence that continues no entity of its type."""
    return next(_invalid(tags), None)


def repair(tags: Sequence[str]) -> tuple[list[str], int]:
    """Replace each ``I-`` of a sentence that continues no entity of its type with ``B-``.

    :return: the repaired tags, and the number of changed tags.
    """
    invalid = set(_invalid(tags))
    return [f"B-{tag[2:]}" if i in invalid else tag for i, tag in enumerate(tags)], len(invalid)


def _invalid(tags: Sequence[str]) -> Iterator[int]:
    for i, (previous, tag) in enumerate(pairwise([OUTSIDE, *tags])):
        if tag.startswith("I-") and previous[2:] != tag[2:]:
            yield i


def tag_of_bilou(tag: str, labels: dict[str, int]) -> int:
    """Convert a BILOU tag from a spaCy ``Example`` to a tag number.

    :raises KeyError: with the entity type, if it is not in ``labels``.
    """
    if tag == OUTSIDE:
        return 0
    return 2 * labels[tag[2:]] + (1 if tag[0] in "BU" else 2)


def begin_entity(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace each ``I-`` with the ``B-`` of its type."""
    return np.where((columns > 0) & (columns % 2 == 0), columns - 1, columns)


def without(columns: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Remove the tags of some tokens. An entity whose first token is removed begins at the next."""
    columns = columns.copy()
    for token in np.flatnonzero(~kept[:-1]).tolist():
        if columns[token] > 0 and columns[token] % 2 and columns[token + 1] == columns[token] + 1:
            columns[token + 1] -= 1
    return columns[kept]


def tags_of_entities(
    iob: NDArray[np.uint64], types: NDArray[np.uint64], label_hashes: Sequence[int]
) -> NDArray[np.int64]:
    """Convert ENT_IOB and ENT_TYPE to tag numbers, the inverse of :func:`entity_arrays`.

    :param label_hashes: the hash of each label in the string store.
    :return: tag numbers, or -1 if the annotation is missing. *Shape:* ``(n_tokens,)``
    :raises KeyError: if a type is not a label; its argument is the type's hash.
    """
    is_label = types[:, None] == np.array(label_hashes, np.uint64)
    in_entity = types != 0
    unknown = in_entity & ~is_label.any(axis=1)
    if unknown.any():
        raise KeyError(int(types[unknown][0]))
    columns = 2 * is_label.argmax(axis=1) + np.where(iob == ENT_IN, 2, 1)
    return np.where(in_entity, columns, np.where(iob == ENT_MISSING, -1, 0))


def entity_arrays(tag_ids: NDArray[np.integer], label_hashes: Iterable[int]) -> NDArray[np.uint64]:
    """Convert tag numbers to ENT_IOB and ENT_TYPE. *Shape:* ``(n_tokens, 2)``.

    The tokens between the words of an entity, whose tag is O, are in the entity.
    """
    return _entity_table(tuple(label_hashes))[_fill(tag_ids)]


def _fill(tag_ids: NDArray[np.integer]) -> NDArray[np.integer]:
    """Continue each entity up to its last ``I-``."""
    continues = (tag_ids[1:] > 0) & (tag_ids[1:] % 2 == 0)
    if not (continues & (tag_ids[:-1] == 0)).any():
        return tag_ids
    filled = np.zeros_like(tag_ids)
    for start, end, label in entity_spans(tag_ids):
        filled[start:end] = 2 * label + 2
        filled[start] -= 1
    return filled


@lru_cache(maxsize=8)
def _entity_table(label_hashes: tuple[int, ...]) -> NDArray[np.uint64]:
    """Return ENT_IOB and ENT_TYPE by tag number."""
    iob = [ENT_OUT, *[ENT_BEGIN, ENT_IN] * len(label_hashes)]
    types = [0, *(label_hash for label_hash in label_hashes for _ in range(2))]
    return np.array([iob, types], np.uint64).T.copy()


def entity_spans(tag_ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Find the entities of valid IOB2 tags, of one sequence or of several.

    White space has the tag O, even inside an entity, which ends after its last word.

    :return: the first token, end (one past the last token) and label of each entity, in order.
        *Shape:* ``(n_entities, 3)``
    """
    return kernels.entity_spans(np.ascontiguousarray(tag_ids, np.int64))
