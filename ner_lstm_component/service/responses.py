"""The pipeline behind ``POST /predict``, which threads use one at a time."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from ..component import Analysis
from ..tagging import run, scores_of
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
        given = request.threshold
        thresholds = None if given is None else [given] * len(docs)
        docs, analyses = run(
            self.nlp, self.component, docs, thresholds=thresholds, probabilities=has_rows
        )
        return [self._describe(*one, has_rows) for one in zip(docs, analyses, strict=True)]

    def _describe(self, doc: Doc, analysis: Analysis, has_rows: bool) -> dict[str, Any]:
        rows = analysis.probabilities
        found = scores_of(self.component, analysis, doc)
        scores = {span: round(score, DECIMALS) for span, score in found.items()}
        if has_rows and len(analysis.prediction.tags) != len(doc):
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
