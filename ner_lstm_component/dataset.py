"""Annotated sentences: reading an IOB2 CSV, splitting it, making spaCy Docs.

The CSV holds one token per row, in the columns ``Sentence #``, ``Word``, ``POS`` (may be
absent) and ``Tag``, in any order. The sentence id stands on each row or on a sentence's
first row only. Only training needs this module, so it may import what the extra
``train`` installs; nothing that tags text may import it.
"""

from __future__ import annotations

import codecs
import csv
import io
import lzma
import string
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from spacy.tokens import Doc, DocBin
from spacy.training import biluo_tags_to_spans, iob_to_biluo
from spacy.vocab import Vocab

from ner_lstm_component.tags import find_invalid, is_tag, repair

try:
    from sklearn.model_selection import train_test_split
except ImportError as error:
    raise ImportError(
        "Reading and splitting data sets needs scikit-learn, which is not installed; "
        "run: pip install 'ner-lstm-component[train]'"
    ) from error

PARTS = ("train", "dev", "test")
AUTO = "auto"
DEFAULT_SEED = 0
MAX_SEED = 2**32 - 1  # the largest that NumPy's generator takes

ID, WORD, POS, TAG = "Sentence #", "Word", "POS", "Tag"

# Public results on the Groningen Meaning Bank file are reported on the test part that
# these two numbers give: they are part of the data, not a setting.
_COMMUNITY_SEED = 42
_COMMUNITY_TEST_SHARE = 0.2

_ZIP_MAGIC = b"PK\x03\x04"
_UNPACK_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # encrypted; its subclass NotImplementedError: unknown compression
    ValueError,
)


class DatasetError(ValueError):
    """Data that cannot be used. The message names the place, the fault and the way out."""


class Split(str, Enum):
    """How one file is divided into train, dev and test; see :func:`split_sentences`."""

    deduplicated = "deduplicated"
    community = "community"


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
    """What one CSV file held.

    :param name: the file's path; of a zip's member, ``path:member``.
    :param encoding: the Python name of the encoding the file was read in.
    :param sentences: in the order of the file, at least one.
    :param mended: how many tags were changed because nothing preceded their ``I-``.
    """

    name: str
    encoding: str
    sentences: tuple[Sentence, ...]
    mended: int


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


class _Row(NamedTuple):
    line: int  # in the file, the header's being 1
    id: str
    word: str
    pos: str
    tag: str


# --- reading ---------------------------------------------------------------------------


def read_folder(
    folder: Path, *, encoding: str = AUTO, repair_tags: bool = False
) -> dict[str, Source]:
    """Read data that is split already: ``train.csv``, ``dev.csv`` and ``test.csv``.

    :param folder: where the three files are.
    :param encoding: as in :func:`read_csv`; each file is looked at on its own.
    :param repair_tags: as in :func:`read_csv`.
    :return: ``train``, ``dev`` and ``test``, each with what its file held.
    :raises DatasetError: if a file is missing, or as :func:`read_csv` does.
    """
    return {
        part: read_csv(folder / f"{part}.csv", encoding=encoding, repair_tags=repair_tags)
        for part in PARTS
    }


def read_csv(path: Path, *, encoding: str = AUTO, repair_tags: bool = False) -> Source:
    """Read the annotated sentences of one CSV file, or of a zip that holds one.

    A new sentence begins where the id is not empty and differs from the one before.

    :param path: the CSV or zip.
    :param encoding: a name that Python knows; ``auto`` is UTF-8 where the bytes are
        valid UTF-8 (with or without a byte order mark), else cp1252.
    :param repair_tags: turn each ``I-`` that continues no entity of its type into ``B-``,
        rather than refuse the file.
    :raises DatasetError: if the file is missing, unreadable, undecodable, empty or not
        of the form above. The message names the file and the line.
    """
    name, data = _load(path)
    text, used = _decode(name, data, encoding)
    sentences: list[Sentence] = []
    mended = 0
    for rows in _group(name, _rows(name, text)):
        sentence, changed = _sentence(name, rows, repair_tags)
        sentences.append(sentence)
        mended += changed
    if not sentences:
        raise DatasetError(
            f"{name}: found a header and no rows; expected one row per token. "
            "Check that the right file was given."
        )
    return Source(name, used, tuple(sentences), mended)


def _load(path: Path) -> tuple[str, bytes]:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path}: no such file; expected a CSV, a zip that holds one CSV, or a folder "
            "with train.csv, dev.csv and test.csv. Check the path."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror}); expected a readable CSV or zip. "
            "Check the path and its permissions."
        ) from error
    if path.suffix.lower() == ".zip" or data.startswith(_ZIP_MAGIC):
        return _unpack(path, data)
    return str(path), data


def _unpack(path: Path, data: bytes) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = _only_csv(path, archive.namelist())
            return f"{path}:{member}", archive.read(member)
    except DatasetError:
        raise
    except _UNPACK_ERRORS as error:
        raise DatasetError(
            f"{path}: cannot be unpacked ({error}); expected an intact zip without a "
            "password. Fetch the file again, or unpack it and give the CSV."
        ) from error


def _only_csv(path: Path, names: Sequence[str]) -> str:
    # macOS puts a "._" companion of each file into the zips it makes.
    found = [
        name
        for name in names
        if name.lower().endswith(".csv") and not name.rpartition("/")[2].startswith("._")
    ]
    if len(found) == 1:
        return found[0]
    listed = _shorten(found or names) if names else "no member at all"
    raise DatasetError(
        f"{path}: the zip holds {len(found)} CSV files; found {listed}; expected exactly one "
        "CSV. Unpack it and give the right file."
    )


def _shorten(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest


def _decode(name: str, data: bytes, encoding: str) -> tuple[str, str]:
    if encoding != AUTO:
        return _decode_as(name, data, encoding, f"valid {encoding}"), encoding
    if data.startswith(codecs.BOM_UTF8):
        expected = "valid UTF-8, as the file's byte order mark announces"
        return _decode_as(name, data, "utf-8-sig", expected), "utf-8-sig"
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return _decode_as(name, data, "cp1252", "valid UTF-8 or cp1252"), "cp1252"


def _decode_as(name: str, data: bytes, encoding: str, expected: str) -> str:
    try:
        # A byte order mark would stand before the first column's name.
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        # error.object, not data: utf-8-sig counts from behind the byte order mark.
        before = error.object[: error.start].decode(encoding, errors="replace")
        raise DatasetError(
            f"{name}, line {_line_at_end(before)}: found the byte "
            f"0x{error.object[error.start]:02x}; expected {expected}. Name the file's encoding "
            "in encoding (--encoding), or save the file as UTF-8."
        ) from error
    except (LookupError, UnicodeError) as error:
        raise DatasetError(
            f"encoding (--encoding): {encoding!r} cannot decode {name} ({error}); expected "
            f"'{AUTO}' or the name of a text encoding that Python knows, such as 'utf-8'."
        ) from error


def _line_at_end(text: str) -> int:
    # Counts what csv counts: str.splitlines would also break at U+0085 and others.
    return text.count("\n") + text.count("\r") - text.count("\r\n") + 1


def _rows(name: str, text: str) -> Iterator[_Row]:
    records = _records(name, text)
    line, header = next(records, (1, []))
    header = [cell.strip() for cell in header]
    at_id, at_word, at_pos, at_tag = _columns(name, line, header)
    for line, record in records:
        if len(record) != len(header):
            raise DatasetError(
                f"{name}, line {line}: found {len(record)} fields; expected {len(header)}, "
                "as in the header. Quote a word that holds a comma or a quotation mark."
            )
        row = _Row(
            line,
            record[at_id].strip(),
            record[at_word],
            "" if at_pos is None else record[at_pos],
            record[at_tag],
        )
        _check(name, row)
        yield row


def _records(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each CSV record that is not a blank line, with the line it begins on."""
    # strict: otherwise a quotation mark that is never closed swallows rows silently.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DatasetError(
                f"{name}, line {line}: not valid CSV ({error}); expected fields divided by "
                'commas. Quote a word that holds a quotation mark: " is written """".'
            ) from error
        if record:
            yield line, record


def _columns(name: str, line: int, header: list[str]) -> tuple[int, int, int | None, int]:
    if not header:
        raise DatasetError(
            f"{name}: the file is empty; expected a header with the columns "
            f"{ID!r}, {WORD!r}, {TAG!r} and one row per token. Check that the right file was given."
        )
    missing = [column for column in (ID, WORD, TAG) if column not in header]
    if missing:
        raise DatasetError(
            f"{name}, line {line}: the header lacks the column {_shorten(missing)}; found "
            f"{_shorten(header)}; expected {ID!r}, {WORD!r}, {TAG!r} and maybe {POS!r}, divided "
            "by commas. Rename the columns or, if their names look garbled, name the file's "
            "encoding in encoding (--encoding)."
        )
    twice = [column for column in (ID, WORD, POS, TAG) if header.count(column) > 1]
    if twice:
        raise DatasetError(
            f"{name}, line {line}: the header names the column {_shorten(twice)} more than "
            "once; expected it once. Rename or remove the others."
        )
    at_pos = header.index(POS) if POS in header else None
    return header.index(ID), header.index(WORD), at_pos, header.index(TAG)


def _check(name: str, row: _Row) -> None:
    # Only ASCII whitespace makes a word empty: no-break spaces and U+0085 are data.
    if not row.word.strip(string.whitespace):
        raise DatasetError(
            f"{name}, line {row.line}: found the empty word {row.word!r}; expected one token "
            "per row. Remove the row or fill in its word."
        )
    if not is_tag(row.tag):
        raise DatasetError(
            f"{name}, line {row.line}: found the tag {row.tag!r}; expected IOB2: 'O', 'B-TYPE' "
            "or 'I-TYPE'. Correct the tag, or convert the file to IOB2."
        )


def _group(name: str, rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    group: list[_Row] = []
    for row in rows:
        if not row.id and not group:
            raise DatasetError(
                f"{name}, line {row.line}: the first row has no sentence id; expected one in "
                f"the column {ID!r} on each sentence's first row. Fill it in."
            )
        if row.id and group and row.id != group[0].id:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _sentence(name: str, rows: Sequence[_Row], repair_tags: bool) -> tuple[Sentence, int]:
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


def _not_continuing(name: str, rows: Sequence[_Row], wrong: int) -> DatasetError:
    row = rows[wrong]
    before = f"after {rows[wrong - 1].tag!r}" if wrong else "at the sentence's start"
    kind = row.tag[2:]
    return DatasetError(
        f"{name}, line {row.line}: found the tag {row.tag!r} {before}; expected 'B-{kind}' or "
        f"'I-{kind}' before it. Correct the tag, or have it read as 'B-{kind}' with "
        "repair_tags=True (--repair)."
    )


# --- splitting -------------------------------------------------------------------------


def split_sentences(
    sentences: Sequence[Sentence], split: Split | str, seed: int = DEFAULT_SEED
) -> dict[str, list[Sentence]]:
    """Divide sentences into ``train``, ``dev`` and ``test``, each in the given order.

    ``deduplicated`` draws 10 % of the distinct texts as dev, 10 % as test, and puts all
    sentences with the same words into the same part. ``community`` draws 20 % of the
    sentence ids as test, the same whatever the seed, and 10 % of the others as dev; a
    text may occur in several of its parts.

    :param sentences: at least 3 distinct texts, or ids for ``community``.
    :param split: a member of :class:`Split` or its name.
    :param seed: of the random draw, 0 to 2³² - 1.
    :raises DatasetError: if there are too few sentences, or on a wrong argument.
    """
    if not 0 <= seed <= MAX_SEED:
        raise DatasetError(f"seed: found {seed}; expected a number from 0 to {MAX_SEED}.")
    if split == Split.deduplicated:
        return _split_deduplicated(sentences, seed)
    if split == Split.community:
        return _split_community(sentences, seed)
    names = " or ".join(repr(member.value) for member in Split)
    raise DatasetError(f"split: found {split!r}; expected {names}.")


def _split_deduplicated(sentences: Sequence[Sentence], seed: int) -> dict[str, list[Sentence]]:
    texts = {words: number for number, words in enumerate(_distinct(s.words for s in sentences))}
    _check_enough(len(texts), "distinct texts")
    held = max(1, round(len(texts) / 10))
    rest, test = train_test_split(range(len(texts)), test_size=held, random_state=seed)
    _, dev = train_test_split(rest, test_size=held, random_state=seed)
    return _divide(sentences, [texts[s.words] for s in sentences], dev, test)


def _split_community(sentences: Sequence[Sentence], seed: int) -> dict[str, list[Sentence]]:
    # Sorted as strings ("Sentence: 10" before "Sentence: 2"): the draw depends on it.
    ids = sorted({s.id for s in sentences})
    _check_enough(len(ids), "sentence ids")
    rest, test = train_test_split(
        ids, test_size=_COMMUNITY_TEST_SHARE, random_state=_COMMUNITY_SEED
    )
    _, dev = train_test_split(rest, test_size=0.1, random_state=seed)
    return _divide(sentences, [s.id for s in sentences], dev, test)


def _distinct(items: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(items))  # in order, so that the same seed gives the same draw


def _check_enough(found: int, what: str) -> None:
    if found < len(PARTS):
        raise DatasetError(
            f"too few sentences to split: found {found} {what}; expected at least "
            f"{len(PARTS)}. Give more data, or a folder with train.csv, dev.csv and test.csv."
        )


def _divide(
    sentences: Sequence[Sentence],
    keys: Sequence[Hashable],
    dev: Collection[Hashable],
    test: Collection[Hashable],
) -> dict[str, list[Sentence]]:
    part_of = dict.fromkeys(dev, "dev") | dict.fromkeys(test, "test")
    parts: dict[str, list[Sentence]] = {part: [] for part in PARTS}
    for sentence, key in zip(sentences, keys, strict=True):
        parts[part_of.get(key, "train")].append(sentence)
    return parts


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
