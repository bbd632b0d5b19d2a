"""Annotated sentences, their counts, and their spaCy Docs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from spacy.tokens import Doc, DocBin
from spacy.training import biluo_tags_to_spans, iob_to_biluo
from spacy.vocab import Vocab


@dataclass(frozen=True)
class Sentence:
    """An annotated sentence; `id` is the content of the column ``Sentence #``."""

    id: str
    words: tuple[str, ...]  # at least one
    tags: tuple[str, ...]  # well-formed IOB2, one for each word
    pos: tuple[str, ...] | None = None  # one for each word, or None if all are unknown


@dataclass(frozen=True)
class Counts:
    """The size of a data set."""

    sentences: int
    tokens: int
    without_entity: int  # the number of sentences without an entity
    entities: dict[str, int]  # the number for each type, the most frequent first


def count(sentences: Iterable[Sentence]) -> Counts:
    """Count sentences, tokens and entities."""
    counted = list(sentences)
    n_tokens = sum(len(sentence.words) for sentence in counted)
    # The tags are well-formed, so each entity has exactly one B- tag.
    labels = [[t[2:] for t in sentence.tags if t.startswith("B-")] for sentence in counted]
    entities = Counter(chain.from_iterable(labels))
    return Counts(len(counted), n_tokens, labels.count([]), dict(entities.most_common()))


def to_doc(sentence: Sentence, vocab: Vocab) -> Doc:
    """Make the gold-standard Doc for a sentence, with its entities and parts of speech (``tag_``).

    Tokens outside of entities are annotated as outside, not as unknown.
    """
    # The data has no spaces. Without them, spaCy's Corpus keeps these tokens instead of
    # tokenizing a guessed text. Sentence starts are not set either: a sentence splitter trained
    # on the same file would learn that a text always ends after its first sentence.
    doc = Doc(vocab, words=sentence.words, tags=sentence.pos)
    doc.set_ents(biluo_tags_to_spans(doc, iob_to_biluo(sentence.tags)), default="outside")
    return doc


def to_docbin(sentences: Iterable[Sentence]) -> DocBin:
    """Pack the Docs of sentences for spaCy's ``Corpus``, in the given order."""
    vocab = Vocab()
    docs = (to_doc(sentence, vocab) for sentence in sentences)
    return DocBin(attrs=["TAG", "ENT_IOB", "ENT_TYPE"], docs=docs)
