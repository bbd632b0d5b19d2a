"""What is remembered of routing changes nothing of what is answered."""

from __future__ import annotations

import pytest
from flask import request

from ner_lstm_component.service.routing import KINDS, RoutedFlask


@pytest.fixture
def app() -> RoutedFlask:
    app = RoutedFlask(__name__, static_folder=None)

    @app.get("/of/<name>")
    def of(name: str) -> list[str]:
        return [name, request.host, request.args.get("a", "")]

    @app.post("/of/<name>")
    def change(name: str) -> list[str]:
        return ["changed", name]

    @app.get("/folder/")
    def folder() -> str:
        return ""

    return app


def test_like_requests_are_looked_up_once(app):
    client = app.test_client()
    for _ in range(2):
        assert client.get("/of/one?a=b").json == ["one", "localhost", "b"]
        assert client.get("/of/one?a=c").json == ["one", "localhost", "c"]
        assert client.get("/of/two", base_url="http://here").json == ["two", "here", ""]
        assert client.post("/of/one").json == ["changed", "one"]
        assert client.get("/nowhere").status_code == 404
        refused = client.delete("/of/one")
        assert refused.status_code == 405
        assert sorted(refused.allow) == ["GET", "HEAD", "OPTIONS", "POST"]
        for base_url in ("http://here", "https://there"):
            redirect = client.get("/folder", base_url=base_url)
            assert redirect.location == f"{base_url}/folder/"
        assert client.get("/of/one", headers={"Host": "." * 70}).status_code == 400
    first, second = (app.test_request_context("/of/one") for _ in range(2))
    assert first.url_adapter is second.url_adapter


def test_little_is_remembered(app):
    client = app.test_client()
    for n in range(2 * KINDS):
        assert client.get(f"/of/{n}").json[0] == str(n)
    assert 0 < len(app._adapters) <= KINDS
