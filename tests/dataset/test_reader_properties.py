"""Random corpora are read as they were written, and random damage is refused with its line."""

from __future__ import annotations

import csv
import gzip
import io
import re
from pathlib import Path
from typing import Any

import pytest

from ner_lstm_component.dataset import DatasetError, Source, read_file
from ner_lstm_component.decoding.iob2 import find_invalid, is_tag
from ner_lstm_component.text.characters import is_invisible, strip_invisible

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

no_deadline = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("aO'\",;|-#\u00a0é中")
# What a reader leaves as it is: visible, and without blanks at the edges.
CELLS = st.text(CHARACTERS, min_size=1, max_size=8).filter(
    lambda text: not is_invisible(text) and strip_invisible(text) == text
)
LABELS = CELLS.filter(lambda label: is_tag(f"B-{label}"))


@st.composite
def sentences(draw: Any, words: Any = CELLS, labels: Any = LABELS) -> list[list[tuple[str, ...]]]:
    """Sentences of words, parts of speech and IOB2 tags."""
    types = draw(st.lists(labels, min_size=1, max_size=3))
    corpus = []
    for n_words in draw(st.lists(st.integers(1, 5), min_size=1, max_size=5)):
        rows, label = [], ""
        for _ in range(n_words):
            kind = draw(st.sampled_from(["O", "B", "I"] if label else ["O", "B"]))
            label = "" if kind == "O" else label if kind == "I" else draw(st.sampled_from(types))
            rows.append((draw(words), draw(words), f"{kind}-{label}" if label else "O"))
        corpus.append(rows)
    return corpus


def table(corpus: list, order: list[str], delimiter: str, end: str, *, every: bool) -> str:
    """Write sentences as a table, with the id on every row or on the first of a sentence."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
    writer.writerow(order)
    for number, rows in enumerate(corpus, 1):
        for place, (word, pos, tag) in enumerate(rows):
            cells = {"Word": word, "POS": pos, "Tag": tag, "Sentence #": ""}
            if every or place == 0:
                cells["Sentence #"] = f"Sentence: {number}"
            writer.writerow([cells[name] for name in order])
    return file.getvalue()


def check_equal(source: Source, corpus: list, *, has_pos: bool) -> None:
    assert [list(one.words) for one in source.sentences] == [
        [r[0] for r in rows] for rows in corpus
    ]
    assert [list(one.tags) for one in source.sentences] == [[r[2] for r in rows] for rows in corpus]
    if has_pos:
        assert [list(one.pos) for one in source.sentences] == [[r[1] for r in s] for s in corpus]
    else:
        assert {one.pos for one in source.sentences} == {None}
    assert source.remarks == ()


ORDERS = st.permutations(["Sentence #", "Word", "POS", "Tag"]) | st.permutations(
    ["Sentence #", "Word", "Tag"]
)


@no_deadline
@hypothesis.given(
    corpus=sentences(),
    order=ORDERS,
    delimiter=st.sampled_from(",\t;|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    every=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    packed=st.booleans(),
)
def test_tables_are_read_as_they_were_written(
    tmp_path: Path, corpus, order, delimiter, end, every, encoding, packed
):
    data = table(corpus, order, delimiter, end, every=every).encode(encoding)
    path = tmp_path / "data.csv"
    path.write_bytes(gzip.compress(data) if packed else data)
    check_equal(read_file(path), corpus, has_pos="POS" in order)


WORDS = CELLS.filter(lambda word: not re.search(r"\s", word) and word != "-DOCSTART-")


@no_deadline
@hypothesis.given(
    corpus=sentences(WORDS, LABELS.filter(lambda label: not re.search(r"\s", label))),
    separator=st.sampled_from(["\t", " "]),
    end=st.sampled_from(["\n", "\r\n"]),
    has_pos=st.booleans(),
)
def test_conll_files_are_read_as_they_were_written(tmp_path: Path, corpus, separator, end, has_pos):
    corpus = [[("First", "NN", "O")], *corpus]  # shows that the words are no numbers
    lines = [
        separator.join((word, pos, tag) if has_pos else (word, tag))
        for rows in corpus
        for word, pos, tag in [*rows, ("", "", "")]
    ]
    lines = [line if line.strip(separator) else "" for line in lines]
    path = tmp_path / "data.conll"
    path.write_bytes(end.join(lines).encode())
    source = read_file(path)
    assert [list(one.words) for one in source.sentences] == [
        [r[0] for r in rows] for rows in corpus
    ]
    assert [list(one.tags) for one in source.sentences] == [[r[2] for r in rows] for rows in corpus]


# Each makes one row of a table with the columns id, word, POS and tag wrong.
DAMAGES = {
    "a field less": lambda cells: cells[:-1],
    "a field more": lambda cells: [*cells, "x"],
    "no word": lambda cells: [cells[0], "", *cells[2:]],
    "no tag": lambda cells: [*cells[:3], ""],
    "a tag of another scheme": lambda cells: [*cells[:3], "S-per"],
    "a tag without a type": lambda cells: [*cells[:3], "B-"],
    "a tag in lower case": lambda cells: [*cells[:3], "b-per"],
    "an entity that never began": lambda cells: [*cells[:3], "I-never"],
    "words of two lines": lambda cells: [cells[0], "a\nb,c", *cells[2:]],
}


@pytest.mark.parametrize("damage", DAMAGES)
@no_deadline
@hypothesis.given(corpus=sentences(), place=st.integers(0, 100), delimiter=st.sampled_from(",\t;|"))
def test_a_damaged_row_is_refused_with_its_line(tmp_path: Path, damage, corpus, place, delimiter):
    order = ["Sentence #", "Word", "POS", "Tag"]
    text = table(corpus, order, delimiter, "\n", every=True)
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    line = 2 + place % (len(rows) - 1)
    rows[line - 1] = DAMAGES[damage](rows[line - 1])
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    path = tmp_path / "data.csv"
    path.write_text(file.getvalue(), encoding="utf-8", newline="")
    if damage == "words of two lines" and delimiter != ",":
        return  # a word may have a comma
    with pytest.raises(DatasetError, match=rf"data\.csv, line {line}: "):
        read_file(path)


@no_deadline
@hypothesis.given(corpus=sentences(), delimiter=st.sampled_from(",\t;|"), data=st.data())
def test_any_damage_is_refused_or_leaves_a_corpus(tmp_path: Path, corpus, delimiter, data):
    """Nothing but a DatasetError is raised, and what is read is valid and no longer than it was."""
    order = data.draw(ORDERS)
    text = table(corpus, order, delimiter, "\n", every=data.draw(st.booleans()))
    raw = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, max(0, len(raw) - 1)))
        end = start + data.draw(st.integers(0, 9))
        raw[start:end] = data.draw(st.binary(max_size=4) | st.sampled_from([b'"', b"\n", b"\0"]))
    path = tmp_path / "data.csv"
    path.write_bytes(raw)
    message = ""
    try:
        source = read_file(path)
    except DatasetError as error:
        message = str(error)
    if message:
        assert message.startswith(f"{path}")
        return
    n_lines = len(re.split(rb"\r\n|\r|\n", bytes(raw)))
    assert 0 < sum(len(one.words) for one in source.sentences) <= n_lines
    for one in source.sentences:
        assert len(one.words) == len(one.tags) == len(one.lines)
        assert one.pos is None or len(one.pos) == len(one.words)
        assert find_invalid(one.tags) is None
        assert not any(is_invisible(word) for word in one.words)
