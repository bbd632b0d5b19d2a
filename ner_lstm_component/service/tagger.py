"""The pipeline behind the endpoint, which one thread at a time uses."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span

from ..component import Analysis
from ..decoding.iob2 import OUTSIDE, entity_spans
from .limits import Limits, check_inputs, check_tokens
from .models import ModelError, find_component
from .schema import PredictRequest

DECIMALS = 6
# About 10 MB of places in the vocab's tables.
_FORGOTTEN_WORDS = 100_000


class Tagged(NamedTuple):
    """The answer to a request.

    :param predictions: one for each of its inputs.
    :param sizes: how many ``texts``, ``tokens`` and ``entities`` that are.
    """

    predictions: list[dict[str, Any]]
    sizes: dict[str, int]


class Tagger:
    """A loaded pipeline that threads share, one at a time.

    Memory zones, after which spaCy forgets the words of a request, belong to the whole vocab.

    :param nlp: the pipeline, which nobody else may use meanwhile.
    :param limits: how large a request may be.
    :raises .models.ModelError: if it has no component ``ner_lstm``.
    """

    def __init__(self, nlp: Language, limits: Limits) -> None:
        self.nlp = nlp
        self.limits = limits
        self.component = find_component(nlp)
        self._tags = list(self.component.tags)
        self._lock = threading.Lock()
        self._n_words = len(nlp.vocab)

    def warm_up(self) -> None:
        """Start the runtime of this process, so that no request has to wait for it."""
        try:
            self.tag(PredictRequest.model_validate({"text": "Hello, world."}))
        except Exception as error:
            raise ModelError(
                f"The pipeline {self.nlp.meta['name']!r} cannot be served: it was loaded, but "
                f"cannot tag a text. Received: {error}"
            ) from error

    def tag(self, request: PredictRequest) -> Tagged:
        """Tag a request's inputs.

        :raises .limits.TooLarge: for a request beyond the limits.
        """
        check_inputs(request.field, request.inputs, self.limits, self.nlp.max_length)
        with self._lock:
            with self.nlp.memory_zone():
                tagged = self._tag(request)
            if len(self.nlp.vocab) > self._n_words + _FORGOTTEN_WORDS:
                self._forget_words()
            return tagged

    def _forget_words(self) -> None:
        """Make the vocab's tables anew: they keep a place for each word that a zone forgot."""
        vocab, others = self.nlp.vocab, ["vectors", "lookups"]
        getters = dict(vocab.lex_attr_getters)  # Loading wraps one of them each time.
        vocab.from_bytes(vocab.to_bytes(exclude=others), exclude=others)
        vocab.lex_attr_getters = getters
        self._n_words = len(vocab)

    def _tag(self, request: PredictRequest) -> Tagged:
        docs, n_tokens = [], 0
        for given in request.inputs:
            is_text = isinstance(given, str)
            doc = self.nlp.make_doc(given) if is_text else Doc(self.nlp.vocab, words=given)
            n_tokens += len(doc)
            check_tokens(request.field, n_tokens, self.limits)
            docs.append(doc)
        predictions = [
            self._prediction(doc, analysis, request.wants_probabilities)
            for doc, analysis in self._run(docs, request)
        ]
        n_entities = sum(len(one["ents"]) for one in predictions)
        sizes = {"texts": len(docs), "tokens": n_tokens, "entities": n_entities}
        return Tagged(predictions, sizes)

    def _run(self, docs: list[Doc], request: PredictRequest) -> list[tuple[Doc, Analysis]]:
        """Run the pipeline's components in their order."""
        threshold = self.component.threshold if request.threshold is None else request.threshold
        analyses: list[Analysis] = []
        for _, pipe in self.nlp.pipeline:
            if pipe is self.component:
                analyses = self.component.analyse(
                    docs,
                    thresholds=[threshold] * len(docs),
                    probabilities=request.wants_probabilities,
                )
                self.component.set_annotations(docs, [one.prediction for one in analyses])
            elif hasattr(pipe, "pipe"):
                docs = list(pipe.pipe(docs))
            else:
                docs = [pipe(doc) for doc in docs]
        return list(zip(docs, analyses, strict=True))

    def _prediction(self, doc: Doc, analysis: Analysis, with_rows: bool) -> dict[str, Any]:
        """Describe a tagged Doc."""
        (tags, confidence), rows = analysis
        scores: dict[tuple[int, int, str], float] = {}
        if len(tags) == len(doc):
            assert confidence is not None
            labels = self.component.labels
            scores = {
                (start, end, labels[label]): score
                for (start, end, label), score in zip(
                    entity_spans(tags).tolist(), confidence.tolist(), strict=True
                )
            }
        elif with_rows:
            # A later component has merged or split tokens.
            rows = self.component.probabilities([doc])[0].tags
        ents = doc.ents
        iob2 = [OUTSIDE] * len(doc)
        for ent in ents:
            iob2[ent.start : ent.end] = [f"B-{ent.label_}"] + [f"I-{ent.label_}"] * (len(ent) - 1)
        prediction: dict[str, Any] = {
            "tokens": [token.text for token in doc],
            "tags": iob2,
            "ents": [_entity(e, scores.get((e.start, e.end, e.label_))) for e in ents],
            "labels": self._tags,
        }
        if with_rows:
            assert rows is not None
            prediction["prediction"] = rows.astype(np.float64).round(DECIMALS).tolist()
        return prediction


def _entity(ent: Span, score: float | None) -> dict[str, Any]:
    return {
        "text": ent.text,
        "label": ent.label_,
        "start": ent.start_char,
        "end": ent.end_char,
        "token_start": ent.start,
        "token_end": ent.end,
        "score": None if score is None else round(score, DECIMALS),
    }
