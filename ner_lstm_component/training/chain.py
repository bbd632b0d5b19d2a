"""The combination of augmenters, of which spaCy's corpus readers take only one."""

# No postponed annotations here: spaCy reads those of registered functions.

from collections.abc import Callable, Iterator

from spacy.language import Language
from spacy.training import Example

Augmenter = Callable[[Language, Example], Iterator[Example]]


def chain_augmenters(*augmenters: Augmenter) -> Augmenter:
    """`ner_lstm_component.chain.v1`: apply augmenters one after another.

    :param augmenters: sections such as ``[corpora.train.augmenter.*.case]``, in order. Each
        augmenter gets all the examples that the one before yields.
    """

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        examples = [example]
        for augmenter in augmenters:
            examples = [new for old in examples for new in augmenter(nlp, old)]
        yield from examples

    return augment
