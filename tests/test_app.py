from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import spacy
from flask import Flask
from flask.testing import FlaskClient
from spacy.language import Language
from spacy.tokens import Doc

from ner_lstm_component.app import ModelError, create_app

ROOT = Path(__file__).parents[1]
TEXT = "Anna Berg lives in Oslo."
WORDS = ["Anna", "Berg", "lives", "in", "Oslo", "."]
LABELS = ["O", "B-geo", "I-geo", "B-org", "I-org", "B-per", "I-per"]


@pytest.fixture(scope="module")
def model(trained_nlp, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("app") / "model"
    trained_nlp.to_disk(path)
    return path


@pytest.fixture(scope="module")
def nlp(model) -> Language:
    """A pipeline of its own, because serving changes the string store."""
    return spacy.load(model)


@pytest.fixture(scope="module")
def app(nlp) -> Flask:
    return create_app(nlp)


@pytest.fixture
def client(app) -> FlaskClient:
    return app.test_client()


def predict(client: FlaskClient, **body: object) -> dict:
    response = client.post("/predict", json=body)
    assert response.status_code == 200, response.text
    return response.get_json()


# --- answers ---------------------------------------------------------------------------


def test_sentence(client, trained_nlp):
    answer = predict(client, sentence=WORDS)
    assert list(answer) == ["tokens", "tags", "ents", "labels", "prediction"]
    assert answer["tokens"] == WORDS
    assert answer["tags"] == ["B-per", "I-per", "O", "O", "B-geo", "O"]
    assert answer["labels"] == LABELS
    assert [(e["text"], e["label"]) for e in answer["ents"]] == [
        ("Anna Berg", "per"),
        ("Oslo", "geo"),
    ]
    doc = trained_nlp(Doc(trained_nlp.vocab, words=WORDS))
    component = trained_nlp.get_pipe("ner_lstm")
    np.testing.assert_allclose(
        answer["prediction"], component.probabilities([doc])[0].tags, atol=1e-5
    )
    np.testing.assert_allclose(
        [e["score"] for e in answer["ents"]], component.probabilities([doc])[0].entities, atol=1e-5
    )


def test_text(client):
    answer = predict(client, text=TEXT)
    assert list(answer) == ["tokens", "tags", "ents", "labels"]
    assert answer["tokens"] == WORDS
    assert answer["tags"] == ["B-per", "I-per", "O", "O", "B-geo", "O"]
    for ent in answer["ents"]:
        assert TEXT[ent["start"] : ent["end"]] == ent["text"]
        assert 0.5 < ent["score"] <= 1
    assert [(e["token_start"], e["token_end"]) for e in answer["ents"]] == [(0, 2), (4, 5)]


def test_text_with_probabilities(client):
    answer = predict(client, text=TEXT, probabilities=True)
    assert np.shape(answer["prediction"]) == (len(WORDS), len(LABELS))
    np.testing.assert_allclose(np.sum(answer["prediction"], axis=1), 1, atol=1e-4)
    best = [LABELS[column] for column in np.argmax(answer["prediction"], axis=1)]
    assert best == answer["tags"]


def test_characters_of_a_sentence_count_one_space_between_tokens(client):
    words = ["In", "South", "Africa", "."]
    for ent in predict(client, sentence=words)["ents"]:
        assert " ".join(words)[ent["start"] : ent["end"]] == ent["text"]


@pytest.mark.parametrize("body", [{"text": ""}, {"sentence": []}])
def test_empty_input(client, body):
    answer = predict(client, **body, probabilities=True)
    assert answer == {"tokens": [], "tags": [], "ents": [], "labels": LABELS, "prediction": []}


@pytest.mark.parametrize(
    "text", ["a\0b", "🙂 Oslo 👩‍👩‍👧", " \n\t ", "e\u0301 \u200b \ufeff", "x" * 5000, "\U0010ffff"]
)
def test_any_text_is_text(client, text):
    assert "".join(predict(client, text=text)["tokens"]).replace(" ", "") == text.replace(" ", "")
    assert predict(client, sentence=[text, "Oslo"])["tokens"] == [text, "Oslo"]


def test_existing_entities_without_a_score(model):
    nlp = spacy.load(model)
    ruler = nlp.add_pipe("entity_ruler", before="ner_lstm")
    ruler.add_patterns([{"label": "weather", "pattern": "rain"}])
    answer = predict(create_app(nlp).test_client(), text="Anna Berg hates rain.")
    assert [(e["label"], e["score"] is None) for e in answer["ents"]] == [
        ("per", False),
        ("weather", True),
    ]
    assert answer["tags"] == ["B-per", "I-per", "O", "B-weather", "O"]


def test_component_of_another_name(model):
    nlp = spacy.load(model)
    nlp.rename_pipe("ner_lstm", "names")
    assert predict(create_app(nlp).test_client(), text=TEXT)["labels"] == LABELS


# --- refusals --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{}", "body"),
        ('{"text": "a", "sentence": ["a"]}', "body"),
        ("[]", "body"),
        ("null", "body"),
        ("", "body"),
        ("{", "body"),
        ("[" * 100_000, "body"),
        ('{"text": "\\ud800"}', "body"),
        ('{"sentence": ["ok", "\\udc00"]}', "body"),
        (b'{"text": "\xff"}', "body"),
        ('{"text": null}', "text"),
        ('{"text": 1}', "text"),
        ('{"text": ["a"]}', "text"),
        ('{"sentence": "a b"}', "sentence"),
        ('{"sentence": [["a"]]}', "sentence[0]"),
        ('{"sentence": ["a", 1]}', "sentence[1]"),
        ('{"sentence": ["a", ""]}', "sentence[1]"),
        ('{"text": "a", "probabilities": "yes"}', "probabilities"),
        ('{"text": "a", "treshold": 1}', "treshold"),
    ],
)
def test_malformed_body(client, body, field):
    response = client.post("/predict", data=body, content_type="application/json")
    assert response.status_code == 400
    assert response.content_type == "application/problem+json"
    problem = response.get_json(force=True)
    assert problem["status"] == 400
    assert problem["errors"][0]["field"] == field
    assert field in problem["detail"]


def test_wrong_content_type(client):
    response = client.post("/predict", data=json.dumps({"text": "a"}), content_type="text/plain")
    assert response.status_code == 415
    assert "application/json" in response.get_json(force=True)["detail"]


def test_text_beyond_the_pipelines_limit(client, nlp, monkeypatch):
    monkeypatch.setattr(nlp, "max_length", 10)
    response = client.post("/predict", json={"text": "a" * 11})
    assert response.status_code == 413
    assert "at most 10 characters" in response.get_json(force=True)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("GET", "/x", 404)]
)
def test_other_requests(client, method, path, status):
    response = client.open(path, method=method)
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    if status == 405:
        assert "POST" in response.headers["Allow"]


# --- memory and threads ----------------------------------------------------------------


def test_string_store_stays_flat(client, nlp):
    before = len(nlp.vocab.strings)
    for i in range(50):
        predict(client, text=f"word{i} was never seen in Oslo{i}")
        predict(client, sentence=[f"token{i}", "was", "new"])
    assert len(nlp.vocab.strings) == before


def test_threads_get_their_own_answers(app):
    wrong: list[str] = []

    def ask(number: int) -> None:
        client = app.test_client()
        for i in range(20):
            words = [f"thread{number}", f"call{i}", "Oslo"]
            if predict(client, sentence=words)["tokens"] != words:
                wrong.append(" ".join(words))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- which pipeline --------------------------------------------------------------------


def test_path(model):
    assert predict(create_app(model).test_client(), text=TEXT)["ents"]
    assert predict(create_app(str(model)).test_client(), text=TEXT)["ents"]


def test_environment_variable(model, monkeypatch):
    monkeypatch.setenv("NER_LSTM_MODEL", str(model))
    assert predict(create_app().test_client(), text=TEXT)["ents"]


def test_trained_folder_is_the_last_default(model, monkeypatch, tmp_path):
    monkeypatch.delenv("NER_LSTM_MODEL", raising=False)
    monkeypatch.setattr("ner_lstm_component.app.is_package", lambda name: False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="NER_LSTM_MODEL is not set"):
        create_app()
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "model-best").symlink_to(model)
    assert predict(create_app().test_client(), text=TEXT)["ents"]


def test_model_that_cannot_be_loaded(tmp_path):
    with pytest.raises(ModelError, match="no_such_pipeline"):
        create_app("no_such_pipeline")
    with pytest.raises(ModelError, match="cannot be loaded"):
        create_app(tmp_path)


def test_pipeline_without_the_component():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    with pytest.raises(ModelError, match=r"'ner_lstm'\. Received: sentencizer"):
        create_app(nlp)


def test_wsgi_module(model):
    code = "from wsgi import app; print([str(rule) for rule in app.url_map.iter_rules()])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "", "NER_LSTM_MODEL": str(model)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "/predict" in result.stdout
