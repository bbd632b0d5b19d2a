"""Errors that quote the Docs that cause them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
from spacy.tokens import Doc

_WORDS = 10
_DOCS = 3


def quote(doc: Doc) -> str:
    """Quote the first ten words of a Doc."""
    words = " ".join(token.text for token in islice(doc, _WORDS))
    return repr(f"{words} …" if len(doc) > _WORDS else words)


@contextmanager
def naming(doc: Doc, action: str) -> Iterator[None]:
    """Turn any exception but an ImportError into a ValueError that quotes a Doc."""
    try:
        yield
    except ImportError:
        raise  # A package is missing, which has nothing to do with the Doc.
    except Exception as error:
        raise ValueError(
            f"{action}: the Doc that begins {quote(doc)} cannot be used: {error} "
            "Correct the Doc, or leave it out of the data."
        ) from error


def check_finite(name: str, value: float) -> None:
    """Raise a FloatingPointError for NaN and infinity; the message contains ``name``."""
    if not math.isfinite(value):
        raise FloatingPointError(f"{name} is {value}")


def check_ascending(name: str, array: Any, dtype: type[np.generic]) -> None:
    """Raise a ValueError if an array is not one of ascending, unique numbers of a type."""
    is_array = isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == 1
    if not is_array or not (array[1:] > array[:-1]).all():
        raise ValueError(f"{name} are not ascending numbers of type {dtype.__name__}")


@contextmanager
def naming_batch(docs: Sequence[Doc], name: str) -> Iterator[None]:
    """Turn a component's FloatingPointError into a ValueError that quotes the first Docs."""
    try:
        yield
    except FloatingPointError as error:
        first = ", ".join(map(quote, docs[:_DOCS]))
        rest = f" and {len(docs) - _DOCS} more" if len(docs) > _DOCS else ""
        raise ValueError(
            f"Training {name!r} has diverged: {error} in the batch of {len(docs)} Docs that begin "
            f"{first}{rest}. The weights were not updated with it. The likely cause is a "
            "learning rate that is too high, a gradient that is not clipped, or NaN or infinity "
            "in the word vectors. Lower learn_rate in [training.optimizer], set its grad_clip to "
            "1.0, and check the vectors; then start again from the last checkpoint."
        ) from error
