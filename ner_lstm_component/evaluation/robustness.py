"""The scores of a pipeline on variants of a test set, which the registered perturbations make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from spacy.attrs import ENT_IOB
from spacy.language import Language
from spacy.tokens import Doc

from ..decoding.iob2 import ENT_MISSING
from ..text.characters import is_invisible
from ..training.raw_text import with_spaces
from .alignment import Entity
from .perturbations import AnnotatedText, perturb, perturbations
from .scores import Score, score

AS_PRINTED = "as printed"


@dataclass(frozen=True)
class Variant:
    """The score on a variant of all texts.

    :param name: the perturbation's name, or `AS_PRINTED`.
    :param documents: the number of documents.
    :param changed: the number of documents whose text the perturbation changed.
    :param score: the strict score, by characters; invisible ones at the edges of an entity don't
        count.
    :param difference: the F1 minus that of the text as printed, from -1 to 1.
    :param blank: the number of predicted entities without a visible character.
    :param blank_edges: the number of other predicted entities whose first or last token is blank.
    """

    name: str
    documents: int
    changed: int
    score: Score
    difference: float
    blank: int
    blank_edges: int


class _Tagged(NamedTuple):
    entities: set[tuple[int, int, str]]  # without invisible characters at the edges
    blank: int
    blank_edges: int


def annotated_texts(docs: Iterable[Doc]) -> list[AnnotatedText]:
    """Return the texts of annotated Docs, with the spaces of print if a Doc's are unknown.

    Docs with tokens that lack annotation are left out.
    """
    texts = []
    for doc in map(with_spaces, docs):
        if ENT_MISSING not in doc.to_array(ENT_IOB):
            entities = (Entity(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents)
            texts.append(AnnotatedText(doc.text, tuple(entities)))
    return texts


def measure(nlp: Language, texts: Sequence[AnnotatedText], seed: int = 0) -> Iterator[Variant]:
    """Score a pipeline on texts as printed, and then on each registered perturbation of them.

    :param seed: the seed of the perturbations' random choices.
    :return: the scores one by one, so that progress can be shown.
    """
    printed = _tag(nlp, texts)
    reference = _variant(AS_PRINTED, texts, printed)
    yield reference
    for name, perturbation in perturbations.get_all().items():
        variants = [perturb(document, name, perturbation, seed) for document in texts]
        # Many texts have nothing that, say, NFD changes.
        tagged = printed | _tag(nlp, [new for new in variants if new.text not in printed])
        found = _variant(name, variants, tagged)
        changed = sum(new.text != old.text for new, old in zip(variants, texts, strict=True))
        yield replace(found, changed=changed, difference=found.score.f1 - reference.score.f1)


def _tag(nlp: Language, texts: Sequence[AnnotatedText]) -> dict[str, _Tagged]:
    tagged = {}
    for (text, _), doc in zip(texts, nlp.pipe(text for text, _ in texts), strict=True):
        entities = [ent for ent in doc.ents if not is_invisible(ent.text)]
        tagged[text] = _Tagged(
            {visible_span(text, ent.start_char, ent.end_char, ent.label_) for ent in entities},
            blank=len(doc.ents) - len(entities),
            blank_edges=sum(is_invisible(e[0].text) or is_invisible(e[-1].text) for e in entities),
        )
    return tagged


def _variant(name: str, texts: Sequence[AnnotatedText], tagged: dict[str, _Tagged]) -> Variant:
    counts = np.zeros(3, np.int64)
    blank = blank_edges = 0
    for text, entities in texts:
        gold = {visible_span(text, ent.start, ent.end, ent.label) for ent in entities}
        found = tagged[text]
        counts += len(gold & found.entities), len(gold), len(found.entities) + found.blank
        blank += found.blank
        blank_edges += found.blank_edges
    return Variant(name, len(texts), 0, score(counts), 0.0, blank, blank_edges)


def visible_span(text: str, start: int, end: int, label: str) -> tuple[int, int, str]:
    """Leave out invisible characters at both edges of an entity."""
    while start < end and is_invisible(text[start]):
        start += 1
    while start < end and is_invisible(text[end - 1]):
        end -= 1
    return start, end, label
