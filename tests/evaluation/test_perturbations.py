from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.perturbations import (
    AnnotatedText,
    Edit,
    edited,
    perturb,
    perturbations,
)

ALL = perturbations.get_all()
# Words whose length changes with their case or normal form, and marks that become typographic.
PIECES = ["Straße", "ﬁn", "İzmir", "é", "e\u0301", "O'Neil", '"', "...", "--", " - ", " ", "  "]
PIECES += ["Anna", "Berg-Paul", "U.S.", "met", "\n", "(", "東京", "ΣΑΣ", "👍", "\xa0", ".", "**"]
TEXT = (
    'Anna Berg said "the Straße is 90 yards long" - it internationally isn\'t -- and left New York '
    "... for the U.S. Army Café near São Paulo."
)
NAMES = {"Anna Berg": "per", "Straße": "geo", "New York": "geo", "U.S. Army": "org"}
DOCUMENT = AnnotatedText(
    TEXT, tuple(Entity(TEXT.find(k), TEXT.find(k) + len(k), v) for k, v in NAMES.items())
)


@st.composite
def documents(draw) -> AnnotatedText:
    text = "".join(draw(st.lists(st.sampled_from(PIECES), max_size=25)))
    borders = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = zip(borders[::2], borders[1::2], strict=False)
    return AnnotatedText(text, tuple(Entity(start, end, "x") for start, end in pairs))


def owned(document: AnnotatedText, edits: list[Edit], ent: Entity) -> tuple[int, str]:
    """Where an entity begins after edits, and its text, told character by character."""
    by_start: dict[int, list[Edit]] = {}
    for edit in edits:
        by_start.setdefault(edit.start, []).append(edit)
    result, position = [], 0  # pairs of a text and whether it belongs to the entity
    while position <= len(document.text):
        here = sorted(by_start.get(position, []), key=lambda edit: edit.end)
        for edit in here:
            touched = range(max(edit.start, ent.start), min(edit.end, ent.end))
            inside = ent.start < edit.start < ent.end if edit.start == edit.end else len(touched)
            result.append((edit.replacement, bool(inside)))
        ends = max((edit.end for edit in here), default=position)
        if ends == position:
            inside = ent.start <= position < ent.end
            result.append((document.text[position : position + 1], inside))
        position = max(ends, position + 1)
    start = sum(len(piece) for piece, _ in result[: [own for _, own in result].index(True)])
    return start, "".join(piece for piece, own in result if own)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=40, deadline=None)
@given(document=documents(), seed=st.integers(0, 3))
def test_entities_have_the_edited_text(name, document, seed):
    edits = list(ALL[name](document, Random(seed)))
    result = edited(document, edits)
    assert len(result.entities) == len(document.entities)  # none of ours deletes text
    for before, after in zip(document.entities, result.entities, strict=True):
        start, text = owned(document, edits, before)
        assert (after.start, result.text[after.start : after.end]) == (start, text)


@pytest.mark.parametrize("name", ALL)
def test_each_changes_the_text_and_keeps_its_letters(name):
    result = perturb(DOCUMENT, name, ALL[name])
    assert result.text != TEXT
    assert len(result.entities) == len(NAMES)
    if "case" not in name.lower() and name not in ("NFD", "typographic marks"):
        visible = iter(result.text)
        assert all(c in visible for c in TEXT if not c.isspace())  # in this order


@pytest.mark.parametrize("name", ALL)
def test_choices_depend_on_seed_and_text_only(name):
    others = [AnnotatedText(f"{k} {TEXT}", ()) for k in range(20)]
    first = [perturb(document, name, ALL[name]).text for document in others]
    again = [perturb(document, name, ALL[name]).text for document in reversed(others)]
    assert first == again[::-1]


def test_seeds_differ():
    name = "zero-width spaces"
    assert len({perturb(DOCUMENT, name, ALL[name], seed).text for seed in range(5)}) == 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("empty lines at the end, CRLF", 'O\'Neil "met" Ann ... - she--\r\n\r\n'),
        ("all blanks doubled", 'O\'Neil  "met"  Ann  ...  -  she--'),
        ("typographic marks", "O’Neil “met” Ann … – she—"),
        ("UPPER CASE", 'O\'NEIL "MET" ANN ... - SHE--'),
        ("Title Case", 'O\'neil "Met" Ann ... - She--'),
        ("one **bold** name", '**O\'Neil** "met" Ann ... - she--'),
        ("| table cell |", '| O\'Neil "met" Ann ... - she-- | 12 |'),
    ],
)
def test_what_they_write(name, expected):
    document = AnnotatedText('O\'Neil "met" Ann ... - she--', (Entity(0, 6, "per"),))
    assert perturb(document, name, ALL[name]).text == expected


def test_lines_are_as_long_as_they_may_be():
    name = "> quoted"
    lines = perturb(DOCUMENT, name, ALL[name]).text.split("\n")
    assert " ".join(line.removeprefix("> ") for line in lines) == TEXT
    for line, following in pairwise(lines):
        assert line[:2] == following[:2] == "> "
        assert len(line) <= 72 < len(line) + 1 + len(following.split()[1])


def test_a_capital_may_be_longer():
    result = perturb(DOCUMENT, "UPPER CASE", ALL["UPPER CASE"])
    assert [result.text[ent.start : ent.end] for ent in result.entities] == [
        *("ANNA BERG", "STRASSE", "NEW YORK", "U.S. ARMY")
    ]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([(2, 2, "x"), (5, 5, "y")], "cde"),  # insertions at the borders
        ([(1, 2, "xx"), (5, 6, "yy")], "cde"),
        ([(2, 3, "xx"), (3, 3, "-"), (4, 5, "")], "xx-d"),
        ([(1, 3, "x"), (4, 6, "y")], "xdy"),  # across the borders
        ([(0, 7, "x")], "x"),
        ([(2, 5, "")], None),
    ],
)
def test_edits_at_the_borders_of_an_entity(edits, expected):
    result = edited(AnnotatedText("abcdefg", (Entity(2, 5, "x"),)), [Edit(*e) for e in edits])
    assert [result.text[ent.start : ent.end] for ent in result.entities] == (
        [] if expected is None else [expected]
    )


@pytest.mark.parametrize("edits", [[(0, 2, "x"), (1, 3, "y")], [(3, 9, "")], [(-1, 0, "")]])
def test_faulty_edits_are_refused(edits):
    with pytest.raises(ValueError, match="'mine': expected edits that do not overlap"):
        perturb(AnnotatedText("abcd", ()), "mine", lambda document, rng: edits)
