"""The CSV and CoNLL reader: the sentences of a file, or of a folder that is split already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..decoding.iob2 import find_invalid, repair
from .docs import Sentence
from .files import AUTO, SUFFIXES, DatasetError, counted, read_text
from .rows import ID, Row, read_rows
from .splits import PARTS


@dataclass(frozen=True)
class Source:
    """The content of one file."""

    name: str  # the file's path; for a member of a zip, path:member
    encoding: str  # the Python name of the encoding that the file was read in
    sentences: tuple[Sentence, ...]  # in the order of the file, at least one
    mended: int  # how many I- tags that continued no entity were changed to B-
    separator: str  # what separates the columns, in words
    remarks: tuple[str, ...]  # what the reader left out or removed, for people


def read_csv(path: Path, *, encoding: str = AUTO, repair_tags: bool = False) -> Source:
    """Read the annotated sentences of one file: a table or a CoNLL file; see `rows`.

    A table has the sentence id on every row or only on the first row of each sentence. With
    ids on every row, a sentence begins where the id changes; otherwise, at each id.

    :param path: the file, plain, compressed by gzip, or alone in a zip.
    :param encoding: a name that Python knows. ``auto`` means UTF-8 where the bytes are valid
        UTF-8 (with or without a byte order mark), UTF-16 where a byte order mark says so, and
        cp1252 otherwise.
    :param repair_tags: read each ``I-`` that continues no entity of its type as ``B-``, as in
        IOB1, instead of refusing the file.
    :raises DatasetError: if the file cannot be read as described. The message names the line.
    """
    name, text, used = read_text(path, encoding)
    rows, separator, counts = read_rows(name, text)
    if not rows:
        raise DatasetError(
            f"{name}: found a header and no rows; expected one row per token. "
            "Check that the right file was given."
        )
    read = [_sentence(name, group, repair_tags) for group in _group(name, rows)]
    sentences = tuple(sentence for sentence, _ in read)
    mended, remarks = sum(n for _, n in read), _remarks(counts, sentences)
    return Source(name, used, sentences, mended, separator, remarks)


def read_folder(
    folder: Path, *, encoding: str = AUTO, repair_tags: bool = False
) -> dict[str, Source]:
    """Read ``train.csv``, ``dev.csv`` and ``test.csv``, each as :func:`read_csv` does.

    Other suffixes, such as ``.tsv``, ``.conll`` or ``.csv.gz``, are fine too.

    :raises DatasetError: if a part has no file or two, or as :func:`read_csv` does.
    """
    sources = {}
    for part in PARTS:
        names = [f"{part}{suffix}{packed}" for suffix in SUFFIXES for packed in ("", ".gz", ".zip")]
        found = [name for name in names if (folder / name).is_file()]
        if len(found) > 1:
            raise DatasetError(
                f"{folder}: found {' and '.join(found)}; expected one file for {part}. Remove "
                "the others, or move them to a folder of their own."
            )
        path = folder / (found or [f"{part}.csv"])[0]
        sources[part] = read_csv(path, encoding=encoding, repair_tags=repair_tags)
    return sources


def _remarks(counts: Counter[str], sentences: Sequence[Sentence]) -> tuple[str, ...]:
    words, tags, empty, invisible = (counts[k] for k in ("words", "tags", "empty", "invisible"))
    repeated = len(sentences) - len({sentence.id for sentence in sentences})
    ends = f"{counted(words, 'word')} and {counted(tags, 'tag')}"
    again = f"{counted(repeated, 'sentence')} with the id of an earlier one"
    remarks = {
        f"removed blanks or invisible characters at the ends of {ends}": words + tags,
        f"left out {counted(empty, 'row')} without content": empty,
        f"left out {counted(invisible, 'row')} without a visible character in the word": invisible,
        f"found {again}, and did not join them": repeated,
    }
    return tuple(remark for remark, n in remarks.items() if n)


def _group(name: str, rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each sentence."""
    if not rows[0].id:
        raise DatasetError(
            f"{name}, line {rows[0].line}: the first row has no sentence id; expected one in "
            f"the column {ID!r} on each sentence's first row. Fill it in."
        )
    # With ids on first rows only, most rows have none. With ids on every row, most rows repeat
    # the id of the row before, and a row that lost its id changes nothing for the others.
    without = sum(not row.id for row in rows)
    same = sum(bool(a.id) and a.id == b.id for a, b in pairwise(rows))
    groups = [[rows[0]]]
    for row in rows[1:]:
        if row.id and (without > same or row.id != groups[-1][0].id):
            groups.append([])
        groups[-1].append(row)
    return groups


def _sentence(name: str, rows: Sequence[Row], repair_tags: bool) -> tuple[Sentence, int]:
    """The sentence of some rows, and how many of its tags were repaired."""
    tags = [row.tag for row in rows]
    wrong = find_invalid(tags)
    if wrong is not None and not repair_tags:
        before = f"after {tags[wrong - 1]!r}" if wrong else "at the sentence's start"
        label = tags[wrong][2:]
        raise DatasetError(
            f"{name}, line {rows[wrong].line}: found the tag {tags[wrong]!r} {before}; "
            f"expected 'B-{label}' or 'I-{label}' before it. Correct the tag, or have it read "
            f"as 'B-{label}', as in IOB1, with repair_tags=True (--repair)."
        )
    tags, n_repaired = repair(tags)
    words = tuple(row.word for row in rows)
    pos = tuple(row.pos for row in rows)
    return Sentence(rows[0].id, words, tuple(tags), pos if any(pos) else None), n_repaired
