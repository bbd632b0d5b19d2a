"""Random and hostile bodies do not break the service."""

from __future__ import annotations

import json
import random
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from typing import Any

import spacy

from ner_lstm_component.app import Limits, create_app

KEYS = ("sentence", "sentences", "text", "texts", "threshold", "probabilities", "Text", "", "\0")
STRINGS = (
    *("", " ", "\0", "Oslo", "Anna Berg", "<script>{{7*7}}", "🙂👩‍👩‍👧", "\U0010ffff\ufffe\ufdd0"),
    *("\u202e\u200b\ufeff", "\r\n\t\x0b\x1c\x85\u2028"),
    *("(" * 300, "😀" * 300, "http://a" * 40, "a" * 2_000, "x " * 300),
)
NUMBERS = (0, 1, -1, 0.5, 1e308, -0.0, 2**63, 10**30, float("nan"), float("inf"), 1e-320)
CONTENT_TYPES = ("application/json", "application/json; charset=utf-16", "text/plain", "", "a/b;c")


def bodies(seed: int, number: int) -> Iterator[tuple[bytes, str]]:
    """Random bodies with content types: JSON of any form, broken JSON, and other bytes."""
    rng = random.Random(seed)
    for _ in range(number):
        value = _request(rng) if rng.random() < 0.8 else _value(rng, 4)
        text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
        body = text.encode("utf-8", "surrogatepass")
        if rng.random() < 0.3:
            place = rng.randrange(len(body) + 1)
            nested = rng.choice((b"[", b'{"text":', b'{"sentences":[')) * rng.choice((150, 50_000))
            utf_16 = body.decode("utf-8", "replace").encode("utf-16")
            inserted = body[:place] + rng.randbytes(2) + body[place:]
            broken = (rng.randbytes(place), nested, body[:place], body + body, inserted, utf_16)
            body = rng.choice((*broken, BOM_UTF8 + body))
        yield body, CONTENT_TYPES[0] if rng.random() < 0.95 else rng.choice(CONTENT_TYPES)


def _request(rng: random.Random) -> dict[str, Any]:
    """A request, mostly valid."""
    body = {}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        key = rng.choice(KEYS if body else KEYS[:4])
        strings = [_string(rng) for _ in range(rng.randrange(8))]
        valid = {
            "sentence": strings,
            "sentences": [strings] * 3,
            "text": " ".join(strings),
            "texts": strings,
            "threshold": rng.choice((0.1, 0.9, *NUMBERS)),
            "probabilities": rng.random() < 0.5,
        }
        body[key] = valid[key] if key in valid and rng.random() < 0.9 else _value(rng, 3)
    return body


def _value(rng: random.Random, depth: int) -> Any:
    values = [_value(rng, depth - 1) for _ in range(rng.randrange(4))] if depth else []
    named = {rng.choice(KEYS): value for value in values}
    return rng.choice((values, named, _string(rng), rng.choice((*NUMBERS, None, True, False))))


def _string(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.01:
        return rng.choice(("\ud800", "a\udfff\ud800"))
    if kind < 0.9:
        return rng.choice(STRINGS)
    return "".join(chr(rng.randrange(0xD800)) for _ in range(rng.randrange(1, 12)))


def test_each_body_gets_an_answer_or_a_problem_with_its_field(model):
    client = create_app(spacy.load(model), limits=Limits(word_characters=400)).test_client()
    seen = Counter()
    for body, content_type in bodies(0, 1_500):
        response = client.post("/predict", data=body, content_type=content_type)
        status, answer = response.status_code, response.get_json(force=True)
        seen[status] += 1
        if status == 200:
            for one in answer if isinstance(answer, list) else [answer]:
                assert len(one["tokens"]) == len(one["tags"])
        else:
            assert answer["status"] == status
            assert status == 415 or answer["errors"][0]["field"]
    assert set(seen) == {200, 400, 413, 415}
    assert min(seen[200], seen[400]) > seen.total() / 10
    answer = client.post("/predict", json={"text": "Anna Berg lives in Oslo."})
    assert len(answer.get_json()["ents"]) == 2
