"""Fixtures that several tests share: some sentences, and a small pipeline trained on them."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from samples import SMALL_MODEL, SMALL_TOK2VEC_MODEL, TOK2VEC, make_examples, overfit
from spacy.language import Language
from spacy.training import Example
from spacy.vocab import Vocab

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "PYTEST_XDIST_WORKER" in os.environ:  # pytest -n: the workers already occupy the cores
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(variable, "1")


with contextlib.suppress(ImportError):
    import hypothesis

    # pytest --hypothesis-profile many: cases for half an hour.
    hypothesis.settings.register_profile("many", max_examples=10_000)


@pytest.fixture(scope="session")
def real_path() -> Path:
    """The real ``ner_dataset.csv``, or the zip that holds it, where there is one."""
    path = os.environ.get("NER_DATASET")
    if not path:
        pytest.skip("NER_DATASET does not name ner_dataset.csv or the zip that holds it")
    return Path(path)


@pytest.fixture(scope="session")
def real_entities() -> dict[str, int]:
    """How many entities of each type the real file has, as its description counts them."""
    frequent = {"geo": 37_644, "tim": 20_333, "org": 20_143, "per": 16_990, "gpe": 15_870}
    return {**frequent, "art": 402, "eve": 308, "nat": 201}


@pytest.fixture(scope="session")
def vocab() -> Vocab:
    """The vocabulary of English."""
    return spacy.blank("en").vocab


@pytest.fixture
def small_model() -> dict[str, Any]:
    """A network that is quick to build and train, for ``config={"model": …}``."""
    return copy.deepcopy(SMALL_MODEL)


@pytest.fixture(scope="session")
def tok2vec_model() -> dict[str, Any]:
    """A small layer from Docs to vectors, for ``config={"model": …}`` of ``tok2vec``."""
    return copy.deepcopy(TOK2VEC)


@pytest.fixture(scope="session")
def small_tok2vec_model() -> dict[str, Any]:
    """The tagger over `tok2vec_model`, for ``config={"model": …}`` of ``ner_lstm``."""
    return copy.deepcopy(SMALL_TOK2VEC_MODEL)


@pytest.fixture(scope="session")
def train_examples() -> list[Example]:
    """The examples that `trained_nlp` knows, with a vocab of their own."""
    return make_examples(Vocab())


@pytest.fixture(scope="session")
def trained_nlp() -> Language:
    """``tokenizer → ner_lstm``, which knows `SENTENCES` by heart; do not change it."""
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": copy.deepcopy(SMALL_MODEL)})
    return overfit(nlp)


@pytest.fixture
def devices(monkeypatch) -> list[str]:
    """The devices that TensorFlow is told to use, while all runs on the CPU."""
    import tensorflow as tf

    from ner_lstm_component.tensorflow_wrapper import shim

    told: list[str] = []
    real = tf.device

    @contextlib.contextmanager
    def device(name: Any) -> Iterator[None]:
        # Keras has devices of its own in mind too; the wrapper's are full names.
        if name in ("/CPU:0", "/GPU:0", "/GPU:1"):
            told.append(name)
        with real("/CPU:0"):
            yield

    monkeypatch.setattr(tf, "device", device)
    # Not TensorFlow's list of devices: Keras would choose cuDNN.
    monkeypatch.setattr(shim, "check_device", lambda tf, device: None)
    return told


# What a user may have set in Keras, for networks of their own.
KERAS_SETTINGS: dict[str, dict[str, Any]] = {
    "keras.json": {"floatx": "float16", "epsilon": 1e-2, "image_data_format": "channels_first"},
    "policy": {"dtype_policy": "mixed_bfloat16"},
}


@pytest.fixture(params=KERAS_SETTINGS.values(), ids=KERAS_SETTINGS)
def keras_settings(request) -> Iterator[dict[str, Any]]:
    """Keras as a user set it; that nothing of it is changed is checked at the end."""
    import keras

    def settings() -> dict[str, Any]:
        names = ("floatx", "epsilon", "image_data_format")
        found = {name: getattr(keras.config, name)() for name in names}
        return {**found, "dtype_policy": keras.config.dtype_policy().name}

    def set_all(values: dict[str, Any]) -> None:
        for name, value in values.items():
            getattr(keras.config, f"set_{name}")(value)

    before = settings()
    changed = {**before, "dtype_policy": request.param.get("floatx", "float32"), **request.param}
    set_all(changed)
    try:
        yield changed
        assert settings() == changed
    finally:
        set_all(before)
