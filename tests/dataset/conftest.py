from __future__ import annotations

import pytest

from ner_lstm_component.dataset import Source, read_csv


@pytest.fixture
def read(tmp_path):
    """Write a file and read it."""

    def read(content: bytes | str, name: str = "data.csv", **options) -> Source:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return read_csv(tmp_path / name, **options)

    return read
