"""``Span._.confidence``: the probability of a predicted entity.

The values are stored in ``Doc.user_data`` like the values of other extensions: ``Doc.to_bytes``
and ``DocBin(store_user_data=True)`` include them.
"""

from __future__ import annotations

from collections.abc import Iterable

from spacy.tokens import Doc, Span

CONFIDENCE = "confidence"


def register_extension() -> None:
    """Register ``Span._.confidence``, which is None for spans without a value.

    A component with ``confidence = true`` does this itself. Call this function to read stored
    values without such a component. An existing extension with that name is kept.

    :raises ValueError: if the existing extension is a getter or a method, which stores no values.
    """
    if not Span.has_extension(CONFIDENCE):
        Span.set_extension(CONFIDENCE, default=None)
    _, method, getter, setter = Span.get_extension(CONFIDENCE)
    if method is not None or (getter is not None and setter is None):
        raise ValueError(
            f"Span._.{CONFIDENCE} is registered as a {'method' if method else 'getter'}, which "
            "stores no values. Register it with a default instead (the component does so if it is "
            "not registered), or set confidence = false for the component."
        )


def set_confidence(doc: Doc, entities: Iterable[tuple[int, int]], values: Iterable[float]) -> None:
    """Store the probabilities of a Doc's entities.

    :param entities: the first token and end (one past the last token) of each entity.
    :raises ValueError: if the extension is a getter or a method, which stores no values.
    """
    register_extension()
    for (start, end), value in zip(entities, values, strict=True):
        doc[start:end]._.set(CONFIDENCE, value)
