"""Checks that find suspicious places in annotated data before a training begins.

Each check is a function in `CHECKS`. It returns a `Finding`, or None if there is nothing to say.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path

from ..text.characters import is_invisible
from .docs import Sentence
from .files import DatasetError, counted
from .parts import Parts
from .splits import PARTS

RARE = 10  # types with fewer entities in training are hardly learned
LONG_ENTITY, LONG_SENTENCE = 20, 250  # words; longer ones are suspicious
EMPTY_SHARE = 0.9  # of sentences; a larger share without an entity is suspicious
MAJORITY, MIN_OCCURRENCES = 0.9, 10  # from which the other types of a text are suspicious

_PREFIX = re.compile(r"[BIOESLUM]-.")  # of a tag in some scheme
_SEPARATORS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Finding:
    """Something to look at before training.

    :param what: the finding in words, with its count.
    :param examples: the first few places or names.
    """

    what: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mention:
    """An entity at its place."""

    part: str
    sentence: Sentence
    start: int
    end: int
    label: str

    @property
    def text(self) -> str:
        """The entity's words, with a space between."""
        return " ".join(self.sentence.words[self.start : self.end])

    def __str__(self) -> str:
        place = _place(self.part, self.sentence, self.start)
        return f"{place}: {_short(self.text)} ({self.label})"


class Data:
    """Annotated parts, and what several checks need of them."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[tuple[str, Sentence]]:
        """Yield each sentence with the name of its part."""
        return ((part, sentence) for part in PARTS for sentence in self.parts[part])

    @cached_property
    def mentions(self) -> list[Mention]:
        """The entities of all parts."""
        return [mention for part, sentence in self for mention in _mentions(part, sentence)]

    @cached_property
    def counts(self) -> dict[str, Counter[str]]:
        """The number of entities of each type, for each part."""
        return {p: Counter(m.label for m in self.mentions if m.part == p) for p in PARTS}

    @cached_property
    def labels(self) -> list[str]:
        """The types of all parts."""
        return sorted(set().union(*self.counts.values()))


def check(parts: Parts) -> list[Finding]:
    """Return what is suspicious in the data, in the order of `CHECKS`."""
    data = Data(parts)
    return [finding for run in CHECKS if (finding := run(data)) is not None]


def refuse_unusable(path: Path, parts: Parts) -> None:
    """Refuse data from which nothing can be learned.

    :param path: the data's file or folder, for the message.
    :raises DatasetError: if no sentence of the training part has an entity.
    """
    if not any(tag != "O" for sentence in parts["train"] for tag in sentence.tags):
        n = counted(len(parts["train"]), "sentence")
        raise DatasetError(
            f"{path}: found no entity in the training part, of {n}; expected tags such as "
            "'B-per' on the first word of each entity. Check that the right file was given, or "
            "annotate more sentences."
        )


# --- checks ----------------------------------------------------------------------------


def conflicting_duplicates(data: Data) -> Finding | None:
    """Find sentences with the same words and different tags."""
    found: dict[tuple[str, ...], dict[tuple[str, ...], str]] = defaultdict(dict)
    for part, sentence in data:
        found[sentence.words].setdefault(sentence.tags, _place(part, sentence))
    conflicts = {words: list(tags.values()) for words, tags in found.items() if len(tags) > 1}
    examples = (f"{' and '.join(p[:2])}: {_short(' '.join(w))}" for w, p in conflicts.items())
    return _finding(conflicts, "text", "annotated in different ways", examples)


def repeated_across_parts(data: Data) -> Finding | None:
    """Find sentences of dev and test that training contains, too."""
    known = {sentence.words for sentence in data.parts["train"]}
    found = [(p, s) for p, s in data if p != "train" and s.words in known]
    examples = (f"{_place(p, s)}: {_short(' '.join(s.words))}" for p, s in found)
    what = "of dev or test also in train, which inflates the scores"
    return _finding(found, "sentence", what, examples)


def rare_types(data: Data) -> Finding | None:
    """Find types with few entities in training."""
    found = {label: n for label, n in data.counts["train"].items() if n < RARE}
    examples = (f"{label} ({n})" for label, n in found.items())
    return _finding(found, "type", f"with fewer than {RARE} entities in train", examples)


def unknown_types(data: Data) -> Finding | None:
    """Find types that only dev or test has."""
    found = [label for label in data.labels if label not in data.counts["train"]]
    return _finding(found, "type", "in dev or test only, which cannot be learned", found)


def similar_types(data: Data) -> Finding | None:
    """Find types that differ in case or separators only, such as ``ORG`` and ``org``."""
    groups = defaultdict(list)
    for label in data.labels:
        groups[_SEPARATORS.sub("", label).casefold()].append(label)
    found = [labels for labels in groups.values() if len(labels) > 1]
    examples = (" and ".join(map(repr, labels)) for labels in found)
    return _finding(found, "group", "of types that differ in case or separators only", examples)


def other_schemes(data: Data) -> Finding | None:
    """Find types that begin like a tag, as in ``B-S-org``."""
    found = [m for m in data.mentions if _PREFIX.match(m.label)]
    return _finding(found, "entity", "whose type begins like a tag", map(str, found))


def never_continued(data: Data) -> Finding | None:
    """Find data where each word of an entity begins one: ``B-per B-per``."""
    if any(m.end - m.start > 1 for m in data.mentions):
        return None
    found = [
        b
        for a, b in pairwise(data.mentions)
        if a.sentence is b.sentence and (a.end, a.label) == (b.start, b.label)
    ]
    what = "right after one of its type, and none of several words: are I- tags missing?"
    return _finding(found, "entity", what, map(str, found))


def long_entities(data: Data) -> Finding | None:
    """Find entities of very many words."""
    found = [m for m in data.mentions if m.end - m.start > LONG_ENTITY]
    return _finding(found, "entity", f"of more than {LONG_ENTITY} words", map(str, found))


def entities_without_letters(data: Data) -> Finding | None:
    """Find entities without a letter, digit or symbol such as an emoji."""
    found = [m for m in data.mentions if not re.search(r"\w|[^\x00-\u206f]", m.text)]
    first = {m.text: m for m in reversed(found)}
    common = Counter(m.text for m in found).most_common()
    examples = (f"{first[text]}, {counted(n, 'time')}" for text, n in common)
    return _finding(found, "entity", "of punctuation only", examples)


def blank_edges(data: Data) -> Finding | None:
    """Find entities of Docs that begin or end with white space, which no prediction does."""
    found = [
        m
        for m in data.mentions
        if any(is_invisible(m.sentence.words[i]) for i in (m.start, m.end - 1))
    ]
    what = "with white space at an end, which cannot be found: leave it outside"
    return _finding(found, "entity", what, map(str, found))


def unusual_types(data: Data) -> Finding | None:
    """Find entities of another type than most entities with the same text."""
    types: dict[str, Counter[str]] = defaultdict(Counter)
    for m in data.mentions:
        types[m.text][m.label] += 1
    usual = {}
    for text, labels in types.items():
        ((label, n),) = labels.most_common(1)
        if n >= MIN_OCCURRENCES and MAJORITY * labels.total() <= n < labels.total():
            usual[text] = label, n
    found = [m for m in data.mentions if m.text in usual and m.label != usual[m.text][0]]
    examples = (f"{m}, {usual[m.text][1]} times {usual[m.text][0]}" for m in found)
    return _finding(found, "entity", "with another type than the same text elsewhere", examples)


def few_annotated(data: Data) -> Finding | None:
    """Find data where almost no sentence has an entity."""
    sentences = [sentence for _, sentence in data]
    n_empty = sum(set(sentence.tags) == {"O"} for sentence in sentences)
    if n_empty <= EMPTY_SHARE * len(sentences):
        return None
    share = f"{n_empty / len(sentences):.0%} of {counted(len(sentences), 'sentence')}"
    return Finding(f"{share} have no entity: is all of the data annotated?")


def long_sentences(data: Data) -> Finding | None:
    """Find sentences so long that their ends may be missing."""
    found = [(p, s) for p, s in data if len(s.words) > LONG_SENTENCE]
    examples = (f"{_place(p, s)}: {len(s.words):,} words" for p, s in found)
    what = f"of more than {LONG_SENTENCE} words: are sentence ends missing?"
    return _finding(found, "sentence", what, examples)


def parts_without_entities(data: Data) -> Finding | None:
    """Find a part that can neither select the best pipeline nor score it."""
    effects = {"dev": "the best pipeline cannot be chosen", "test": "there is nothing to score"}
    found = [f"{part} has no entity: {e}" for part, e in effects.items() if not data.counts[part]]
    return Finding("; ".join(found)) if found else None


CHECKS: tuple[Callable[[Data], Finding | None], ...] = (
    conflicting_duplicates,
    repeated_across_parts,
    rare_types,
    unknown_types,
    similar_types,
    other_schemes,
    never_continued,
    long_entities,
    entities_without_letters,
    blank_edges,
    unusual_types,
    few_annotated,
    long_sentences,
    parts_without_entities,
)

_N_EXAMPLES = 3


def _finding(
    found: Sequence | dict, noun: str, what: str, examples: Iterable[str]
) -> Finding | None:
    if not found:
        return None
    return Finding(f"{counted(len(found), noun)} {what}", tuple(islice(examples, _N_EXAMPLES)))


def _mentions(part: str, sentence: Sentence) -> Iterator[Mention]:
    ends = [i for i, tag in enumerate(sentence.tags) if not tag.startswith("I-")]
    for start, end in zip(ends, [*ends[1:], len(sentence.tags)], strict=True):
        if sentence.tags[start] != "O":
            yield Mention(part, sentence, start, end, sentence.tags[start][2:])


def _place(part: str, sentence: Sentence, word: int = 0) -> str:
    where = f"line {sentence.lines[word]}" if sentence.lines else f"document {sentence.id}"
    return f"{part}, {where}"


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())  # a Doc has line ends
    return text if len(text) <= most else f"{text[: most - 1]}…"
