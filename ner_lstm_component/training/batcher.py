"""Training batches whose size follows from the size of the data.

With the batches that suit much data, a few hundred sentences are learnt by heart, over and over,
before training is first scored. Smaller batches take more steps an epoch.
"""

# No postponed annotations here: spaCy reads those of registered functions.

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from spacy.training import Example
from spacy.training.batchers import minibatch_by_padded_size


def make_batcher(
    size: int, batches: int, buffer: int
) -> Callable[[Iterable[Example]], Iterable[list[Example]]]:
    """`ner_lstm_component.batch_by_padded.v1`: as spaCy's, but smaller for little data.

    Data that is streamed (``max_epochs = -1``) has no size that is known beforehand: batches have
    ``size`` there.

    :param size: tokens in a batch, padding included, at most.
    :param batches: of how many batches an epoch should consist at least, where ``size`` allows
        that: those of little data are smaller.
    :param buffer: examples that are sorted by length together.
    :raises ValueError: for a number below 1.
    """
    for name, value in (("size", size), ("batches", batches), ("buffer", buffer)):
        if value < 1:
            raise ValueError(f"{name!r} must be at least 1. Received: {name}={value}")
    return partial(_batches, size=size, batches=batches, buffer=buffer)


def _batches(
    examples: Iterable[Example], *, size: int, batches: int, buffer: int
) -> Iterable[list[Example]]:
    if isinstance(examples, Sequence):
        size = min(size, max(1, sum(map(len, examples)) // batches))
    return minibatch_by_padded_size(examples, size=size, buffer=buffer)
