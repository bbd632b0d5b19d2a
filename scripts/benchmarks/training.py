"""Trainings that run for a number of tokens: spaCy's loop, and plain Keras on its batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import create_train_batches, train_while_improving
from spacy.util import registry
from thinc.api import Config, fix_random_seed

# Plain Keras repeats so many batches.
_BATCHES = 100


class SpacyTraining:
    """The work of `spacy train` between two evaluations.

    This includes the corpus reader, the augmenter, the batcher, dropout, the updates, and the
    optimizer with its averages and schedules. If the batch size has a schedule, its last value
    is used, with which a token takes the least time.
    """

    def __init__(self, path: Path, train: Path, limit: int) -> None:
        self.nlp, self.settings, batches = _prepare(path, train, limit)
        self._steps = train_while_improving(
            self.nlp,
            self.settings["optimizer"],
            batches,
            lambda: (0.0, {}),
            dropout=self.settings["dropout"],
            eval_frequency=2**62,
            accumulate_gradient=self.settings["accumulate_gradient"],
            patience=0,
            max_steps=0,
            exclude=self.settings["frozen_components"],
            annotating_components=self.settings["annotating_components"],
            before_update=self.settings["before_update"],
        )

    def run(self, tokens: int) -> int:
        """Train on at least this many tokens, and return their number."""
        seen = 0
        while seen < tokens:
            batch, *_ = next(self._steps)
            seen += sum(len(example.predicted) for example in batch)
        return seen


class KerasTraining:
    """The training of a config's network by `keras.Model.fit` on batches in memory.

    The batches are the padded ones that the component makes in spaCy's training. The
    optimizer is Keras' Adam with the config's settings: the learning rate and its decay, the
    clipping of each gradient, and averages. XLA is off, because it would compile each shape
    of a batch.
    """

    def __init__(self, path: Path, train: Path, limit: int) -> None:
        nlp, settings, batches = _prepare(path, train, limit)
        self._batches = _padded_batches(nlp, (batch for _, batch in islice(batches, _BATCHES)))
        self._network = _loss_model(nlp.get_pipe("ner_lstm").model.layers[1].shims[0].keras_model)
        self._network.compile(optimizer=_adam(settings["config"]), jit_compile=False)
        self._position = 0

    def run(self, tokens: int) -> int:
        """Train on at least this many tokens, and return their number."""
        import tensorflow as tf

        seen, chosen = 0, []
        for batch in islice(cycle(self._batches), self._position, None):
            chosen.append(batch)
            seen += int(batch["mask"].sum())
            if seen >= tokens:
                break
        self._position = (self._position + len(chosen)) % len(self._batches)
        specs = {
            name: tf.TensorSpec([None, None, *array.shape[2:]], array.dtype)
            for name, array in chosen[0].items()
        }
        data = tf.data.Dataset.from_generator(lambda: iter(chosen), output_signature=specs)
        data = data.apply(tf.data.experimental.assert_cardinality(len(chosen)))
        self._network.fit(data.prefetch(1), shuffle=False, verbose=0)
        return seen


TRAININGS = {"spacy": SpacyTraining, "keras": KerasTraining}


def _prepare(path: Path, train: Path, limit: int) -> tuple[Language, dict[str, Any], Iterator]:
    """Return a config's initialized pipeline, its training settings, and endless batches."""
    config = spacy.util.load_config(path, interpolate=False)
    config["paths"] |= {"train": str(train), "dev": str(train)}
    config["corpora"]["train"]["limit"] = limit
    batcher = config["training"]["batcher"]
    if isinstance(batcher["size"], dict):
        batcher["size"] = batcher["size"]["stop"]
    config = Config(config).interpolate()
    fix_random_seed(config["training"]["seed"])
    nlp = init_nlp(config)
    settings = registry.resolve(config["training"], schema=ConfigSchemaTraining)
    corpus = registry.resolve({"train": config["corpora"]["train"]})["train"]
    # max_epochs = 0: endless, with the corpus in memory.
    batches = create_train_batches(nlp, corpus, settings["batcher"], 0)
    return nlp, settings | {"config": config["training"]["optimizer"]}, batches


def _padded_batches(nlp: Language, batches: Iterator[list[Example]]) -> list[dict[str, np.ndarray]]:
    """Update the component and return the arguments of its network's calls."""
    component = nlp.get_pipe("ner_lstm")
    wrapper = component.model.layers[1]
    convert = wrapper.attrs["convert_inputs"]
    padded: list[dict[str, np.ndarray]] = []

    def convert_and_keep(model: Any, inputs: Any, is_train: bool) -> Any:
        features, mask = inputs.args
        padded.append({"features": features, "mask": mask, **inputs.kwargs})
        return convert(model, inputs, is_train)

    wrapper.attrs["convert_inputs"] = convert_and_keep
    try:
        for batch in batches:
            component.update(batch)
    finally:
        wrapper.attrs["convert_inputs"] = convert
    return padded


def _loss_model(network: Any) -> Any:
    """Wrap a network that returns its loss in a model that Keras can fit."""
    import keras

    class LossModel(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def call(self, batch: dict[str, Any], training: bool = False) -> Any:
            loss = self.network(**batch, training=training)
            n_sequences = keras.ops.cast(keras.ops.shape(batch["mask"])[0], "float32")
            self.add_loss(loss / n_sequences)
            return loss

    return LossModel()


def _adam(config: dict[str, Any]) -> Any:
    """Make Keras' Adam from the settings of Thinc's."""
    import keras

    rate = config["learn_rate"]
    if isinstance(rate, dict):
        rate = keras.optimizers.schedules.InverseTimeDecay(rate["base_rate"], 1, rate["decay"])
    return keras.optimizers.Adam(
        rate,
        beta_1=config["beta1"],
        beta_2=config["beta2"],
        epsilon=config["eps"],
        clipnorm=config["grad_clip"] or None,
        use_ema=config["use_averages"],
        ema_momentum=0.9999,
    )
