"""Timers around the steps of the component.

Each function of `STEPS` is replaced, wherever the package refers to it, by one that adds up
the time spent in it, without the time spent in other timed functions that it calls.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest import mock

PACKAGE = "ner_lstm_component"

# The functions of each step, as module:name. The time of a function that is not listed
# belongs to the listed function that calls it.
STEPS: Mapping[str, tuple[str, ...]] = {
    "tokenizer": ("spacy.language:Language.make_doc",),
    "lexical features": (f"{PACKAGE}.features.lexical:FeatureTable.__call__",),
    "lexicon": (f"{PACKAGE}.features.ngram_tags:TagLexicon.ids",),
    "sentences": (
        f"{PACKAGE}.text.sentences:Reader.__call__",
        f"{PACKAGE}.text.windows:split_windows",
    ),
    "padding": (f"{PACKAGE}.text.windows:pad_windows",),
    "embedding": (f"{PACKAGE}.network.onnx:embed",),
    "network": (f"{PACKAGE}.tensorflow_wrapper:TensorFlowShim.predict",),
    "decoding": (f"{PACKAGE}.decoding.crf:viterbi",),
    "probabilities": (f"{PACKAGE}.decoding.crf:marginals",),
    "setting entities": (f"{PACKAGE}.component:LSTMEntityRecognizer.set_annotations",),
    "between the steps of predict": (f"{PACKAGE}.component:LSTMEntityRecognizer.predict",),
}


class Timers:
    """Seconds by step, each without those of the steps inside it.

    :param clock: A function that returns the time.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._clock = clock
        # The time that each running call has spent in timed calls inside it.
        self._inside: list[float] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the time inside the context for a step."""
        start = self._clock()
        self._inside.append(0.0)
        try:
            yield
        finally:
            elapsed = self._clock() - start
            self.seconds[name] += elapsed - self._inside.pop()
            if self._inside:
                self._inside[-1] += elapsed

    def around(self, name: str, function: Callable) -> Callable:
        """Return a timed function. For a generator, each item is timed."""
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
    """Time the steps inside the context.

    :param steps: The functions of each step, as in `STEPS`.
    :param package: The package whose modules refer to the functions.
    :raises LookupError: If there is no function of a name.
    """
    with ExitStack() as stack:
        for step, names in steps.items():
            for name in names:
                owner, attribute = find(name)
                function = vars(owner)[attribute]
                importers = [
                    module
                    for path, module in list(sys.modules.items())
                    if path.partition(".")[0] == package
                    and module is not owner
                    and vars(module).get(attribute) is function
                ]
                timed = timers.around(step, function)
                for place in [owner, *importers]:
                    stack.enter_context(mock.patch.object(place, attribute, timed))
        yield


def find(name: str) -> tuple[Any, str]:
    """Return the module or class that has a function, and the function's name in it.

    :param name: ``module:function`` or ``module:Class.method``.
    :raises LookupError: If there is none.
    """
    module, _, path = name.partition(":")
    *owners, attribute = path.split(".")
    try:
        owner = importlib.import_module(module)
        for one in owners:
            owner = getattr(owner, one)
        vars(owner)[attribute]
    except (ImportError, AttributeError, KeyError):
        raise LookupError(
            f"There is no function {name}; it was renamed or moved. Put the name of the function "
            "that does this step into STEPS of scripts/benchmarks/steps.py."
        ) from None
    return owner, attribute
