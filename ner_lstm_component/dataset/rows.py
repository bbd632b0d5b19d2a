"""The conversion of a data file's text to one row per token.

A table has a header and the columns ``Sentence #``, ``Word``, ``POS`` (optional) and ``Tag``,
in any order, separated by commas, tabs, semicolons or vertical bars. A CoNLL file has no
header; its columns are separated by tabs or blanks, the word is in the first column and the
tag in the last, and an empty line follows each sentence.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..decoding.iob2 import is_tag
from ..text.characters import is_invisible, strip_invisible
from .files import DatasetError, counted, shorten

ID, WORD, POS, TAG = "Sentence #", "Word", "POS", "Tag"

_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_CONLL = "tabs or blanks, an empty line after each sentence (CoNLL)"
_HOW_TO_QUOTE = 'Quote a word that holds a quotation mark: " is written """".'
_LINE_END = re.compile(r"\r\n|\r|\n")
_TAG_LIKE = re.compile(r"O|[A-Z]-\S.*")  # a tag in IOB2, BILOU or IOBES
# Tools that write a lone quotation mark between tabs do not use quoting.
_BARE_QUOTE = re.compile(r'(^|\t)"(\t|$)', re.MULTILINE)
_NUMBER = re.compile(r"(.*\W)?\d+")  # a row number, or a sentence's id such as "Sentence: 1"


OpenLines = Callable[[], Iterable[str]]


class Row(NamedTuple):
    """A token in a file."""

    line: int  # the line number, from 1
    id: str  # the sentence's id; empty on a row that continues the sentence
    word: str
    pos: str
    tag: str


def read_rows(name: str, text: str) -> tuple[list[Row], str, Counter[str]]:
    """Read the tokens of a data file, as :func:`stream_rows` does."""
    rows, separator, counts = stream_rows(name, lambda: io.StringIO(text, newline=""))
    return list(rows), separator, counts


def stream_rows(name: str, open_lines: OpenLines) -> tuple[Iterator[Row], str, Counter[str]]:
    """Read the tokens of a data file, which error messages call `name`, one by one.

    :param open_lines: a function that returns the file's lines, with their ends. It is called for
        each look at the file.
    :return: the rows, the column separators in words, and four counts, which are complete when the
        rows are: ``words`` and ``tags`` from which blanks or invisible characters were stripped,
        and rows left out because they had no content (``empty``) or no visible word
        (``invisible``).
    :raises DatasetError: if the text is in neither format. The message names the line.
    """
    lines = (line for line in open_lines() if not is_invisible(line))
    header = next(lines, "").rstrip("\r\n")
    if not header:
        raise DatasetError(
            f"{name}: the file is empty; expected a header with the columns "
            f"{ID!r}, {WORD!r}, {TAG!r} and one row per token. Check that the right file was given."
        )
    columns = {d: {strip_invisible(c.strip('"')) for c in header.split(d)} for d in _DELIMITERS}
    known = {d: len({ID, WORD, TAG} & names) for d, names in columns.items()}
    delimiter = max(known, key=lambda d: known[d])
    if not known[delimiter] and _looks_like_conll(open_lines()):
        separator, read = _CONLL, _conll_rows(name, open_lines())
    elif not known[delimiter] and header.lstrip().startswith(("{", "[")):
        raise DatasetError(
            f"{name}: found JSON; expected a table, a CoNLL file or a .spacy file. Write a .spacy "
            "file, for instance with `prodigy data-to-spacy` or spaCy's DocBin."
        )
    else:
        separator, read = _DELIMITERS[delimiter], _table_rows(name, open_lines, delimiter)
    counts: Counter[str] = Counter()
    rows = _stripped(name, read, counts)
    return _with_words(name, rows) if separator == _CONLL else rows, separator, counts


def _stripped(name: str, read: Iterable[Row], counts: Counter[str]) -> Iterator[Row]:
    pending_id = ""
    for row in read:
        if pending_id:
            row = row._replace(id=row.id or pending_id)
        stripped = _strip(name, row, counts)
        # A row that is left out passes its sentence id on to the next row.
        pending_id = row.id if stripped is None else ""
        if stripped is not None:
            yield stripped


def _with_words(name: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of a CoNLL file, unless all words are numbers."""
    first: Row | None = None
    has_word = False
    for row in rows:
        first = first or row
        has_word = has_word or not _NUMBER.fullmatch(row.word)
        yield row
    if first is not None and not has_word:
        raise DatasetError(
            f"{name}, line {first.line}: found only numbers in the first column, such as "
            f"{first.word!r}; expected the words. Remove the columns before them, or give "
            f"the file a header with the columns {ID!r}, {WORD!r} and {TAG!r}."
        )


def _strip(name: str, row: Row, counts: Counter[str]) -> Row | None:
    """Strip a row's word and tag, and count changes; return None if the row is left out."""
    if not row.word:
        if not row.pos and not row.tag:
            counts["empty"] += 1
            return None
        raise DatasetError(
            f"{name}, line {row.line}: found the empty word {row.word!r}; expected one token "
            "per row. Remove the row or fill in its word: a program that takes None, NA or null "
            "for a missing value may have emptied it."
        )
    prefix, hyphen, label = strip_invisible(row.tag).partition("-")
    tag = f"{prefix}{hyphen}{strip_invisible(label)}"
    if not is_tag(tag):
        raise DatasetError(
            f"{name}, line {row.line}: found the tag {row.tag!r}; expected IOB2: 'O', 'B-TYPE' "
            "or 'I-TYPE'. Correct the tag, or convert the file to IOB2."
        )
    word = strip_invisible(row.word)
    if is_invisible(word):
        if tag.startswith("B-"):
            raise DatasetError(
                f"{name}, line {row.line}: found the tag {tag!r} on the word {row.word!r}, which "
                "has no visible character; expected an entity to begin with a visible word. Move "
                "the tag to the entity's first visible word, or name the file's encoding in "
                "encoding (--encoding)."
            )
        counts["invisible"] += 1
        return None
    if (word, tag) == (row.word, row.tag):
        return row
    counts["words"] += word != row.word
    counts["tags"] += tag != row.tag
    return row._replace(word=word, tag=tag)


# --- tables ----------------------------------------------------------------------------


def _table_rows(name: str, open_lines: OpenLines, delimiter: str) -> Iterator[Row]:
    records = _records(name, open_lines, delimiter)
    line, names = next(found for found in records if not is_invisible("".join(found[1])))
    header = [strip_invisible(cell) for cell in names]
    _check_header(name, line, header)
    for line, record in records:
        if is_invisible("".join(record)):
            yield Row(line, "", "", "", "")
            continue
        if len(record) != len(header):
            raise DatasetError(
                f"{name}, line {line}: found {counted(len(record), 'field')}; expected "
                f"{len(header)}, as in the header. Quote a word that holds "
                f"{_DELIMITERS[delimiter]} or a quotation mark."
            )
        cells = dict(zip(header, record, strict=True))
        word = cells[WORD]
        if delimiter in word and _LINE_END.search(word):
            raise DatasetError(
                f"{name}, line {line}: found a word of several lines, which begins "
                f"{word[:20]!r}; expected a field that begins with a quotation mark to end with "
                f"another. {_HOW_TO_QUOTE}"
            )
        pos = strip_invisible(cells.get(POS, ""))
        yield Row(line, strip_invisible(cells[ID]), word, pos, cells[TAG])


def _records(name: str, open_lines: OpenLines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not a blank line, with the number of its first line."""
    is_quoted = delimiter != "\t" or not any(map(_BARE_QUOTE.search, open_lines()))
    # strict=True, because otherwise an unclosed quotation mark silently includes further rows.
    reader = csv.reader(
        open_lines(),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE,
        strict=True,
    )
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(
            f"{name}, line {line}: not valid CSV ({error}); expected fields separated by "
            f"{_DELIMITERS[delimiter]}. {_HOW_TO_QUOTE}"
        ) from error


def _check_header(name: str, line: int, header: list[str]) -> None:
    missing = [column for column in (ID, WORD, TAG) if column not in header]
    if missing:
        raise DatasetError(
            f"{name}, line {line}: the header lacks the column {shorten(missing)}; found "
            f"{shorten(header)}; expected {ID!r}, {WORD!r}, {TAG!r} and optionally {POS!r}, "
            "separated by commas, tabs, semicolons or vertical bars. Rename the columns or, if "
            "their names look garbled, name the file's encoding in encoding (--encoding). A CoNLL "
            "file has the word in the first column and the IOB2 tag in the last, without a header; "
            "other formats are converted by `spacy convert`, which writes .spacy files."
        )
    twice = [column for column in (ID, WORD, POS, TAG) if header.count(column) > 1]
    if twice:
        raise DatasetError(
            f"{name}, line {line}: the header names the column {shorten(twice)} more than "
            "once; expected it once. Rename or remove the others."
        )


# --- CoNLL -----------------------------------------------------------------------------


def _looks_like_conll(lines: Iterable[str]) -> bool:
    for line in lines:
        fields = _fields(line)
        if fields and not line.startswith(("#", "-DOCSTART-")):
            is_list = all(cell.endswith((",", ";")) for cell in fields[:-1])
            return len(fields) > 1 and not is_list and bool(_TAG_LIKE.fullmatch(fields[-1]))
    return False


def _fields(line: str) -> list[str]:
    """Return the columns of a line, or an empty list if the line ends a sentence."""
    if is_invisible(line):
        return []
    line = line.rstrip(" \t\r\n")
    return line.split("\t") if "\t" in line else [cell for cell in line.split(" ") if cell]


def _conll_rows(name: str, lines: Iterable[str]) -> Iterator[Row]:
    """Yield a CoNLL file's rows, numbering sentences; with 3 or more columns, ``POS`` is second."""
    number, begins, width = 0, True, 0
    for line, content in enumerate(lines, 1):
        fields = _fields(content)
        if not fields or fields[0] == "-DOCSTART-":
            begins = True
            continue
        is_row = len(fields) > 1 and bool(_TAG_LIKE.fullmatch(strip_invisible(fields[-1])))
        if content.startswith("#") and not (is_row and len(fields) == (width or len(fields))):
            continue  # a comment
        width = width or len(fields)
        if len(fields) != width:
            raise DatasetError(
                f"{name}, line {line}: found {counted(len(fields), 'column')}; expected {width}, "
                "as in the first line. Separate the columns with single tabs, or with blanks "
                "throughout."
            )
        number += begins
        pos = fields[1] if width > 2 and fields[1] != "_" and not fields[1].isdigit() else ""
        yield Row(line, str(number) if begins else "", fields[0], pos, fields[-1])
        begins = False
