"""``Span._.confidence``: the probability of a predicted entity.

The values are kept in ``Doc.user_data``, where spaCy's own extensions keep theirs: they
survive ``Doc.to_bytes`` and ``DocBin(store_user_data=True)``.
"""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Doc, Span

CONFIDENCE = "confidence"


def register_extension() -> None:
    """Register ``Span._.confidence``, which is None for spans without a value.

    A component with ``confidence = true`` does so itself. Call it to read Docs that were stored
    with their confidences where there is no such component. An extension of that name that is
    there already is kept, with its default.

    :raises ValueError: if that one is a getter or a method, which stores no values.
    """
    if not Span.has_extension(CONFIDENCE):
        Span.set_extension(CONFIDENCE, default=None)
    _, method, getter, setter = Span.get_extension(CONFIDENCE)
    if method is not None or (getter is not None and setter is None):
        raise ValueError(
            f"Span._.{CONFIDENCE} is registered as a {'method' if method else 'getter'}, which "
            "stores no values. Register it without one (the component does if it is not "
            "registered at all), or set confidence = false for the component."
        )


def set_confidence(doc: Doc, entities: Iterable[tuple[int, int]], values: Iterable[float]) -> None:
    """Store the probabilities of a Doc's entities.

    :param entities: first token and end (one past the last token) of each.
    :param values: their probabilities.
    :raises ValueError: see :func:`register_extension`.
    """
    register_extension()
    for (start, end), value in zip(entities, values, strict=True):
        doc[start:end]._.set(CONFIDENCE, value)
