from __future__ import annotations

import json
import re
import shutil
import threading

import numpy as np
import pytest
import spacy
from flask import Flask
from flask.testing import FlaskClient
from spacy.language import Language
from spacy.tokens import Doc
from werkzeug.test import TestResponse

from ner_lstm_component.app import Limits, ModelError, create_app

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
    return client.post("/predict", data=data, **{"content_type": "application/json", **options})


def predict(client: FlaskClient, **body: object) -> dict:
    response = post(client, body)
    assert response.status_code == 200, response.text
    return response.get_json()


def refused(response: TestResponse, status: int) -> dict:
    """The problem of a refused request."""
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    problem = response.get_json(force=True)
    assert problem["status"] == status
    return problem


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
    (probabilities,) = component.probabilities([doc])
    np.testing.assert_allclose(answer["prediction"], probabilities.tags, atol=1e-5)
    np.testing.assert_allclose(
        [e["score"] for e in answer["ents"]], probabilities.entities, atol=1e-5
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
    rows = predict(client, text=TEXT, probabilities=True)["prediction"]
    np.testing.assert_allclose(np.sum(rows, axis=1), 1, atol=1e-4)
    assert [LABELS[column] for column in np.argmax(rows, axis=1)] == answer["tags"]


def test_characters_of_a_sentence_count_one_space_between_tokens(client):
    words = ["In", "South", "Africa", "."]
    (ent,) = predict(client, sentence=words)["ents"]
    assert " ".join(words)[ent["start"] : ent["end"]] == ent["text"]


@pytest.mark.parametrize("body", [{"text": ""}, {"sentence": []}])
def test_empty_input(client, body):
    answer = predict(client, **body, probabilities=True)
    assert answer == {"tokens": [], "tags": [], "ents": [], "labels": LABELS, "prediction": []}


def test_body_that_ends_early(client):
    refused(post(client, b"{}", environ_overrides={"CONTENT_LENGTH": "3"}), 400)


@pytest.mark.parametrize("field", ["sentences", "texts"])
def test_lists_are_answered_with_lists(client, field):
    one, other = (WORDS, ["Paris"]) if field == "sentences" else (TEXT, "Paris")
    answers = predict(client, **{field: [one, type(one)(), other]})
    assert [len(answer["tokens"]) for answer in answers] == [6, 0, 1]
    assert answers[0] == predict(client, text=TEXT)
    assert predict(client, **{field: []}) == []
    answers = predict(client, **{field: [one, other]}, probabilities=True)
    assert [len(answer["prediction"]) for answer in answers] == [6, 1]
    single = predict(client, text=TEXT, probabilities=True)
    np.testing.assert_allclose(answers[0]["prediction"], single["prediction"], atol=1e-4)


def test_threshold_of_a_request(client, nlp):
    scores = [ent["score"] for ent in predict(client, text=TEXT)["ents"]]
    between = sum(scores) / 2
    (kept,) = predict(client, text=TEXT, threshold=between)["ents"]
    assert kept["score"] == max(scores)
    answer = predict(client, text=TEXT, threshold=1)
    assert answer["ents"] == []
    assert set(answer["tags"]) == {"O"}
    assert len(predict(client, text=TEXT, threshold=0)["ents"]) == 2
    assert len(predict(client, text=TEXT)["ents"]) == 2
    assert nlp.get_pipe("ner_lstm").threshold == 0


def test_threshold_of_the_pipeline_is_the_default(model):
    nlp = spacy.load(model, config={"components.ner_lstm.threshold": 1.0})
    client = create_app(nlp).test_client()
    assert predict(client, text=TEXT)["ents"] == []
    assert predict(client, text=TEXT, threshold=None)["ents"] == []
    assert len(predict(client, text=TEXT, threshold=0.1)["ents"]) == 2


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
    assert [(e["label"], e["score"] is None) for e in answer["ents"]] == [
        ("per", False),
        ("weather", True),
    ]
    assert answer["tags"] == ["B-per", "I-per", "O", "B-weather", "O"]


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
        ('{"texts": ["ok"], "\\udc00": 1}', "body"),
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
        ('{"texts": ["a"], "text": "a"}', "body"),
        ('{"texts": ["a", null]}', "texts[1]"),
        ('{"sentences": ["a"]}', "sentences[0]"),
        ('{"sentences": [["a"], ["a", []]]}', "sentences[1][1]"),
        ('{"text": "a", "threshold": NaN}', "threshold"),
        ('{"text": "a", "threshold": 1e999}', "threshold"),
        ('{"text": "a", "threshold": -0.1}', "threshold"),
        ('{"text": "a", "threshold": 1.1}', "threshold"),
        ('{"text": "a", "threshold": true}', "threshold"),
        ('{"text": "a", "threshold": "0.5"}', "threshold"),
        ('{"text": "a", "probabilities": null}', "probabilities"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "body"),
        ('{"text": "\\ud800", "a": ' + "[" * 1_000 + "]" * 1_000 + "}", "body"),
        ('{"text": "a", "threshold": ' + "1" * 500_000 + "}", "body"),
        ('{"text": "a", "threshold": 1e' + "9" * 500_000 + "}", "threshold"),
        ('{"text": ' + "[" * 150 + "]" * 150 + "}", "text"),
        ('{"text": "a"} {}', "body"),
        (b"\x80", "body"),
        ("\ufeff{}", "body"),
    ],
)
def test_malformed_body(client, body, field):
    problem = refused(post(client, body), 400)
    assert problem["errors"][0]["field"] == field
    assert field in problem["detail"]


def test_wrong_content_type(client):
    problem = refused(post(client, '{"text": "a"}', content_type="text/plain"), 415)
    assert "application/json" in problem["detail"]


def test_a_problem_has_at_most_ten_errors(client):
    body = {"text": "a"} | {f"{'x' * 1000}{n}": n for n in range(100)}
    problem = refused(post(client, body), 400)
    assert len(problem["errors"]) == 10
    assert len(json.dumps(problem)) < 10_000


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
def test_beyond_a_limit(model, body, field, limit):
    limits = Limits(body_bytes=300, texts=3, tokens=20, word_characters=50, scanned_characters=999)
    client = create_app(model, limits=limits).test_client()
    problem = refused(post(client, body), 413)
    assert problem["errors"][0]["field"] == field
    assert f"at most {limit}" in problem["detail"]
    assert predict(client, sentence=["a" * 51] * 3 + ["a"] * 17)["tokens"]
    assert predict(client, texts=["a " * 10, "x" * 50 + " a" * 5, ""])


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
    for text in (" ".join([url] * 100), "\n".join([log] * 150), "\n".join([code] * 100)):
        assert predict(client, text=text)["tokens"]


def test_text_beyond_the_pipelines_limit(client, nlp, monkeypatch):
    monkeypatch.setattr(nlp, "max_length", 10)
    problem = refused(post(client, {"text": "a" * 11}), 413)
    assert "at most 10 characters" in problem["detail"]


def test_limits_are_positive():
    with pytest.raises(ValueError, match=r"'tokens' must be at least 1\. Received: 0"):
        Limits(tokens=0)


def test_internal_error(client, nlp, monkeypatch, caplog):
    def fail(docs, **kwargs):
        raise RuntimeError(docs[0].text)

    monkeypatch.setattr(nlp.get_pipe("ner_lstm"), "analyse", fail)
    with caplog.at_level("INFO", "ner_lstm_component"):
        response = post(client, {"text": "another secret"})
    problem = refused(response, 500)
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert "Traceback" not in response.text
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert "in fail" in "".join(record.fields["stack"])
    assert "secret" not in response.text + str([vars(r) for r in caplog.records])
    monkeypatch.undo()
    assert predict(client, text=TEXT)["ents"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/predict", 405), ("GET", "/x", 404), ("GET", "/page/../app.py", 404)],
)
def test_other_requests(client, method, path, status):
    response = client.open(path, method=method)
    refused(response, status)
    if status == 405:
        assert "POST" in response.headers["Allow"]


# --- around a request ------------------------------------------------------------------


def test_request_id(client):
    ids = [client.get("/healthz").headers["X-Request-ID"] for _ in range(2)]
    assert ids[0] != ids[1]
    given = client.get("/healthz", headers={"X-Request-ID": "trace-1.2_b"})
    assert given.headers["X-Request-ID"] == "trace-1.2_b"
    for bad in ("a b", "x" * 65, "{}", "ä"):
        answer = client.get("/healthz", headers={"X-Request-ID": bad})
        assert len(answer.headers["X-Request-ID"]) == 32
    problem = refused(client.get("/x", headers={"X-Request-ID": "one"}), 404)
    assert problem["request_id"] == "one"


def test_log_of_a_request_is_without_its_text(client, caplog):
    with caplog.at_level("INFO", "ner_lstm_component"):
        predict(client, text=TEXT)
        post(client, '{"Berg": "Oslo"}')
        client.get("/Oslo?q=Berg")
    logged = [record.fields for record in caplog.records]
    assert [fields["status"] for fields in logged] == [200, 400, 404]
    assert logged[0]["tokens"] == 6
    assert logged[0]["entities"] == 2
    assert logged[2]["endpoint"] is None
    everything = str([vars(record) for record in caplog.records])
    assert "Oslo" not in everything
    assert "Berg" not in everything


def test_security_headers(client):
    for response in (client.get("/docs"), client.get("/x"), client.post("/predict")):
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_health_and_version(client):
    assert client.get("/healthz").get_json() == {"status": "ok"}
    assert client.get("/readyz").get_json() == {"status": "ready"}
    answer = client.get("/version").get_json()
    assert answer["name"] == "en_pipeline"
    assert answer["runtime"]["network"] == "onnx"
    assert answer["labels"] == ["geo", "org", "per"]
    assert answer["runtime"]["spacy"] == spacy.__version__


def test_metrics(model):
    client = create_app(model).test_client()
    predict(client, texts=[TEXT, TEXT])
    refused(post(client, {}), 400)
    client.open("/x", method="BREW")
    figures = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in client.get("/metrics").text.splitlines()
        if not line.startswith("#")
    }
    requests = "ner_lstm_requests_total"
    assert figures[f'{requests}{{endpoint="/predict",method="POST",status="200"}}'] == 1
    assert figures[f'{requests}{{endpoint="/predict",method="POST",status="400"}}'] == 1
    assert figures[f'{requests}{{endpoint="other",method="other",status="404"}}'] == 1
    assert figures["ner_lstm_texts_total"] == 2
    assert figures["ner_lstm_tokens_total"] == 12
    assert figures['ner_lstm_entities_total{label="per"}'] == 2
    assert figures["ner_lstm_requests_in_progress"] == 1
    assert figures['ner_lstm_request_seconds_count{endpoint="/predict"}'] == 2


# --- who asks ----------------------------------------------------------------------------


def test_prefix_behind_a_proxy(nlp):
    forwarded = {
        "X-Forwarded-Prefix": "/ner",
        "X-Forwarded-Host": "example.com",
        "X-Forwarded-Proto": "https",
    }
    trusting = create_app(nlp, proxies=1).test_client()
    assert trusting.get("/openapi.json", headers=forwarded).get_json()["servers"] == [
        {"url": "/ner"}
    ]
    redirected = trusting.get("", headers=forwarded)
    assert redirected.status_code in (302, 308)
    assert redirected.headers["Location"].endswith("/ner/")
    # Off by default: what anybody can send changes nothing.
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


@pytest.mark.parametrize(
    ("origins", "allowed", "refused"),
    [
        ([], [], ["https://a.example"]),
        (["*"], ["https://a.example", "http://[::1]:5000"], []),
        (
            ["https://a.example", "http://[::1]:5000"],
            ["https://a.example", "http://[::1]:5000"],
            ["https://aXexample", "https://a.example.evil.org", "http://a.example", "null"],
        ),
        (["https://*.example.com"], [], ["https://aexample.com.evil.org", "https://a.example.com"]),
    ],
)
def test_cors(nlp, origins, allowed, refused):
    client = create_app(nlp, cors_origins=origins).test_client()
    for origin in [*allowed, *refused]:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for answer in (
            post(client, {"text": TEXT}, headers=headers),
            client.options("/predict", headers=headers),
        ):
            found = answer.headers.get("Access-Control-Allow-Origin")
            assert found == (origin if origin in allowed else None)
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_ready_until_the_server_stops(nlp):
    stopping = []
    client = create_app(nlp, is_stopping=lambda: bool(stopping)).test_client()
    assert client.get("/readyz").status_code == 200
    stopping.append(True)
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    assert predict(client, text=TEXT)["ents"]


def test_legend(model):
    nlp = spacy.load(model)
    legend = create_app(nlp).test_client().get("/version").get_json()["legend"]
    assert legend == {
        "org": "Companies, agencies, institutions, etc.",
        "per": "Named person or family.",
    }
    nlp.meta["legend"] = {"geo": "Places", "per": "People", "other": "not a label of it"}
    legend = create_app(nlp).test_client().get("/version").get_json()["legend"]
    assert legend == {
        "geo": "Places",
        "org": "Companies, agencies, institutions, etc.",
        "per": "People",
    }


# --- memory and threads ----------------------------------------------------------------


def test_string_store_stays_flat(client, nlp):
    def sizes(start: int) -> set[int]:
        sizes = set()
        for i in range(start, start + 20):
            predict(client, text=f"word{i} was never seen in Oslo{i}")
            predict(client, sentence=[f"token{i}", "was", "new"])
            sizes.add(len(nlp.vocab.strings))
        return sizes

    assert len(sizes(0) | sizes(100)) == 1


def test_vocab_stays_small(client, nlp, monkeypatch):
    monkeypatch.setattr("ner_lstm_component.service.tagger._MAX_NEW_WORDS", 200)
    before, strings = predict(client, text=TEXT, probabilities=True), set(nlp.vocab.strings)
    for i in range(100):
        predict(client, text=f"new{i} words{i} of{i} every{i} request{i}")
        assert len(nlp.vocab) < len(strings) + 300
    assert predict(client, text=TEXT, probabilities=True) == before
    assert strings <= set(nlp.vocab.strings)


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


def test_path_and_environment_variable(model, monkeypatch):
    assert predict(create_app(str(model)).test_client(), text=TEXT)["ents"]
    monkeypatch.setenv("NER_LSTM_MODEL", str(model))
    assert predict(create_app().test_client(), text=TEXT)["ents"]


def test_trained_folder_is_the_last_default(model, monkeypatch, tmp_path):
    monkeypatch.delenv("NER_LSTM_MODEL", raising=False)
    monkeypatch.setattr("ner_lstm_component.service.models.is_package", lambda name: False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="NER_LSTM_MODEL is not set"):
        create_app()
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "model-best").symlink_to(model)
    assert predict(create_app().test_client(), text=TEXT)["ents"]


def test_model_that_cannot_be_loaded(model, tmp_path):
    with pytest.raises(
        ModelError, match=r"'no_such_pipeline' cannot be loaded\. Expected: the folder"
    ):
        create_app("no_such_pipeline")
    for path in (tmp_path, model / "config.cfg"):
        with pytest.raises(ModelError, match=rf"{path}' cannot be loaded\. Expected: the folder"):
            create_app(path)
    shutil.copytree(model, tmp_path / "broken")
    (tmp_path / "broken" / "ner_lstm" / "cfg").write_text("{")
    with pytest.raises(ModelError, match="cannot be loaded"):
        create_app(tmp_path / "broken")


@pytest.mark.parametrize(
    ("pipe", "message"),
    [("ner_lstm", "cannot tag a text"), ("sentencizer", r"'ner_lstm'\. Received: sentencizer")],
)
def test_pipeline_that_cannot_be_served(pipe, message):
    nlp = spacy.blank("en")
    nlp.add_pipe(pipe)
    with pytest.raises(ModelError, match=message):
        create_app(nlp)
