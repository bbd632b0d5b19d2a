"""Adam's compiled step against Thinc's own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from keras_networks import dense, keras_of, pickled, shim_of, update, weights_of
from numpy.testing import assert_allclose, assert_array_equal
from thinc.api import SGD, Adam, Model, Optimizer, RAdam

from ner_lstm_component import kernels
from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper
from ner_lstm_component.tensorflow_wrapper.optimizer import adam_step, is_adam

pytestmark = pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler")

SHAPES = {"matrix": (7, 4), "vector": (5,), "scalar": (), "cube": (2, 3, 4)}


class ThincsOwn(Optimizer):
    """Thinc's optimizer as a subclass, for which Thinc computes the step."""

    __slots__: list[str] = []


def alternating(*values: float) -> Iterator[float]:
    while True:
        yield from values


SETTINGS: dict[str, Callable[[], dict[str, Any]]] = {
    "defaults": dict,
    "no averages": lambda: {"use_averages": False},
    "no clipping": lambda: {"grad_clip": 0.0},
    "clipping": lambda: {"grad_clip": 0.1},
    "weight decay": lambda: {"L2": 0.1},
    "L2": lambda: {"L2": 0.1, "L2_is_weight_decay": False},
    "L2, no clipping": lambda: {"L2": 0.1, "L2_is_weight_decay": False, "grad_clip": 0.0},
    "other betas": lambda: {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3},
    "schedules": lambda: {
        "learn_rate": (0.02 / n for n in range(1, 1000)),
        "beta1": alternating(0.9, 0.8),
        "beta2": alternating(0.99, 0.999, 0.9),
        "eps": alternating(1e-8, 1e-2),
        "L2": alternating(0.0, 0.0, 0.1),
        "grad_clip": alternating(1.0, 0.2, 0.0),
    },
}


def check_same_state(found: Any, expected: Any) -> None:
    assert dict(found.nr_update) == dict(expected.nr_update)
    for name in ("mom1", "mom2", "averages"):
        some, others = getattr(found, name), getattr(expected, name)
        assert (some is None) == (others is None)
        for key in some or {}:
            assert some[key].shape == others[key].shape
            assert_allclose(some[key], others[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_steps_equal_those_of_thinc(settings):
    rng = np.random.default_rng(0)
    optimizer, reference = (Optimizer(**{"learn_rate": 0.01, **settings()}) for _ in range(2))
    weights = {n: np.asarray(rng.normal(size=shape), np.float32) for n, shape in SHAPES.items()}
    expected = copy.deepcopy(weights)
    for step in range(20):
        for i, (name, shape) in enumerate(SHAPES.items()):
            if (i + step) % 3 == 0 and name != "vector":
                continue  # a gradient that is missing in some steps
            gradient = np.asarray(rng.normal(size=shape), np.float32)
            adam_step(optimizer, (7, name), weights[name], gradient)
            flat = np.atleast_1d(expected[name].copy())
            updated, _ = reference((7, name), flat, np.atleast_1d(gradient.copy()))
            expected[name] = updated.reshape(shape)
            assert_allclose(weights[name], expected[name], rtol=1e-5, atol=1e-5)
        check_same_state(optimizer, reference)
        optimizer.step_schedules()
        reference.step_schedules()


@pytest.mark.parametrize(
    "make",
    [
        lambda: RAdam(0.01),
        lambda: SGD(0.01),
        lambda: ThincsOwn(0.01),
        lambda: Adam(0.01, beta1=0.0, beta2=0.0),
        lambda: lambda key, weights, gradient: (weights, gradient),
    ],
    ids=["RAdam", "SGD", "subclass", "no momentum", "function"],
)
def test_other_optimizers_are_not_adam(make):
    assert is_adam(Adam(0.01))
    assert not is_adam(make())


class Twins:
    """A wrapper that takes the compiled step, and an equal one that takes Thinc's."""

    def __init__(self) -> None:
        self.compiled, self.plain = (TensorFlowWrapper(dense()) for _ in range(2))
        keras_of(self.plain).set_weights(keras_of(self.compiled).get_weights())

    def update(self, optimizer: Any, reference: Any, n: int = 1) -> None:
        for _ in range(n):
            update(self.compiled, optimizer)
            update(self.plain, reference)

    def check(self) -> None:
        for one, other in zip(weights_of(self.compiled), weights_of(self.plain), strict=True):
            assert_allclose(one, other, rtol=1e-5, atol=1e-5)

    def check_averages(self, optimizer: Any, reference: Any) -> None:
        own = weights_of(self.compiled)
        with (
            self.compiled.use_params(optimizer.averages),
            self.plain.use_params(reference.averages),
        ):
            self.check()
            assert (weights_of(self.compiled)[0] != own[0]).any()
        self.check()


@pytest.fixture
def steps(monkeypatch) -> list[Any]:
    """The optimizers of all compiled steps."""
    taken: list[Any] = []

    def recorded(optimizer: Any, *args: Any) -> None:
        taken.append(optimizer)
        adam_step(optimizer, *args)

    monkeypatch.setattr("ner_lstm_component.tensorflow_wrapper.shim.adam_step", recorded)
    return taken


def test_between_the_compiled_step_and_thincs(steps):
    """A schedule on which Adam is plain SGD for some steps, then RAdam."""

    def betas(value: float) -> list[float]:
        return [value] * 3 + [0.0] * 2 + [value] * 3

    settings = {"grad_clip": 0.5, "L2": 0.01}
    optimizer, reference = (
        make(0.01, beta1=betas(0.9), beta2=betas(0.99), **settings) for make in (Adam, ThincsOwn)
    )
    twins = Twins()
    for step in range(8):
        optimizer.use_radam = reference.use_radam = step == 6
        twins.update(optimizer, reference)
        twins.check()
        twins.check_averages(optimizer, reference)
        optimizer.step_schedules()
        reference.step_schedules()
    assert steps == [optimizer] * 2 * 5  # kernel and bias


def test_optimizers_that_take_turns():
    """As after nlp.resume_training(): each keeps its own moments."""
    twins = Twins()
    optimizers = [Adam(0.01), Adam(0.02)]
    references = [ThincsOwn(0.01), ThincsOwn(0.02)]
    for i in (0, 0, 1, 1, 0, 1):
        twins.update(optimizers[i], references[i])
        twins.check()
    for pair in zip(optimizers, references, strict=True):
        twins.check_averages(*pair)


@pytest.mark.parametrize("clone", [Model.copy, pickled])
def test_going_on_with_copies(clone):
    """A copied network has keys of its own; a pickled one keeps those of its original."""
    twins, optimizer, reference = Twins(), Adam(0.01), ThincsOwn(0.01)
    twins.update(optimizer, reference, n=3)
    twins.compiled, twins.plain = clone(twins.compiled), clone(twins.plain)
    before, others = copy.deepcopy(optimizer), (pickled(optimizer), pickled(reference))
    twins.update(*others, n=3)
    twins.check()
    twins.check_averages(*others)
    check_same_state(optimizer, before)


def test_an_optimizer_of_another_network_is_refused():
    wrapper, optimizer = TensorFlowWrapper(dense()), Adam(0.01)
    optimizer.mom2[shim_of(wrapper).id, keras_of(wrapper).weights[0].path] = np.zeros(3, "f")
    before = weights_of(wrapper)
    with pytest.raises(ValueError, match=r"shape \(3,\).*another network"):
        update(wrapper, optimizer)
    assert_array_equal(weights_of(wrapper)[0], before[0])
