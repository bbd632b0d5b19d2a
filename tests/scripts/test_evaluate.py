from __future__ import annotations

import json
from pathlib import Path

import catalogue
import pytest
import spacy
from loading import flat, load_script, runner
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.vocab import Vocab

from ner_lstm_component.evaluation.perturbations import perturbations
from ner_lstm_component.evaluation.pipeline import read_examples
from ner_lstm_component.evaluation.predictions import predict, sentences_of
from ner_lstm_component.evaluation.report import as_json
from ner_lstm_component.evaluation.summary import summarize

evaluate = load_script("evaluate")
tag = load_script("tag")
run = runner(evaluate)


def doc(words: str, tags: str) -> Doc:
    return Doc(Vocab(), words=words.split(), ents=tags.split())


# The pipeline below makes each mistake: a type, a boundary, one too many, one missed.
GOLD = [
    doc("Anna lives in Oslo .", "B-per O O B-geo O"),
    doc("Bank of Oslo", "B-org I-org I-org"),
    doc("Anna Berg met Paul", "B-per I-per O B-per"),
    doc("It rained again", "O O O"),
    doc("Paris fell silent", "O O O"),
]
FOUND = {"Anna": "per", "Oslo": "geo", "Paris": "geo", "again": "tim"}
PATTERNS = [{"label": label, "pattern": word} for word, label in FOUND.items()]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A pipeline whose mistakes are known."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)
    path = tmp_path_factory.mktemp("evaluate") / "model"
    nlp.to_disk(path)
    return path


@pytest.fixture
def data(tmp_path) -> Path:
    return write(tmp_path / "gold.spacy", GOLD)


def write(path: Path, docs: list[Doc]) -> Path:
    DocBin(docs=docs, attrs=["ORTH", "ENT_IOB", "ENT_TYPE"]).to_disk(path)
    return path


def metrics_of(nlp: Language, examples: list[Example]) -> dict:
    list(predict(nlp, examples))
    return as_json(summarize(sentences_of(examples), "model", "data"))


def report_of(folder: Path, *arguments: object) -> tuple[dict, str]:
    """Run with an output folder; return the metrics, and what was printed."""
    result = run(*arguments, "--output", folder)
    return json.loads((folder / "metrics.json").read_text()), flat(result.output)


def test_table_and_files(model, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(model, data)
    assert list(tmp_path.rglob("*")) == [data]  # no file without --output
    metrics, table = report_of(tmp_path / "new" / "metrics", model, data)
    assert metrics["entities"] == {"per": 3, "geo": 1, "org": 1}
    scores = [metrics[name] for name in ("ents_p", "ents_r", "ents_f")]
    assert scores == pytest.approx([2 / 6, 2 / 5, 4 / 11])
    assert "per 50.00 33.33 40.00 3 geo 33.33 100.00 50.00 1" in table
    assert "all 33.33 40.00 36.36 5" in table
    written = {path.name for path in (tmp_path / "new" / "metrics").iterdir()}
    assert written == {"metrics.json", "report.html", "report.md", "report_files"}


def test_agrees_with_seqeval(model):
    nlp = spacy.load(model)
    examples = [Example(Doc(nlp.vocab, words=[t.text for t in d]), d) for d in GOLD]
    metrics = metrics_of(nlp, examples)
    options = {"mode": "strict", "scheme": IOB2, "output_dict": True, "zero_division": 0}
    gold, predicted = (
        [[f"{t.ent_iob_}-{t.ent_type_}".rstrip("-") for t in doc] for doc in docs]
        for docs in (GOLD, [eg.predicted for eg in examples])
    )
    report = classification_report(gold, predicted, **options)
    found = {"micro avg": metrics["micro"], "macro avg": metrics["macro"], **metrics["types"]}
    assert 0 < metrics["micro"]["f1"] < 1
    for name, scores in found.items():
        expected = [report[name][measure] for measure in ("precision", "recall", "f1-score")]
        assert [scores[m] for m in ("precision", "recall", "f1")] == pytest.approx(expected)


def test_agrees_with_spacys_scorer(trained_nlp):
    """Also where the pipeline and the data have different tokens."""
    texts = [
        doc("Anna Berg lives in Oslo.", "B-per I-per O O B-geo"),
        doc("Prices fell in York .", "O O O B-org O"),
        doc("Reuters, of South Africa, met Paul-Berg", "B-org O B-geo I-geo O B-per"),
        Doc(Vocab(), words=["Oslo", "and", "Paris"], ents=["B-geo", "", "B-geo"]),
        Doc(Vocab(), words=["Oslo"]),
        doc("Nobody said a word .", "O O O O O"),
    ]
    examples = [Example(trained_nlp.make_doc(d.text.strip()), d) for d in texts]
    metrics = metrics_of(trained_nlp, examples)
    expected = get_ner_prf(examples)
    per_type = expected.pop("ents_per_type")
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert metrics["ents_per_type"] == {k: pytest.approx(scores) for k, scores in per_type.items()}
    assert 0 < metrics["ents_f"] < 1


def test_text_with_spaces_is_tokenized_by_the_pipeline(trained_nlp, tmp_path):
    text = Doc(Vocab(), ["Oslo,", "and", "Paris"], [True, True, False], ents=["O", "O", "B-geo"])
    path = write(tmp_path / "text.spacy", [text])
    (example,) = read_examples(trained_nlp, path)
    assert [token.text for token in example.predicted] == ["Oslo", ",", "and", "Paris"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{m} {d}/empty.spacy", "holds no tokens"),
        ("{m} {d}/no_entity.spacy", "1 documents and not one entity"),
        ("{m} {d}/corrupt.spacy", "Error: {d}/corrupt.spacy: cannot be read as a DocBin"),
        ("{m} {d}/missing.spacy", "no such file"),
        ("{m} {d}/x.csv", "scripts/convert.py makes them"),
        ("no_such_pipeline {d}/gold.spacy", "Error: no_such_pipeline: cannot be loaded"),
        ("{d}/blank {d}/gold.spacy", "no component that sets entities. Its components: none"),
        ("{m} {d}/gold.spacy --output {d}/x.csv", "cannot be written"),
        ("{m} {d}/gold.spacy --train {d}/corrupt.spacy", "cannot be read as a DocBin"),
        ("{m} {d}/gold.spacy --log {d}/broken.jsonl", "line 1"),
        ("{m} {d}/gold.spacy --code {d}/x.csv", "{d}/x.csv: cannot be imported"),
        ("{m} {d}/partly.spacy --robustness", "annotated throughout, but each of the 1 Docs"),
        ("{m} {d}/gold.spacy --compare no_such_pipeline", "no_such_pipeline: cannot be loaded"),
    ],
)
def test_errors_say_what_is_wrong(model, data, tmp_path, arguments, message):
    write(tmp_path / "empty.spacy", [Doc(Vocab())])
    write(tmp_path / "no_entity.spacy", [doc("It rained", "O O")])
    write(tmp_path / "partly.spacy", [Doc(Vocab(), words=["Oslo", "and"], ents=["B-geo", ""])])
    (tmp_path / "broken.jsonl").write_text("no JSON")
    (tmp_path / "corrupt.spacy").write_bytes(b"x\x9cK\x04\x00\x00b\x00b")
    (tmp_path / "x.csv").touch()
    spacy.blank("en").to_disk(tmp_path / "blank")
    words = arguments.format(m=model, d=tmp_path).split()
    result = run(*words[:2], "--output", tmp_path / "out", *words[2:], exit_code=1)
    assert message.format(d=tmp_path) in flat(result.output)
    assert not (tmp_path / "out").exists()


def test_labels_that_differ(model, tmp_path):
    path = write(tmp_path / "x.spacy", [doc("Anna lives in Oslo", "B-PERSON O O B-GPE")])
    metrics, shown = report_of(tmp_path / "out", model, path)
    assert metrics["ents_f"] == 0  # a result, not an error
    assert "no entity type in common: the data has GPE, PERSON" in shown


def test_compare(model, data, tmp_path):
    better = spacy.load(model)
    better.get_pipe("entity_ruler").add_patterns([{"label": "per", "pattern": "Paul"}])
    better.to_disk(tmp_path / "better")
    metrics, shown = report_of(tmp_path / "out", model, data, "--compare", tmp_path / "better")
    difference = metrics["comparison"]["differences"]["micro"]["f1"]
    assert difference["value"] == pytest.approx(6 / 12 - 4 / 11)
    assert f"{100 * (6 / 12 - 4 / 11):+.2f}, p = 1.0000" in shown
    picture = tmp_path / "out" / "report_files" / "comparison.png"
    assert picture.is_file()
    report_of(tmp_path / "out", model, data)  # which removes earlier pictures
    assert not picture.exists()


MINE = """
from ner_lstm_component.evaluation.perturbations import perturbations

@perturbations("reversed")
def reverse(document, rng):
    return [(0, len(document.text), document.text[::-1])]
"""


@pytest.fixture
def mine(tmp_path):
    """A user's file with a perturbation."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    yield path
    catalogue.REGISTRY.pop((*perturbations.namespace, "reversed"))


def test_robustness(model, data, mine, tmp_path):
    other = spacy.blank("en")
    other.add_pipe("entity_ruler").add_patterns([{"label": "per", "pattern": "ANNA"}])
    other.to_disk(tmp_path / "other")
    arguments = (model, data, "--compare", tmp_path / "other", "--code", mine)
    metrics, shown = report_of(tmp_path / "out", *arguments, "--robustness")
    first, second = (
        {variant["name"]: variant for variant in found["robustness"]}
        for found in (metrics, metrics["comparison"])
    )
    assert list(first) == list(second) == ["as printed", *perturbations.get_all()]
    assert first["as printed"]["score"]["f1"] == pytest.approx(4 / 11)
    assert second["UPPER CASE"]["score"] | {"intervals": {}} == {
        **{"precision": 1 / 2, "recall": 1 / 5, "f1": pytest.approx(2 / 7)},
        **{"gold": 5, "predicted": 2, "correct": 1, "intervals": {}},
    }
    assert first["reversed"]["difference"] == pytest.approx(-4 / 11)
    assert "as printed 36.36 +0.00 0, 0 0.00 +0.00 0, 0" in shown
    assert "UPPER CASE 0.00 -36.36 0, 0 28.57 +28.57 0, 0" in shown
    assert (tmp_path / "out" / "report_files" / "robustness.png").is_file()
    assert "| reversed | 0.00 | -36.36 | 0, 0 |" in (tmp_path / "out" / "report.md").read_text()
    runs = 2 * [tmp_path / "out" / "metrics.json"]
    table = runner(load_script("robustness_table"))(*runs, "--name", "ours")
    assert "| variant | ours | difference | blank, edges | second |" in table.output
    assert "| UPPER CASE | 0.00 | -36.36 | 0, 0 | 28.57 | +28.57 | 0, 0 |" in table.output


def test_robustness_of_some_documents(model, data, tmp_path):
    options = ("--robustness", "--robustness-limit", 1)
    metrics, _ = report_of(tmp_path / "out", model, data, *options)
    assert {variant["documents"] for variant in metrics["robustness"]} == {1}
    assert metrics["robustness"][0]["score"]["f1"] == 1  # Anna and Oslo
    assert metrics["documents"] == 5
    metrics, shown = report_of(tmp_path / "out", model, data)
    assert metrics["robustness"] == []
    assert "as printed" not in shown
    table = runner(load_script("robustness_table"))(tmp_path / "out" / "metrics.json", exit_code=2)
    assert "evaluate.py with --robustness" in flat(table.output)


def test_training_part_and_log(model, data, tmp_path):
    known = write(tmp_path / "train.spacy", [doc("Anna slept", "B-per O")])
    log = tmp_path / "log.jsonl"
    step = {"epoch": 0, "step": 5, "losses": {"ner": 2.0}, "scores": {"ents_f": 50}, "score": 0.5}
    log.write_text(json.dumps(step))
    metrics, _ = report_of(tmp_path / "out", model, data, "--train", known, "--log", log)
    seen = metrics["by_familiarity"]["seen with this type"]
    assert (seen["gold"], seen["predicted"], seen["correct"]) == (1, 2, 1)
    assert (tmp_path / "out" / "report_files" / "learning_curve.png").is_file()


def test_tag_prints_entities_in_the_text(model):
    result = runner(tag)(model, "Anna left [Oslo] again.")
    assert "[Anna per] left [[Oslo geo]] [again tim]." in result.output
    assert "doc.ents: [('Anna', 'per'), ('Oslo', 'geo'), ('again', 'tim')]" in result.output
    result = runner(tag)("no_such_pipeline", "Anna", exit_code=1)
    assert "Error: no_such_pipeline: cannot be loaded" in result.output
