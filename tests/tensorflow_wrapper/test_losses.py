"""Networks that end in their loss."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras_networks import (
    TARGETS,
    Regression,
    X,
    assert_all_close,
    keras_of,
    plain_gradients,
    shim_of,
    taken_gradients,
    weights_of,
)
from numpy.testing import assert_array_equal
from thinc.api import Model

from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper


@pytest.fixture
def wrapper() -> Model:
    network = Regression()
    network(X, targets=TARGETS)
    return TensorFlowWrapper(network)


@pytest.mark.parametrize("scale", [1.0, -2.5, np.float32(0.5), np.array(3.0)])
def test_loss_gradients_equal_those_of_a_plain_tape(wrapper, scale):
    loss, backprop = wrapper.begin_update([X, TARGETS])
    dX = backprop(scale)
    d_loss = tf.constant(scale, tf.float32)
    d_weights, d_inputs = plain_gradients(keras_of(wrapper), [X, TARGETS], d_loss)
    assert_all_close([loss], [keras_of(wrapper)(X, targets=TARGETS)])
    assert_all_close(dX, d_inputs, 1e-4, 1e-5)
    assert_all_close(taken_gradients(wrapper).values(), d_weights, 1e-4, 1e-5)


def test_loss_is_differentiated_in_the_compiled_call(wrapper, monkeypatch):
    wrapper.begin_update([X, TARGETS])

    def refuse(*args, **kwargs):
        raise AssertionError("a tape was used")

    monkeypatch.setattr(tf, "GradientTape", refuse)
    _, backprop = wrapper.begin_update([X[:2], TARGETS[:2]])
    backprop(1.0)
    assert len(taken_gradients(wrapper)) == 6


def test_loss_without_gradient(wrapper):
    dX, d_targets = wrapper.begin_update([X, TARGETS])[1](None)
    assert_array_equal(dX, np.zeros_like(X))
    assert_array_equal(d_targets, np.zeros_like(TARGETS))
    assert taken_gradients(wrapper) == {}


def test_loss_and_predictions_from_one_network(wrapper):
    for _ in range(2):
        assert wrapper.predict(X).shape == (4, 5, 1)
        assert np.ndim(wrapper.predict([X, TARGETS])) == 0
    assert shim_of(wrapper).traces == 2


def test_weights_made_by_a_later_kind_of_call():
    """The loss path has a layer that the first call does not reach: it is trained and saved."""
    wrapper = TensorFlowWrapper(Regression())
    wrapper.predict(X)
    assert len(weights_of(wrapper)) == 4
    wrapper.begin_update([X, TARGETS])[1](1.0)
    assert len(taken_gradients(wrapper)) == 6
    loaded = TensorFlowWrapper().from_bytes(wrapper.to_bytes())
    assert_array_equal(loaded.predict([X, TARGETS]), wrapper.predict([X, TARGETS]))
