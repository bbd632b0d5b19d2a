"""Records to their entities, in batches that memory zones free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from spacy.language import Language
from spacy.tokens import Doc

from ..component import LSTMEntityRecognizer
from ..tagging import run, scores_of
from ..text.memory import MemoryZones
from ..text.pieces import pieces
from .records import Bad, Record, bad_record

# A batch ends after as many characters, or records.
_BATCH_CHARACTERS, _BATCH_RECORDS = 200_000, 1_000
# Longer texts are tagged in pieces.
LONG = 200_000
# The words, the frequent ones among them, that a process keeps: some 15 MB.
_KEPT_WORDS = 50_000
_DECIMALS = 6

Entity = dict[str, Any]


class Annotated(NamedTuple):
    """A record with its entities.

    :param ents: ``text``, ``label``, ``start`` and ``end`` (characters) and ``score`` of each
        entity; the score is None for entities that ``ner_lstm`` did not find.
    :param doc: the Doc, which is valid until the next record is asked for, if Docs are kept.
    """

    record: Record
    ents: list[Entity]
    doc: Doc | None
    n_tokens: int


class Annotator:
    """A pipeline that annotates records.

    :param scores: whether to compute the probability of each entity.
    :param precision: that of the network, or None for that of the pipeline.
    :param keeps_docs: whether the results have Docs, with the probabilities as
        ``ent._.confidence``.
    """

    def __init__(
        self,
        nlp: Language,
        *,
        scores: bool,
        precision: str | None = None,
        keeps_docs: bool = False,
    ) -> None:
        self.nlp = nlp
        self._zones = MemoryZones(nlp, _KEPT_WORDS)
        components = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, LSTMEntityRecognizer)]
        for component in components:
            component.confidence = scores and keeps_docs
            if precision is not None:
                component.precision = precision
        self._component = components[0] if components and scores else None
        self._keeps_docs = keeps_docs

    def __call__(self, records: Iterable[Record | Bad]) -> Iterator[Annotated | Bad]:
        """Tag records, and pass on the bad ones."""
        for batch in _batches(records):
            with self._zones.zone():
                yield from self._tag(batch)

    def _tag(self, batch: Sequence[Record | Bad]) -> Iterator[Annotated | Bad]:
        good = [one for one in batch if isinstance(one, Record)]
        try:
            annotated = iter(self._run(good))
        # One text can break a pipeline's component.
        except Exception:
            annotated = map(self._alone, good)
        for one in batch:
            yield one if isinstance(one, Bad) else next(annotated)

    def _alone(self, record: Record) -> Annotated | Bad:
        try:
            return self._run([record])[0]
        except Exception as error:
            return bad_record(record, f"the pipeline failed: {error!r}")

    def _run(self, records: Sequence[Record]) -> list[Annotated | Bad]:
        is_short = [one.doc is not None or len(one.text) <= LONG for one in records]
        docs = [self._doc(one) for one, short in zip(records, is_short, strict=True) if short]
        tagged = iter(self._tagged(docs))
        return [
            self._annotated(one, *next(tagged)) if short else self._long(one)
            for one, short in zip(records, is_short, strict=True)
        ]

    def _doc(self, record: Record) -> Doc:
        if record.doc is None:
            return self.nlp.make_doc(record.text)
        return Doc(self.nlp.vocab).from_bytes(record.doc.to_bytes())

    def _tagged(self, docs: Sequence[Doc]) -> list[tuple[Doc, list[Entity]]]:
        tagged, analyses = run(self.nlp, self._component, docs)
        return [
            (doc, _entities(doc, scores_of(self._component, one, doc) if self._component else {}))
            for doc, one in zip_longest(tagged, analyses)
        ]

    def _annotated(self, record: Record, doc: Doc, entities: list[Entity]) -> Annotated:
        return Annotated(record, entities, doc if self._keeps_docs else None, len(doc))

    def _long(self, record: Record) -> Annotated:
        """Tag a long text piece by piece; one Doc of it would need a hundred times its memory."""
        found: list[Entity] = []
        kept: list[Doc] = []
        offset = n_tokens = 0
        for piece in pieces(record.text, self.nlp.make_doc, LONG):
            ((doc, entities),) = self._tagged([self.nlp.make_doc(piece)])
            for one in entities:
                found.append({**one, "start": one["start"] + offset, "end": one["end"] + offset})
            offset += len(piece)
            n_tokens += len(doc)
            kept += [doc] if self._keeps_docs else []
        joined = Doc.from_docs(kept, ensure_whitespace=False) if kept else None
        return Annotated(record, found, joined, n_tokens)


def _entities(doc: Doc, scores: dict[tuple[int, int, str], float]) -> list[Entity]:
    entities = []
    for ent in doc.ents:
        score = scores.get((ent.start, ent.end, ent.label_))
        entities.append(
            {
                "text": ent.text,
                "label": ent.label_,
                "start": ent.start_char,
                "end": ent.end_char,
                "score": None if score is None else round(score, _DECIMALS),
            }
        )
    return entities


def _batches(records: Iterable[Record | Bad]) -> Iterator[list[Record | Bad]]:
    batch: list[Record | Bad] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.text) if isinstance(record, Record) else 0
        if size >= _BATCH_CHARACTERS or len(batch) == _BATCH_RECORDS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
