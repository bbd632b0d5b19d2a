"""The limits of a request. Requests beyond a limit are answered with 413."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from werkzeug.exceptions import RequestEntityTooLarge

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
# According to measurements, the tokenizer takes about eight times as long for a character of a
# plain word as for scanning a character again because of a punctuation mark.
_PLAIN_COST = 8


@dataclass(frozen=True)
class Limits:
    """The maximum size of a request; ``tokens`` limits the tokens of all inputs together.

    The last two limits bound the time of spaCy's tokenizer, which strips punctuation marks one by
    one and scans the rest again: its time grows with the square of the number of successive
    brackets, quotes or emoji. A word of ``n`` characters with ``k`` that are neither letters nor
    digits counts as ``n * (k + 8)`` scanned characters. Limits below 1 raise a ValueError.
    """

    body_bytes: int = 1_048_576
    texts: int = 1_000
    tokens: int = 10_000
    word_characters: int = 1_000
    scanned_characters: int = 2_000_000

    def __post_init__(self) -> None:
        for name, limit in asdict(self).items():
            if limit < 1:
                raise ValueError(f"{name!r} must be at least 1. Received: {limit}")


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
    """Raise `TooLarge` if inputs exceed a limit; ``max_length`` is the pipeline's text limit."""
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
        n_words += len(words)  # each becomes at least one token
        check_tokens(field, n_words, limits)
        for word in words:
            if len(word) > (limit := limits.word_characters):
                raise TooLarge(field, limit, "characters without white space between", len(word))
            n_others = 0 if word.isalnum() else len(_LETTER_OR_DIGIT.sub("", word))
            n_scanned += len(word) * (n_others + _PLAIN_COST)
        n_scanned += len(given) - sum(map(len, words))
        if n_scanned > (limit := limits.scanned_characters):
            raise TooLarge(field, limit, "characters to be scanned for punctuation", n_scanned)


def check_tokens(field: str, n_tokens: int, limits: Limits) -> None:
    """Raise `TooLarge` if more tokens than allowed have been counted in the request."""
    if n_tokens > limits.tokens:
        raise TooLarge(field, limits.tokens, "tokens in a request")
