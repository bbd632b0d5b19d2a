"""Memory zones for processes that tag text for months."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spacy.language import Language

# How many words may be added to the vocab before it is rebuilt (about 10 MB).
_MAX_NEW_WORDS = 100_000


class MemoryZones:
    """The memory zones of a pipeline, which leave its vocab as small as it was.

    spaCy's ``nlp.memory_zone()`` frees the words at its end, but keeps a slot for each of them in
    the vocab's tables, which double in size as more words come. Here the tables are rebuilt now
    and then.

    :param kept: how many new words are kept for good. In a memory zone, the tokenizer splits each
        word anew; words that it knows from before take it a quarter of the time.
    """

    def __init__(self, nlp: Language, kept: int = 0) -> None:
        self._nlp = nlp
        self._n_words = len(nlp.vocab)
        self._n_kept = self._n_words + kept

    @contextmanager
    def zone(self) -> Iterator[None]:
        """Free the words of the Docs that are made inside; these Docs are invalid afterwards."""
        if len(self._nlp.vocab) < self._n_kept:
            yield
            return
        self._n_kept = 0
        with self._nlp.memory_zone():
            yield
        # A vocab's length counts the words that were freed, too.
        if len(self._nlp.vocab) > self._n_words + _MAX_NEW_WORDS:
            self._rebuild_vocab()

    def _rebuild_vocab(self) -> None:
        vocab, others = self._nlp.vocab, ["vectors", "lookups"]
        getters = dict(vocab.lex_attr_getters)  # each from_bytes() wraps one of them
        vocab.from_bytes(vocab.to_bytes(exclude=others), exclude=others)
        vocab.lex_attr_getters = getters
        self._n_words = len(vocab)
