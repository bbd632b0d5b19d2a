"""Checks of data: the findings, and data without any."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_lstm_component.dataset import DatasetError, Sentence, checks
from ner_lstm_component.dataset.checks import Data, Finding, check, refuse_unusable


def sentence(text: str, line: int = 1) -> Sentence:
    """A sentence: words with a space between, in an entity with ``/`` and its tag."""
    words, _, tags = zip(*(token.partition("/") for token in text.split()), strict=True)
    lines = tuple(range(line, line + len(words)))
    return Sentence("1", words, tuple(tag or "O" for tag in tags), lines=lines)


def data(*train: str, dev: str = "", test: str = "") -> Data:
    """Parts; the k-th sentence of each begins at line 10 k."""
    texts = {"train": train, "dev": filter(None, [dev]), "test": filter(None, [test])}
    return Data({p: [sentence(t, 10 * k) for k, t in enumerate(texts[p], 1)] for p in texts})


USUAL = ["In Oslo/B-geo met Anna/B-per Berg/I-per ."] * 10
PARIS = 9 * ["Paris/B-geo"]
BLANK = Sentence("7", ("Rome", "Oslo", "\n"), ("B-geo", "B-geo", "I-geo"))

FOUND = {
    "conflicting_duplicates": (
        data("It is May/B-tim", "It is June", dev="It is May/B-per"),
        "1 text annotated in different ways",
        ("train, line 10 and dev, line 10: It is May",),
    ),
    "repeated_across_parts": (
        data("It rained", dev="It is May", test="It rained"),
        "1 sentence of dev or test also in train, which inflates the scores",
        ("test, line 10: It rained",),
    ),
    "rare_types": (
        data(*USUAL, "May/B-tim"),
        "1 type with fewer than 10 entities in train",
        ("tim (1)",),
    ),
    "unknown_types": (
        data("Oslo/B-geo", test="May/B-tim"),
        "1 type in dev or test only, which cannot be learned",
        ("tim",),
    ),
    "similar_types": (
        data("Oslo/B-geo", "x/B-Geo y/B-ORG_NAME", test="x/B-org-name"),
        "2 groups of types that differ in case or separators only",
        ("'Geo' and 'geo'", "'ORG_NAME' and 'org-name'"),
    ),
    "other_schemes": (
        data("in Oslo/B-S-geo"),
        "1 entity whose type begins like a tag",
        ("train, line 11: Oslo (S-geo)",),
    ),
    "never_continued": (
        data("by Anna/B-per Berg/B-per"),
        "1 entity right after one of its type, and none of several words: are I- tags missing?",
        ("train, line 12: Berg (per)",),
    ),
    "long_entities": (
        data("a b/B-org" + 20 * " c/I-org"),
        "1 entity of more than 20 words",
        ("train, line 11: b c c c c c c c c c c c c c c c c c c c c (org)",),
    ),
    "entities_without_letters": (
        data("a -/B-org ./I-org b", "x 3/B-org 東/B-geo 🙂/B-art é/B-org", "@/B-per @/B-org"),
        "3 entities of punctuation only",
        ("train, line 30: @ (per), 2 times", "train, line 11: - . (org), 1 time"),
    ),
    "blank_edges": (
        Data({"train": [BLANK], "dev": [], "test": []}),
        "1 entity with white space at an end, which cannot be found: leave it outside",
        ("train, document 7: Oslo (geo)",),
    ),
    "unusual_types": (
        data(*PARIS, "in Paris/B-geo", "Paris/B-per"),
        "1 entity with another type than the same text elsewhere",
        ("train, line 110: Paris (per), 10 times geo",),
    ),
    "few_annotated": (
        data("Oslo/B-geo", *(f"It is {n}" for n in range(10))),
        "91% of 11 sentences have no entity: is all of the data annotated?",
        (),
    ),
    "long_sentences": (
        data("a " * 251, "b " * 250),
        "1 sentence of more than 250 words: are sentence ends missing?",
        ("train, line 10: 251 words",),
    ),
    "parts_without_entities": (
        data("Oslo/B-geo", dev="It is", test="May/B-tim"),
        "dev has no entity: the best pipeline cannot be chosen",
        (),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_each_finding_names_its_places(name):
    found, what, examples = FOUND[name]
    assert getattr(checks, name)(found) == Finding(what, examples)


def test_every_check_is_tested_and_run():
    assert [run.__name__ for run in checks.CHECKS] == list(FOUND)


def test_usual_data_has_no_finding():
    usual = data(*USUAL, dev="from York/B-geo", test="He is Paul/B-per")
    assert check(usual.parts) == []


@pytest.mark.parametrize(
    ("check", "usual"),
    [
        (checks.unusual_types, [*PARIS, "Paris/B-per"]),  # of too few
        (checks.unusual_types, [*2 * PARIS, *2 * ["x Paris/B-per"], "Paris/B-per"]),  # ambiguous
        (checks.never_continued, ["Anna/B-per Paul/B-per", "Anna/B-per Berg/I-per"]),
        (checks.never_continued, ["Anna/B-per", "Paul/B-per"]),
        (checks.few_annotated, ["Oslo/B-geo", *(f"It is {n}" for n in range(9))]),
    ],
)
def test_what_is_not_suspicious(check, usual):
    assert check(data(*usual)) is None


def test_only_a_few_examples_are_shown():
    finding = checks.other_schemes(data(*5 * ["-/B-B-org"]))
    assert finding is not None
    assert finding.what.startswith("5 entities")
    assert len(finding.examples) == 3


def test_a_doc_is_named_by_its_number():
    doc = Sentence("7", ("-",), ("B-B-org",))
    finding = checks.other_schemes(Data({"train": [doc], "dev": [], "test": []}))
    assert finding is not None
    assert finding.examples == ("train, document 7: - (B-org)",)


def test_a_training_part_without_entities_is_refused():
    refuse_unusable(Path("x.csv"), data("in Oslo/B-geo").parts)
    with pytest.raises(DatasetError, match=r"x\.csv: found no entity in the training part, of 2 s"):
        refuse_unusable(Path("x.csv"), data("It is", "so", dev="in Oslo/B-geo").parts)
