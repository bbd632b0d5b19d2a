from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import pytest

from ner_lstm_component.evaluation import report
from ner_lstm_component.evaluation.alignment import Entity
from ner_lstm_component.evaluation.predictions import Sentence
from ner_lstm_component.evaluation.summary import summarize

PICTURES = {"types": b"\x89PNG"}
HOSTILE = "<script>alert(1)</script>"


def parse(page: str) -> tuple[set[str], list[str], str]:
    """The tags of a page, the addresses that it loads or links, and its text."""
    loaded = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', page)
    return set(re.findall(r"<(\w+)", page)), loaded, html.unescape(re.sub("<[^>]*>", "", page))


@pytest.fixture
def written(evaluation, with_itself, tmp_path):
    """A report in a folder that had a file of somebody else and an older picture."""
    (tmp_path / "mine.txt").touch()
    (tmp_path / "report_files").mkdir()
    (tmp_path / "report_files" / "stale.png").touch()
    report.write_report(evaluation, PICTURES, tmp_path, with_itself)
    return tmp_path


def test_html_and_markdown_say_the_same(written):
    tags, loaded, content = parse((written / "report.html").read_text())
    # It stands alone.
    assert not tags & {"script", "link", "iframe"}
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in loaded)
    assert "data:image/png;base64,iVBORw==" in loaded
    markdown = (written / "report.md").read_text()
    for text in (
        "some model on some data",
        "28.57 (",  # micro precision
        "wrong type: geo “York” in the data, org “York” predicted, confidence 95.0 %",
        "missed: eve “May” in the data, nothing predicted",
        "Comparison",
    ):
        assert text in content
        assert text in markdown
    assert "[York geo] beat [Paul Berg per]" in markdown.replace("\\", "")
    assert "[York org] beat Paul [Berg per]" in markdown.replace("\\", "")
    assert "![Precision, recall and F1 of each type](report_files/types.png)" in markdown
    assert (written / "report_files" / "types.png").read_bytes() == PICTURES["types"]
    rows = [line for line in markdown.splitlines() if line[:1] == "|"]
    assert len(rows) > 20
    assert {row.count("|") for row in rows} == {8, 6, 4}  # scores, comparison, errors


def test_json_has_the_matrices(written, evaluation):
    metrics = json.loads((written / "metrics.json").read_text())
    assert metrics["tag_confusion"]["counts"] == evaluation.tags.to_numpy().tolist()
    assert metrics["entity_confusion"]["columns"][-1] == "(missed)"
    assert metrics["micro"]["intervals"]["f1"] == list(evaluation.micro.intervals["f1"])
    assert metrics["comparison"]["differences"]["micro"]["f1"]["p_value"] == 1
    assert sum(error["count"] for error in metrics["errors"]) == 6


def test_what_comes_from_data_is_escaped(tmp_path):
    label = "<b>x</b>"
    sentence = Sentence((HOSTILE, "|", "*x*"), (Entity(0, 1, label),), (Entity(0, 2, label, 0.9),))
    evaluation = summarize([sentence], HOSTILE, HOSTILE)
    report.write_report(evaluation, {}, tmp_path)
    tags, _, content = parse((tmp_path / "report.html").read_text())
    assert not tags & {"script", "b"}
    assert HOSTILE in content
    markdown = (tmp_path / "report.md").read_text()
    assert HOSTILE not in markdown
    assert "\\*x\\*" in markdown


def test_errors_of_long_documents_are_shown_in_a_window():
    words = tuple(f"w{i}" for i in range(1000))
    gold = (Entity(10, 11, "geo"), Entity(500, 502, "per"))
    sentence = Sentence(words, gold, (Entity(10, 11, "geo"), Entity(501, 502, "per")))
    text = report.render("report.md.jinja", summarize([sentence], "m", "d"), {})
    (data, predicted) = (line for line in text.splitlines() if "w500" in line and "- " in line[:6])
    assert "\\[w500 w501 per\\]" in data
    assert "w500 \\[w501 per\\]" in predicted
    assert len(data.split()) < 2 * report.CONTEXT + 8


def test_perfect_pipeline_has_no_errors_to_show(sentences):
    perfect = [replace(sentence, predicted=sentence.gold) for sentence in sentences]
    text = report.render("report.md.jinja", summarize(perfect, "m", "d"), {})
    assert "There is no error." in text


def test_files_that_are_not_ours_stay(written):
    names = {path.name for path in written.rglob("*")}
    ours = {"metrics.json", "report.html", "report.md", "report_files", "types.png"}
    assert names == ours | {"mine.txt"}
