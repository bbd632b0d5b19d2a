import random
import re

import pytest
import spacy
from samples import annotated_doc, annotation
from spacy.tokens import Doc
from spacy.training import Example

from ner_lstm_component.decoding.iob2 import tag_names
from ner_lstm_component.gold import Gold
from ner_lstm_component.training.raw_text import raw_text_augmenter, spaces_in_print, with_spaces

pytest.importorskip("sacremoses")


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["He", "left", "the", "U.S.", ",", "he", "said", "."], "He left the U.S., he said."),
        (["It", "is", "n't", "Iran", "'s", "."], "It isn't Iran's."),
        (["A", '"', "two-day", '"', "visit", "(", "Rome", ")"], 'A "two-day" visit (Rome)'),
        (["$", "500", "million", ";", "50", "%"], "$500 million; 50%"),
        ([], ""),
    ],
)
def test_text_stands_as_in_print(nlp, words, text):
    assert with_spaces(Doc(nlp.vocab, words=words)).text.rstrip() == text


def test_words_of_white_space_and_known_spaces(nlp):
    # The detokenizer drops a word of white space alone.
    assert spaces_in_print(["a", "\u3000", "b"], "en") in ([True] * 3, [True, False, True])
    doc = nlp("Known  spaces , as they are .")
    assert with_spaces(doc) is doc


def shown(nlp, reference):
    """The example as the augmenter shows it."""
    words = [token.text for token in reference]
    (example,) = raw_text_augmenter(1.0)(nlp, Example(Doc(nlp.vocab, words=words), reference))
    return example


def tags_of(example):
    """What ``ner_lstm`` learns of each token: ``-`` where the annotation is left open."""
    labels = ["geo", "org", "per"]
    names = [*tag_names(labels), "-"]  # the last one for -1
    return [names[column] for column in Gold([example]).tags(labels)]


# The tokenizer joins or splits gold tokens; "-" is a missing annotation.
CASES = {
    "one of several tokens": ("The al-Qaida left", "O B-org O", "O B-org I-org I-org O"),
    "missing": ("two-day visit", "- O", "- - - O"),
    "end in a token": ("the U.+S.", "O B-geo O", "O -"),
    "two entities": ("in 北京+大学", "O B-geo B-org", "O -"),
    "half missing": ("at a.m+.", "B-org B-per -", "B-org -"),
    "no entity twice": ("at a.m+.", "O O O", "O O"),
}


@pytest.mark.parametrize(("text", "ents", "expected"), CASES.values(), ids=CASES)
def test_annotation_is_carried_over_by_character(nlp, text, ents, expected):
    words = text.replace("+", " ").split()
    spaces = [separator == " " for separator in re.findall(r"[ +]|$", text)]
    annotation = [ent.strip("-") for ent in ents.split()]
    example = shown(nlp, Doc(nlp.vocab, words=words, spaces=spaces, ents=annotation))
    assert tags_of(example) == expected.split()
    # Without known spaces the detokenizer may set a space: trained all the same.
    tags_of(shown(nlp, Doc(nlp.vocab, words=words, ents=annotation)))


def test_all_annotation_is_kept_and_trains_all_components(small_model):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": small_model})
    nlp.add_pipe("parser", config={"min_action_freq": 1})
    nlp.add_pipe("tagger")
    reference = annotated_doc(nlp.vocab)
    example = shown(nlp, reference)
    kept = example.reference
    assert example.predicted.text == kept.text == "Anna said al-Qaida left. They didn't."
    assert [t.text for t in kept] == [t.text for t in reference]
    assert annotation(kept) == annotation(reference)
    (claim,) = kept.spans["claims"]
    assert (claim.text, claim.label_, claim.id_) == ("al-Qaida left", "claim", "c")
    assert kept.user_data == {"source": "wire", ("._.", "negated", kept[7].idx, None): True}
    nlp.initialize(lambda: [example])
    losses = nlp.update([example])
    assert losses.keys() == {"ner_lstm", "tagger", "parser"}
    assert min(losses.values()) > 0


def test_errors_name_the_doc_and_the_augmenter(nlp, monkeypatch):
    reference = Doc(nlp.vocab, words=[f"w{i}" for i in range(12)])
    monkeypatch.setattr(nlp, "max_length", 5)
    quoted = "'w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 …'"
    with pytest.raises(ValueError, match=rf"ner_lstm_component\.raw_text\.v1.*{quoted}.*E088"):
        shown(nlp, reference)


def test_augmenter_changes_the_given_share(nlp):
    doc = Doc(nlp.vocab, words=["al-Qaida"])
    random.seed(0)
    for level, least, most in ((0.0, 0, 0), (0.5, 60, 140), (1.0, 200, 200)):
        augment = raw_text_augmenter(level)
        lengths = [len(eg.predicted) for _ in range(200) for eg in augment(nlp, Example(doc, doc))]
        assert least <= lengths.count(3) <= most
    for level in (-0.1, 1.5):
        with pytest.raises(ValueError, match="from 0 to 1"):
            raw_text_augmenter(level)
