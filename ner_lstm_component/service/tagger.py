"""The pipeline behind the endpoint: one thread at a time, and requests tagged together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc

from ..component import Analysis
from ..tags import OUTSIDE, entity_spans
from .limits import Limits, check_number, check_texts, check_tokens
from .models import ModelError, find_component
from .schema import Entity, Prediction, PredictRequest
from .vocabulary import Vocabulary

DECIMALS = 6

# First token, end, label and score of an entity.
_Found = tuple[int, int, str, float | None]
# What the requests of several clients have to come together.
GATHER_SECONDS = 0.0005


class Tagged(NamedTuple):
    """What came of a request.

    :param predictions: one for each of its inputs.
    :param n_tokens: tokens of all of them.
    """

    predictions: list[Prediction]
    n_tokens: int


class _Job:
    """A request on its way through the tagger.

    Its thread waits at the gate, which opens when it is done or is to lead.
    """

    def __init__(self, request: PredictRequest) -> None:
        self.request = request
        self.is_to_lead = False
        self.gate = threading.Lock()
        self.gate.acquire()
        self.docs: list[Doc] = []
        self.tagged: Tagged | None = None
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.tagged is not None or self.error is not None


class Tagger:
    """A loaded pipeline that threads may use, one at a time.

    One thread at a time leads: it tags all that waits, because a run over several Docs takes
    little longer than over one. Only it touches the pipeline and its vocab, whose rare words are
    forgotten from time to time: leave both to the tagger.

    :param nlp: the pipeline.
    :param limits: how large a request may be.
    :raises .models.ModelError: if it has no component ``ner_lstm``.
    """

    def __init__(self, nlp: Language, limits: Limits) -> None:
        self.nlp = nlp
        self.limits = limits
        self.component = find_component(nlp)
        self._tags = list(self.component.tags)
        # Of the two below: whether there is a thread that tags, and what waits for it.
        self._lock = threading.Lock()
        self._is_led = False
        self._waiting: deque[_Job] = deque()
        self._vocabulary = Vocabulary(nlp)
        # Of requests that come together.
        self._n_expected = 1

    def warm_up(self) -> None:
        """Start the runtime of this process, so that no request has to wait for it.

        :raises .models.ModelError: if the pipeline cannot tag.
        """
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
        check_number(request.field, request.inputs, self.limits)
        if not request.is_tokenized:
            texts: list[str] = request.inputs  # type: ignore[assignment]
            check_texts(request.field, texts, self.limits, self.nlp.max_length)
        job = _Job(request)
        with self._lock:
            self._waiting.append(job)
            is_first = not self._is_led
            self._is_led = True
        if not is_first:
            job.gate.acquire()
        if is_first or job.is_to_lead:
            self._lead()
        if job.error is not None:
            raise job.error
        assert job.tagged is not None
        return job.tagged

    def _lead(self) -> None:
        """Tag what waits, and hand on to one that has come meanwhile."""
        self._gather()
        jobs = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._n_expected = max(len(jobs), self._n_expected - 1)
        try:
            self._tag_together(jobs)
        finally:
            with self._lock:
                self._is_led = bool(self._waiting)
                if self._is_led:
                    self._waiting[0].is_to_lead = True
                    self._waiting[0].gate.release()
            for job in jobs:
                job.gate.release()

    def _gather(self) -> None:
        """Wait for the requests that come with this one, as long as there come any.

        Until there are as many as there were lately: one that comes alone does not wait, nor do
        all if nobody is missing.
        """
        n_waiting = 0
        while n_waiting < len(self._waiting) < self._n_expected:
            n_waiting = len(self._waiting)
            time.sleep(GATHER_SECONDS)

    def _tag_together(self, jobs: Sequence[_Job]) -> None:
        self._vocabulary.forget()
        for job in jobs:
            try:
                job.docs = self._docs(job.request)
            except Exception as error:
                job.error = error
        jobs = [job for job in jobs if not job.is_done]
        try:
            if jobs:
                self._run(jobs)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].error = error
        for job in jobs:
            job.docs = []
        # An error of one is no error of the others.
        for job in jobs:
            if not job.is_done:
                self._tag_together([job])

    def _docs(self, request: PredictRequest) -> list[Doc]:
        docs, n_tokens = [], 0
        for given in request.inputs:
            if isinstance(given, str):
                doc = self.nlp.make_doc(given)
            else:
                check_tokens(request.field, n_tokens + len(given), self.limits)
                doc = Doc(self.nlp.vocab, words=given)
            n_tokens += len(doc)
            self._vocabulary.meet(given, len(doc))
            check_tokens(request.field, n_tokens, self.limits)
            docs.append(doc)
        return docs

    def _run(self, jobs: Sequence[_Job]) -> None:
        """Run the pipeline's components in their order over the Docs of all jobs."""
        docs = [doc for job in jobs for doc in job.docs]
        wanted = [job.request.threshold for job in jobs for _ in job.docs]
        thresholds = [self.component.threshold if own is None else own for own in wanted]
        analyses: list[Analysis] = []
        is_all = False
        for _, pipe in self.nlp.pipeline:
            if pipe is self.component:
                analyses = self.component.analyse(
                    docs,
                    thresholds=thresholds,
                    probabilities=any(job.request.wants_probabilities for job in jobs),
                )
                # Where nobody else has set or reads entities, those of the tags are all there are.
                is_all = pipe is self.nlp.pipeline[-1][1] and not any(
                    doc.has_annotation("ENT_IOB") for doc in docs
                )
                if not is_all:
                    self.component.set_annotations(docs, [one.prediction for one in analyses])
            elif hasattr(pipe, "pipe"):
                docs = list(pipe.pipe(docs))
            else:
                docs = [pipe(doc) for doc in docs]
        results = zip(docs, analyses, strict=True)
        for job in jobs:
            own = [next(results) for _ in job.docs]
            predictions = [
                self._prediction(doc, analysis, is_all, job.request.wants_probabilities)
                for doc, analysis in own
            ]
            job.tagged = Tagged(predictions, sum(len(doc) for doc, _ in own))

    def _prediction(
        self, doc: Doc, analysis: Analysis, is_all: bool, wants_probabilities: bool
    ) -> Prediction:
        """What is answered for a Doc.

        :param is_all: whether its entities are those of the analysis, and not on the Doc.
        """
        tags, confidence = analysis.prediction
        assert confidence is not None
        labels = self.component.labels
        ents: list[_Found] = [
            (start, end, labels[label], score)
            for (start, end, label), score in zip(
                entity_spans(tags).tolist(), confidence.tolist(), strict=True
            )
        ]
        rows = analysis.probabilities
        if len(tags) != len(doc):
            # A later component has merged or split tokens.
            (again,) = self.component.probabilities([doc])
            ents, rows = [], again.tags
        if not is_all:
            scores = {(start, end, label): score for start, end, label, score in ents}
            found = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
            ents = [(*ent, scores.get(ent)) for ent in found]
        prediction = Prediction(
            tokens=[token.text for token in doc],
            tags=_iob2_tags(len(doc), ents),
            ents=[_entity(doc, *ent) for ent in ents],
            labels=self._tags,
        )
        if wants_probabilities:
            prediction["prediction"] = _rounded(rows)
        return prediction


def _rounded(rows: NDArray[np.float32] | None) -> list[list[float]]:
    assert rows is not None
    return rows.astype(np.float64).round(DECIMALS).tolist()


def _iob2_tags(n_tokens: int, ents: Sequence[_Found]) -> list[str]:
    tags = [OUTSIDE] * n_tokens
    for start, end, label, _ in ents:
        tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
    return tags


def _entity(doc: Doc, start: int, end: int, label: str, score: float | None) -> Entity:
    span = doc[start:end]
    return Entity(
        text=span.text,
        label=label,
        start=span.start_char,
        end=span.end_char,
        token_start=start,
        token_end=end,
        score=None if score is None else round(score, DECIMALS),
    )
