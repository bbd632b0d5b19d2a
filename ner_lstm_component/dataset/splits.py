"""Annotated sentences → train, dev and test."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from .files import DatasetError

if TYPE_CHECKING:
    from . import Sentence

try:
    from sklearn.model_selection import train_test_split
except ImportError as error:
    raise ImportError(
        "Reading and splitting data sets needs scikit-learn, which is not installed; "
        "run: pip install 'ner-lstm-component[train]'"
    ) from error

PARTS = ("train", "dev", "test")
DEFAULT_SEED = 0
MAX_SEED = 2**32 - 1  # the largest that NumPy's generator takes

# Public results on the Groningen Meaning Bank file are reported on the test part that
# these two numbers give: they are part of the data, not a setting.
_COMMUNITY_SEED = 42
_COMMUNITY_TEST_SHARE = 0.2


class Split(str, Enum):
    """How one file is divided into train, dev and test; see :func:`split_sentences`."""

    deduplicated = "deduplicated"
    community = "community"


def split_sentences(
    sentences: Sequence[Sentence], split: Split | str, seed: int = DEFAULT_SEED
) -> dict[str, list[Sentence]]:
    """Divide sentences into ``train``, ``dev`` and ``test``, each in the given order.

    ``deduplicated`` draws 10 % of the distinct texts as dev, 10 % as test, and puts all
    sentences with the same words into the same part. ``community`` draws 20 % of the
    sentence ids as test, the same whatever the seed, and 10 % of the others as dev; a
    text may occur in several of its parts.

    :param sentences: at least 3 distinct texts, or ids for ``community``.
    :param split: a member of :class:`Split` or its name.
    :param seed: of the random draw, 0 to 2³² - 1.
    :raises DatasetError: if there are too few sentences, or on a wrong argument.
    """
    if not 0 <= seed <= MAX_SEED:
        raise DatasetError(f"seed: found {seed}; expected a number from 0 to {MAX_SEED}.")
    if split == Split.deduplicated:
        return _split_deduplicated(sentences, seed)
    if split == Split.community:
        return _split_community(sentences, seed)
    names = " or ".join(repr(member.value) for member in Split)
    raise DatasetError(f"split: found {split!r}; expected {names}.")


def _split_deduplicated(sentences: Sequence[Sentence], seed: int) -> dict[str, list[Sentence]]:
    texts = {words: number for number, words in enumerate(_distinct(s.words for s in sentences))}
    _check_enough(len(texts), "distinct texts")
    held = max(1, round(len(texts) / 10))
    rest, test = train_test_split(range(len(texts)), test_size=held, random_state=seed)
    _, dev = train_test_split(rest, test_size=held, random_state=seed)
    return _divide(sentences, [texts[s.words] for s in sentences], dev, test)


def _split_community(sentences: Sequence[Sentence], seed: int) -> dict[str, list[Sentence]]:
    # Sorted as strings ("Sentence: 10" before "Sentence: 2"): the draw depends on it.
    ids = sorted({s.id for s in sentences})
    _check_enough(len(ids), "sentence ids")
    rest, test = train_test_split(
        ids, test_size=_COMMUNITY_TEST_SHARE, random_state=_COMMUNITY_SEED
    )
    _, dev = train_test_split(rest, test_size=0.1, random_state=seed)
    return _divide(sentences, [s.id for s in sentences], dev, test)


def _distinct(items: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(items))  # in order, so that the same seed gives the same draw


def _check_enough(found: int, what: str) -> None:
    if found < len(PARTS):
        raise DatasetError(
            f"too few sentences to split: found {found} {what}; expected at least "
            f"{len(PARTS)}. Give more data, or a folder with train.csv, dev.csv and test.csv."
        )


def _divide(
    sentences: Sequence[Sentence],
    keys: Sequence[Hashable],
    dev: Collection[Hashable],
    test: Collection[Hashable],
) -> dict[str, list[Sentence]]:
    part_of = dict.fromkeys(dev, "dev") | dict.fromkeys(test, "test")
    parts: dict[str, list[Sentence]] = {part: [] for part in PARTS}
    for sentence, key in zip(sentences, keys, strict=True):
        parts[part_of.get(key, "train")].append(sentence)
    return parts
