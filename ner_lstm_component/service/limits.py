"""How much one request may ask for. Requests beyond a limit are answered with 413."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

from werkzeug.exceptions import RequestEntityTooLarge

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
# How often the tokenizer looks at a character of which nothing comes, as measured: a character
# of a plain word takes it about eight times as long as one more piece of punctuation beside it.
_LOOKS = 8


@dataclass(frozen=True)
class Limits:
    """The most that one request may hold.

    The last two bound the time that spaCy's tokenizer takes. It looks at each character of a
    word for several kinds of affixes, strips punctuation piece by piece, and begins anew with
    what is left: its time grows with the square of a run of brackets, quotes or emoji.

    :param body_bytes: bytes of the body.
    :param texts: texts or sentences in a list.
    :param tokens: tokens of all inputs together.
    :param word_characters: characters of a word, which is what stands between white space.
    :param scanned_characters: characters that the tokenizer may have to look at. A word of
        ``n`` characters, ``k`` of which are neither letters nor digits, counts
        ``n * (k + 8)``.
    :raises ValueError: for a limit below 1.
    """

    body_bytes: int = 1_048_576
    texts: int = 1_000
    tokens: int = 10_000
    word_characters: int = 1_000
    scanned_characters: int = 2_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(
                    f"{field.name!r} must be at least 1. Received: {getattr(self, field.name)}"
                )


class TooLarge(RequestEntityTooLarge):
    """A request beyond a limit."""

    def __init__(self, field: str, limit: int, unit: str, received: int | None = None) -> None:
        message = f"expected at most {limit:,} {unit}"
        if received is not None:
            message += f". Received: {received:,}"
        self.errors = [{"field": field, "message": message}]
        super().__init__(f"{field}: {message}")


def check_inputs(
    field: str, inputs: Sequence[str] | Sequence[Sequence[str]], limits: Limits, max_length: int
) -> None:
    """Refuse inputs that would take too long, before anything is done with them.

    The check reads each character once or twice.

    :param field: the name of the input, for the error.
    :param inputs: texts, or sentences as tokens.
    :param max_length: characters of a text that the pipeline takes.
    :raises TooLarge: if they are beyond a limit.
    """
    if len(inputs) > limits.texts:
        raise TooLarge(field, limits.texts, field, len(inputs))
    n_words = n_scanned = 0
    for given in inputs:
        if not isinstance(given, str):
            n_words += len(given)
            check_tokens(field, n_words, limits)
            continue
        if len(given) > max_length:
            raise TooLarge(field, max_length, "characters a text", len(given))
        words = given.split()
        # Each word becomes one token at least.
        n_words += len(words)
        check_tokens(field, n_words, limits)
        for word in words:
            if len(word) > limits.word_characters:
                unit = "characters without white space between"
                raise TooLarge(field, limits.word_characters, unit, len(word))
            n_others = 0 if word.isalnum() else len(_LETTER_OR_DIGIT.sub("", word))
            n_scanned += len(word) * (n_others + _LOOKS)
        n_scanned += len(given) - sum(map(len, words))
        if n_scanned > limits.scanned_characters:
            unit = "characters to be scanned for punctuation"
            raise TooLarge(field, limits.scanned_characters, unit, n_scanned)


def check_tokens(field: str, n_tokens: int, limits: Limits) -> None:
    """Refuse too many tokens.

    :param n_tokens: tokens of the request, as far as they have been counted.
    :raises TooLarge: if they are beyond the limit.
    """
    if n_tokens > limits.tokens:
        raise TooLarge(field, limits.tokens, "tokens in a request")
