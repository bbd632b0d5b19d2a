"""Records to their entities, in batches that memory zones free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
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
    :param doc: the Doc, which is valid until the next record is asked for; None after that.
    """

    record: Record
    ents: list[Entity]
    doc: Doc | None
    n_tokens: int


class Annotator:
    """A pipeline that annotates records.

    :param scores: whether to compute the probability of each entity.
    :param precision: that of the network, or None for that of the pipeline.
    :param keeps_scores: whether the Docs have the probabilities, as ``ent._.confidence``.
    """

    def __init__(
        self,
        nlp: Language,
        *,
        scores: bool,
        precision: str | None = None,
        keeps_scores: bool = False,
    ) -> None:
        self.nlp = nlp
        self._zones = MemoryZones(nlp, _KEPT_WORDS)
        components = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, LSTMEntityRecognizer)]
        for component in components:
            component.confidence = keeps_scores
            if precision is not None:
                component.precision = precision
        self._component = components[0] if components and scores else None

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
        given: list[Doc] = []
        counts = []
        for record in records:
            docs = self._docs(record)
            given += docs
            counts.append(len(docs))
        docs, analyses = run(self.nlp, self._component, given)
        entities = [
            _entities(doc, scores_of(self._component, analysis, doc) if self._component else {})
            for doc, analysis in zip_longest(docs, analyses)
        ]
        found: list[Annotated | Bad] = []
        parts = zip(docs, entities, strict=True)
        for record, count in zip(records, counts, strict=True):
            found.append(_annotated(record, list(islice(parts, count))))
        return found

    def _docs(self, record: Record) -> list[Doc]:
        """Tokenize a record, or find its Doc; a long text has several."""
        if record.doc is not None:
            return [Doc(self.nlp.vocab).from_bytes(record.doc.to_bytes())]
        make_doc = self.nlp.make_doc
        if len(record.text) <= LONG:
            return [make_doc(record.text)]
        return list(map(make_doc, pieces(record.text, make_doc, LONG)))


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


def _annotated(record: Record, parts: Sequence[tuple[Doc, list[Entity]]]) -> Annotated:
    """Put the pieces of a text together."""
    if len(parts) == 1:
        ((doc, entities),) = parts
        return Annotated(record, entities, doc, len(doc))
    joined = Doc.from_docs([doc for doc, _ in parts], ensure_whitespace=False)
    assert joined is not None
    shifted = []
    offset = 0
    for doc, entities in parts:
        for one in entities:
            place = {"start": one["start"] + offset, "end": one["end"] + offset}
            shifted.append({**one, **place})
        offset += len(doc.text)
    return Annotated(record, shifted, joined, len(joined))


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
