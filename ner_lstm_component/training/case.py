"""Examples in another case: chats in lower case, headlines in capitals and in title case.

Most corpora are in ordinary print, where capitals give names away. A model trained on nothing
else finds few names in text without them.
"""

# No postponed annotations here: spaCy reads those of registered functions.

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence

from spacy.attrs import ORTH, SPACY
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import naming
from .copying import copy_doc

# "n't" and "'s" at the end of a word, or as a token of their own.
_CLITIC = re.compile(r"n?['’][^\W\d_]{1,2}$", re.IGNORECASE)
# A run of letters, digits and combining accents.
_RUN = re.compile(r"[\w\u0300-\u036f]+")
# The longest words that headlines leave in lower case: "of", "the".
_SHORT = 3


def case_augmenter(
    lower: float, upper: float, title: float
) -> Callable[[Language, Example], Iterator[Example]]:
    """`ner_lstm_component.case.v1`: show shares of the examples in another case.

    :param lower: the share in lower case, from 0 to 1.
    :param upper: the share in capitals, from 0 to 1.
    :param title: the share in title case, from 0 to 1.
    :raises ValueError: if a share is out of range, or the sum is greater than 1.
    """
    shares = {"lower": lower, "upper": upper, "title": title}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name!r} must be from 0 to 1. Received: {share}")
    total = math.fsum(shares.values())
    if total > 1:
        raise ValueError(
            f"The sum of 'lower', 'upper' and 'title' must be at most 1. Received: {shares}. "
            "The rest is the share of examples that keep their case."
        )
    cases = (lower_case, upper_case, title_case, None)
    weights = (*shares.values(), 1 - total)

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        (change,) = random.choices(cases, weights)
        if change is not None:
            with naming(example.reference, "The augmenter ner_lstm_component.case.v1"):
                example = _with_words(nlp, example, change)
        yield example

    return augment


def lower_case(words: Sequence[str]) -> list[str]:
    """Return words in lower case."""
    return [word.lower() for word in words]


def upper_case(words: Sequence[str]) -> list[str]:
    """Return words in capitals."""
    return [word.upper() for word in words]


def title_case(words: Sequence[str]) -> list[str]:
    """Return words in title case, in one of four styles at random.

    Either every part of a word begins with a capital and goes on in lower case ("Un", "Al-Qaida"),
    or the word's first letter becomes a capital and the rest stays ("UN", "Al-qaida"). Either all
    words change, or all but the short ones that are in lower case ("of", "the").
    """
    change = random.choice((_capitalize_parts, _capitalize_first))
    shortest = random.choice((0, _SHORT + 1))
    return [
        word if len(word) < shortest and word.islower() else _capitalize(word, change)
        for word in words
    ]


def _capitalize(word: str, change: Callable[[str], str]) -> str:
    """Change a word, but not its clitic, which is in lower case in titles too."""
    if word.isalpha():
        return change(word)
    clitic = _CLITIC.search(word)
    end = clitic.start() if clitic else len(word)
    return change(word[:end]) + word[end:].lower()


def _capitalize_parts(word: str) -> str:
    return _RUN.sub(lambda run: run[0].capitalize(), word)


def _capitalize_first(word: str) -> str:
    return _RUN.sub(lambda run: run[0][0].title() + run[0][1:], word, count=1)


def _with_words(
    nlp: Language, example: Example, change: Callable[[Sequence[str]], list[str]]
) -> Example:
    """Change the words of an example; a predicted Doc with other tokens is tokenized anew."""
    old, predicted = example.reference, example.predicted
    old_words = [token.text for token in old]
    words = change(old_words)
    if words == old_words:
        return example
    reference = copy_doc(old, words, _spaces(old))
    if predicted.to_array(ORTH).tolist() == old.to_array(ORTH).tolist():
        return Example(Doc(old.vocab, words=words, spaces=_spaces(predicted)), reference)
    return Example(nlp.make_doc(reference.text), reference)


def _spaces(doc: Doc) -> list[bool] | None:
    return None if doc.has_unknown_spaces else doc.to_array(SPACY).astype(bool).tolist()
