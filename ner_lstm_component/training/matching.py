"""Predicted entities of held-out examples, compared with the annotated ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

Entities = set[tuple[int, int, int]]


def before_component(nlp: Language, examples: Iterable[Example], name: str) -> list[Example]:
    """Return examples whose ``predicted`` Docs have passed all components before the named one."""
    examples = list(examples)
    before = nlp.pipe_names[: nlp.pipe_names.index(name)]
    with nlp.select_pipes(enable=before):
        docs = list(nlp.pipe(eg.predicted for eg in examples))
    return [Example(doc, eg.reference) for doc, eg in zip(docs, examples, strict=True)]


def annotated(doc: Doc) -> set[tuple[int, int, str]]:
    """Return a Doc's entities as character offsets and types, independent of its tokens."""
    return {(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents}


def to_find(example: Example) -> set[tuple[int, int, str]]:
    """Return the annotated entities, except those that components before have found."""
    return annotated(example.reference) - annotated(example.predicted)


def gold_entities(examples: Sequence[Example], labels: Sequence[str]) -> Entities:
    """Return the annotated entities that predictions can match.

    :return: the offsets of an entity in the tokens of all predicted Docs, and its label's number.
    """
    numbers = {label: k for k, label in enumerate(labels)}
    found: Entities = set()
    offset = 0
    for example in examples:
        for start, end, label in annotated(example.reference):
            # None if its ends are inside tokens.
            span = example.predicted.char_span(start, end)
            if span is not None and label in numbers:
                found.add((offset + span.start, offset + span.end, numbers[label]))
        offset += len(example.predicted)
    return found


def are_correct(spans: NDArray[np.int64], gold: Entities) -> NDArray[np.bool_]:
    """Return which predicted entities are annotated. *Shape:* ``(n_entities,)``."""
    return np.array([span in gold for span in map(tuple, spans.tolist())], bool)
