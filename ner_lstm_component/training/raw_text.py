"""The conversion of a corpus of tokens to printed text, and to spaCy's tokens.

Such a corpus lacks the spaces, and its tokens differ from those of spaCy: "al-Qaida" is one
token in the corpus and three in spaCy. A model trained on only one kind of tokens is worse on
the other. The augmenter uses both in training; `with_spaces` restores the text for evaluation.

The module needs the packages of the extra ``train``.
"""

# No postponed annotations here: spaCy reads those of registered functions.

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import zip_longest
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import naming
from .copying import copy_doc

# Treebanks split these from the word before; the detokenizer joins only some of them.
_CLITICS = frozenset(["n't", "'s", "'re", "'ve", "'ll", "'m", "'d"])


def raw_text_augmenter(level: float) -> Callable[[Language, Example], Iterator[Example]]:
    """`ner_lstm_component.raw_text.v1`: tokenize a share of the examples with spaCy.

    :param level: the share of examples, from 0 to 1.
    """
    if not 0 <= level <= 1:
        raise ValueError(f"'level' must be from 0 to 1. Received: {level}")

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        if random.random() < level:
            with naming(example.reference, "The augmenter ner_lstm_component.raw_text.v1"):
                reference = with_spaces(example.reference)
                # The reference keeps its tokens and annotation, which each component aligns.
                example = Example(nlp.make_doc(reference.text), reference)
        yield example

    return augment


def with_spaces(doc: Doc) -> Doc:
    """Copy a Doc with its annotation, and give the copy the spaces of printed text.

    :return: the Doc itself if its spaces are known.
    """
    if not doc.has_unknown_spaces:
        return doc
    words = [token.text for token in doc]
    return copy_doc(doc, words, spaces_in_print(words, doc.vocab.lang))


def spaces_in_print(words: Sequence[str], lang: str) -> list[bool]:
    """Return whether each word is followed by a space in print, with the Moses detokenizer."""
    text = _detokenizer(lang).detokenize(list(words), unescape=False)
    spaces = []
    end = 0
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        start = text.find(word, end)
        if start < 0 or text[end:start].strip():
            # The detokenizer changed the word.
            return [True] * len(words)
        end = start + len(word)
        spaces.append(text[end : end + 1] == " " and following.lower() not in _CLITICS)
    return spaces


@cache
def _detokenizer(lang: str) -> Any:
    from sacremoses import MosesDetokenizer

    return MosesDetokenizer(lang=lang)
