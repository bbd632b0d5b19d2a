"""``Span._.confidence``: the probability of a predicted entity.

The values are kept in ``Doc.user_data``, where spaCy's own extensions keep theirs: they
survive ``Doc.to_bytes`` and ``DocBin(store_user_data=True)``.
"""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Doc, Span

CONFIDENCE = "confidence"


def register_extension() -> None:
    """Give spans the attribute, unless there is one of that name already."""
    if not Span.has_extension(CONFIDENCE):
        Span.set_extension(CONFIDENCE, default=None)


def set_confidence(doc: Doc, entities: Iterable[tuple[int, int]], values: Iterable[float]) -> None:
    """Store the probabilities of a Doc's entities.

    :param entities: first token and end (one past the last token) of each.
    :param values: their probabilities.
    :raises ValueError: if the extension of this name is another's, and cannot store values.
    """
    register_extension()
    _, method, getter, setter = Span.get_extension(CONFIDENCE)
    if method is not None or (getter is not None and setter is None):
        raise ValueError(
            f"Span._.{CONFIDENCE} is registered as a {'method' if method else 'getter'}, which "
            "stores no values. Register it without one (the component does if it is not "
            "registered at all), or set confidence = false for the component."
        )
    for (start, end), value in zip(entities, values, strict=True):
        doc[start:end]._.set(CONFIDENCE, value)
