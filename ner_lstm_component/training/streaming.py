"""The initialization of components with a streamed corpus.

spaCy initializes components with the first 100 examples of a streamed corpus
(``max_epochs = -1``). These are too few to count n-grams, and may lack entity types.
"""

# No postponed annotations here: spaCy reads those of registered functions.

from collections.abc import Callable, Iterable
from itertools import islice

from spacy.language import Language
from spacy.training import Example

Corpus = Callable[[Language], Iterable[Example]]


def make_stream_sample(corpus: Corpus, max_epochs: int, limit: int) -> Corpus | None:
    """`ner_lstm_component.stream_sample.v1`: the first examples of a streamed corpus.

    :param corpus: the reader of the training corpus: ``${corpora.train}``.
    :param max_epochs: ``${training.max_epochs}``, which is -1 if the corpus is streamed.
    :param limit: maximum number of examples.
    :return: the argument ``corpus`` for `component.LSTMEntityRecognizer.initialize`, or None if the
        corpus is not streamed, because spaCy then initializes with all examples.
    :raises ValueError: if the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"'limit' must be at least 1. Received: limit={limit}")
    if max_epochs != -1:
        return None
    return lambda nlp: islice(corpus(nlp), limit)
