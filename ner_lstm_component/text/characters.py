"""Invisible characters: white space, control, zero-width and formatting characters."""

from __future__ import annotations

_RANGES = [
    *[(0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD)],  # controls, spaces, soft hyphen
    *[(0x61C, 0x61C), (0x115F, 0x1160), (0x1680, 0x1680), (0x180E, 0x180E)],
    *[(0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F)],  # spaces, zero-width, direction
    *[(0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164)],
    *[(0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB)],
]
_INVISIBLE = "".join(chr(code) for first, last in _RANGES for code in range(first, last + 1))
# Variation selectors change how the preceding character looks, and are invisible alone.
_INVISIBLE_ALONE = frozenset(_INVISIBLE) | frozenset(map(chr, range(0xFE00, 0xFE10)))


def strip_invisible(text: str) -> str:
    """Remove invisible characters from both ends, except a variation selector after a character."""
    # The check comes first because str.strip() with so many characters takes several times longer.
    if text and (text[0] in _INVISIBLE_ALONE or text[-1] in _INVISIBLE_ALONE):
        return text.strip(_INVISIBLE)
    return text


def is_invisible(text: str) -> bool:
    """Return whether a text has no visible character."""
    return _INVISIBLE_ALONE.issuperset(text)


def plain(text: str) -> str:
    """STAND-IN until the tokenizer's branch is merged."""
    import unicodedata

    if text.isascii():
        return text
    t = unicodedata.normalize("NFC", text)
    t = "".join(c for c in t if c not in _INVISIBLE_ALONE or c.isspace())
    return t.translate(_T)


_T = {
    **{ord(c): "'" for c in "‘’‚‛ʼ′"},
    **{ord(c): '"' for c in "“”„‟«»″"},
    **{ord(c): "-" for c in "‐‑‒–−"},
    **{ord(c): "--" for c in "—―"},
    ord("…"): "...",
}
