"""What a task does with a part, in whichever process."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import spacy
from spacy.language import Language

from .annotator import Annotator
from .parts import AnnotateError, Part
from .records import Bad
from .writers import WRITERS, DocBinWriter, write_bad


class Counts(NamedTuple):
    """What was written of a part.

    :param done: the bytes of the input up to the part's end.
    """

    number: int
    done: int
    records: int
    words: int
    entities: int
    bad: int


@dataclass(frozen=True)
class Job:
    """The settings of a run, which each process gets.

    :param model: a pipeline's folder or name.
    :param column: the field with the text.
    :param suffix: the format of the output, a key of `writers.WRITERS`.
    :param precision: ``float32`` or ``int8`` for the network, or None for that of the pipeline.
    :param schema: the Arrow schema of the fields, for Parquet.
    """

    model: str
    column: str
    output: Path
    suffix: str
    scores: bool
    precision: str | None
    schema: Any = None

    def path(self, number: int) -> Path:
        """Return the file of a part."""
        return self.output / f"part-{number:06}.{self.suffix}"

    def bad_path(self, number: int) -> Path:
        """Return the file of a part's records that could not be annotated."""
        return self.output / f"bad-{number:06}.jsonl"

    def is_done(self, part: Part) -> bool:
        """Return whether the file of a part was written: it appears when it is whole."""
        return self.path(part.number).exists()

    def load(self) -> Language:
        """Load the pipeline.

        :raises AnnotateError: if it cannot be loaded.
        """
        try:
            return spacy.load(self.model)
        # Damaged files raise any error from the libraries that read them.
        except Exception as error:
            raise AnnotateError(
                f"{self.model}: cannot be loaded; expected the folder of a trained pipeline, or "
                f"the name of an installed one. {error}"
            ) from error

    def start(self, nlp: Language) -> Callable[[Part], Counts]:
        """Return the function that annotates a part with the loaded pipeline."""
        gc.freeze()  # the collector would walk the pipeline again and again
        keeps_docs = self.suffix == DocBinWriter.suffix
        annotator = Annotator(
            nlp, scores=self.scores, precision=self.precision, keeps_docs=keeps_docs
        )
        return lambda part: self._annotate(annotator, part)

    def _annotate(self, annotator: Annotator, part: Part) -> Counts:
        writer = WRITERS[self.suffix](self.schema)
        bad: list[Bad] = []
        records = words = entities = 0
        for one in annotator(part.records(self.column)):
            if isinstance(one, Bad):
                bad.append(one)
                continue
            writer.add(one)
            records += 1
            words += one.n_tokens
            entities += len(one.ents)
        # Hidden until they are whole. The part's file comes last: it says that the part is done.
        hidden = self.output / f".part-{part.number:06}"
        refused = writer.save(hidden)
        bad += refused
        if bad:
            write_bad(bad, hidden.with_suffix(".bad"))
            os.replace(hidden.with_suffix(".bad"), self.bad_path(part.number))
        os.replace(hidden, self.path(part.number))
        return Counts(part.number, part.done, records - len(refused), words, entities, len(bad))
