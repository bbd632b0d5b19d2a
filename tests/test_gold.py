"""The annotation on the predicted tokens equals that of spaCy's own alignment."""

from itertools import pairwise

import numpy as np
import pytest
from spacy.attrs import TAG
from spacy.tokens import Doc
from spacy.training import Example

from ner_lstm_component.decoding.iob2 import tag_of_bilou
from ner_lstm_component.gold import Gold
from ner_lstm_component.text.sentences import Reader

LABELS = {"geo": 0, "org": 1}


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
    """A letter that is two in lower case, beside an example aligned by character."""
    spaced = Example(
        Doc(vocab, words=["New", "i\u0307stanbul", "is"]),
        Doc(vocab, words=["New", "İstanbul", "is"], ents=["B-geo", "I-geo", "O"], tags=list("NNV")),
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


def example(vocab, words, gold, **annotation):
    reference = Doc(vocab, words=gold, **annotation)
    return Example(Doc(vocab, words=words), reference)


def test_allowed_tags(vocab):
    """Missing annotation allows all tags, but no entity continues where the annotation ends."""
    begin, any_tag, not_inside = [False, True, False], [True] * 3, [True, True, False]
    batch = {
        ("B-geo", "", ""): [begin, not_inside, any_tag],
        ("", "B-geo", ""): [any_tag, begin, not_inside],
        ("B-geo", "B-geo", ""): [begin, begin, not_inside],
        ("", "", "B-geo"): [any_tag, any_tag, begin],
        ("B-geo", "I-geo", "O"): [begin, [False, False, True], [True, False, False]],
    }
    words = ["a", "b", "c"]
    examples = [example(vocab, words, words, ents=list(ents)) for ents in batch]
    examples.insert(1, Example(Doc(vocab), Doc(vocab)))
    found = Gold(examples).allowed_tags(["geo"]).tolist()
    assert found == [tags for expected in batch.values() for tags in expected]


def test_an_entity_across_sentences_begins_again(vocab):
    words = ["Mr", ".", "Lee", "left"]
    crossing = example(vocab, words, words, ents=["B-geo", "I-geo", "I-geo", "O"])
    assert columns(vocab, [crossing]).tolist() == [1, 2, 1, 0]


def test_any_string_may_be_a_type(vocab):
    labels = ["College Name", "B-x", "-"]
    for number, label in enumerate(labels):
        tags = [f"B-{label}", f"I-{label}", "O"]
        same = example(vocab, ["a", "b", "c"], ["a", "b", "c"], ents=tags)
        other = example(vocab, ["a", "-", "b", "c"], ["a-", "b", "c"], ents=tags)
        inside = 2 * number + 2
        expected = [inside - 1, inside, 0, inside - 1, inside, inside, 0]
        assert Gold([same, other]).tags(labels).tolist() == expected


def test_parts_of_speech(vocab):
    split = example(vocab, ["Al", "-", "Qaida", "fell"], ["Al-Qaida", "fell"], tags=["NNP", "VBD"])
    unknown = example(vocab, ["Oslo", "."], ["Oslo", "."], tags=["NNP", ""])
    assert Gold([split, unknown]).pos(["NNP", "VBD"]).tolist() == [0, 0, 0, 1, 0, -1]


# Annotation in two tokenizations: with white space in, before and after an entity, and without.
SPACED = (["\n", "New", " ", "York", "\u200b", "is", "\n"], "B-geo I-geo I-geo I-geo I-geo O O")
EDGELESS = (SPACED[0], "O B-geo I-geo I-geo O O O")
PLAIN = (["New", "York", "is"], "B-geo I-geo O")
JOINED = (["NewYork", "is"], "B-geo O")
SPLIT = (["\n", "Ne", "w", "\xa0", "Yor", "k", "is"], "B-geo I-geo I-geo I-geo I-geo I-geo O")
OTHER = (["New", " ", "york", "is"], "B-geo I-geo I-geo O")


@pytest.mark.parametrize("gold", [SPACED, EDGELESS, PLAIN, JOINED, SPLIT, OTHER])
@pytest.mark.parametrize("predicted", [SPACED, PLAIN, JOINED, SPLIT, OTHER])
def test_annotation_is_of_words(vocab, gold, predicted):
    """Beside another Example, since white space does not shift the others' annotation."""
    own = example(vocab, predicted[0], gold[0], ents=gold[1].split())
    beside = example(vocab, [" ", "Oslo"], ["Oslo", "\n"], ents=["B-geo", "O"])
    expected = {3: [1, 2, 0], 2: [1, 0], 5: [1, 2, 2, 2, 0]}
    gold = Gold([beside, own, beside, own])
    tags = expected[len(gold.text.orths) // 2 - 1]
    assert gold.tags(list(LABELS)).tolist() == [1, *tags, 1, *tags]
    assert len(gold.allowed_tags(list(LABELS))) == sum(gold.text.doc_lengths)


def test_neighbours_with_white_space_stay_two_entities(vocab):
    words = ["Rome", "\n", "Oslo", " ", "Paris"]
    ents = ["B-geo", "I-geo", "B-geo", "B-geo", "I-geo"]
    for predicted in (words, ["Rome", "Oslo", "Paris"], ["\t", "Rome", "Oslo", "Paris", "\u200b"]):
        assert columns(vocab, [example(vocab, predicted, words, ents=ents)]).tolist() == [1, 1, 1]


def test_an_empty_line_in_an_entity_begins_it_again(vocab):
    words = ["New", "\n\n", "York", "fell"]
    ents = ["B-geo", "I-geo", "I-geo", "O"]
    assert columns(vocab, [example(vocab, words, words, ents=ents)]).tolist() == [1, 1, 0]


def test_white_space_without_annotation(vocab):
    """Missing annotation of words is missing, with annotated white space around it too."""
    words = ["a", "\n", "b", " ", "c"]
    found = Gold([example(vocab, words, words, ents=["B-geo", "", "", "O", "O"])])
    assert found.tags(["geo"]).tolist() == [1, -1, 0]
    assert found.allowed_tags(["geo"])[1].tolist() == [True, True, False]
    blank = example(vocab, [" ", "\n"], ["\n"], ents=["B-geo"])
    assert Gold([blank]).tags(["geo"]).tolist() == []
    assert Gold([blank]).allowed_tags(["geo"]).shape == (0, 3)


def test_values_of_words(vocab):
    words, tags = ["\n", "Oslo", " ", "fell"], ["_SP", "NNP", "_SP", "VBD"]
    for predicted in (
        words,
        ["Oslo", "fell"],
        ["Oslo", "\u200b", "fe", "ll"],
        ["oslo", " ", "fell"],
    ):
        found = Gold([example(vocab, predicted, words, tags=tags)])
        n_last = sum(not word.isspace() and word != "\u200b" for word in predicted) - 1
        assert found.pos(["NNP", "VBD"]).tolist() == [0, *[1] * n_last]


@pytest.mark.parametrize("predicted", [["**", "New", "York", "**"], ["**New", "York**"]])
def test_an_entity_that_begins_at_a_mark_of_formatting(vocab, predicted):
    """The mark is not a word to the reader of normal forms."""
    words = ["**", "New", "York", "**", "fell"]
    ents = ["B-geo", "I-geo", "I-geo", "I-geo", "O"]
    one = example(vocab, [*predicted, "fell"], words, ents=ents)
    assert Gold([one, one], Reader(normalize=True)).tags(["geo"]).tolist() == [1, 2, 0] * 2
