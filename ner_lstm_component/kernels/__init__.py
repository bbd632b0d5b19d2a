"""The inner loops, where a step per token would be too slow in Python.

Cython compiles them (`compiled.pyx`) where the package is built with a C compiler; where it
was not, `plain.py` gives the same results by NumPy, several times slower. Here is what both
do; `segments.py`, `crf.py`, `tags.py`, `lexicon.py`, `features.py`, `architectures.py`,
`network/onnx.py` and, in training, the modules `fused_*.py` call them.

- ``sentence_lengths(attributes, doc_lengths, terminators, opening, quote)``: of sentences by
  boundaries or punctuation; see `segments.read`. ``attributes`` are ORTH, IS_PUNCT, IS_LOWER
  and SENT_START of all Docs' tokens, the sets of ORTH ascending arrays.
- ``viterbi(emissions, transitions, lengths)``: the best tags; see `crf.viterbi`.
- ``marginals(emissions, transitions, lengths, spans, with_tags, temperature)``: the
  probabilities of spans and, if wanted, of tags; see `crf.marginals`.
- ``negative_log_likelihood(emissions, transitions, lengths, allowed)``: the loss and its
  gradients; see `crf.negative_log_likelihood`. ``allowed`` is of uint8.
- ``entity_spans(tags)``: the entities of IOB2 tags; see `tags.entity_spans`.
- ``NgramTable(offsets, factors, terms, before, after, starts, rests, levels, first_rows)`` is
  what `lexicon.TagLexicon` looks n-grams up in: ``keys(words, lengths)`` gives their hashes by
  token and kind, *Shape:* ``(n_tokens, n_kinds)``, uint32; ``ids(keys)`` the ids by the levels
  of those that are in a `lexicon.HashIndex`, *Shape:* ``(n_tokens, first_rows.size)``, int32,
  the ids of a kind side by side.
- ``beside(left, right, shift)``: rows of int32 side by side, those on the right with something
  added.
- ``feature_ids(forms, labels, features)``: the hashed features of words; see
  `features.FeatureTable`. ``forms`` are strings of all words, form by form; a feature is a row
  of ``features``: its form, how many of its first characters (of its last, if less than 0; all,
  if 0), how many rows are its own, and the first of them. Its string is hashed after its label
  as by spaCy's ``get_string_id`` and Thinc's ``Ops.hash``. int32, *Shape:*
  ``(n_words, 2 * n_features)``
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
- ``lstm_step(gates, bias, before, cells, hidden)``: what an LSTM computes element by element
  at a time, for as many sequences as there are rows. ``gates`` has the projection of inputs
  and states, which becomes the gates themselves, in Keras' order, *Shape:* ``(n, 4 * units)``.
  ``before`` are the last carry states; ``cells`` and ``hidden``, to be filled in, the carry
  and output states, *Shape:* ``(n, units)``.
- ``lstm_step_back(gates, before, cells, d_outputs, d_h, d_c, d_gates)``: the way back through
  it. The output states' gradient is ``d_outputs + d_h``; ``d_c``, that of the carry states,
  becomes that of ``before``; ``d_gates``, to be filled in, is that of the sum of projections.
- ``look_up(table, ids, sums)`` makes each row of ``sums`` the sum of the table's rows for its
  ids, which are a row of ``ids`` as well.
- ``add_rows(rows, ids, table)`` adds each row to those of the table with its ids; an id may
  occur more than once.
- ``drop(x, seed, rate, result)``: dropout. ``result`` becomes ``x / (1 - rate)``, but zero at
  a share ``rate`` of the places, which a seed of two numbers of uint32 alone decides.
- ``adam(weights, gradient, mom1, mom2, average, less, scale, b1, b2, eps, rate, l2, decay,
  clip, step)``, compiled only: a step of Thinc's Adam for one variable, flat. The moments and
  the average, which may be None, are changed, ``less`` is what the weights get less. The gradient
  is ``gradient * scale + l2 * weights``, scaled down to the norm ``clip`` unless that is 0; the
  weights lose a share ``decay``, and the average goes a share ``step`` of the way to them.
"""

from __future__ import annotations

import logging
from typing import Any

from . import plain

_chosen: Any = plain
try:
    from . import compiled

    _chosen = compiled
except ImportError as error:
    logging.getLogger(__name__).debug(
        "The kernels are not compiled (%s): NumPy computes them, several times slower. To "
        "compile them, install ner-lstm-component where there is a C compiler.",
        error,
    )

IS_COMPILED = _chosen is not plain

sentence_lengths = _chosen.sentence_lengths
viterbi = _chosen.viterbi
marginals = _chosen.marginals
negative_log_likelihood = _chosen.negative_log_likelihood
entity_spans = _chosen.entity_spans
NgramTable: type[plain.NgramTable] = _chosen.NgramTable
beside = _chosen.beside
feature_ids = _chosen.feature_ids
RowIndex: type[plain.RowIndex] = _chosen.RowIndex
lstm_step = _chosen.lstm_step
lstm_step_back = _chosen.lstm_step_back
look_up = _chosen.look_up
add_rows = _chosen.add_rows
drop = _chosen.drop
adam: Any = getattr(_chosen, "adam", None)
EmbeddedProduct: Any = getattr(_chosen, "EmbeddedProduct", None)
