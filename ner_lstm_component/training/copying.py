"""Copies of annotated Docs with other words or other spaces, for augmenters and evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

_ANNOTATION = ["NORM", "TAG", "POS", "MORPH", "LEMMA", "HEAD", "DEP", "SENT_START"]
_ANNOTATION += ["ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID"]


def copy_doc(doc: Doc, words: Sequence[str], spaces: Sequence[bool] | None) -> Doc:
    """Copy a Doc with its annotation, and give the copy these words and spaces.

    :param words: a word in place of each token, which may differ from it in length.
    :param spaces: whether each word is followed by a space, or None if that is unknown.
    """
    result = Doc(doc.vocab, words=words, spaces=spaces)
    if words:
        result.from_array(_ANNOTATION, doc.to_array(_ANNOTATION))
    for key, group in doc.spans.items():
        spans = [Span(result, s.start, s.end, s.label, kb_id=s.kb_id, span_id=s.id) for s in group]
        result.spans[key] = SpanGroup(result, name=group.name, attrs=group.attrs, spans=spans)
    result.cats = dict(doc.cats)
    if doc.user_data:
        result.user_data.update(_user_data(doc, result))
    return result


def _user_data(doc: Doc, result: Doc) -> Iterator[tuple[Any, Any]]:
    """Copy ``doc.user_data``, and convert the character offsets of extension attributes."""
    starts = {old.idx: new.idx for old, new in zip(doc, result, strict=True)}
    ends = {old.idx + len(old): new.idx + len(new) for old, new in zip(doc, result, strict=True)}
    for key, value in doc.user_data.items():
        if isinstance(key, tuple) and len(key) == 4 and key[0] == "._.":
            _, name, start, end = key
            yield ("._.", name, starts.get(start), ends.get(end)), value
        else:
            yield key, value
