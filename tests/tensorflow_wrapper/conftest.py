"""Fixtures of the wrapper's tests."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import pytest
from keras_networks import KINDS, dense
from thinc.api import Model

from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper


@pytest.fixture(params=KINDS)
def network(request) -> keras.Model:
    keras.utils.set_random_seed(0)
    return KINDS[request.param]()


@pytest.fixture
def wrapper(network) -> Model:
    return TensorFlowWrapper(network)


@pytest.fixture
def small() -> Model:
    """A wrapper for tests in which the kind of network plays no part."""
    return TensorFlowWrapper(dense())


def through_disk(wrapper: Model, tmp_path) -> Model:
    wrapper.to_disk(tmp_path / "network")
    return TensorFlowWrapper().from_disk(tmp_path / "network")


CLONES: dict[str, Callable[[Model, Any], Model]] = {
    "copy": lambda wrapper, _: wrapper.copy(),
    "deepcopy": lambda wrapper, _: copy.deepcopy(wrapper),
    "pickle": lambda wrapper, _: pickle.loads(pickle.dumps(wrapper)),  # noqa: S301
    "bytes": lambda wrapper, _: TensorFlowWrapper().from_bytes(wrapper.to_bytes()),
    "disk": through_disk,
}


@pytest.fixture(params=CLONES)
def clone(request, tmp_path) -> Callable[[Model], Model]:
    return lambda wrapper: CLONES[request.param](wrapper, tmp_path)


@pytest.fixture(autouse=True)
def _odd_on_purpose() -> Iterator[None]:
    """Keras warns of networks that the tests build oddly on purpose."""
    with warnings.catch_warnings():
        for message in (
            "Layer .* was passed an input with a mask",
            "`build",
            "Model .* had a build",
        ):
            warnings.filterwarnings("ignore", message)
        yield
