"""From a corpus' own tokens to text as it stands in print, and to spaCy's tokens.

A corpus of tokens says nothing of spaces, and its tokens differ from those that spaCy
makes of text ("al-Qaida" is one there and three here). What is trained on the one alone
is worse on the other. The augmenter shows both in training; `with_spaces` makes the text
on which a pipeline is scored as people call it.

Needs what the extra ``train`` installs.
"""

# No postponed annotations here: spaCy reads those of registered functions.

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import zip_longest
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from .tags import ENT_MISSING

# Treebanks cut these from the word before; the detokenizer joins only some of them.
_CLITICS = frozenset(["n't", "'s", "'re", "'ve", "'ll", "'m", "'d"])


def raw_text_augmenter(level: float) -> Callable[[Language, Example], Iterator[Example]]:
    """`ner_lstm_component.raw_text.v1`: a share of the examples as spaCy tokenizes them.

    :param level: the share, from 0 to 1.
    :raises ValueError: for another level.
    """
    if not 0 <= level <= 1:
        raise ValueError(f"'level' must be from 0 to 1. Received: {level}")
    return partial(_augment, level=level)


def _augment(nlp: Language, example: Example, *, level: float) -> Iterator[Example]:
    if random.random() < level:
        reference = retokenized(nlp, example.reference)
        yield Example(nlp.make_doc(reference.text), reference)
    else:
        yield example


def retokenized(nlp: Language, doc: Doc) -> Doc:
    """A Doc's text, entities and part-of-speech tags on the tokens of ``nlp``'s tokenizer.

    Where a border of an entity falls inside such a token, the tokens that the entity
    touches are left without annotation. A token has the tag of the one in ``doc`` that
    its first character belongs to.

    :param doc: its spaces are those of :func:`with_spaces`.
    """
    printed = with_spaces(doc)
    result = nlp.make_doc(printed.text)
    spans = [result.char_span(e.start_char, e.end_char, label=e.label) for e in printed.ents]
    lost = [ent for ent, span in zip(printed.ents, spans, strict=True) if span is None]
    found = [span for span in spans if span is not None]
    taken = {token.i for span in found for token in span}
    unknown = [
        result[token.i : token.i + 1]
        for piece in [*lost, *_without_annotation(printed)]
        for token in result.char_span(piece.start_char, piece.end_char, alignment_mode="expand")
        if token.i not in taken
    ]
    result.set_ents(found, missing=unknown)
    starts = {token.idx: token.tag for token in printed}
    tag = 0
    for token in result:
        tag = starts.get(token.idx, tag)
        token.tag = tag
    return result


def with_spaces(doc: Doc) -> Doc:
    """A Doc of words alone on text as it stands in print, with its entities and tags.

    :return: the Doc itself if its spaces are known.
    """
    if not doc.has_unknown_spaces:
        return doc
    words = [token.text for token in doc]
    result = Doc(doc.vocab, words=words, spaces=spaces_in_print(words, doc.vocab.lang))
    ents = [Span(result, ent.start, ent.end, label=ent.label) for ent in doc.ents]
    missing = [result[span.start : span.end] for span in _without_annotation(doc)]
    result.set_ents(ents, missing=missing)
    for token, own in zip(result, doc, strict=True):
        token.tag = own.tag
    return result


def _without_annotation(doc: Doc) -> list[Span]:
    return [doc[token.i : token.i + 1] for token in doc if token.ent_iob == ENT_MISSING]


def spaces_in_print(words: Sequence[str], lang: str) -> list[bool]:
    """Whether a space follows each word, by the Moses detokenizer.

    :param words: of a sentence.
    :param lang: its language, as spaCy names it.
    """
    text = _detokenizer(lang).detokenize(list(words), unescape=False)
    spaces = []
    end = 0
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        start = text.find(word, end)
        if start < 0 or text[end:start].strip():
            # The detokenizer wrote the word in another way.
            return [True] * len(words)
        end = start + len(word)
        spaces.append(text[end : end + 1] == " " and following.lower() not in _CLITICS)
    return spaces


@cache
def _detokenizer(lang: str) -> Any:
    from sacremoses import MosesDetokenizer

    return MosesDetokenizer(lang=lang)
