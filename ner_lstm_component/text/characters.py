"""Characters as people have them: invisible ones, and typographic forms of plain ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

_RANGES = [
    *[(0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD)],  # controls, spaces, soft hyphen
    *[(0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x1680, 0x1680), (0x180E, 0x180E)],
    *[(0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F)],  # spaces, zero-width, direction
    *[(0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164)],
    *[(0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB)],
]
_INVISIBLE = "".join(chr(code) for first, last in _RANGES for code in range(first, last + 1))
# Variation selectors and tags change how the preceding character looks, and are invisible alone.
_SELECTORS = "".join(
    chr(code)
    for codes in (range(0xFE00, 0xFE10), range(0xE0020, 0xE0080), range(0xE0100, 0xE01F0))
    for code in codes
)
_INVISIBLE_ALONE = frozenset(_INVISIBLE + _SELECTORS)

_BLANK_LETTERS = "\u2800\u3164\uffa0"  # as wide as a letter, but not white space to Python
# ASCII is plain as it is, control characters too.
_REMOVED = "".join(
    char
    for char in _INVISIBLE + _SELECTORS
    if not (char.isascii() or char.isspace() or char in _BLANK_LETTERS)
)
_PLAIN = {
    **dict.fromkeys(_REMOVED, ""),
    **dict.fromkeys(_BLANK_LETTERS, " "),
    **dict.fromkeys("‘’‚‛‹›ʻʼʽ´\u1ffd′‵❛❜", "'"),
    **dict.fromkeys("“”„‟«»″‶〝〞〟❝❞", '"'),
    **dict.fromkeys("‐‑‒–⁃−﹣", "-"),
    **dict.fromkeys("—―", "--"),
    **{"․": ".", "‥": "..", "…": "..."},
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full-width forms
    **{
        chr(code): unicodedata.normalize("NFKC", chr(code))
        for codes in (range(0xFB00, 0xFB07), range(0x1D400, 0x1D800))  # ligatures, mathematics
        for code in codes
    },
}
_TABLE = str.maketrans(_PLAIN)
# A class of characters is slow with many of them beyond U+FFFF, but not with ranges of them.
_CHARACTERS = "".join(char for char in _PLAIN if char <= "\uffff") + (
    "\U0001d400-\U0001d7ff\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
_NOT_PLAIN = re.compile(f"[{_CHARACTERS}]")
_NOT_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]+")


def strip_invisible(text: str) -> str:
    """Remove invisible characters from both ends, except a variation selector after a character."""
    # The check comes first because str.strip() with so many characters takes several times longer.
    if text and (text[0] in _INVISIBLE_ALONE or text[-1] in _INVISIBLE_ALONE):
        return text.strip(_INVISIBLE)
    return text


def is_invisible(text: str) -> bool:
    """Return whether a text has no visible character."""
    return _INVISIBLE_ALONE.issuperset(text)


def without_invisible_end(text: str) -> str:
    """Remove invisible characters from the end, except white space and the last one's selectors."""
    end = len(text)
    while end and not _PLAIN.get(text[end - 1], text):
        end -= 1
    while end < len(text) and text[end] in _SELECTORS:
        end += 1
    return text[:end]


def is_plain(text: str) -> bool:
    """Return whether `plain` would change nothing."""
    if text.isascii():
        return True
    # The ranges of the search contain unassigned characters.
    has_others = _NOT_PLAIN.search(text) and text.translate(_TABLE) != text
    return not has_others and unicodedata.is_normalized("NFC", text)


def plain(text: str) -> str:
    """Write a text as it is typed: without invisible characters and typographic forms, in NFC.

    Quotes, apostrophes, hyphens, dashes, ellipses, full-width and mathematical letters and
    ligatures become ASCII: ``“It’s…”`` is ``"It's..."``. White space stays as it is.

    :return: the same object if nothing changes.
    """
    return text if is_plain(text) else unicodedata.normalize("NFC", text.translate(_TABLE))


def plain_words(text: str) -> tuple[str, list[int]]:
    """Write a text as `plain` does, for a tokenizer, with the offsets of its characters.

    An en dash that is not between two digits stays. Tokenizers split words at it, and in many
    languages not at a hyphen.

    :return: the plain text, and where each of its characters begins in the given text, followed
        by the length of the given text.
    """
    edits = (
        (match.start(), match.end(), _PLAIN[match[0]])
        for match in _NOT_PLAIN.finditer(text)
        if match[0] != "–" or _in_number(text, match.start())
    )
    text, offsets = _edit(text, edits)
    if unicodedata.is_normalized("NFC", text):
        return text, offsets
    text, composed = _edit(text, _compositions(text))
    return text, [offsets[offset] for offset in composed]


def _in_number(text: str, index: int) -> bool:
    """Return whether there is a digit on both sides of a character."""
    return text[index - 1 : index].isdigit() and text[index + 1 : index + 2].isdigit()


def _edit(text: str, edits: Iterable[tuple[int, int, str]]) -> tuple[str, list[int]]:
    """Replace parts of a text, given by start, end and what to write, and keep the offsets."""
    parts: list[str] = []
    offsets: list[int] = []
    copied = 0
    for start, end, new in edits:
        parts += text[copied:start], new
        offsets.extend(range(copied, start))
        offsets.extend([start] * len(new))
        copied = end
    offsets.extend(range(copied, len(text) + 1))
    return "".join(parts) + text[copied:], offsets


def _compositions(text: str) -> Iterator[tuple[int, int, str]]:
    """Find the characters with their combining marks that NFC writes in another way."""
    for match in _NOT_ASCII.finditer(text):
        run = match[0]
        if unicodedata.is_normalized("NFC", run):
            continue
        start = 0
        for end in range(1, len(run) + 1):
            after = run[end : end + 1]
            if after and unicodedata.combining(after):
                continue
            before = run[start:end]
            if after and _compose(before, after):
                continue
            composed = unicodedata.normalize("NFC", before)
            if composed != before:
                yield match.start() + start, match.start() + end, composed
            start = end


def _compose(before: str, after: str) -> bool:
    """Return whether NFC joins two texts, as it does the letters of a Hangul syllable."""
    apart = [unicodedata.normalize("NFC", text) for text in (before, after)]
    return unicodedata.normalize("NFC", before + after) != "".join(apart)
