"""Registered perturbations: how the text of a test set would look in real documents.

A perturbation maps a document and a random generator to edits. To add one, register a function::

    from ner_lstm_component.evaluation.perturbations import Edit, perturbations

    @perturbations("no full stop")
    def without_full_stop(document, rng):
        if document.text.endswith("."):
            yield Edit(len(document.text) - 1, len(document.text), "")

``scripts/evaluate.py --code FILE.py`` imports a file with such functions. An installed package can
name them as entry points in the group ``ner_lstm_component_perturbations`` instead.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from random import Random
from typing import NamedTuple
from unicodedata import normalize

import catalogue

from .alignment import Entity


class Edit(NamedTuple):
    """Text to put in place of the characters from `start` to `end`; an insertion if they are equal.

    :param start: the first character's offset.
    :param end: the offset after the last character.
    """

    start: int
    end: int
    replacement: str


class AnnotatedText(NamedTuple):
    """A text and its entities, in characters."""

    text: str
    entities: tuple[Entity, ...]


# For the same test with every pipeline, edits should depend on the text; on the entities only if
# the point is how names are written.
Perturbation = Callable[[AnnotatedText, Random], Iterable[Edit]]
perturbations = catalogue.create("ner_lstm_component", "perturbations", entry_points=True)


def perturb(
    document: AnnotatedText, name: str, perturbation: Perturbation, seed: int = 0
) -> AnnotatedText:
    """Apply a perturbation to a document.

    The random choices depend only on the seed, the name and the text, so they are the same for
    any selection and order of documents and perturbations.

    :param name: the perturbation's name, for the random choices and for errors.
    :raises ValueError: if edits overlap or are outside the text.
    """
    edits = perturbation(document, Random(f"{seed} {name} {document.text}"))
    try:
        return edited(document, edits)
    except ValueError as error:
        raise ValueError(f"Perturbation {name!r}: {error}") from error


def edited(document: AnnotatedText, edits: Iterable[Edit]) -> AnnotatedText:
    """Apply edits to a text, and move its entities.

    An entity keeps what replaces any of its characters, and what is inserted between them. An
    insertion at its border stays outside. An entity without any character left is dropped.

    :param edits: the edits in any order; insertions at the same place keep their order.
    :raises ValueError: if edits overlap or are outside the text.
    """
    text = document.text
    edits = sorted(edits, key=lambda edit: edit[:2])
    pieces, position = [], 0
    for start, end, replacement in edits:
        if not position <= start <= end <= len(text):
            raise ValueError(
                f"expected edits that do not overlap, with 0 <= start <= end <= {len(text)}. "
                f"Received start {start} and end {end}, after an edit that ends at {position}"
            )
        pieces += [text[position:start], replacement]
        position = end
    kept = tuple(ent for ent in _moved(document.entities, edits) if ent.start < ent.end)
    return AnnotatedText("".join([*pieces, text[position:]]), kept)


def _moved(entities: Iterable[Entity], edits: Sequence[Edit]) -> Iterator[Entity]:
    starts, ends = [edit[0] for edit in edits], [edit[1] for edit in edits]
    changes = (len(replacement) - (end - start) for start, end, replacement in edits)
    growth = [0, *accumulate(changes)]
    for ent in entities:
        before, until = bisect_right(ends, ent.start), bisect_left(starts, ent.end)
        # A replacement of characters on both sides of a border belongs to the entity.
        start = min([ent.start, *starts[before : before + 1]])
        end = max([ent.end, *ends[max(0, until - 1) : until]])
        yield ent._replace(start=start + growth[before], end=end + growth[until])


# --- kinds of perturbations ------------------------------------------------------------


def replaced(pattern: str, replacements: Sequence[str], share: float = 1.0) -> Perturbation:
    """Replace a share of a pattern's matches, each by one of the replacements at random."""

    def edits(document: AnnotatedText, rng: Random) -> Iterator[Edit]:
        for match in re.finditer(pattern, document.text):
            if rng.random() < share:
                yield Edit(*match.span(), rng.choice(replacements))

    return edits


def around(before: str, after: str = "") -> Perturbation:
    """Put something before and after the text."""

    def edits(document: AnnotatedText, rng: Random) -> list[Edit]:
        end = len(document.text)
        return [Edit(0, 0, before), Edit(end, end, after)]

    return edits


def wrapped(width: int, line_end: str = "\n", prefix: str = "") -> Perturbation:
    """Wrap lines at blanks; each line begins with the prefix."""

    def edits(document: AnnotatedText, rng: Random) -> Iterator[Edit]:
        yield Edit(0, 0, prefix)
        line = end = 0
        for word in re.finditer(r"[^ ]+", document.text):
            if line < end and len(prefix) + word.end() - line > width:
                yield Edit(end, word.start(), line_end + prefix)
                line = word.start()
            end = word.end()

    return edits


def characterwise(change: Callable[[str], str]) -> Perturbation:
    """Change each character by itself; one character may become several."""

    def edits(document: AnnotatedText, rng: Random) -> Iterator[Edit]:
        for offset, character in enumerate(document.text):
            if (changed := change(character)) != character:
                yield Edit(offset, offset + 1, changed)

    return edits


def numbered(after: str) -> Perturbation:
    """Put a random number from 1 to 99 before the text."""
    return lambda document, rng: [Edit(0, 0, f"{rng.randint(1, 99)}{after}")]


def tagged(sign: str) -> Perturbation:
    """Put a sign before one of the capitalized words."""

    def edits(document: AnnotatedText, rng: Random) -> Iterator[Edit]:
        words = [word for word in re.finditer(r"(?<!\S)\w+", document.text) if word[0][0].isupper()]
        if words:
            place = rng.choice(words).start()
            yield Edit(place, place, sign)

    return edits


def typographic(document: AnnotatedText, rng: Random) -> Iterator[Edit]:
    """Replace straight quotes and apostrophes, "--", " - " and "..."."""
    marks = r"""--|\.\.\.|(?<= )-(?= )|(\B["'](?=[\w$(\[]))|["']"""
    for match in re.finditer(marks, document.text):
        quotes = ("“", "‘") if match[1] else ("”", "’")
        curly = dict(zip("\"'", quotes, strict=True))
        yield Edit(*match.span(), {"--": "—", "-": "–", "...": "…", **curly}[match[0]])


def title_case(document: AnnotatedText, rng: Random) -> Iterator[Edit]:
    """Capitalize each word: its first letter becomes a capital, the others lower case."""
    for word in re.finditer(r"[^\W\d_]+(?:['’][^\W\d_]+)*", document.text):
        for offset, letter in enumerate(word[0], word.start()):
            changed = letter.lower() if offset > word.start() else letter.title()
            if changed != letter:
                yield Edit(offset, offset + 1, changed)


def bold_name(document: AnnotatedText, rng: Random) -> Iterator[Edit]:
    """Mark one entity as bold, or one word if there is none."""
    spans = [ent[:2] for ent in document.entities]
    if spans := spans or [word.span() for word in re.finditer(r"\w+", document.text)]:
        start, end = rng.choice(spans)
        yield from (Edit(start, start, "**"), Edit(end, end, "**"))


# --- the registered perturbations ------------------------------------------------------

_BLANKS = "\u1680\u2002\u2003\u2004\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_INSIDE = r"(?<=[^\W\d_]{3})(?=[^\W\d_]{3})"  # three letters or more from both ends of a word

for _name, _perturbation in {
    # White space
    "wrapped at 72": wrapped(72),
    "wrapped at 72, CRLF": wrapped(72, "\r\n"),
    "wrapped at 72, indented": wrapped(72, prefix="    "),
    "wrapped at 40": wrapped(40),
    "empty lines at the end, CRLF": around("", "\r\n\r\n"),
    "blanks around": around(" \t ", "   "),
    "5 % of blanks doubled": replaced(" ", ["  "], 0.05),
    "all blanks doubled": replaced(" ", ["  "]),
    "blanks as tabs": replaced(" ", ["\t"]),
    "no-break blanks": replaced(" ", ["\xa0"]),
    "other Unicode blanks": replaced(" ", _BLANKS),
    # What cannot be seen, and typography
    "zero-width spaces": replaced("(?<=.)(?=.)", ["\u200b"], 0.05),
    "byte order mark": around("\ufeff"),
    "soft hyphens": replaced(_INSIDE, ["\xad"], 0.3),
    "variation selectors": replaced(r"(?<=\S)", ["\ufe0e", "\ufe0f"], 0.05),
    "NFD": characterwise(partial(normalize, "NFD")),
    "typographic marks": typographic,
    # Case
    "lower case": characterwise(str.lower),
    "UPPER CASE": characterwise(str.upper),
    "Title Case": title_case,
    # Lists, markup, mail
    "- item": around("- "),
    "* item": around("* "),
    "• item": around("• "),
    "3. item": numbered(". "),
    "3) item": numbered(") "),
    "in quotes": around('"', '"'),
    "in brackets": around("(", ")"),
    "**bold**": around("**", "**"),
    "one **bold** name": bold_name,
    "> quoted": wrapped(72, prefix="> "),
    "# heading": around("# "),
    "# heading, then text": around("# ", "\n\nThis was not expected."),
    "Subject: line": around("Subject: "),
    "| table cell |": around("| ", " | 12 |"),
    "one #tag": tagged("#"),
    "one @name": tagged("@"),
}.items():
    perturbations.register(_name, func=_perturbation)
