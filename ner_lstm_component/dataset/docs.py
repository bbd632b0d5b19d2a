"""Annotated sentences, their counts, and the spaCy Docs made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from spacy.tokens import Doc, DocBin
from spacy.training import biluo_tags_to_spans, iob_to_biluo
from spacy.vocab import Vocab


@dataclass(frozen=True)
class Sentence:
    """One annotated sentence.

    :param id: the content of the column ``Sentence #``.
    :param words: the tokens. *Length:* n_tokens, at least 1
    :param tags: well-formed IOB2 tags. *Length:* n_tokens
    :param pos: part-of-speech tags, or None if no token has one. *Length:* n_tokens
    """

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...]
    pos: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Counts:
    """The size of a data set.

    :param without_entity: number of sentences without an entity.
    :param entities: number of entities of each type, the most frequent first.
    """

    sentences: int
    tokens: int
    without_entity: int
    entities: dict[str, int]


def count(sentences: Iterable[Sentence]) -> Counts:
    """Count sentences, tokens and entities."""
    n_sentences = n_tokens = n_without = 0
    entities: Counter[str] = Counter()
    for sentence in sentences:
        # The tags are well-formed, so each entity has exactly one B-.
        begun = [tag[2:] for tag in sentence.tags if tag.startswith("B-")]
        n_sentences += 1
        n_tokens += len(sentence.words)
        n_without += not begun
        entities.update(begun)
    return Counts(n_sentences, n_tokens, n_without, dict(entities.most_common()))


def to_doc(sentence: Sentence, vocab: Vocab) -> Doc:
    """Make the gold-standard Doc of a sentence.

    Its ``ents`` are the sentence's entities and its ``tag_`` the part-of-speech tags. Tokens
    outside of entities are annotated as outside, not as unknown.
    """
    # Without spaces, which the data does not have: has_unknown_spaces then makes spaCy's Corpus
    # keep these tokens instead of tokenizing a guessed text again. Without sentence starts too:
    # a Doc is one sentence already, and a sentence splitter trained on the same file would
    # learn that a text always ends after its first sentence.
    doc = Doc(vocab, words=sentence.words, tags=sentence.pos)
    doc.set_ents(biluo_tags_to_spans(doc, iob_to_biluo(sentence.tags)), default="outside")
    return doc


def to_docbin(sentences: Iterable[Sentence]) -> DocBin:
    """Pack the Docs of some sentences for spaCy's ``Corpus``, in their order."""
    docbin = DocBin(attrs=["TAG", "ENT_IOB", "ENT_TYPE"])
    vocab = Vocab()
    for sentence in sentences:
        docbin.add(to_doc(sentence, vocab))
    return docbin
