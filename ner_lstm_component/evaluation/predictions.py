"""A pipeline's answers to annotated Docs, as plain sentences that all else is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ORTH
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import minibatch

from ner_lstm_component.decoding.confidence import CONFIDENCE
from ner_lstm_component.decoding.iob2 import ENT_MISSING, OUTSIDE
from ner_lstm_component.evaluation.alignment import Entity, Pair, align


@dataclass(frozen=True)
class Sentence:
    """An annotated Doc with what was predicted for it: a sentence, as convert.py makes Docs.

    :param words: the tokens of the annotation.
    :param gold: its entities.
    :param predicted: those of the pipeline, on the same tokens.
    :param missing: tokens that the annotation says nothing about.
    """

    words: tuple[str, ...]
    gold: tuple[Entity, ...]
    predicted: tuple[Entity, ...] = ()
    missing: frozenset[int] = frozenset()

    @cached_property
    def pairs(self) -> list[Pair]:
        """Gold and predicted entities, aligned."""
        return align(self.gold, self.predicted)

    def text(self, entity: Entity) -> str:
        """The words of an entity."""
        return " ".join(self.words[entity.start : entity.end])


def predict(nlp: Language, examples: Sequence[Example]) -> Iterator[Doc]:
    """Tag the examples' ``predicted`` Docs, which then carry the entities.

    :return: the Docs, one after the other, so that progress can be shown.
    """
    for example, doc in zip(examples, nlp.pipe(eg.predicted for eg in examples), strict=True):
        example.predicted = doc
        yield doc


def sets_entities(nlp: Language) -> bool:
    """Whether some component says that it sets ``doc.ents``."""
    return any("doc.ents" in nlp.get_pipe_meta(name).assigns for name in nlp.pipe_names)


def confidences(nlp: Language, docs: Sequence[Doc]) -> list[NDArray[np.float64]] | None:
    """The model's probability of each entity on the Docs.

    Read from ``Span._.confidence`` where the pipeline set that, else asked of the component.

    :return: an array a Doc, NaN where an entity has none; None if no component of the
        pipeline gives probabilities, as spaCy's own ``ner`` does not.
    """
    if Span.has_extension(CONFIDENCE):
        # None, where an entity has no confidence, becomes NaN.
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
    """Put gold and predicted entities on the same tokens, those of the annotation.

    Where the pipeline split the text otherwise, its entities are carried over by spaCy's
    alignment, as its scorer does: one that covers no gold token, or one without annotation,
    is neither right nor wrong and left out.

    :param examples: with tagged ``predicted`` Docs.
    :param confidences: see the function of that name.
    """
    known = confidences if confidences is not None else [None] * len(examples)
    return [_sentence(eg, values) for eg, values in zip(examples, known, strict=True)]


def gold_sentences(docs: Iterable[Doc]) -> list[Sentence]:
    """Annotated Docs, such as the training part, with nothing predicted."""
    return [Sentence(_words(doc), _gold(doc), missing=_missing(doc)) for doc in docs]


def _sentence(example: Example, confidences: NDArray[np.float64] | None) -> Sentence:
    reference, doc = example.reference, example.predicted
    missing = _missing(reference)
    same_tokens = np.array_equal(doc.to_array(ORTH), reference.to_array(ORTH))
    values = confidences if confidences is not None else np.full(len(doc.ents), np.nan)
    predicted = []
    for ent, confidence in zip(doc.ents, values, strict=True):
        start, end = ent.start, ent.end
        if not same_tokens:
            # spaCy's alignment costs more than all else here. Most Docs need none.
            tokens = example.alignment.x2y[start:end]
            if not len(tokens):
                continue
            start, end = int(tokens[0]), int(tokens[-1]) + 1
        if missing.isdisjoint(range(start, end)):
            value = None if np.isnan(confidence) else float(confidence)
            predicted.append(Entity(start, end, ent.label_, value))
    return Sentence(_words(reference), _gold(reference), tuple(predicted), missing)


def _words(doc: Doc) -> tuple[str, ...]:
    return tuple(token.text for token in doc)


def _gold(doc: Doc) -> tuple[Entity, ...]:
    return tuple(Entity(ent.start, ent.end, ent.label_) for ent in doc.ents)


def _missing(doc: Doc) -> frozenset[int]:
    return frozenset(np.flatnonzero(doc.to_array(ENT_IOB) == ENT_MISSING).tolist())


def tags_of(n_tokens: int, entities: Iterable[Entity]) -> list[str]:
    """The IOB2 tags of a sentence's entities; the first of two that overlap is kept."""
    tags = [OUTSIDE] * n_tokens
    for start, end, label, _ in entities:
        if all(tag == OUTSIDE for tag in tags[start:end]):
            tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return tags
