"""Five thousand random and hostile bodies: none of them breaks the service."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import spacy

from ner_lstm_component.app import Limits, create_app

BODIES = 5_000
GOOD = {"text": "Anna Berg lives in Oslo."}
KEYS = ("sentence", "sentences", "text", "texts", "threshold", "probabilities", "Text", "", "\0")
STRINGS = (
    "",
    " ",
    "\0",
    "Oslo",
    "Anna Berg",
    "\u202e\u200b\ufeff",
    "🙂👩‍👩‍👧",
    "\r\n\t\x0b\x1c\x85\u2028",
    "(" * 300,
    "😀" * 300,
    "http://a" * 40,
    "a" * 2_000,
    "x " * 300,
    "'\"; DROP TABLE users; --",
    "{{7*7}} ${jndi:ldap://x} <script>",
    "\U0010ffff\ufffe\ufdd0",
)
NUMBERS = (0, 1, -1, 0.5, 1e308, -0.0, 2**63, 10**30, float("nan"), float("inf"), 1e-320)
CONTENT_TYPES = ("application/json", "application/json; charset=utf-16", "text/plain", "", "a/b;c")


def bodies(seed: int) -> Iterator[tuple[bytes, str]]:
    """Bodies and their content types: JSON of any form, JSON that is broken, and bytes."""
    rng = random.Random(seed)
    for _ in range(BODIES):
        kind = rng.random()
        if kind < 0.1:
            body = rng.randbytes(rng.randrange(200))
        elif kind < 0.15:
            depth = rng.choice((10, 150, 1_000, 50_000))
            body = rng.choice((b"[", b'{"text":', b'{"sentences":[')) * depth
        else:
            value = _request(rng) if rng.random() < 0.8 else _value(rng, 4)
            body = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode(
                "utf-8", "surrogatepass"
            )
            if rng.random() < 0.2:
                body = _broken(rng, body)
        yield body, CONTENT_TYPES[0] if rng.random() < 0.95 else rng.choice(CONTENT_TYPES)


def _request(rng: random.Random) -> dict[str, Any]:
    body = {}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        key = rng.choice(KEYS if body else KEYS[:4])
        likely: dict[str, Callable[[], Any]] = {
            "sentence": lambda: [_string(rng) for _ in range(rng.randrange(8))],
            "sentences": lambda: [[_string(rng)] * rng.randrange(4) for _ in range(3)],
            "text": lambda: " ".join(_string(rng) for _ in range(rng.randrange(8))),
            "texts": lambda: [_string(rng) for _ in range(rng.randrange(5))],
            "threshold": lambda: rng.choice((0.1, 0.9, *NUMBERS)),
            "probabilities": lambda: rng.random() < 0.5,
        }
        is_likely = key in likely and rng.random() < 0.9
        body[key] = likely[key]() if is_likely else _value(rng, 3)
    return body


def _value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(8 if depth else 5)
    if kind < 2:
        return _string(rng)
    if kind < 5:
        return (rng.choice(NUMBERS), None, rng.random() < 0.5)[kind - 2]
    if kind < 7:
        return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): _value(rng, depth - 1) for _ in range(rng.randrange(4))}


def _string(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.01:
        return rng.choice(("\ud800", "a\udfff\ud800"))
    if kind < 0.9:
        return rng.choice(STRINGS)
    return "".join(chr(rng.randrange(0xD800)) for _ in range(rng.randrange(1, 12)))


def _broken(rng: random.Random, body: bytes) -> bytes:
    place = rng.randrange(len(body) + 1)
    return rng.choice(
        (
            body[:place],
            body + body,
            body[:place] + rng.randbytes(2) + body[place:],
            body.replace(b'"', b"'"),
            b"\xef\xbb\xbf" + body,
            body.decode("utf-8", "replace").encode("utf-16"),
        )
    )


def check(answers: Iterator[tuple[int, Any]]) -> None:
    """That each is an answer or a problem which names a field."""
    seen = Counter()
    for status, answer in answers:
        seen[status] += 1
        if status == 200:
            for one in answer if isinstance(answer, list) else [answer]:
                assert len(one["tokens"]) == len(one["tags"])
        else:
            assert answer["status"] == status
            assert status == 415 or answer["errors"][0]["field"]
    assert set(seen) == {200, 400, 413, 415}
    assert sum(seen.values()) == BODIES
    # The bodies are hostile, but not all alike.
    assert min(seen[200], seen[400]) > BODIES / 10


def test_application_survives(model):
    client = create_app(spacy.load(model), limits=Limits(word_characters=400)).test_client()

    def answers() -> Iterator[tuple[int, Any]]:
        for body, content_type in bodies(seed=0):
            response = client.post("/predict", data=body, content_type=content_type)
            yield response.status_code, response.get_json(force=True)

    check(answers())
    assert len(client.post("/predict", json=GOOD).get_json()["ents"]) == 2


@pytest.mark.slow
def test_server_survives(server):
    workers = server.workers
    with httpx.Client(base_url=server.url, timeout=60) as client:

        def answers() -> Iterator[tuple[int, Any]]:
            for body, content_type in bodies(seed=1):
                headers = {"Content-Type": content_type}
                if len(body) > 60_000:
                    # gunicorn closes the connection on more than that of a body that is refused.
                    headers["Connection"] = "close"
                response = client.post("/predict", content=body, headers=headers)
                yield response.status_code, response.json()

        check(answers())
        assert len(client.post("/predict", json=GOOD).json()["ents"]) == 2
    assert server.workers == workers
