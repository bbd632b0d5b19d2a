"""Predicted and annotated entities, on the same tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ORTH
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import minibatch

from ..decoding.confidence import CONFIDENCE
from ..decoding.iob2 import ENT_MISSING
from .alignment import Entity, Pair, align


@dataclass(frozen=True)
class Sentence:
    """An annotated Doc, usually of one sentence, and the entities predicted on its tokens."""

    words: tuple[str, ...]
    gold: tuple[Entity, ...]
    predicted: tuple[Entity, ...] = ()
    missing: frozenset[int] = frozenset()  # the positions of tokens without annotation

    @cached_property
    def pairs(self) -> list[Pair]:
        """Gold and predicted entities, aligned."""
        return align(self.gold, self.predicted)

    @property
    def correct(self) -> list[Entity]:
        """The gold entities that were predicted with their tokens and type."""
        predicted = {ent[:3] for ent in self.predicted}
        return [ent for ent in self.gold if ent[:3] in predicted]

    def text(self, entity: Entity) -> str:
        """Return the words of an entity, joined with spaces."""
        return " ".join(self.words[entity.start : entity.end])


def predict(nlp: Language, examples: Sequence[Example]) -> Iterator[Doc]:
    """Tag the ``predicted`` Docs of examples, and yield each Doc, so that progress can be shown."""
    for example, doc in zip(examples, nlp.pipe(eg.predicted for eg in examples), strict=True):
        example.predicted = doc
        yield doc


def sets_entities(nlp: Language) -> bool:
    """Return whether a component declares that it assigns ``doc.ents``."""
    return any("doc.ents" in nlp.get_pipe_meta(name).assigns for name in nlp.pipe_names)


def confidences(nlp: Language, docs: Sequence[Doc]) -> list[NDArray[np.float64]] | None:
    """Read each entity's probability from ``Span._.confidence``, or let a component compute it.

    :return: an array for each Doc, with NaN for entities without a confidence; or None if no
        component of the pipeline computes probabilities (spaCy's own ``ner`` does not).
    """
    if Span.has_extension(CONFIDENCE):
        # The None of an entity without a confidence becomes NaN.
        found = [np.array([ent._.get(CONFIDENCE) for ent in doc.ents], float) for doc in docs]
        if any(not np.isnan(values).all() for values in found):
            return found
    for _, pipe in nlp.pipeline:
        if hasattr(pipe, "probabilities"):
            batches = minibatch(docs, nlp.batch_size)
            return [p.entities for p in chain.from_iterable(map(pipe.probabilities, batches))]
    return None


def sentences_of(
    examples: Sequence[Example], confidences: Sequence[NDArray[np.float64]] | None = None
) -> list[Sentence]:
    """Put gold and predicted entities on the tokens of the annotation.

    If the pipeline's tokens differ, its entities are projected by spaCy's alignment, as spaCy's
    scorer does. Entities that cover no gold token, or tokens without annotation, are left out:
    they are neither right nor wrong.

    :param examples: examples whose ``predicted`` Docs are tagged.
    :param confidences: the confidences of the entities, as :func:`confidences` returns them.
    """
    known = confidences if confidences is not None else [None] * len(examples)
    return [_sentence(eg, values) for eg, values in zip(examples, known, strict=True)]


def gold_sentences(docs: Iterable[Doc]) -> list[Sentence]:
    """Convert annotated Docs, such as the training part, to sentences without predictions."""
    return [
        Sentence(
            words=tuple(token.text for token in doc),
            gold=tuple(Entity(ent.start, ent.end, ent.label_) for ent in doc.ents),
            missing=frozenset(np.flatnonzero(doc.to_array(ENT_IOB) == ENT_MISSING).tolist()),
        )
        for doc in docs
    ]


def _sentence(example: Example, confidences: NDArray[np.float64] | None) -> Sentence:
    reference, doc = example.reference, example.predicted
    (sentence,) = gold_sentences([reference])
    same_tokens = np.array_equal(doc.to_array(ORTH), reference.to_array(ORTH))
    values = confidences if confidences is not None else np.full(len(doc.ents), np.nan)
    predicted = []
    for ent, confidence in zip(doc.ents, values, strict=True):
        start, end = ent.start, ent.end
        if not same_tokens:
            # Only if needed, because spaCy's alignment is slow.
            tokens = example.alignment.x2y[start:end]
            if not len(tokens):
                continue
            start, end = int(tokens[0]), int(tokens[-1]) + 1
        if sentence.missing.isdisjoint(range(start, end)):
            value = None if np.isnan(confidence) else float(confidence)
            predicted.append(Entity(start, end, ent.label_, value))
    return replace(sentence, predicted=tuple(predicted))
