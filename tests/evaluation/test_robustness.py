from __future__ import annotations

import sys

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ner_lstm_component.evaluation.robustness import annotated_texts, measure
from ner_lstm_component.text.characters import is_invisible


@pytest.fixture(scope="module")
def nlp() -> Language:
    """A pipeline that finds Anna by name, and takes any white space for an entity."""
    nlp = spacy.blank("en")
    patterns = [
        {"label": "per", "pattern": [{"ORTH": "Anna"}]},
        {"label": "per", "pattern": [{"ORTH": "Paul"}, {"IS_SPACE": True}]},
        {"label": "geo", "pattern": [{"ORTH": "Oslo"}]},
        {"label": "org", "pattern": [{"IS_SPACE": True}]},
    ]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)
    return nlp


@pytest.fixture(scope="module")
def texts(nlp):
    words = [["Anna", "lives", "in", "Oslo", "."], ["Paul", "met", "Anna"], ["Oslo"]]
    ents = [["B-per", "O", "O", "B-geo", "O"], ["B-per", "O", "B-per"], [""]]
    return annotated_texts(
        Doc(nlp.vocab, words=w, ents=e) for w, e in zip(words, ents, strict=True)
    )


@pytest.fixture(scope="module")
def variants(nlp, texts):
    return {variant.name: variant for variant in measure(nlp, texts)}


def test_texts_are_printed_and_have_annotation(texts):
    assert [text for text, _ in texts] == ["Anna lives in Oslo.", "Paul met Anna"]
    assert [ent[:3] for ent in texts[0].entities] == [(0, 4, "per"), (14, 18, "geo")]


def test_scores_can_be_counted(variants):
    printed = variants["as printed"]
    assert (printed.documents, printed.changed, printed.difference) == (2, 0, 0)
    assert (printed.score.gold, printed.score.predicted, printed.score.correct) == (4, 3, 3)
    upper = variants["UPPER CASE"]
    assert (upper.changed, upper.score.f1) == (2, 0)
    assert upper.difference == pytest.approx(-6 / 7)
    assert variants["NFD"].changed == 0


def test_blank_entities_and_edges_are_counted(variants):
    doubled = variants["all blanks doubled"]
    # One blank after each of four words; the one after Paul becomes an edge, which is no error.
    assert (doubled.blank, doubled.blank_edges) == (4, 1)
    assert (doubled.score.predicted, doubled.score.correct) == (8, 4)
    assert (variants["as printed"].blank, variants["as printed"].blank_edges) == (0, 0)


def test_invisible_characters_at_edges_do_not_count(nlp, texts):
    nlp = spacy.blank("en")
    pattern = {"TEXT": {"REGEX": "^\ufeff?(Anna|Paul)$"}}
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "per", "pattern": [pattern]}])
    found = {variant.name: variant for variant in measure(nlp, texts)}
    assert found["byte order mark"].score == found["as printed"].score


def test_all_white_space_counts_as_blank():
    assert all(is_invisible(c) for c in map(chr, range(sys.maxunicode + 1)) if c.isspace())
