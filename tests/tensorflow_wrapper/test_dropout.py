"""Thinc's dropout rate in a Keras network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras_networks import X, assert_all_close, keras_of, sequential, shim_of
from numpy.testing import assert_array_equal
from thinc.api import Model, set_dropout_rate

from ner_lstm_component.tensorflow_wrapper import TensorFlowWrapper


@pytest.fixture
def dropping() -> Model:
    return TensorFlowWrapper(sequential(keras.Input((None, 3)), layers.Dropout(0.5)))


def dropped_share(wrapper: Model) -> float:
    Y, _ = wrapper.begin_update(np.ones((20, 50, 3), np.float32))
    return float((Y == 0).mean())


def test_dropout_rate_changes_between_calls(dropping):
    for rate in (None, 0.9, 0.0, 0.4, None, 0.9):
        set_dropout_rate(dropping, rate)
        assert abs(dropped_share(dropping) - (0.5 if rate is None else rate)) < 0.04
        assert keras_of(dropping).layers[0].rate == 0.5
    assert shim_of(dropping).traces == 4
    assert_array_equal(dropping.predict(X), X)


def test_dropout_rates_are_rounded(dropping):
    for rate in np.linspace(0.196, 0.204, 9):
        set_dropout_rate(dropping, float(rate))
        dropped_share(dropping)
    assert shim_of(dropping).traces == 1


def attention() -> keras.Model:
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, layers.MultiHeadAttention(2, 3, dropout=0.5)(inputs, inputs))


DROPOUTS: dict[str, Callable[[], Any]] = {
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.5),
    "GaussianDropout": lambda: layers.GaussianDropout(0.5),
    "LSTM": lambda: layers.LSTM(4, dropout=0.5, recurrent_dropout=0.5),
    "recurrent_dropout": lambda: layers.SimpleRNN(4, recurrent_dropout=0.5),
    "Bidirectional": lambda: layers.Bidirectional(layers.SimpleRNN(4, dropout=0.5)),
    "cells": lambda: layers.RNN([layers.SimpleRNNCell(4), layers.SimpleRNNCell(4, dropout=0.5)]),
    "MultiHeadAttention": attention,
}


@pytest.mark.parametrize("make", DROPOUTS.values(), ids=DROPOUTS)
def test_dropout_of_layers_and_cells(make):
    wrapper = TensorFlowWrapper(sequential(keras.Input((None, 3)), make()))
    config = keras_of(wrapper).get_config()
    runs = {}
    for rate in (0.0, 0.5):
        set_dropout_rate(wrapper, rate)
        runs[rate] = [wrapper.begin_update(X)[0] for _ in range(2)]
    assert_all_close(runs[0.0], [wrapper.predict(X)] * 2, 1e-4, 1e-5)
    assert np.abs(runs[0.5][0] - runs[0.5][1]).max() > 1e-3
    assert keras_of(wrapper).get_config() == config


def test_layers_built_without_dropout_stay_without():
    stack = [layers.Dropout(0.0), layers.LSTM(4, dropout=0.0)]
    wrapper = TensorFlowWrapper(sequential(keras.Input((None, 3)), *stack))
    set_dropout_rate(wrapper, 0.9)
    assert_all_close([wrapper.begin_update(X)[0]], [wrapper.predict(X)], 1e-4, 1e-5)


def test_own_rates_are_restored_after_an_exception():
    class Failing(keras.Model):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)

        def call(self, inputs, training=False):
            if training:
                raise KeyError(self.drop.rate)
            return self.drop(inputs)

    network = Failing()
    wrapper = set_dropout_rate(TensorFlowWrapper(network), 0.25)
    with pytest.raises(KeyError, match=r"0\.25"):
        wrapper.begin_update(X)
    assert network.drop.rate == 0.5
