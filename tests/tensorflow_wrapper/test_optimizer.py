"""The fused step of Thinc's Adam, against Thinc's own step."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal
from thinc.api import SGD, Adam, Linear, Model, NumpyOps, Optimizer, RAdam, chain, get_current_ops

from ner_lstm_component import kernels
from ner_lstm_component.tensorflow_wrapper import TensorFlowShim, TensorFlowWrapper
from ner_lstm_component.tensorflow_wrapper import optimizer as fused_optimizer
from ner_lstm_component.tensorflow_wrapper.optimizer import (
    FusedAdam,
    Gradient,
    is_expressible,
    own_arrays,
)

SHAPES = {"embedding": (20, 3), "matrix": (7, 4), "vector": (5,), "scalar": (), "cube": (2, 3, 4)}
SHIM_ID = 7
STEPS = 20


class ThincsOwn(Optimizer):
    """Thinc's optimizer, in a class of its own: it takes Thinc's path."""

    __slots__: list[str] = []


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def alternating(*values: float) -> Iterator[float]:
    while True:
        yield from values


needs_compiled = pytest.mark.skipif(not kernels.IS_COMPILED, reason="built without a compiler")
# On a CPU arrays are updated; elsewhere, and without a compiler, variables by a graph.
in_both_ways = pytest.mark.parametrize(
    "way", [pytest.param("arrays", marks=needs_compiled), "graph"], indirect=True
)
by_graph = pytest.mark.parametrize("way", ["graph"], indirect=True)


@pytest.fixture(autouse=True)
def way(request, monkeypatch):
    """What a step is computed by, by default what a CPU has."""
    chosen = getattr(request, "param", "arrays")
    if chosen == "graph":
        monkeypatch.setattr(fused_optimizer, "_are_on_cpu", lambda *args: False)
    return chosen


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
    "a schedule that ends": lambda: {"learn_rate": [0.02, 0.01, 0.005]},
}


class Steps:
    """One set of weights updated by the fused step, and an equal one by Thinc."""

    def __init__(self, settings: Callable[[], dict[str, Any]] = dict) -> None:
        self.rng = np.random.default_rng(0)
        self.weights = {name: self.draw(shape) for name, shape in SHAPES.items()}
        self.variables = {name: tf.Variable(array) for name, array in self.weights.items()}
        self.fused = FusedAdam(SHIM_ID)
        self.optimizer = Optimizer(**{"learn_rate": 0.01, **settings()})
        self.reference = Optimizer(**{"learn_rate": 0.01, **settings()})

    def draw(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.asarray(self.rng.normal(size=shape), np.float32)

    def gradients(self) -> dict[str, np.ndarray]:
        drawn = {name: self.draw(shape) for name, shape in SHAPES.items()}
        # Some rows of an embedding are not in a batch.
        drawn["embedding"][self.rng.random(20) < 0.7] = 0
        return drawn

    def step(self, names: Any = SHAPES, scale: float = 1.0) -> None:
        gradients = {name: array for name, array in self.gradients().items() if name in names}
        self.fused(
            self.optimizer,
            {name: self.variables[name] for name in gradients},
            {name: Gradient(tf.constant(g), scale) for name, g in gradients.items()},
            NumpyOps(),
        )
        self.thinc(self.reference, self.weights, gradients, scale)
        self.optimizer.step_schedules()
        self.reference.step_schedules()

    def thinc(self, optimizer: Any, weights: dict, gradients: dict, scale: float = 1.0) -> None:
        for name, gradient in gradients.items():
            flat = np.atleast_1d(weights[name].copy())
            updated, _ = optimizer((SHIM_ID, name), flat, np.atleast_1d(gradient * scale))
            weights[name] = updated.reshape(SHAPES[name])

    def check(self) -> None:
        for name, variable in self.variables.items():
            assert_allclose(variable.numpy(), self.weights[name], rtol=1e-5, atol=1e-5)
        check_same_state(self.optimizer, self.reference)


def check_same_state(found: Any, expected: Any) -> None:
    """What Thinc's optimizers remember, with the shapes that they have it in."""
    assert dict(found.nr_update) == dict(expected.nr_update)
    for name in ("mom1", "mom2", "averages"):
        some, others = getattr(found, name), getattr(expected, name)
        assert (some is None) == (others is None)
        if some is not None:
            assert set(some) == set(others)
            for key in some:
                assert some[key].shape == others[key].shape
                assert_allclose(some[key], others[key], rtol=1e-4, atol=1e-5)


@in_both_ways
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_steps_are_those_of_thinc(settings):
    steps = Steps(settings)
    start = copy.deepcopy(steps.weights)
    for i in range(STEPS):
        steps.step(scale=0.25 if i % 2 else 1.0)
        steps.check()
    for name, before in start.items():
        assert np.abs(steps.weights[name] - before).max() > 1e-3


@in_both_ways
def test_a_gradient_that_is_missing_in_some_steps():
    steps = Steps()
    for i in range(STEPS):
        steps.step([name for j, name in enumerate(SHAPES) if (i + j) % 3 or name == "vector"])
        steps.check()
    counts = {name: steps.optimizer.nr_update[SHIM_ID, name] for name in SHAPES}
    assert counts["vector"] == STEPS
    assert counts["matrix"] < STEPS


@by_graph
def test_numbers_are_not_traced():
    steps = Steps(SETTINGS["schedules"])
    for _ in range(6):  # With L2, without, with and without clipping.
        steps.step()
    traces = steps.fused.traces
    assert traces <= 4
    for i in range(STEPS):
        steps.step(scale=1 / (i + 1))
    assert steps.fused.traces == traces


@by_graph
def test_what_an_optimizer_gave_does_not_change():
    steps = Steps()
    steps.step()
    o = steps.optimizer
    held = [dict(arrays) for arrays in (o.mom1, o.mom2, o.averages)]
    before = copy.deepcopy(held)
    for _ in range(3):
        steps.step()
    for some, others in zip(held, before, strict=True):
        for key in some:
            assert_array_equal(some[key], others[key])
    steps.check()


@in_both_ways
def test_moments_are_updated_in_place():
    """Giving an optimizer its arrays costs no copy, as long as nobody else holds them."""
    steps = Steps()
    steps.step()

    def address(arrays: dict) -> int:
        return arrays[SHIM_ID, "matrix"].__array_interface__["data"][0]

    before = address(steps.optimizer.mom1), address(steps.optimizer.mom2)
    steps.step()
    assert (address(steps.optimizer.mom1), address(steps.optimizer.mom2)) == before
    steps.check()


@in_both_ways
@pytest.mark.parametrize("name", ["mom1", "mom2", "averages"])
@pytest.mark.parametrize("change", ["replace", "remove", "clear"])
def test_what_another_puts_into_the_optimizer_is_used(name, change):
    steps = Steps()
    for _ in range(3):
        steps.step()
    for optimizer in (steps.optimizer, steps.reference):
        arrays = getattr(optimizer, name)
        if change == "clear":
            arrays.clear()
        elif change == "remove":
            del arrays[SHIM_ID, "matrix"]
        else:
            size = (28,) if name != "averages" else (7, 4)
            arrays[SHIM_ID, "matrix"] = np.full(size, 0.5, np.float32)
    for _ in range(3):
        steps.step()
        steps.check()


@in_both_ways
def test_another_network_of_the_same_names():
    steps = Steps()
    steps.step()
    steps.variables = {name: tf.Variable(array) for name, array in steps.weights.items()}
    for _ in range(3):
        steps.step()
        steps.check()


@in_both_ways
@pytest.mark.parametrize("clone", [copy.deepcopy, pickled])
def test_going_on_with_a_copy_of_the_optimizer(clone):
    steps = Steps()
    for _ in range(3):
        steps.step()
    original = steps.optimizer
    steps.optimizer = clone(original)
    before = copy.deepcopy(original)
    for _ in range(3):
        steps.step()
        steps.check()
    check_same_state(original, before)


@in_both_ways
def test_own_arrays_can_be_written():
    steps = Steps()
    for _ in range(3):
        steps.step()
    keys = [(SHIM_ID, name) for name in SHAPES]
    weights = {name: v.numpy() for name, v in steps.variables.items()}
    own_arrays(steps.optimizer, keys)
    gradients = steps.gradients()
    steps.thinc(steps.optimizer, weights, gradients)
    steps.thinc(steps.reference, steps.weights, gradients)
    for name, variable in steps.variables.items():
        variable.assign(weights[name])
    steps.check()
    steps.step()
    steps.check()


@in_both_ways
def test_a_step_that_fails_loses_nothing():
    steps = Steps()
    steps.step()
    good = steps.optimizer.mom2[SHIM_ID, "vector"]
    before = {name: v.numpy() for name, v in steps.variables.items()}
    steps.optimizer.mom2[SHIM_ID, "vector"] = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="shape"):
        steps.step()
    steps.optimizer.mom2[SHIM_ID, "vector"] = good
    for name in SHAPES:
        steps.optimizer.nr_update[SHIM_ID, name] -= 1
        assert_array_equal(steps.variables[name].numpy(), before[name])
    steps.check()
    steps.step()
    steps.check()


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
def test_what_is_not_expressible(make):
    variable = tf.Variable([1.0])
    assert is_expressible(Adam(0.01), [variable])
    assert not is_expressible(make(), [variable])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precision_is_not_expressible(dtype):
    variables = [tf.Variable([1.0]), tf.Variable([1.0], dtype=dtype)]
    assert not is_expressible(Adam(0.01), variables)


def test_an_empty_variable_is_not_expressible():
    assert not is_expressible(Adam(0.01), [tf.Variable(tf.zeros((0, 3)))])


# ---------------------------------------------------------------- in the wrapper


X = np.random.default_rng(1).integers(0, 12, (4, 5)).astype("int32")
DY = np.random.default_rng(2).normal(size=(4, 5, 2)).astype("float32")


def make_network() -> keras.Model:
    """An embedding, whose gradient is sparse, and layers after it."""
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.Dense(4, activation="tanh")(layers.Embedding(12, 3)(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.LayerNormalization()(hidden)))


def fused_of(wrapper: Model) -> FusedAdam:
    shim = wrapper.shims[0]
    assert isinstance(shim, TensorFlowShim)
    return shim._fused


def keras_of(wrapper: Model) -> keras.Model:
    return wrapper.shims[0].keras_model


class Twins:
    """A wrapper that takes the fused step, and an equal one that takes Thinc's."""

    def __init__(self) -> None:
        self.fused = TensorFlowWrapper(make_network())
        self.plain = TensorFlowWrapper(make_network())
        keras_of(self.plain).set_weights(keras_of(self.fused).get_weights())

    def update(self, optimizer: Any, reference: Any, n: int = 1, times: int = 1) -> None:
        for _ in range(n):
            for wrapper, one in ((self.fused, optimizer), (self.plain, reference)):
                for _ in range(times):
                    _, backprop = wrapper.begin_update(X)
                    backprop(DY)
                wrapper.finish_update(one)

    def check(self) -> None:
        found, expected = (keras_of(w).get_weights() for w in (self.fused, self.plain))
        for one, other in zip(found, expected, strict=True):
            assert_allclose(one, other, rtol=1e-5, atol=1e-5)

    def check_averages(self, optimizer: Any, reference: Any) -> None:
        own = keras_of(self.fused).get_weights()
        with self.fused.use_params(optimizer.averages), self.plain.use_params(reference.averages):
            self.check()
            averages = keras_of(self.fused).get_weights()
        assert all((one != other).any() for one, other in zip(own, averages, strict=True))
        self.check()


@pytest.fixture
def fused_steps(monkeypatch):
    """By what the fused steps were made."""
    taken: list[FusedAdam] = []
    make_step = FusedAdam.__call__

    def recorded(self: FusedAdam, *args: Any) -> None:
        taken.append(self)
        make_step(self, *args)

    monkeypatch.setattr(FusedAdam, "__call__", recorded)
    return taken


@in_both_ways
def test_the_wrapper_takes_the_fused_step(fused_steps):
    twins, optimizer, reference = Twins(), Adam(0.01), ThincsOwn(0.01)
    for _ in range(STEPS):
        twins.update(optimizer, reference)
    twins.check()
    twins.check_averages(optimizer, reference)
    assert fused_steps == [fused_of(twins.fused)] * STEPS


def test_gradients_that_accumulate():
    twins, optimizer, reference = Twins(), Adam(0.01, grad_clip=0.0), ThincsOwn(0.01, grad_clip=0)
    twins.update(optimizer, reference, n=3, times=3)
    twins.check()


@in_both_ways
def test_from_one_path_to_the_other_and_back(fused_steps):
    """A schedule on which Adam is plain SGD for some steps, which is Thinc's to compute."""

    def betas(value: float) -> list[float]:
        return [value] * 3 + [0.0] * 2 + [value] * 3

    settings = {"grad_clip": 0.5, "L2": 0.01}
    optimizer = Adam(0.01, beta1=betas(0.9), beta2=betas(0.99), **settings)
    reference = ThincsOwn(0.01, beta1=betas(0.9), beta2=betas(0.99), **settings)
    twins = Twins()
    for _ in range(8):
        twins.update(optimizer, reference)
        twins.check()
        twins.check_averages(optimizer, reference)
        optimizer.step_schedules()
        reference.step_schedules()
    assert fused_steps == [fused_of(twins.fused)] * 6


@in_both_ways
def test_going_over_to_a_path_that_writes_to_the_moments(way):
    """To RAdam, which writes to the arrays that the fused step has left."""
    twins, optimizer, reference = Twins(), Adam(0.01), ThincsOwn(0.01)
    for use_radam in (False, True, False):
        optimizer.use_radam = reference.use_radam = use_radam
        held = dict(optimizer.mom1), dict(optimizer.averages)
        before = copy.deepcopy(held)
        twins.update(optimizer, reference)
        if use_radam and way == "graph":
            for some, others in zip(held, before, strict=True):
                for key in some:
                    assert_array_equal(some[key], others[key])
        twins.update(optimizer, reference, n=2)
        twins.check()
        twins.check_averages(optimizer, reference)


def test_another_optimizer():
    """As after nlp.resume_training(); the first keeps what it had, also when it is back."""
    twins = Twins()
    optimizers = [Adam(0.01), Adam(0.02)]
    references = [ThincsOwn(0.01), ThincsOwn(0.02)]
    for i in (0, 0, 1, 1, 0, 1):
        twins.update(optimizers[i], references[i])
        twins.check()
    for pair in zip(optimizers, references, strict=True):
        twins.check_averages(*pair)


def test_one_optimizer_for_several_networks_and_other_layers():
    def make() -> tuple[list[Model], Model]:
        numbers = keras.Sequential([keras.Input((3,)), layers.Dense(3, activation="tanh")])
        parts = [Linear(3, 3), TensorFlowWrapper(numbers), TensorFlowWrapper(make_numbers())]
        return parts, chain(*parts).initialize()

    def make_numbers() -> keras.Model:
        return keras.Sequential([keras.Input((3,)), layers.Dense(2)])

    (some, fused), (others, plain) = make(), make()
    others[0].set_param("W", some[0].get_param("W").copy())
    for one, other in zip(some[1:], others[1:], strict=True):
        keras_of(other).set_weights(keras_of(one).get_weights())
    x = np.random.default_rng(3).normal(size=(6, 3)).astype("float32")
    for model, optimizer in ((fused, Adam(0.01, L2=0.1)), (plain, ThincsOwn(0.01, L2=0.1))):
        for _ in range(5):
            Y, backprop = model.begin_update(x)
            backprop(Y - 1)
            model.finish_update(optimizer)
        with model.use_params(optimizer.averages):
            model.predict(x)
    assert_allclose(fused.predict(x), plain.predict(x), rtol=1e-4, atol=1e-5)
    assert_allclose(some[0].get_param("W"), others[0].get_param("W"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", ["from_bytes", "assign", "use_params"])
def test_weights_replaced_between_steps(way):
    twins, optimizer, reference = Twins(), Adam(0.01), ThincsOwn(0.01)
    twins.update(optimizer, reference, n=3)
    for wrapper, one in ((twins.fused, optimizer), (twins.plain, reference)):
        if way == "from_bytes":
            wrapper.from_bytes(wrapper.to_bytes())
        elif way == "assign":
            for variable in keras_of(wrapper).weights:
                variable.assign(variable.numpy() / 2)
        else:
            with wrapper.use_params(one.averages):
                wrapper.predict(X)
    twins.update(optimizer, reference, n=3)
    twins.check()
    twins.check_averages(optimizer, reference)


@pytest.mark.parametrize("clone", [Model.copy, pickled])
def test_going_on_with_a_copy_of_the_network(clone):
    """A copy has keys of its own; what was pickled those of its original."""
    twins, optimizer, reference = Twins(), Adam(0.01), ThincsOwn(0.01)
    twins.update(optimizer, reference, n=3)
    twins.fused, twins.plain = clone(twins.fused), clone(twins.plain)
    twins.update(optimizer, reference, n=3)
    twins.check()
    twins.check_averages(optimizer, reference)


def test_averages_while_they_are_in_use():
    """Training goes on after use_params() with the weights and moments of before."""
    twins, optimizer, reference = Twins(), Adam(0.05), ThincsOwn(0.05)
    for _ in range(4):
        twins.update(optimizer, reference, n=2)
        held = dict(optimizer.averages)
        before = copy.deepcopy(held)
        with twins.fused.use_params(optimizer.averages):
            twins.fused.predict(X)
        for key in held:
            assert_array_equal(held[key], before[key])
        twins.update(optimizer, reference)
    twins.check()


def test_arrays_are_those_of_the_ops():
    twins, optimizer, reference = Twins(), Adam(0.01), ThincsOwn(0.01)
    twins.update(optimizer, reference)
    for arrays in (optimizer.mom1, optimizer.mom2, optimizer.averages):
        for array in arrays.values():
            assert isinstance(array, get_current_ops().xp.ndarray)
            assert array.dtype == np.float32
