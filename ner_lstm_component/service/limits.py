"""How large a request may be. What is larger is answered with 413, naming the limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from werkzeug.exceptions import RequestEntityTooLarge


@dataclass(frozen=True)
class Limits:
    """What one request may hold at most.

    :param body_bytes: bytes of the body.
    :param texts: texts or sentences in a list.
    :param tokens: tokens of all its texts together.
    :param word_characters: characters of a text between white space. spaCy's tokenizer takes
        time that grows with the square of a long run of punctuation.
    :raises ValueError: for a limit below 1.
    """

    body_bytes: int = 1_048_576
    texts: int = 1_000
    tokens: int = 10_000
    word_characters: int = 1_000

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


def check_number(field: str, inputs: Sequence[object], limits: Limits) -> None:
    """Refuse too many texts."""
    if len(inputs) > limits.texts:
        unit = "sentences" if field == "sentences" else "texts"
        raise TooLarge(field, limits.texts, unit, len(inputs))


def check_texts(field: str, texts: Iterable[str], limits: Limits, max_length: int) -> None:
    """Refuse texts that the tokenizer should not be given.

    :param max_length: characters of a text that the pipeline takes.
    """
    too_long = re.compile(rf"\S{{{limits.word_characters + 1}}}")
    for text in texts:
        if len(text) > max_length:
            raise TooLarge(field, max_length, "characters a text", len(text))
        if len(text) > limits.word_characters and too_long.search(text):
            raise TooLarge(field, limits.word_characters, "characters without white space between")


def check_tokens(field: str, n_tokens: int, limits: Limits) -> None:
    """Refuse too many tokens.

    :param n_tokens: tokens of the request, as far as they have been counted.
    """
    if n_tokens > limits.tokens:
        raise TooLarge(field, limits.tokens, "tokens in a request")
