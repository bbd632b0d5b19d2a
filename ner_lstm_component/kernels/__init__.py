"""The inner loops over tokens, for which Python is too slow.

Cython compiles them if there is a C compiler. Otherwise `numpy_kernels`, which documents them,
computes the same results several times slower, and `EmbeddedProduct` and `adam` are None.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .numpy_kernels import Case as Case
from .numpy_kernels import (
    NgramTable,
    RowIndex,
    entity_spans,
    feature_ids,
    find_rows,
    find_sentences,
    marginals,
    viterbi,
    word_shape,
)
from .numpy_kernels import WordClass as WordClass

EmbeddedProduct: Any = None
adam: Any = None
IS_COMPILED = False

if not TYPE_CHECKING:  # because the Cython modules have no types
    try:
        from . import crf, embedding, lexical, ngrams, optimizer, sentences
    except ImportError as error:
        logging.getLogger(__name__).debug(
            "The kernels are not compiled (%s): NumPy computes them, several times slower. To "
            "compile them, install ner-lstm-component where there is a C compiler.",
            error,
        )
    else:
        IS_COMPILED = True
        entity_spans, marginals, viterbi = crf.entity_spans, crf.marginals, crf.viterbi
        EmbeddedProduct, RowIndex = embedding.EmbeddedProduct, embedding.RowIndex
        feature_ids, find_rows = lexical.feature_ids, lexical.find_rows
        word_shape = lexical.word_shape
        NgramTable = ngrams.NgramTable
        adam = optimizer.adam
        find_sentences = sentences.find_sentences
