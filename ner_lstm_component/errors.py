"""How errors name the Docs that they are about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from spacy.tokens import Doc

_WORDS = 10
_DOCS = 3


def beginning(doc: Doc) -> str:
    """Quote the first ten words of a Doc."""
    words = " ".join(token.text for token in islice(doc, _WORDS))
    return repr(f"{words} …" if len(doc) > _WORDS else words)


def beginnings(docs: Sequence[Doc]) -> str:
    """Quote the first words of the first three Docs, and count the others."""
    rest = f" and {len(docs) - _DOCS} more" if len(docs) > _DOCS else ""
    return ", ".join(map(beginning, docs[:_DOCS])) + rest


@contextmanager
def naming(doc: Doc, where: str) -> Iterator[None]:
    """Turn whatever is raised on account of a Doc into an error that names it.

    :param where: what was being done, as the message's beginning.
    :raises ValueError: in place of any other exception but an ImportError.
    """
    try:
        yield
    except ImportError:
        raise  # of a package that is not installed: the Doc is not to blame
    except Exception as error:
        raise ValueError(
            f"{where}: the Doc that begins {beginning(doc)} cannot be used: {error} "
            "Correct the Doc, or leave it out of the data."
        ) from error


def check_finite(what: str, value: float) -> None:
    """Refuse a number that training must not go on with.

    :raises FloatingPointError: if it is NaN or infinite.
    """
    if not math.isfinite(value):
        raise FloatingPointError(f"{what} is {value}")


@contextmanager
def naming_batch(docs: Sequence[Doc], name: str) -> Iterator[None]:
    """Turn the error of :func:`check_finite` into one that names the Docs of a batch.

    :param name: the component's.
    :raises ValueError: in place of a FloatingPointError.
    """
    try:
        yield
    except FloatingPointError as error:
        raise ValueError(
            f"Training {name!r} has diverged: {error} in the batch of {len(docs)} Docs that begin "
            f"{beginnings(docs)}. The weights were not updated with it. The likely cause is a "
            "learning rate that is too high, a gradient that is not clipped, or NaN or infinity "
            "in the word vectors. Lower learn_rate in [training.optimizer], set its grad_clip to "
            "1.0, and check the vectors; then start again from the last checkpoint."
        ) from error
