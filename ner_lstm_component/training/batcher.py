"""Training batches that are smaller for small data.

With batches that suit large data, an epoch of a few hundred sentences has few steps, and the
network memorizes the sentences before the first evaluation. Smaller batches give more steps.
"""

# No postponed annotations here: spaCy reads those of registered functions.

from collections.abc import Callable, Iterable, Sequence

from spacy.training import Example
from spacy.training.batchers import minibatch_by_padded_size


def make_batcher(
    size: int, batches: int, buffer: int
) -> Callable[[Iterable[Example]], Iterable[list[Example]]]:
    """`ner_lstm_component.batch_by_padded.v1`: spaCy's batcher, with small batches for little data.

    :param size: the maximum number of tokens in a batch, padding included. Batches of streamed data
        (``max_epochs = -1``), whose length is unknown, always have this size.
    :param batches: the minimum number of batches in an epoch; batches shrink to reach it.
    :param buffer: the number of examples that are sorted together by length.
    :raises ValueError: if an argument is below 1.
    """
    for name, value in (("size", size), ("batches", batches), ("buffer", buffer)):
        if value < 1:
            raise ValueError(f"{name!r} must be at least 1. Received: {name}={value}")

    def batch(examples: Iterable[Example]) -> Iterable[list[Example]]:
        limit = size
        if isinstance(examples, Sequence):
            limit = min(size, max(1, sum(map(len, examples)) // batches))
        return minibatch_by_padded_size(examples, size=limit, buffer=buffer)

    return batch
