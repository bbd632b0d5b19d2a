"""The pipeline behind ``POST /predict``, which threads use one at a time."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from ..component import Analysis
from ..decoding.iob2 import entity_spans
from ..text.memory import MemoryZones
from .limits import Limits, check_inputs, check_tokens
from .models import ModelError, find_component
from .schema import PredictRequest

DECIMALS = 6


class Tagger:
    """A loaded pipeline that threads share, and that nothing else may use at the same time.

    Threads take turns because spaCy's memory zones, which free the words of a request, apply to
    the whole vocab.

    :raises models.ModelError: if the pipeline has no component ``ner_lstm``, or cannot tag.
    """

    def __init__(self, nlp: Language, limits: Limits) -> None:
        self.nlp = nlp
        self.limits = limits
        self.component = find_component(nlp)
        self._lock = threading.Lock()
        self._zones = MemoryZones(nlp)
        # Start the network's runtime in this process, so that the first request does not wait.
        try:
            self.tag(PredictRequest.model_validate({"text": "Hello, world."}))
        except Exception as error:
            raise ModelError(
                f"The pipeline {nlp.meta['name']!r} cannot be served: it was loaded, but "
                f"cannot tag a text. Received: {error}"
            ) from error

    def tag(self, request: PredictRequest) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Tag a request's inputs, or raise `limits.TooLarge`.

        :return: a prediction for each input, and the numbers of texts, tokens and entities.
        """
        check_inputs(request.field, request.inputs, self.limits, self.nlp.max_length)
        with self._lock, self._zones.zone():
            predictions, n_tokens = self._tag(request)
        n_entities = sum(len(one["ents"]) for one in predictions)
        sizes = {"texts": len(predictions), "tokens": n_tokens, "entities": n_entities}
        return predictions, sizes

    def _tag(self, request: PredictRequest) -> tuple[list[dict[str, Any]], int]:
        docs, n_tokens = [], 0
        for given in request.inputs:
            is_text = isinstance(given, str)
            docs.append(self.nlp.make_doc(given) if is_text else Doc(self.nlp.vocab, words=given))
            n_tokens += len(docs[-1])
            check_tokens(request.field, n_tokens, self.limits)
        return self._run(docs, request), n_tokens

    def _run(self, docs: list[Doc], request: PredictRequest) -> list[dict[str, Any]]:
        """Run all components of the pipeline, and describe the predictions."""
        has_rows = request.probabilities or request.field == "sentence"
        analyses: list[Analysis] = []
        for _, pipe in self.nlp.pipeline:
            if pipe is self.component:
                given = request.threshold
                thresholds = None if given is None else [given] * len(docs)
                analyses = pipe.analyse(docs, thresholds=thresholds, probabilities=has_rows)
                pipe.set_annotations(docs, [one.prediction for one in analyses])
            elif hasattr(pipe, "pipe"):
                docs = list(pipe.pipe(docs))
            else:
                docs = [pipe(doc) for doc in docs]
        return [self._describe(*one, has_rows) for one in zip(docs, analyses, strict=True)]

    def _describe(self, doc: Doc, analysis: Analysis, has_rows: bool) -> dict[str, Any]:
        (tags, confidence), rows = analysis
        scores: dict[tuple[int, int, str], float] = {}
        if len(tags) == len(doc):
            assert confidence is not None
            labels = self.component.labels
            for (start, end, label), score in zip(entity_spans(tags), confidence, strict=True):
                scores[start, end, labels[label]] = round(float(score), DECIMALS)
        elif has_rows:
            # A later component has merged or split tokens.
            rows = self.component.probabilities([doc])[0].tags
        prediction: dict[str, Any] = {
            "tokens": [token.text for token in doc],
            # A blocked token has "B" without a type.
            "tags": [
                f"{t.ent_iob_}-{t.ent_type_}" if t.ent_iob_ in ("B", "I") and t.ent_type else "O"
                for t in doc
            ],
            "ents": [
                {
                    "text": ent.text,
                    "label": ent.label_,
                    "start": ent.start_char,
                    "end": ent.end_char,
                    "token_start": ent.start,
                    "token_end": ent.end,
                    "score": scores.get((ent.start, ent.end, ent.label_)),
                }
                for ent in doc.ents
            ],
            "labels": list(self.component.tags),
        }
        if has_rows:
            assert rows is not None
            prediction["prediction"] = rows.astype(np.float64).round(DECIMALS).tolist()
        return prediction
