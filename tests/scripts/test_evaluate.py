from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from loading import load_script
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.vocab import Vocab
from typer.testing import CliRunner

from ner_lstm_component.evaluation.predictions import Sentence, predict, sentences_of
from ner_lstm_component.evaluation.report import as_json
from ner_lstm_component.evaluation.summary import summarize

ROOT = Path(__file__).parents[2]


evaluate = load_script("evaluate")
tag = load_script("tag")


def run(*arguments: object):
    return CliRunner().invoke(evaluate.app, [str(argument) for argument in arguments])


def doc(words: str, tags: str) -> Doc:
    return Doc(Vocab(), words=words.split(), ents=tags.split())


# What the pipeline below gets right and wrong: a type, a boundary, one too many, one missed.
GOLD = [
    doc("Anna lives in Oslo .", "B-per O O B-geo O"),
    doc("Bank of Oslo", "B-org I-org I-org"),
    doc("Anna Berg met Paul", "B-per I-per O B-per"),
    doc("It rained again", "O O O"),
    doc("Paris fell silent", "O O O"),
]
PATTERNS = {"per": ["Anna"], "geo": ["Oslo", "Paris"], "tim": ["again"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A pipeline whose mistakes are known."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(
        [{"label": label, "pattern": word} for label, words in PATTERNS.items() for word in words]
    )
    path = tmp_path_factory.mktemp("evaluate") / "model"
    nlp.to_disk(path)
    return path


@pytest.fixture
def data(tmp_path) -> Path:
    return write(tmp_path / "gold.spacy", GOLD)


def write(path: Path, docs: list[Doc]) -> Path:
    DocBin(docs=docs, attrs=["ORTH", "ENT_IOB", "ENT_TYPE"]).to_disk(path)
    return path


def flat(output: str) -> str:
    return " ".join(output.replace("│", " ").split())


def bio(doc: Doc) -> list[str]:
    return [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc]


def answers(nlp: Language, examples: list[Example]) -> list[Sentence]:
    list(predict(nlp, examples))
    return sentences_of(examples)


def test_table_and_file(model, data, tmp_path):
    result = run(model, data, "--output", tmp_path / "new" / "metrics")
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "new" / "metrics" / "metrics.json").read_text())
    known = {
        "ents_p": pytest.approx(2 / 6),
        "ents_r": pytest.approx(2 / 5),
        "ents_f": pytest.approx(4 / 11),
        "ents_per_type": {
            "per": {"p": pytest.approx(1 / 2), "r": pytest.approx(1 / 3), "f": pytest.approx(0.4)},
            "geo": {"p": pytest.approx(1 / 3), "r": pytest.approx(1.0), "f": pytest.approx(0.5)},
            "org": {"p": 0.0, "r": 0.0, "f": 0.0},
            "tim": {"p": 0.0, "r": 0.0, "f": 0.0},
        },
        "documents": 5,
        "tokens": 18,
        "entities": {"per": 3, "geo": 1, "org": 1},
    }
    assert {name: metrics[name] for name in known} == known
    table = flat(result.output)
    assert "per 50.00 33.33 40.00 3 geo 33.33 100.00 50.00 1" in table
    assert "all 33.33 40.00 36.36 5" in table
    assert sorted(path.name for path in (tmp_path / "new" / "metrics").iterdir()) == [
        "metrics.json",
        "report.html",
        "report.md",
        "report_files",
    ]


def test_without_output_nothing_is_written(model, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(model, data).exit_code == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("spoiled", [False, True])
def test_agrees_with_seqeval(trained_nlp, train_examples, spoiled):
    gold = [bio(eg.reference) for eg in train_examples]
    if spoiled:
        gold = [["O", *tags[1:]] if tags[1][0] != "I" else tags for tags in gold]
        gold = [[tag.replace("org", "geo") for tag in tags] for tags in gold]
    words = [[token.text for token in eg.reference] for eg in train_examples]
    vocab = trained_nlp.vocab
    examples = [
        Example(Doc(vocab, words=w), Doc(vocab, words=w, ents=tags))
        for w, tags in zip(words, gold, strict=True)
    ]
    metrics = as_json(summarize(answers(trained_nlp, examples), "model", "data"))
    predicted = [bio(trained_nlp(Doc(vocab, words=w))) for w in words]
    report = classification_report(
        gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    for kind, scores in metrics["ents_per_type"].items():
        assert scores["p"] == pytest.approx(report[kind]["precision"])
        assert scores["r"] == pytest.approx(report[kind]["recall"])
        assert scores["f"] == pytest.approx(report[kind]["f1-score"])
        assert metrics["entities"].get(kind, 0) == report[kind]["support"]
    for average in ("micro", "macro"):
        overall = report[f"{average} avg"]
        assert metrics[average]["precision"] == pytest.approx(overall["precision"])
        assert metrics[average]["recall"] == pytest.approx(overall["recall"])
        assert metrics[average]["f1"] == pytest.approx(overall["f1-score"])
    assert (metrics["ents_f"] < 0.95) == spoiled


@pytest.mark.parametrize("spaces", [False, True])
def test_agrees_with_spacys_scorer(trained_nlp, spaces):
    """To the last entity, also where the pipeline splits the text otherwise than the data."""
    texts = [
        doc("Anna Berg lives in Oslo.", "B-per I-per O O B-geo"),
        doc("Prices fell in York .", "O O O B-org O"),
        doc("Reuters, of South Africa, met Paul-Berg", "B-org O B-geo I-geo O B-per"),
        Doc(Vocab(), words=["Oslo", "and", "Paris"], ents=["B-geo", "", "B-geo"]),
        Doc(Vocab(), words=["Oslo"]),
        doc("Nobody said a word .", "O O O O O"),
    ]
    vocab = trained_nlp.vocab
    make = trained_nlp.make_doc if spaces else lambda text: Doc(vocab, text.split())
    examples = [Example(make(d.text.strip()), d) for d in texts]
    sentences = answers(trained_nlp, examples)
    metrics = as_json(summarize(sentences, "model", "data"))
    expected = get_ner_prf(examples)
    for name in ("ents_p", "ents_r", "ents_f"):
        assert metrics[name] == pytest.approx(expected[name])
    assert metrics["ents_per_type"].keys() == expected["ents_per_type"].keys()
    for kind, scores in expected["ents_per_type"].items():
        assert metrics["ents_per_type"][kind] == pytest.approx(scores)
    assert 0 < metrics["ents_f"] < 1


def test_text_with_spaces_is_tokenized_anew(trained_nlp, tmp_path):
    text = Doc(
        Vocab(),
        words=["Oslo,", "and", "Paris"],
        spaces=[True, True, False],
        ents=["O", "O", "B-geo"],
    )
    path = write(tmp_path / "text.spacy", [text])
    (example,) = evaluate.read_examples(trained_nlp, path)
    assert [token.text for token in example.predicted] == ["Oslo", ",", "and", "Paris"]


@pytest.mark.parametrize(
    ("docs", "message"),
    [
        ([], "holds no tokens"),
        ([Doc(Vocab())], "holds no tokens"),
        ([doc("It rained", "O O")], "1 documents and not one entity"),
        ([Doc(Vocab(), words=["Oslo"])], "1 documents and not one entity"),
    ],
)
def test_nothing_to_score(model, tmp_path, docs, message):
    result = run(model, write(tmp_path / "x.spacy", docs), "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert message in flat(result.output)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no DocBin", b"x\x9cK\x04\x00\x00b\x00b"])
def test_unreadable_data(model, tmp_path, content):
    path = tmp_path / "x.spacy"
    path.write_bytes(content)
    result = run(model, path, "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert f"Error: {path}: cannot be read as a DocBin" in flat(result.output)
    assert not (tmp_path / "out").exists()


def test_wrong_data_path(model, tmp_path):
    assert "no such file" in flat(run(model, tmp_path / "x.spacy").output)
    (tmp_path / "x.csv").touch()
    result = run(model, tmp_path / "x.csv")
    assert result.exit_code == 1
    assert "scripts/convert.py makes them" in flat(result.output)


def test_model_that_cannot_be_loaded(data, tmp_path):
    for name in ("no_such_pipeline", tmp_path):
        result = run(name, data)
        assert result.exit_code == 1
        assert f"Error: {name}: cannot be loaded" in flat(result.output)


def test_pipeline_without_entities(data, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    result = run(tmp_path / "blank", data)
    assert result.exit_code == 1
    assert "no component that sets entities. Its components: none" in flat(result.output)


def test_output_that_is_a_file(model, data, tmp_path):
    (tmp_path / "out").touch()
    result = run(model, data, "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert "cannot be written" in flat(result.output)


def test_labels_that_differ(model, tmp_path):
    """All wrong, and said so; a zero is an answer, not a failure."""
    path = write(tmp_path / "x.spacy", [doc("Anna lives in Oslo", "B-PERSON O O B-GPE")])
    result = run(model, path, "--output", tmp_path / "out")
    assert result.exit_code == 0
    assert "no entity type in common: the data has GPE, PERSON" in flat(result.output)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["ents_f"] == 0
    assert "Their labels differ" in (tmp_path / "out" / "report.html").read_text()


def test_compare(model, data, tmp_path):
    better = spacy.load(model)
    better.get_pipe("entity_ruler").add_patterns([{"label": "per", "pattern": "Paul"}])
    better.to_disk(tmp_path / "better")
    result = run(model, data, "--output", tmp_path / "out", "--compare", tmp_path / "better")
    assert result.exit_code == 0, result.output
    comparison = json.loads((tmp_path / "out" / "metrics.json").read_text())["comparison"]
    difference = comparison["differences"]["micro"]["f1"]
    assert difference["value"] == pytest.approx(6 / 12 - 4 / 11)
    # One sentence differs: half of all exchanges restore the difference, half turn it round.
    assert difference["p_value"] == 1
    assert f"{100 * (6 / 12 - 4 / 11):+.2f}, p = 1.0000" in flat(result.output)
    assert (tmp_path / "out" / "report_files" / "comparison.png").is_file()
    # A later report leaves no picture of this one.
    assert run(model, data, "--output", tmp_path / "out").exit_code == 0
    assert not (tmp_path / "out" / "report_files" / "comparison.png").exists()


def test_training_part_and_log(model, data, tmp_path):
    known = write(tmp_path / "train.spacy", [doc("Anna slept", "B-per O")])
    log = tmp_path / "log.jsonl"
    step = {"epoch": 0, "step": 5, "losses": {"ner": 2.0}, "scores": {"ents_f": 50}, "score": 0.5}
    log.write_text(json.dumps(step))
    result = run(model, data, "--output", tmp_path / "out", "--train", known, "--log", log)
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    seen = metrics["by_familiarity"]["seen with this type"]
    assert (seen["gold"], seen["predicted"], seen["correct"]) == (1, 2, 1)
    assert (tmp_path / "out" / "report_files" / "learning_curve.png").is_file()


def test_unreadable_training_part_and_log(model, data, tmp_path):
    broken = tmp_path / "broken.spacy"
    broken.write_bytes(b"x")
    for option, message in (("--train", "cannot be read as a DocBin"), ("--log", "line 1")):
        result = run(model, data, option, broken)
        assert result.exit_code == 1
        assert message in flat(result.output)
        result = run(model, data, option, tmp_path / "missing.spacy")
        assert result.exit_code == 1
        assert "missing.spacy" in flat(result.output)


def test_second_pipeline_that_cannot_be_loaded(model, data):
    result = run(model, data, "--compare", "no_such_pipeline")
    assert result.exit_code == 1
    assert "Error: no_such_pipeline: cannot be loaded" in flat(result.output)


# --- tag.py ----------------------------------------------------------------------------


def test_tag_prints_entities_in_the_text(model):
    result = CliRunner().invoke(tag.app, [str(model), "Anna left [Oslo] again."])
    assert result.exit_code == 0, result.output
    assert "[Anna per] left [[Oslo geo]] [again tim]." in result.output
    assert "doc.ents: [('Anna', 'per'), ('Oslo', 'geo'), ('again', 'tim')]" in result.output


def test_tag_without_a_model():
    result = CliRunner().invoke(tag.app, ["no_such_pipeline", "Anna"])
    assert result.exit_code == 1
    assert "Error: no_such_pipeline: cannot be loaded" in result.output
