from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spacy
from flask import Flask
from flask.testing import FlaskClient
from spacy.language import Language
from spacy.tokens import Doc
from werkzeug.test import TestResponse

from ner_lstm_component.app import Limits, ModelError, create_app
from ner_lstm_component.text.characters import is_invisible

TEXT = "Anna Berg lives in Oslo."
WORDS = ["Anna", "Berg", "lives", "in", "Oslo", "."]
LABELS = ["O", "B-geo", "I-geo", "B-org", "I-org", "B-per", "I-per"]


@pytest.fixture(scope="module")
def nlp(model) -> Language:
    return spacy.load(model)


@pytest.fixture(scope="module")
def app(nlp) -> Flask:
    return create_app(nlp)


@pytest.fixture
def client(app) -> FlaskClient:
    return app.test_client()


def post(client: FlaskClient, body: bytes | str | dict, **options: object) -> TestResponse:
    data = json.dumps(body) if isinstance(body, dict) else body
    return client.post("/predict", data=data, content_type="application/json", **options)


def predict(client: FlaskClient, **body: object) -> dict:
    response = post(client, body)
    assert response.status_code == 200, response.text
    return response.get_json()


def refused(response: TestResponse, status: int) -> dict:
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    problem = response.get_json(force=True)
    assert problem["status"] == status
    return problem


def test_sentence(client, trained_nlp):
    answer = predict(client, sentence=WORDS)
    assert list(answer) == ["tokens", "tags", "ents", "labels", "prediction"]
    assert answer["tokens"] == WORDS
    assert answer["labels"] == LABELS
    doc = trained_nlp(Doc(trained_nlp.vocab, words=WORDS))
    (expected,) = trained_nlp.get_pipe("ner_lstm").probabilities([doc])
    np.testing.assert_allclose(answer["prediction"], expected.tags, atol=1e-5)
    np.testing.assert_allclose([e["score"] for e in answer["ents"]], expected.entities, atol=1e-5)
    # Characters are counted with one space between tokens.
    joined = " ".join(WORDS)
    assert [joined[e["start"] : e["end"]] for e in answer["ents"]] == ["Anna Berg", "Oslo"]


def test_white_space_in_a_text(client):
    """Offsets, tags and scores agree, and the entities are those of the text without it."""
    text = "\ufeff\nAnna\r\n\tBerg lives\n in New\nYork.\n"
    answer = predict(client, text=text, probabilities=True)
    plain = predict(client, text="Anna Berg lives in New York.", probabilities=True)
    tokens, ents = answer["tokens"], answer["ents"]
    assert [ent["text"] for ent in ents] == ["Anna\r\n\tBerg", "New\nYork"]
    expected = ["O"] * len(tokens)
    for ent, other in zip(ents, plain["ents"], strict=True):
        start, end = ent["token_start"], ent["token_end"]
        assert text[ent["start"] : ent["end"]] == ent["text"]
        assert (tokens[start], tokens[end - 1]) == tuple(other["text"].split())
        assert ent["score"] == pytest.approx(other["score"], abs=1e-4)
        expected[start:end] = [f"B-{ent['label']}", *[f"I-{ent['label']}"] * (end - start - 1)]
    assert answer["tags"] == expected
    is_word = np.array([not is_invisible(token) for token in tokens])
    rows = np.array(answer["prediction"])
    np.testing.assert_allclose(rows[is_word], plain["prediction"], atol=1e-4)
    assert (rows[~is_word] == np.eye(1, len(LABELS))).all()


@pytest.mark.parametrize("text", [" ", "\n\n", "\ufeff", "\u200b \u2003"])
def test_a_text_of_white_space(client, text):
    answer = predict(client, text=text, probabilities=True, threshold=0.4)
    assert answer["ents"] == []
    assert set(answer["tags"]) == {"O"}
    assert answer["prediction"] == [[1, *[0] * 6]] * len(answer["tokens"])


def test_text(client):
    answer = predict(client, text=TEXT)
    assert list(answer) == ["tokens", "tags", "ents", "labels"]
    assert answer["tokens"] == WORDS
    assert answer["tags"] == ["B-per", "I-per", "O", "O", "B-geo", "O"]
    assert [(e["text"], e["label"], e["token_start"], e["token_end"]) for e in answer["ents"]] == [
        ("Anna Berg", "per", 0, 2),
        ("Oslo", "geo", 4, 5),
    ]
    for ent in answer["ents"]:
        assert TEXT[ent["start"] : ent["end"]] == ent["text"]
        assert 0.5 < ent["score"] <= 1
    rows = predict(client, text=TEXT, probabilities=True)["prediction"]
    np.testing.assert_allclose(np.sum(rows, axis=1), 1, atol=1e-4)
    assert [LABELS[column] for column in np.argmax(rows, axis=1)] == answer["tags"]


@pytest.mark.parametrize("field", ["sentences", "texts"])
def test_lists_are_answered_with_lists(client, field):
    one, other = (WORDS, ["Paris"]) if field == "sentences" else (TEXT, "Paris")
    answers = predict(client, **{field: [one, type(one)(), other]})
    assert [len(answer["tokens"]) for answer in answers] == [6, 0, 1]
    assert answers[0] == predict(client, text=TEXT)
    assert predict(client, **{field: []}) == []
    answers = predict(client, **{field: [one, type(one)(), other]}, probabilities=True)
    assert [len(answer["prediction"]) for answer in answers] == [6, 0, 1]
    single = predict(client, text=TEXT, probabilities=True)["prediction"]
    np.testing.assert_allclose(answers[0]["prediction"], single, atol=1e-4)


def test_threshold(client, nlp, monkeypatch):
    scores = [ent["score"] for ent in predict(client, text=TEXT)["ents"]]
    (kept,) = predict(client, text=TEXT, threshold=sum(scores) / 2)["ents"]
    assert kept["score"] == max(scores)
    answer = predict(client, text=TEXT, threshold=1)
    assert answer["ents"] == []
    assert set(answer["tags"]) == {"O"}
    assert nlp.get_pipe("ner_lstm").threshold == 0
    # The pipeline's own threshold is the default.
    monkeypatch.setattr(nlp.get_pipe("ner_lstm"), "threshold", 1.0)
    assert predict(client, text=TEXT)["ents"] == []
    assert predict(client, text=TEXT, threshold=None)["ents"] == []
    assert len(predict(client, text=TEXT, threshold=0)["ents"]) == 2


def test_thresholds_of_labels(client, nlp, monkeypatch):
    labels = [ent["label"] for ent in predict(client, text=TEXT)["ents"]]
    by_label = {labels[0]: 1.0}
    monkeypatch.setattr(nlp.get_pipe("ner_lstm"), "threshold", by_label)
    assert [ent["label"] for ent in predict(client, text=TEXT)["ents"]] == labels[1:]
    version = create_app(nlp).test_client().get("/version").get_json()
    assert version["threshold"] == by_label
    # A request's number is for all labels.
    assert len(predict(client, text=TEXT, threshold=0)["ents"]) == 2
    refused(post(client, {"text": TEXT, "threshold": by_label}), 400)


@pytest.mark.parametrize(
    "text", ["a\0b", "🙂 Oslo 👩‍👩‍👧", " \n\t ", "e\u0301 \u200b \ufeff", "x" * 999, "\U0010ffff"]
)
def test_any_text_is_text(client, text):
    assert "".join(predict(client, text=text)["tokens"]).replace(" ", "") == text.replace(" ", "")
    assert predict(client, sentence=[text, "Oslo"])["tokens"] == [text, "Oslo"]


def test_other_components_and_another_name(model):
    nlp = spacy.load(model)
    nlp.rename_pipe("ner_lstm", "names")
    ruler = nlp.add_pipe("entity_ruler", before="names")
    ruler.add_patterns([{"label": "weather", "pattern": "rain"}])
    answer = predict(create_app(nlp).test_client(), text="Anna Berg hates rain.")
    has_score = [(e["label"], e["score"] is not None) for e in answer["ents"]]
    assert has_score == [("per", True), ("weather", False)]
    assert answer["tags"] == ["B-per", "I-per", "O", "B-weather", "O"]


MALFORMED = {
    "body": (
        *("{}", "[]", "null", "", "{", '{"text": "a"} {}', "\ufeff{}", b"\x80"),
        *('{"text": "a", "sentence": ["a"]}', '{"texts": ["a"], "text": "a"}'),
        *('{"text": "\\ud800"}', '{"sentence": ["ok", "\\udc00"]}', b'{"text": "\xff"}'),
        '{"texts": ["ok"], "\\udc00": 1}',
        *("[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000),
        '{"text": "\\ud800", "a": ' + "[" * 1_000 + "]" * 1_000 + "}",
        '{"text": "a", "threshold": ' + "1" * 500_000 + "}",
    ),
    "text": [f'{{"text": {one}}}' for one in ("null", "1", '["a"]', "[" * 150 + "]" * 150)],
    "sentence": ['{"sentence": "a b"}'],
    "sentence[0]": ['{"sentence": [["a"]]}'],
    "sentence[1]": ['{"sentence": ["a", 1]}', '{"sentence": ["a", ""]}'],
    "sentences[0]": ['{"sentences": ["a"]}'],
    "sentences[1][1]": ['{"sentences": [["a"], ["a", []]]}'],
    "texts[1]": ['{"texts": ["a", null]}'],
    "treshold": ['{"text": "a", "treshold": 1}'],
    "threshold": [
        f'{{"text": "a", "threshold": {one}}}'
        for one in ("NaN", "1e999", "-0.1", "1.1", "true", '"0.5"', "1e" + "9" * 500_000)
    ],
    "probabilities": [f'{{"text": "a", "probabilities": {one}}}' for one in ('"yes"', "null")],
}


@pytest.mark.parametrize(
    ("body", "field"), [(body, field) for field, bodies in MALFORMED.items() for body in bodies]
)
def test_malformed_body(client, body, field):
    problem = refused(post(client, body), 400)
    assert problem["errors"][0]["field"] == field
    assert field in problem["detail"]


def test_a_problem_has_at_most_ten_errors(client):
    body = {"text": "a"} | {f"{'x' * 1000}{n}": n for n in range(100)}
    problem = refused(post(client, body), 400)
    assert len(problem["errors"]) == 10
    assert len(json.dumps(problem)) < 10_000
    # A body that ends early has one.
    refused(post(client, b"{}", environ_overrides={"CONTENT_LENGTH": "3"}), 400)


@pytest.fixture(scope="module")
def limited(nlp) -> FlaskClient:
    limits = Limits(body_bytes=300, texts=3, tokens=20, word_characters=50, scanned_characters=999)
    return create_app(nlp, limits=limits).test_client()


@pytest.mark.parametrize(
    ("body", "field", "limit"),
    [
        ({"text": "a" * 400}, "body", "300 bytes"),
        ({"texts": ["a"] * 4}, "texts", "3 texts"),
        ({"sentences": [["a"]] * 4}, "sentences", "3 sentences"),
        ({"text": "a " * 21}, "text", "20 tokens"),
        ({"texts": ["a " * 11, "b " * 10]}, "texts", "20 tokens"),
        ({"sentence": ["a"] * 21}, "sentence", "20 tokens"),
        ({"sentences": [["a"] * 11, ["b"] * 10]}, "sentences", "20 tokens"),
        ({"text": "Oslo " + "(" * 51}, "text", "50 characters without white space"),
        ({"text": "(" * 30}, "text", "999 characters to be scanned"),
        ({"texts": ["a", "x" * 51]}, "texts", "50 characters without white space"),
    ],
)
def test_beyond_a_limit(limited, body, field, limit):
    problem = refused(post(limited, body), 413)
    assert problem["errors"][0]["field"] == field
    assert f"at most {limit}" in problem["detail"]


def test_limits_are_inclusive_and_positive(limited, nlp, monkeypatch):
    assert predict(limited, sentence=["a" * 51] * 3 + ["a"] * 17)["tokens"]
    assert predict(limited, texts=["a " * 10, "x" * 50 + " a" * 5, ""])
    with pytest.raises(ValueError, match=r"'tokens' must be at least 1\. Received: 0"):
        Limits(tokens=0)
    monkeypatch.setattr(nlp, "max_length", 10)
    assert "at most 10 characters" in refused(post(limited, {"text": "a" * 11}), 413)["detail"]


@pytest.mark.parametrize(
    "word",
    [
        *("(" * 999, "🙂" * 999, "\"'" * 499, "$" * 999, "👩‍👩‍👧" * 100, "http://" + "a:" * 496),
        *("www.a-b." * 124, "(" * 500 + "." * 498 + "a", "." * 999, "(.\"-'$,;" * 124, "_" * 999),
        *("a" * 999, "1km" * 333, "中" * 999, "ab-" * 333, "e\u0301" * 499, "`*~|" * 249),
    ],
)
def test_slow_tokenization_is_refused_before_it_begins(client, nlp, monkeypatch, word):
    monkeypatch.setattr(nlp, "make_doc", None)
    n = 1_000_000 // len(json.dumps(word, ensure_ascii=False).encode())
    for body in ({"text": " ".join([word] * n)}, {"texts": [word] * min(n, 1_000)}):
        refused(post(client, json.dumps(body, ensure_ascii=False).encode()), 413)


def test_ordinary_text_is_not_refused(client):
    url = "https://www.example.com/a/long-path?utm_source=mail&id=" + "0123456789abcdef" * 10
    log = '10.0.0.1 - - [26/Nov/2026:10:00:00 +0000] "GET /a.html HTTP/1.1" 200 512 "-" "curl/8.0"'
    code = "for (int i = 0; i < n; ++i) { a[i] = b[i] * (c[i] - d[i]); } // f(x) = g(h(x))"
    for line in (url, log, code):
        assert predict(client, text="\n".join([line] * 100))["tokens"]


def test_internal_error(client, nlp, monkeypatch, caplog):
    def fail(docs, **kwargs):
        raise RuntimeError(docs[0].text)

    monkeypatch.setattr(nlp.get_pipe("ner_lstm"), "analyse", fail)
    with caplog.at_level("INFO", "ner_lstm_component"):
        response = post(client, {"text": "another secret"})
    problem = refused(response, 500)
    assert problem["request_id"] == response.headers["X-Request-ID"]
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert "in fail" in "".join(record.fields["stack"])
    assert "secret" not in response.text + str([vars(r) for r in caplog.records])
    monkeypatch.undo()
    assert predict(client, text=TEXT)["ents"]


def test_other_requests_and_security_headers(client):
    for path, status in {"/predict": 405, "/x": 404, "/page/../app.py": 404, "/docs": 200}.items():
        response = client.get(path)
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.status_code == status
        if status != 200:
            refused(response, status)
    assert "POST" in client.get("/predict").headers["Allow"]


def test_request_id(client):
    given = client.get("/x", headers={"X-Request-ID": "trace-1.2_b"})
    assert given.headers["X-Request-ID"] == refused(given, 404)["request_id"] == "trace-1.2_b"
    headers = [{"X-Request-ID": bad} for bad in ("a b", "x" * 65, "{}", "ä")]
    ids = {client.get("/healthz", headers=one).headers["X-Request-ID"] for one in [{}, *headers]}
    assert [len(one) for one in ids] == [32] * 5


def test_log_of_a_request_is_without_its_text(client, caplog):
    with caplog.at_level("INFO", "ner_lstm_component"):
        predict(client, text=TEXT)
        post(client, '{"Berg": "Oslo"}')
        client.get("/Oslo?q=Berg")
    logged = [record.fields for record in caplog.records]
    assert [fields["status"] for fields in logged] == [200, 400, 404]
    assert (logged[0]["tokens"], logged[0]["entities"]) == (6, 2)
    assert logged[2]["endpoint"] is None
    assert not re.search("Oslo|Berg", str([vars(record) for record in caplog.records]))


def test_health_and_version(nlp, monkeypatch):
    stopping = []
    client = create_app(nlp, is_stopping=lambda: bool(stopping)).test_client()
    assert client.get("/readyz").get_json() == {"status": "ready"}
    stopping.append(True)
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").get_json() == {"status": "ok"}
    assert predict(client, text=TEXT)["ents"]

    answer = client.get("/version").get_json()
    assert (answer["name"], answer["labels"]) == ("en_pipeline", ["geo", "org", "per"])
    assert answer["runtime"]["network"] == "onnx"
    assert answer["runtime"]["spacy"] == spacy.__version__
    glossary = {"org": "Companies, agencies, institutions, etc.", "per": "Named person or family."}
    assert answer["legend"] == glossary
    monkeypatch.setitem(nlp.meta, "legend", {"geo": "Places", "per": "People", "other": "unknown"})
    answer = create_app(nlp).test_client().get("/version").get_json()
    assert answer["legend"] == {"geo": "Places", "org": glossary["org"], "per": "People"}


def test_metrics(model):
    client = create_app(model).test_client()
    predict(client, texts=[TEXT, TEXT])
    refused(post(client, {}), 400)
    client.open("/x", method="BREW")
    lines = client.get("/metrics").text.splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    expected = {
        'requests_total{endpoint="/predict",method="POST",status="200"}': 1,
        'requests_total{endpoint="/predict",method="POST",status="400"}': 1,
        'requests_total{endpoint="other",method="other",status="404"}': 1,
        "texts_total": 2,
        "tokens_total": 12,
        'entities_total{label="per"}': 2,
        "requests_in_progress": 1,
        'request_seconds_count{endpoint="/predict"}': 2,
    }
    assert {name: float(figures[f"ner_lstm_{name}"]) for name in expected} == expected


def test_prefix_behind_a_proxy(nlp):
    values = {"Prefix": "/ner", "Host": "example.com", "Proto": "https"}
    forwarded = {f"X-Forwarded-{name}": value for name, value in values.items()}
    trusting = create_app(nlp, proxies=1).test_client()
    document = trusting.get("/openapi.json", headers=forwarded).get_json()
    assert document["servers"] == [{"url": "/ner"}]
    redirected = trusting.get("", headers=forwarded)
    assert redirected.status_code in (302, 308)
    assert redirected.headers["Location"].endswith("/ner/")
    # Off by default, because anybody can send these headers.
    wary = create_app(nlp).test_client()
    for path in ("/openapi.json", "/", "/docs", "/version"):
        assert wary.get(path, headers=forwarded).data == wary.get(path).data
    assert wary.get("/openapi.json").get_json()["servers"] == [{"url": "/"}]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_have_relative_links_and_no_inline_code(client, path):
    page = client.get(path).text
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(links) == 4
    for link in links:
        assert not re.match("/|[a-z]+:", link)
        assert client.get(f"/{link}").status_code == 200
    assert not re.search(r"<script(?! src=)|<style|style=|onload", page)


A, LOCAL = "https://a.example", "http://[::1]:5000"


@pytest.mark.parametrize(
    ("origins", "allowed", "refused"),
    [
        ([], [], [A]),
        (["*"], [A, LOCAL], []),
        ([A, LOCAL], [A, LOCAL], ["https://aXexample", f"{A}.org", "http://a.example", "null"]),
        (["https://*.example.com"], [], ["https://aexample.com.evil.org", "https://a.example.com"]),
    ],
)
def test_cors(nlp, origins, allowed, refused):
    client = create_app(nlp, cors_origins=origins).test_client()
    for origin in [*allowed, *refused]:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = client.options("/predict", headers=headers)
        for answer in (preflight, post(client, {"text": TEXT}, headers=headers)):
            found = answer.headers.get("Access-Control-Allow-Origin")
            assert found == (origin if origin in allowed else None)
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_memory_stays_flat(client, nlp, monkeypatch):
    monkeypatch.setattr("ner_lstm_component.text.memory._MAX_NEW_WORDS", 200)
    before, strings = predict(client, text=TEXT, probabilities=True), set(nlp.vocab.strings)
    for i in range(100):
        predict(client, text=f"new{i} words{i} of{i} every{i} request{i}")
        predict(client, sentence=[f"token{i}", "was", "new"])
        assert len(nlp.vocab) < len(strings) + 300
    assert set(nlp.vocab.strings) == strings
    assert predict(client, text=TEXT, probabilities=True) == before


def test_threads_get_their_own_answers(app):
    sentences = [[f"thread{n}", f"call{n}", "Oslo"] for n in range(80)]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda words: predict(app.test_client(), sentence=words), sentences)
        assert [answer["tokens"] for answer in answers] == sentences


def test_path_and_defaults(model, monkeypatch, tmp_path):
    assert predict(create_app(str(model)).test_client(), text=TEXT)["ents"]
    monkeypatch.setenv("NER_LSTM_MODEL", str(model))
    assert predict(create_app().test_client(), text=TEXT)["ents"]
    monkeypatch.delenv("NER_LSTM_MODEL")
    monkeypatch.setattr("ner_lstm_component.service.models.is_package", lambda name: False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="NER_LSTM_MODEL is not set"):
        create_app()
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "model-best").symlink_to(model)
    assert predict(create_app().test_client(), text=TEXT)["ents"]


def test_model_that_cannot_be_loaded(model, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / "ner_lstm" / "cfg").write_text("{")
    for path in ("no_such_pipeline", tmp_path, model / "config.cfg", broken):
        with pytest.raises(ModelError, match=rf"{path}' cannot be loaded\. Expected: the folder"):
            create_app(path)


@pytest.mark.parametrize(
    ("pipe", "message"),
    [("ner_lstm", "cannot tag a text"), ("sentencizer", r"'ner_lstm'\. Received: sentencizer")],
)
def test_pipeline_that_cannot_be_served(pipe, message):
    nlp = spacy.blank("en")
    nlp.add_pipe(pipe)
    with pytest.raises(ModelError, match=message):
        create_app(nlp)
