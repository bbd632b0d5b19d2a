"""The reader of CSV, CoNLL and ``.spacy`` files: one file, or a folder that is already split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path

from spacy.tokens import DocBin
from spacy.vocab import Vocab

from ..decoding.iob2 import find_invalid, repair
from .docs import Sentence, from_doc
from .files import AUTO, SUFFIXES, DatasetError, counted, open_text, read_text, shorten
from .rows import ID, Row, read_rows, stream_rows
from .splits import PARTS

DOCBIN = ".spacy"
# The rows of a streamed file that show where ids are.
_N_FIRST = 100_000


@dataclass(frozen=True)
class Source:
    """The content of one file."""

    name: str  # the file's path, or path:member if the file is in a zip
    encoding: str  # Python's name for the encoding with which the file was read, or "DocBin"
    sentences: tuple[Sentence, ...]  # in the order of the file, at least one
    mended: int  # the number of I- tags changed to B- because they continued no entity
    separator: str  # the separators of columns, in words; empty for a DocBin
    remarks: tuple[str, ...]  # messages about the content that the reader left out or removed


def read_file(path: Path, *, encoding: str = AUTO, repair_tags: bool = False) -> Source:
    """Read the annotated sentences of one file: a DocBin (``.spacy``), or what `read_csv` reads.

    :raises DatasetError: if the file cannot be read.
    """
    if path.suffix == DOCBIN:
        return _read_docbin(path)
    return read_csv(path, encoding=encoding, repair_tags=repair_tags)


def _read_docbin(path: Path) -> Source:
    try:
        docs = list(DocBin(store_user_data=True).from_disk(path).get_docs(Vocab()))
    # Corrupt bytes fail anywhere between zlib, msgpack and Doc.from_array().
    except Exception as error:
        raise DatasetError(
            f"{path}: cannot be read as a DocBin ({error}); expected an intact .spacy file. "
            "Check the path, or make the file again."
        ) from error
    sentences = tuple(from_doc(number, doc) for number, doc in enumerate(docs, 1) if len(doc))
    if not sentences:
        raise DatasetError(f"{path}: found no Doc with a token; expected annotated Docs.")
    return Source(str(path), "DocBin", sentences, 0, "", ())


def read_csv(path: Path, *, encoding: str = AUTO, repair_tags: bool = False) -> Source:
    """Read the annotated sentences of one file: a table or a CoNLL file (see `rows`).

    A table has the sentence id on every row or only on the first row of each sentence. With
    ids on every row, a sentence begins where the id changes; otherwise, at each id.

    :param path: the file, uncompressed, compressed with gzip, or as the only data file in a zip.
    :param encoding: Python's name for the encoding. ``auto`` means UTF-16 if the file begins with
        its byte order mark, UTF-8 if the bytes are valid UTF-8 (with or without a byte order
        mark), and cp1252 otherwise.
    :param repair_tags: whether to read each ``I-`` that continues no entity of its type as
        ``B-``, as in IOB1, instead of refusing the file.
    :raises DatasetError: if the file cannot be read as described. The message names the line.
    """
    name, text, used = read_text(path, encoding)
    rows, separator, counts = read_rows(name, text)
    read = [_sentence(name, group, repair_tags) for group in _group(name, rows)]
    sentences = tuple(sentence for sentence, _ in read)
    mended, remarks = sum(n for _, n in read), _remarks(counts, sentences)
    return Source(name, used, sentences, mended, separator, remarks)


def stream_csv(
    path: Path, *, encoding: str = AUTO, repair_tags: bool = False
) -> Iterator[Sentence]:
    """Read the sentences of a file that exceeds the memory, one by one, as `read_csv` does.

    The first 100,000 rows show whether every row has an id.

    :param path: as for `read_csv`, except that it may not be packed twice.
    """
    name, open_lines = open_text(path, encoding)
    rows, _, _ = stream_rows(name, open_lines)
    for group in _group(name, rows, _N_FIRST):
        yield _sentence(name, group, repair_tags)[0]


def read_folder(
    folder: Path, *, encoding: str = AUTO, repair_tags: bool = False
) -> dict[str, Source]:
    """Read ``train.csv``, ``dev.csv`` and ``test.csv``, each as :func:`read_file` does.

    The files may have other suffixes, such as ``.tsv``, ``.conll`` or ``.csv.gz``. A ``.spacy``
    file is read if it is a part's only file: otherwise it was converted from the other.

    :raises DatasetError: if a part has no file or several files, or if a file cannot be read.
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
        path = folder / (found or [f"{part}{DOCBIN}"])[0]
        if not path.is_file():
            others = shorten(sorted(other.name for other in folder.iterdir())) or "nothing"
            raise DatasetError(
                f"{folder}: no file for {part}; found {others}; expected {part}.csv (or .tsv, "
                ".conll, .spacy, …). Rename or add it, or give one file, which is split."
            )
        sources[part] = read_file(path, encoding=encoding, repair_tags=repair_tags)
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


def _group(name: str, rows: Iterable[Row], n_first: int | None = None) -> Iterator[list[Row]]:
    """Group the rows by sentence.

    :param n_first: the number of rows that show where ids are, or None for all.
    """
    remaining = iter(rows)
    first = list(islice(remaining, n_first))
    if not first:
        raise DatasetError(
            f"{name}: found a header and no rows; expected one row per token. "
            "Check that the right file was given."
        )
    if not first[0].id:
        raise DatasetError(
            f"{name}, line {first[0].line}: the first row has no sentence id; expected one in "
            f"the column {ID!r} on each sentence's first row. Fill it in."
        )
    # If only first rows have ids, most rows have no id. If every row has an id, most rows repeat
    # the id of the row before, and a single row without an id does not affect the others.
    without = sum(not row.id for row in first)
    same = sum(bool(a.id) and a.id == b.id for a, b in pairwise(first))
    group: list[Row] = []
    for row in chain(first, remaining):
        if group and row.id and (without > same or row.id != group[0].id):
            yield group
            group = []
        group.append(row)
    yield group


def _sentence(name: str, rows: Sequence[Row], repair_tags: bool) -> tuple[Sentence, int]:
    """Return the sentence that rows contain, and the number of its repaired tags."""
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
    lines = tuple(row.line for row in rows)
    return Sentence(rows[0].id, words, tuple(tags), pos if any(pos) else None, lines), n_repaired
