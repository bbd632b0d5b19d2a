"""The memory while tagging words that never repeat."""

from __future__ import annotations

from itertools import islice

from samples import run_app

import soak

TOKENS = ("--tokens", 4_000, "--zone", 1_000, "--warm-up", 1_000)


def test_measures_draws_and_judges(trained_nlp, tmp_path):
    trained_nlp.to_disk(tmp_path / "pipeline")
    picture = tmp_path / "memory.png"
    result = run_app(soak.app, tmp_path / "pipeline", *TOKENS, "--output", picture)
    assert result.stdout.startswith("4,000 tokens, ")
    assert " MiB after 1,000 tokens, " in result.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    result = run_app(
        soak.app, tmp_path / "pipeline", *TOKENS, "--plain", "--limit", 0.5, exit_code=1
    )
    assert "Error: the memory grew by more than 0.5 times" in result.stderr


def test_words_do_not_repeat():
    texts = list(islice(soak.new_texts(0), 500))
    words = [word for text in texts for word in text.split()]
    assert len(set(words)) > 0.999 * len(words)
    assert texts == list(islice(soak.new_texts(0), 500))
    assert texts != list(islice(soak.new_texts(1), 500))
