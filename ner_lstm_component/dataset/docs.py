"""Annotated sentences, their counts, and their spaCy Docs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, islice

from spacy.tokens import Doc, DocBin
from spacy.training import biluo_tags_to_spans, iob_to_biluo
from spacy.vocab import Vocab


@dataclass(frozen=True)
class Sentence:
    """An annotated sentence, or a Doc of a ``.spacy`` file.

    Sentences are equal if ids, words and annotation are.
    """

    id: str  # the content of the column ``Sentence #``, or the Doc's number, from 1
    words: tuple[str, ...]  # at least one
    tags: tuple[str, ...]  # well-formed IOB2, one for each word
    pos: tuple[str, ...] | None = None  # one for each word, or None if all are unknown
    lines: tuple[int, ...] = field(default=(), compare=False)  # of the words; empty for a Doc
    doc: Doc | None = field(default=None, compare=False, repr=False)  # if read from one


@dataclass(frozen=True)
class Counts:
    """The size of a data set."""

    sentences: int
    tokens: int
    without_entity: int  # the number of sentences without an entity
    entities: dict[str, int]  # the number for each type, the most frequent first

    def __add__(self, other: Counts) -> Counts:
        entities = Counter(self.entities) + Counter(other.entities)
        return Counts(
            self.sentences + other.sentences,
            self.tokens + other.tokens,
            self.without_entity + other.without_entity,
            dict(entities.most_common()),
        )


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

    Tokens outside of entities are annotated as outside, not as unknown. A sentence that was read
    from a Doc returns it as it is.
    """
    if sentence.doc is not None:
        return sentence.doc
    # The data has no spaces. Without them, spaCy's Corpus keeps these tokens instead of
    # tokenizing a guessed text. Sentence starts are not set either: a sentence splitter trained
    # on the same file would learn that a text always ends after its first sentence.
    doc = Doc(vocab, words=sentence.words, tags=sentence.pos)
    doc.set_ents(biluo_tags_to_spans(doc, iob_to_biluo(sentence.tags)), default="outside")
    return doc


def from_doc(number: int, doc: Doc) -> Sentence:
    """Make the sentence for a Doc; tokens without annotation count as outside of entities."""
    tags = ["O"] * len(doc)
    for ent in doc.ents:
        tags[ent.start : ent.end] = [f"B-{ent.label_}"] + [f"I-{ent.label_}"] * (len(ent) - 1)
    return Sentence(str(number), tuple(token.text for token in doc), tuple(tags), doc=doc)


def to_docbin(sentences: Iterable[Sentence]) -> DocBin:
    """Pack the Docs of sentences for spaCy's ``Corpus``, in the given order."""
    vocab = Vocab()
    remaining = iter(sentences)
    head = list(islice(remaining, 1))
    docs = (to_doc(sentence, vocab) for sentence in chain(head, remaining))
    if head and head[0].doc is not None:  # then all were read from Docs: keep all annotation
        return DocBin(store_user_data=True, docs=docs)
    return DocBin(attrs=["TAG", "ENT_IOB", "ENT_TYPE"], docs=docs)
