"""The inner loops of prediction, where a step per token would be too slow in Python.

Cython compiles them (`compiled.pyx`) where the package is built with a C compiler; where it
was not, `plain.py` gives the same results by NumPy, several times slower. Here is what both
do; `segments.py`, `crf.py`, `tags.py`, `lexicon.py`, `features.py` and `onnx_runtime.py` call them.

- ``sentence_lengths(attributes, doc_lengths, terminators, opening, quote)``: of sentences by
  boundaries or punctuation; see `segments.read`. ``attributes`` are ORTH, IS_PUNCT, IS_LOWER
  and SENT_START of all Docs' tokens, the sets of ORTH ascending arrays.
- ``viterbi(emissions, transitions, lengths)``: the best tags; see `crf.viterbi`.
- ``marginals(emissions, transitions, lengths, spans, with_tags, temperature)``: the
  probabilities of spans and, if wanted, of tags; see `crf.marginals`.
- ``entity_spans(tags)``: the entities of IOB2 tags; see `tags.entity_spans`.
- ``ngram_keys(words, lengths, offsets, factors, terms, before, after)``: hashes of n-grams by
  token and kind; see `lexicon.TagLexicon`. *Shape:* ``(n_tokens, n_kinds)``, uint32
- ``places(starts, rests, wanted)``: where hashes stand in an ascending array; see
  `lexicon.HashIndex`. The shape is that of ``wanted``.
- ``ngram_ids(levels, places, first_rows)``: the ids of n-grams by their places among the
  levels, beyond which nothing is known; see `lexicon.TagLexicon`. int32, *Shape:*
  ``(n_tokens, first_rows.size)``, the ids of a kind side by side.
- ``RowIndex(width)`` numbers rows of int32 as they come, equal ones alike: ``add(rows)``
  gives the rows' numbers and the positions of those that are new. Nothing is ever
  forgotten but by ``clear()``.
- ``EmbeddedProduct(table, kernel, bias, group, parts, capacity)``, compiled only: what a
  dense layer gives for embedded ids. Called with ids, *Shape:* ``(n, sum(parts))``, it gives
  ``bias + x @ kernel``, *Shape:* ``(n, kernel.shape[1])``, where *x* are the table's rows
  for the ids, those of each ``group`` summed up, side by side. A product is a sum
  over ``parts`` of an id row, and what each part has given is remembered: the ids of a
  word, for one, most often are those of a word met before. A part's memory
  is emptied before it might have more rows than its ``capacity``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from . import plain

_chosen: Any = plain
with suppress(ImportError):
    from . import compiled

    _chosen = compiled

IS_COMPILED = _chosen is not plain

sentence_lengths = _chosen.sentence_lengths
viterbi = _chosen.viterbi
marginals = _chosen.marginals
entity_spans = _chosen.entity_spans
ngram_keys = _chosen.ngram_keys
places = _chosen.places
ngram_ids = _chosen.ngram_ids
RowIndex: type[plain.RowIndex] = _chosen.RowIndex
EmbeddedProduct: Any = getattr(_chosen, "EmbeddedProduct", None)
