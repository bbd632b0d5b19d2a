"""Running a pipeline on Docs, with the probabilities that its component ``ner_lstm`` computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from .component import LSTMEntityRecognizer
from .decoding.decoder import Analysis
from .decoding.iob2 import entity_spans


def run(
    nlp: Language, component: LSTMEntityRecognizer | None, docs: Sequence[Doc], **settings: Any
) -> tuple[list[Doc], list[Analysis]]:
    """Run all components of a pipeline on tokenized Docs.

    :param component: the one whose analyses are returned.
    :param settings: further arguments of `LSTMEntityRecognizer.analyse`.
    :return: the Docs, and the analysis of each, or none without a component.
    """
    docs, analyses = list(docs), []
    for _, pipe in nlp.pipeline:
        if pipe is component:
            analyses = component.analyse(docs, **settings)
            component.set_annotations(docs, [one.prediction for one in analyses])
        elif hasattr(pipe, "pipe"):
            docs = list(pipe.pipe(docs))
        else:
            docs = [pipe(doc) for doc in docs]
    return docs, analyses


def scores_of(
    component: LSTMEntityRecognizer, analysis: Analysis, doc: Doc
) -> dict[tuple[int, int, str], float]:
    """Return the probabilities of the entities that the component has found in a Doc.

    :return: probabilities by first token, end and label; none if a later component has merged or
        split tokens.
    """
    tags, confidence = analysis.prediction
    if len(tags) != len(doc):
        return {}
    assert confidence is not None
    labels = component.labels
    return {
        (start, end, labels[label]): score
        for (start, end, label), score in zip(
            entity_spans(tags).tolist(), confidence.tolist(), strict=True
        )
    }
