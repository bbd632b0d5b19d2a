"""The split of annotated sentences into train, dev and test."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from .docs import Sentence
from .files import DatasetError, counted

try:
    from sklearn.model_selection import train_test_split
except ImportError as error:
    raise ImportError(
        "Reading and splitting data sets needs scikit-learn, which is not installed; "
        "run: pip install 'ner-lstm-component[train]'"
    ) from error

PARTS = ("train", "dev", "test")
DEFAULT_SEED = 0
MAX_SEED = 2**32 - 1  # the largest seed that NumPy's generator accepts

# Public results on the Groningen Meaning Bank file are for the test part that these two
# numbers produce, so they are not configurable.
_COMMUNITY_SEED, _COMMUNITY_TEST_SHARE = 42, 0.2


class Split(str, Enum):
    """A way to divide one file into train, dev and test, for :func:`split_sentences`."""

    deduplicated = "deduplicated"
    community = "community"


def split_sentences(
    sentences: Sequence[Sentence], split: Split | str, seed: int = DEFAULT_SEED
) -> dict[str, list[Sentence]]:
    """Divide sentences into ``train``, ``dev`` and ``test``, each in the given order.

    ``deduplicated`` draws 10 % of the distinct texts as dev and 10 % as test, and puts all
    sentences with the same words into the same part. ``community`` draws 20 % of the sentence
    ids as test, the same for every seed, and 10 % of the others as dev; a text may occur in
    several parts.

    :param sentences: the sentences, with at least 3 distinct texts, or ids for ``community``.
    :param seed: the seed for the random draw, from 0 to 2³² - 1.
    :raises DatasetError: if there are too few sentences, or an argument is wrong.
    """
    if not 0 <= seed <= MAX_SEED:
        raise DatasetError(f"seed: found {seed}; expected a number from 0 to {MAX_SEED}.")
    keys: list[tuple[str, ...]]
    sizes: tuple[float, float]  # the sizes of test and dev
    if split == Split.deduplicated:
        keys, what = [sentence.words for sentence in sentences], "distinct text"
        distinct = list(dict.fromkeys(keys))  # ordered, because the draw depends on the order
        test_seed, sizes = seed, (max(1, round(len(distinct) / 10)),) * 2
    elif split == Split.community:
        keys, what = [(sentence.id,) for sentence in sentences], "sentence id"
        # Sorted as strings ("Sentence: 10" before "Sentence: 2"); the draw depends on the order.
        distinct = sorted(set(keys))
        test_seed, sizes = _COMMUNITY_SEED, (_COMMUNITY_TEST_SHARE, 0.1)
    else:
        names = " or ".join(repr(member.value) for member in Split)
        raise DatasetError(f"split: found {split!r}; expected {names}.")
    if len(distinct) < len(PARTS):
        raise DatasetError(
            f"too few sentences to split: found {counted(len(distinct), what)}; expected at least "
            f"{len(PARTS)}. Give more data, or a folder with train.csv, dev.csv and test.csv."
        )
    rest, test = train_test_split(distinct, test_size=sizes[0], random_state=test_seed)
    _, dev = train_test_split(rest, test_size=sizes[1], random_state=seed)
    part_of = dict.fromkeys(dev, "dev") | dict.fromkeys(test, "test")
    parts: dict[str, list[Sentence]] = {part: [] for part in PARTS}
    for sentence, key in zip(sentences, keys, strict=True):
        parts[part_of.get(key, "train")].append(sentence)
    return parts
