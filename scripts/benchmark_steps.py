"""Where the time goes: timers around the steps of the component, by the functions' names.

The steps are not done again here. Each function of `STEPS` is replaced, wherever the
package refers to it, by one that adds up the time spent in it, less that spent in other
timed functions that it calls.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

PACKAGE = "ner_lstm_component"

# What each step is made of: functions, as module:name. A function that is listed nowhere
# counts for the listed one that calls it.
STEPS: Mapping[str, tuple[str, ...]] = {
    "tokenizer": ("spacy.language:Language.make_doc",),
    "lexical features": (f"{PACKAGE}.features.lexical:FeatureTable.__call__",),
    "lexicon": (f"{PACKAGE}.features.ngram_tags:TagLexicon.ids",),
    "sentences": (f"{PACKAGE}.text.sentences:read_docs", f"{PACKAGE}.text.windows:split_windows"),
    "padding": (f"{PACKAGE}.text.batches:pad_windows",),
    "embedding": (f"{PACKAGE}.network.onnx:embed",),
    "network": (f"{PACKAGE}.tensorflow_wrapper:TensorFlowShim.predict",),
    "decoding": (f"{PACKAGE}.decoding.crf:viterbi",),
    "probabilities": (f"{PACKAGE}.decoding.crf:marginals",),
    "setting entities": (f"{PACKAGE}.component:LSTMEntityRecognizer.set_annotations",),
    "between the steps of predict": (f"{PACKAGE}.component:LSTMEntityRecognizer.predict",),
}


class Timers:
    """Seconds by step, each without those of the steps within it.

    :param clock: gives the time.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._clock = clock
        # Of each running call the time spent in timed calls within.
        self._within: list[float] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what is done within for a step."""
        start = self._clock()
        self._within.append(0.0)
        try:
            yield
        finally:
            elapsed = self._clock() - start
            self.seconds[name] += elapsed - self._within.pop()
            if self._within:
                self._within[-1] += elapsed

    def around(self, name: str, function: Callable) -> Callable:
        """A function that does the same and is timed; of a generator each item is."""
        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def timed_items(*args: Any, **kwargs: Any) -> Iterator[Any]:
                items = function(*args, **kwargs)
                end = object()
                while True:
                    with self.step(name):
                        item = next(items, end)
                    if item is end:
                        return
                    yield item

            return timed_items

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return function(*args, **kwargs)

        return timed


@contextmanager
def timed_steps(
    timers: Timers, steps: Mapping[str, tuple[str, ...]] = STEPS, package: str = PACKAGE
) -> Iterator[None]:
    """Time the steps within the context.

    :param steps: functions by step, as `STEPS`.
    :param package: in whose modules the functions are replaced.
    :raises LookupError: if there is no function of a name.
    """
    places: list[tuple[Any, str, Any]] = []
    try:
        for step, names in steps.items():
            for name in names:
                owner, attribute, function = find(name)
                timed = timers.around(step, function)
                for place in _places(owner, attribute, function, package):
                    places.append((place, attribute, function))
                    setattr(place, attribute, timed)
        yield
    finally:
        for place, attribute, function in reversed(places):
            setattr(place, attribute, function)


def find(name: str) -> tuple[Any, str, Any]:
    """A function by its name, with the module or class that has it, and its own name there.

    :param name: ``module:function`` or ``module:Class.method``.
    :raises LookupError: if there is none.
    """
    module, _, path = name.partition(":")
    *owners, attribute = path.split(".")
    try:
        owner = importlib.import_module(module)
        for one in owners:
            owner = getattr(owner, one)
        return owner, attribute, vars(owner)[attribute]
    except (ImportError, AttributeError, KeyError):
        raise LookupError(
            f"There is no function {name}; it was renamed or moved. Expected: those named in "
            f"STEPS of scripts/{__name__.rpartition('.')[2]}.py. Name there what does this step."
        ) from None


def _places(owner: Any, attribute: str, function: Any, package: str) -> list[Any]:
    """The owner, and modules that imported the function by its name."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == package and vars(module).get(attribute) is function
    ]
    return [owner, *(module for module in modules if module is not owner)]
