"""Annotated sentences: reading a file of IOB2 tags, splitting it, making spaCy Docs.

`dataset_files` unpacks and decodes a file, `dataset_rows` finds its tokens (tables and CoNLL
files), this module makes sentences of them, and `dataset_splits` divides those. Only training
needs this module, so it may import what the extra ``train`` installs; nothing that tags text
may import it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from spacy.tokens import Doc, DocBin
from spacy.training import biluo_tags_to_spans, iob_to_biluo
from spacy.vocab import Vocab

from ..decoding.iob2 import find_invalid, repair
from .files import AUTO, SUFFIXES, DatasetError, read_text
from .rows import ID, Row, Rows, read_rows
from .splits import DEFAULT_SEED, MAX_SEED, PARTS, Split, split_sentences

__all__ = [
    "AUTO",
    "DEFAULT_SEED",
    "MAX_SEED",
    "PARTS",
    "Counts",
    "DatasetError",
    "Sentence",
    "Source",
    "Split",
    "count",
    "read_csv",
    "read_folder",
    "split_sentences",
    "to_doc",
    "to_docbin",
]


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
class Source:
    """The content of one file.

    :param name: the file's path; of a zip's member, ``path:member``.
    :param encoding: the Python name of the encoding the file was read in.
    :param sentences: in the order of the file, at least one.
    :param mended: how many tags were changed because nothing preceded their ``I-``.
    :param separator: what separates the columns, in words.
    :param remarks: what a reader of the data should know of how it was read.
    """

    name: str
    encoding: str
    sentences: tuple[Sentence, ...]
    mended: int
    separator: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    """Sizes of some sentences.

    :param sentences: number of sentences.
    :param tokens: number of tokens.
    :param without_entity: number of sentences without an entity.
    :param entities: entity type → number of entities, most frequent first.
    """

    sentences: int
    tokens: int
    without_entity: int
    entities: dict[str, int]


# --- reading ---------------------------------------------------------------------------


def read_folder(
    folder: Path, *, encoding: str = AUTO, repair_tags: bool = False
) -> dict[str, Source]:
    """Read data that is split already: ``train.csv``, ``dev.csv`` and ``test.csv``.

    :param folder: where the three files are. Each may have another suffix, such as
        ``.tsv``, ``.conll`` or ``.csv.gz``.
    :param encoding: as in :func:`read_csv`; each file is looked at on its own.
    :param repair_tags: as in :func:`read_csv`.
    :return: ``train``, ``dev`` and ``test``, each with what its file held.
    :raises DatasetError: if a file is missing or there are two for a part, or as
        :func:`read_csv` does.
    """
    return {
        part: read_csv(_file_of_part(folder, part), encoding=encoding, repair_tags=repair_tags)
        for part in PARTS
    }


def _file_of_part(folder: Path, part: str) -> Path:
    names = [f"{part}{suffix}{packed}" for suffix in SUFFIXES for packed in ("", ".gz", ".zip")]
    found = [name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        raise DatasetError(
            f"{folder}: found {' and '.join(found)}; expected one file for {part}. Remove the "
            "others, or give a folder of their own to those that belong together."
        )
    return folder / (found or [f"{part}.csv"])[0]


def read_csv(path: Path, *, encoding: str = AUTO, repair_tags: bool = False) -> Source:
    """Read the annotated sentences of one file: a table or a CoNLL file; see `dataset_rows`.

    The sentence id stands on each row of a table, or on a sentence's first row only. In the
    first case a sentence begins where the id differs from the one before, in the second on
    each row with an id.

    :param path: the file, plain or compressed by gzip, or a zip that holds it.
    :param encoding: a name that Python knows; ``auto`` is UTF-8 where the bytes are
        valid UTF-8 (with or without a byte order mark), UTF-16 where a byte order mark says
        so, else cp1252.
    :param repair_tags: turn each ``I-`` that continues no entity of its type into ``B-``,
        rather than refuse the file. This is what IOB1 means by it.
    :raises DatasetError: if the file is missing, unreadable, undecodable, empty or not
        of the form above. The message names the file and the line.
    """
    name, text, used = read_text(path, encoding)
    found = read_rows(name, text)
    sentences: list[Sentence] = []
    mended = 0
    for rows in _group(name, found.rows):
        sentence, changed = _sentence(name, rows, repair_tags)
        sentences.append(sentence)
        mended += changed
    if not sentences:
        raise DatasetError(
            f"{name}: found a header and no rows; expected one row per token. "
            "Check that the right file was given."
        )
    remarks = tuple(_remarks(found, sentences))
    return Source(name, used, tuple(sentences), mended, found.separator, remarks)


def _remarks(found: Rows, sentences: Sequence[Sentence]) -> Iterator[str]:
    if found.words or found.tags:
        yield (
            f"{found.words:,} words and {found.tags:,} tags had blanks or invisible characters "
            "at their ends, which were removed"
        )
    if found.empty:
        yield f"{found.empty:,} rows without content were left out"
    if found.invisible:
        yield f"{found.invisible:,} rows whose word has no visible character were left out"
    repeated = len(sentences) - len({sentence.id for sentence in sentences})
    if repeated:
        yield (
            f"{repeated:,} sentences have the id of an earlier one; each was read as a sentence "
            "of its own"
        )


def _group(name: str, rows: Sequence[Row]) -> Iterator[list[Row]]:
    # Where ids are on first rows only, most rows have none; where they are on each row, most
    # rows have that of the row before, and one that lacks it does not change the others.
    without = sum(not row.id for row in rows)
    same = sum(bool(a.id) and a.id == b.id for a, b in pairwise(rows))
    on_first_rows = without > same
    group: list[Row] = []
    for row in rows:
        if not row.id and not group:
            raise DatasetError(
                f"{name}, line {row.line}: the first row has no sentence id; expected one in "
                f"the column {ID!r} on each sentence's first row. Fill it in."
            )
        if row.id and group and (on_first_rows or row.id != group[0].id):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _sentence(name: str, rows: Sequence[Row], repair_tags: bool) -> tuple[Sentence, int]:
    tags = [row.tag for row in rows]
    changed = 0
    wrong = find_invalid(tags)
    if wrong is not None:
        if not repair_tags:
            raise _not_continuing(name, rows, wrong)
        tags, changed = repair(tags)
    words = tuple(row.word for row in rows)
    pos = tuple(row.pos for row in rows)
    return Sentence(rows[0].id, words, tuple(tags), pos if any(pos) else None), changed


def _not_continuing(name: str, rows: Sequence[Row], wrong: int) -> DatasetError:
    row = rows[wrong]
    before = f"after {rows[wrong - 1].tag!r}" if wrong else "at the sentence's start"
    kind = row.tag[2:]
    return DatasetError(
        f"{name}, line {row.line}: found the tag {row.tag!r} {before}; expected 'B-{kind}' or "
        f"'I-{kind}' before it. Correct the tag, or have it read as 'B-{kind}', as in IOB1, with "
        "repair_tags=True (--repair)."
    )


# --- counting and Docs -----------------------------------------------------------------


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
    """Make the gold-standard Doc of one sentence.

    Its ``ents`` are the sentence's entities, its ``tag_`` the part-of-speech tags; the
    tokens outside of entities are marked as outside, not as unknown.
    """
    # No spaces are given, as the data has none: has_unknown_spaces then makes spaCy's
    # Corpus keep these tokens instead of tokenizing a guessed text again.
    # No sentence starts are set. A Doc is one sentence already, which is what the component
    # should learn from, so Corpus has nothing to cut: with sentence starts or without,
    # gold_preproc takes the Doc whole and max_length keeps or drops it whole. And a sentence
    # splitter that shares the file is not taught that a text never goes on after a sentence.
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
