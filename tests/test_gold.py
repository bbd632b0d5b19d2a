"""The annotation on the predicted tokens is the one that spaCy's own alignment gives."""

from itertools import pairwise

import numpy as np
import pytest
import spacy
from spacy.attrs import TAG
from spacy.tokens import Doc
from spacy.training import Example

from ner_lstm_component.decoding.iob2 import tag_of_bilou
from ner_lstm_component.gold import Gold

LABELS = {"geo": 0, "org": 1}


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


def columns(vocab, examples):
    return Gold(examples).tags(list(LABELS))


def columns_by_spacy(examples):
    return [
        -1 if tag in (None, "-", "") else tag_of_bilou(tag, LABELS)
        for example in examples
        for tag in example.get_aligned_ner()
    ]


def divided(rng, text):
    """A text as words, divided anywhere."""
    cuts = [0, *np.flatnonzero(rng.random(len(text) - 1) < 0.4) + 1, len(text)]
    return [text[a:b] for a, b in pairwise(cuts)]


def random_example(vocab, rng):
    text = "".join(rng.choice(list("abc"), rng.integers(1, 12)))
    words = divided(rng, text)
    ents, previous = [], "O"
    for _ in words:
        choices = ["O", "", "B-geo", "B-org"] + [f"I-{previous[2:]}"] * 2 * (len(previous) > 1)
        previous = str(rng.choice(choices))
        ents.append(previous)
    reference = Doc(vocab, words=words, ents=ents, tags=rng.choice(["N", "V"], len(words)).tolist())
    words = words if rng.random() < 0.2 else divided(rng, text)
    return Example(Doc(vocab, words=words), reference)


def test_random_tokenizations(vocab):
    rng = np.random.default_rng(0)
    examples = [random_example(vocab, rng) for _ in range(500)]
    found = columns(vocab, examples)
    assert found.tolist() == columns_by_spacy(examples)
    assert {-1, 0, 1, 2, 3, 4} == set(found.tolist())
    tags = [tag or 0 for example in examples for tag in example.get_aligned("TAG")]
    assert Gold(examples).values(TAG).tolist() == tags
    alone = [columns(vocab, [example]) for example in examples]
    assert np.concatenate(alone).tolist() == found.tolist()


def test_other_characters_are_left_to_spacy(vocab):
    """White-space tokens that the reference lacks, beside an example aligned by character."""
    spaced = Example(
        Doc(vocab, words=["New", " ", "York", "is"]),
        Doc(vocab, words=["New", "York", "is"], ents=["B-geo", "I-geo", "O"], tags=["N", "N", "V"]),
    )
    same = Example(
        Doc(vocab, words=["a-b", "c"]),
        Doc(vocab, words=["a", "-b", "c"], ents=["B-org", "I-org", "O"], tags=["N", "N", "V"]),
    )
    empty = Example(Doc(vocab), Doc(vocab))
    examples = [same, empty, spaced, same]
    assert columns(vocab, examples).tolist() == columns_by_spacy(examples)
    tags = [tag or 0 for example in examples for tag in example.get_aligned("TAG")]
    assert Gold(examples).values(TAG).tolist() == tags


def test_unknown_types_and_other_texts(vocab):
    for words in (["x", "y"], ["xy"], ["x", " ", "y"]):
        reference = Doc(vocab, words=["x", "y"], ents=["B-gpe", "I-gpe"])
        with pytest.raises(ValueError, match="'gpe'"):
            columns(vocab, [Example(Doc(vocab, words=words), reference)])
    other = Example(Doc(vocab, words=["other"]), Doc(vocab, words=["text"], ents=["B-geo"]))
    with pytest.raises(ValueError, match="Doc that begins 'text'"):
        columns(vocab, [other])
