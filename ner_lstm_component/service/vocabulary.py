"""Which words a pipeline remembers, while texts with ever new ones go through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from spacy.language import Language

# Tokens after which the words among them are forgotten: about 10 MB.
ZONE_TOKENS = 20_000
# Words met, since the vocab's tables were last made anew: they have about 10 MB by then.
VOCAB_ENTRIES = 100_000
# Words that are kept for good, as many as the tokenizer's cache takes: less than 10 MB.
KEPT_WORDS = 10_000
KEPT_LENGTH = 40
# So often a word must be met within a memory zone and the one before it.
FREQUENT = 2


class Vocabulary:
    """The words of a pipeline: rare ones are forgotten, frequent ones kept.

    Words are forgotten by a memory zone, which belongs to the whole vocab: what else is made
    with the pipeline meanwhile is in the zone as well. In a zone spaCy's tokenizer keeps nothing
    of what it has found out, so that frequent words are made known outside.

    :param nlp: the pipeline.
    """

    def __init__(self, nlp: Language) -> None:
        self._nlp = nlp
        self._zone = ExitStack()
        self._zone_tokens = ZONE_TOKENS
        # In this zone, and in the one before.
        self._met: Counter[str] = Counter()
        self._met_before: Counter[str] = Counter()
        self._kept: set[str] = set()

    def meet(self, given: str | Sequence[str], n_tokens: int) -> None:
        """Count a text or its words.

        :param n_tokens: how many tokens it has.
        """
        self._zone_tokens += n_tokens
        if len(self._kept) < KEPT_WORDS:
            self._met.update(given.split() if isinstance(given, str) else given)

    def forget(self) -> None:
        """Begin a new memory zone where many words have been met in the present one.

        Not at each request: to meet a word anew takes longer than to tag it. No Doc may be
        used any more.
        """
        if self._zone_tokens < ZONE_TOKENS:
            return
        self._zone.close()
        self._keep_frequent()
        if len(self._nlp.vocab) >= VOCAB_ENTRIES:
            shrink(self._nlp.vocab)
        self._zone.enter_context(self._nlp.memory_zone())
        self._zone_tokens = 0

    def _keep_frequent(self) -> None:
        for word, number in self._met.items():
            number += self._met_before[word]
            is_worth = number >= FREQUENT and len(word) <= KEPT_LENGTH
            if is_worth and word not in self._kept and len(self._kept) < KEPT_WORDS:
                self._nlp.make_doc(word)
                self._kept.add(word)
        self._met, self._met_before = Counter(), self._met


def shrink(vocab: Any) -> None:
    """Make a vocab's tables anew, outside of memory zones.

    spaCy's hash tables keep a place for each word that a memory zone has forgotten, and grow by
    16 bytes and more for each word ever met. They are made anew when a vocab is loaded.

    What the tokenizer has kept goes on to hold.

    :param vocab: a ``Vocab``, whose type does not tell all its attributes.
    """
    others = ["vectors", "lookups"]
    # Loading wraps one of them each time.
    getters = dict(vocab.lex_attr_getters)
    vocab.from_bytes(vocab.to_bytes(exclude=others), exclude=others)
    vocab.lex_attr_getters = getters
