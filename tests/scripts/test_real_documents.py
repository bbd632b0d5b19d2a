from __future__ import annotations

import json
from collections import Counter

import pytest
import spacy
from loading import load_script, runner
from spacy.tokens import Span

real_documents = load_script("real_documents")
run = runner(real_documents)


def test_parsing_keeps_every_other_character():
    text, entities = real_documents.parse(
        "\ufeff| ⟦Ana\r\n Lima|per⟧ |\t⟦a|b|org⟧\u00a0⟦Oslo|geo⟧\r\n"
    )
    assert text == "\ufeff| Ana\r\n Lima |\ta|b\u00a0Oslo\r\n"
    assert [(text[e.start : e.end], e.label) for e in entities] == [
        ("Ana\r\n Lima", "per"),
        ("a|b", "org"),
        ("Oslo", "geo"),
    ]


@pytest.mark.parametrize(
    "annotated", ["in ⟦Oslo|place⟧", "in ⟦Oslo⟧", "in ⟦Oslo|geo", "⟦The ⟦UN|org⟧|org⟧"]
)
def test_wrong_annotations_are_refused(annotated):
    with pytest.raises(ValueError, match=r"expected art, eve|expected ⟦name\|type⟧"):
        real_documents.parse(annotated)


def test_documents_are_whole():
    documents = real_documents.read_documents()
    assert len(documents) == 20
    types: Counter[str] = Counter()
    for name, (text, entities) in documents.items():
        assert 80 <= len(text.split()) <= 300, name
        assert len(entities) >= 15, name
        types.update(ent.label for ent in entities)
        for start, end, _ in entities:
            span = text[start:end]
            assert span == real_documents.strip_invisible(span), name
            # The edges are not inside of a word.
            assert not text[start - 1 : start + 1].isalnum() or start == 0, (name, span)
            assert not text[end - 1 : end + 1].isalnum(), (name, span)
    assert set(types) == set(real_documents.TYPES)
    for name in ("email_thread", "press_release", "subtitles"):
        text = documents[name][0]
        assert text.count("\n") == text.count("\r\n") > 20
    assert documents["subtitles"][0].startswith("\ufeff1\r\n")
    assert "May\u00a02016" in documents["web_page"][0]


def test_edges_are_stripped_and_blanks_counted():
    doc = spacy.blank("en")("\n\nOslo \n met Paul\u200b today")
    words = [token.text for token in doc]
    found = {"geo": ("Oslo", "\n "), "per": ("Paul\u200b", "Paul\u200b"), "org": ("\n\n", "\n\n")}
    doc.ents = [
        Span(doc, words.index(first), words.index(last) + 1, label)
        for label, (first, last) in found.items()
    ]
    gold = real_documents.parse("\n\n⟦Oslo|geo⟧ \n met ⟦Paul|per⟧\u200b ⟦today|tim⟧")[1]
    counts = real_documents.count(doc, gold)
    assert counts == (3, 3, 2, 1, 2)
    assert counts.scores() == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})


def test_two_pipelines_side_by_side(tmp_path):
    nothing = spacy.blank("en")
    nothing.to_disk(tmp_path / "nothing")
    ruler = nothing.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "geo", "pattern": name} for name in ("Kakheti", "Turkey")])
    nothing.to_disk(tmp_path / "ruler")
    figures = tmp_path / "figures.json"
    arguments = (tmp_path / "ruler", "--compare", tmp_path / "nothing", "--json", figures)
    output = run(*arguments).output
    ours, other = json.loads(figures.read_text())
    page = ours["documents"]["web_page"]
    assert (page["correct"], page["predicted"], page["precision"]) == (2, 2, 1.0)
    assert page["recall"] == 2 / page["gold"]
    assert ours["overall"]["correct"] == 2
    assert ours["mean"]["f1"] == pytest.approx(page["f1"] / 20)
    assert other["overall"]["f1"] == other["mean"]["f1"] == 0
    assert f"F1 {100 * ours['overall']['f1']:.2f}; 2 entities, 0 of them blank" in output
    assert "nothing: F1 0.00; 0 entities" in output


def test_missing_pipelines_are_named(tmp_path):
    result = run(tmp_path / "missing", exit_code=1)
    assert "cannot be loaded; expected the folder of a trained pipeline" in result.stderr
