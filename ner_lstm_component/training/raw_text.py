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
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from ..errors import naming

_NAME = "ner_lstm_component.raw_text.v1"

# What is annotated on tokens.
_ANNOTATION = ["NORM", "TAG", "POS", "MORPH", "LEMMA", "HEAD", "DEP", "SENT_START"]
_ANNOTATION += ["ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID"]

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
        with naming(example.reference, f"The augmenter {_NAME}"):
            reference = with_spaces(example.reference)
            # The reference keeps its own tokens, and with them all of its annotation: each
            # component aligns what it learns, as with the texts of spaCy's Corpus.
            example = Example(nlp.make_doc(reference.text), reference)
    yield example


def with_spaces(doc: Doc) -> Doc:
    """Put the words of a Doc without known spaces on text as it stands in print.

    :return: a new Doc with all of the annotation, the span groups, categories and user data;
        the Doc itself if its spaces are known.
    """
    if not doc.has_unknown_spaces:
        return doc
    words = [token.text for token in doc]
    result = Doc(doc.vocab, words=words, spaces=spaces_in_print(words, doc.vocab.lang))
    if words:
        result.from_array(_ANNOTATION, doc.to_array(_ANNOTATION))
    for key, group in doc.spans.items():
        result.spans[key] = SpanGroup(
            result, name=group.name, attrs=group.attrs, spans=[_span(result, s) for s in group]
        )
    result.cats = dict(doc.cats)
    if doc.user_data:
        result.user_data.update(_user_data(doc, result))
    return result


def _span(doc: Doc, span: Span) -> Span:
    return Span(doc, span.start, span.end, span.label, kb_id=span.kb_id, span_id=span.id)


def _user_data(doc: Doc, result: Doc) -> Iterator[tuple[Any, Any]]:
    """Copy ``doc.user_data``, extension attributes by the characters of the new text."""
    starts = {old.idx: new.idx for old, new in zip(doc, result, strict=True)}
    ends = {old.idx + len(old): new.idx + len(new) for old, new in zip(doc, result, strict=True)}
    for key, value in doc.user_data.items():
        if isinstance(key, tuple) and len(key) == 4 and key[0] == "._.":
            _, name, start, end = key
            yield ("._.", name, starts.get(start), ends.get(end)), value
        else:
            yield key, value


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
