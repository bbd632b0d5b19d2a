import random

import pytest
import spacy
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from ner_lstm_component.decoding.iob2 import tag_names
from ner_lstm_component.gold import Gold
from ner_lstm_component.training.raw_text import raw_text_augmenter, spaces_in_print, with_spaces

pytest.importorskip("sacremoses")


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def annotated(nlp, words, ents):
    doc = Doc(nlp.vocab, words=words, tags=["NNP"] * len(words))
    doc.ents = [Span(doc, start, end, label=label) for start, end, label in ents]
    return doc


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


def test_words_that_cannot_be_put_together_are_kept_apart():
    # The detokenizer drops a word of white space alone.
    assert spaces_in_print(["a", "\u3000", "b"], "en") in ([True] * 3, [True, False, True])


def test_known_spaces_stay(nlp):
    doc = nlp("Known  spaces , as they are .")
    assert with_spaces(doc) is doc


def shown(nlp, reference):
    """The example as the augmenter shows it."""
    words = [token.text for token in reference]
    (example,) = raw_text_augmenter(1.0)(nlp, Example(Doc(nlp.vocab, words=words), reference))
    return example


def tags_of(nlp, example):
    """What ``ner_lstm`` learns of each token: ``-`` where the annotation is left open."""
    labels = ["geo", "org", "per"]
    names = [*tag_names(labels), "-"]  # the last one for -1
    tags = [names[column] for column in Gold([example]).tags(labels)]
    return list(zip([t.text for t in example.predicted], tags, strict=True))


def test_annotation_is_carried_over_by_character(nlp):
    doc = annotated(nlp, ["The", "al-Qaida", "chief", "in", "Iraq"], [(1, 2, "org"), (4, 5, "geo")])
    assert tags_of(nlp, shown(nlp, doc)) == [
        ("The", "O"),
        ("al", "B-org"),
        ("-", "I-org"),
        ("Qaida", "I-org"),
        ("chief", "O"),
        ("in", "O"),
        ("Iraq", "B-geo"),
    ]


def test_what_has_no_such_tokens_is_left_open(nlp):
    # spaCy's tokenizer keeps "U.S." whole: an entity that ends inside it has no tokens.
    doc = Doc(nlp.vocab, words=["the", "U.", "S.", "and", "Rome"], spaces=[1, 0, 1, 1, 0])
    doc.ents = [Span(doc, 1, 2, label="geo"), Span(doc, 4, 5, label="geo")]
    expected = [("the", "O"), ("U.S.", "-"), ("and", "O"), ("Rome", "B-geo")]
    assert tags_of(nlp, shown(nlp, doc)) == expected


def test_missing_annotation_stays_missing(nlp):
    doc = Doc(nlp.vocab, words=["two-day", "visit", "."], ents=["", "O", "O"])
    assert [tag for _, tag in tags_of(nlp, shown(nlp, doc))] == ["-", "-", "-", "O", "O"]


def doc_of(nlp, words, ents, spaces=None):
    return Doc(nlp.vocab, words=words, spaces=spaces, ents=ents)


# Two gold tokens that the tokenizer makes one of, each with something to say.
TWO_IN_ONE = {
    "two entities": (["in", "北京", "大学"], ["O", "B-geo", "B-org"], ["O", "-"]),
    "entity and no entity": (["at", "o", "'clock"], ["O", "B-per", "O"], ["O", "-"]),
    "two without annotation": (["at", "a.m", "."], ["O", "", ""], ["O", "-"]),
    "entity and no annotation": (["at", "a.m", "."], ["B-org", "B-per", ""], ["B-org", "-"]),
    "no entity twice": (["at", "a.m", "."], ["O", "O", "O"], ["O", "O"]),
}


@pytest.mark.parametrize("case", TWO_IN_ONE)
def test_two_gold_tokens_in_one_token(nlp, case):
    words, ents, expected = TWO_IN_ONE[case]
    example = shown(nlp, doc_of(nlp, words, ents, spaces=[True, False, False]))
    assert [tag for _, tag in tags_of(nlp, example)] == expected
    # Without known spaces the detokenizer may set a space: trained all the same.
    tags_of(nlp, shown(nlp, doc_of(nlp, words, ents)))


def test_all_annotation_is_kept(nlp):
    words = ["Anna", "said", "al-Qaida", "left", ".", "They", "did", "n't", "."]
    reference = Doc(
        nlp.vocab,
        words=words,
        tags=["NNP", "VBD", "NNP", "VBD", ".", "PRP", "VBD", "RB", "."],
        pos=["PROPN", "VERB", "PROPN", "VERB", "PUNCT", "PRON", "AUX", "PART", "PUNCT"],
        morphs=["Number=Sing", "", "Number=Sing", "", "", "", "", "", ""],
        lemmas=["Anna", "say", "al-Qaida", "leave", ".", "they", "do", "not", "."],
        heads=[1, 1, 3, 1, 1, 6, 6, 6, 6],
        deps=["nsubj", "ROOT", "nsubj", "ccomp", "punct", "nsubj", "ROOT", "neg", "punct"],
        ents=["B-per", "O", "B-org", "O", "", "O", "O", "O", "O"],
    )
    reference.ents = [
        Span(reference, 0, 1, label="per", kb_id="Q1", span_id="a"),
        *reference.ents[1:],
    ]
    reference.cats = {"news": 1.0, "sport": 0.0}
    reference.spans["claims"] = SpanGroup(
        reference,
        name="claims",
        attrs={"by": "x"},
        spans=[Span(reference, 2, 4, "claim", span_id="c")],
    )
    reference.user_data["source"] = "wire"
    reference.user_data["._.", "speaker", 0, 4] = True
    reference.user_data["._.", "negated", reference[7].idx, None] = True
    example = shown(nlp, reference)
    kept = example.reference
    assert example.predicted.text == kept.text == "Anna said al-Qaida left. They didn't."
    assert [t.text for t in kept] == words
    for attribute in ("tag_", "pos_", "lemma_", "dep_", "ent_iob_", "ent_type_", "is_sent_start"):
        expected = [getattr(t, attribute) for t in reference]
        assert [getattr(t, attribute) for t in kept] == expected, attribute
    assert [str(t.morph) for t in kept] == [str(t.morph) for t in reference]
    assert [t.head.i for t in kept] == [t.head.i for t in reference]
    assert [(e.kb_id_, e.id_) for e in kept.ents] == [("Q1", "a"), ("", "")]
    assert kept.cats == reference.cats
    assert [(s.text, s.label_, s.id_) for s in kept.spans["claims"]] == [
        ("al-Qaida left", "claim", "c")
    ]
    assert kept.spans["claims"].attrs == {"by": "x"}
    assert kept.user_data == {
        "source": "wire",
        ("._.", "speaker", 0, 4): True,
        ("._.", "negated", kept[7].idx, None): True,
    }
    # Each component aligns what it learns.
    assert example.get_aligned("TAG", as_string=True)[2:5] == ["NNP"] * 3
    assert sum(bool(start) for start in example.get_aligned_sent_starts()) == 2
    heads, deps = example.get_aligned_parse()
    assert (heads[0], deps[0], deps[1]) == (1, "nsubj", "ROOT")
    (claim,) = example.get_aligned_spans_y2x(kept.spans["claims"])
    assert claim.text == "al-Qaida left"
    assert not example.predicted.has_annotation("TAG")


def test_other_components_train_beside_it(small_model):
    """On an example whose two entities lie in one token, through ``nlp.update``."""
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": small_model})
    nlp.add_pipe("parser", config={"min_action_freq": 1})
    for name in ("tagger", "senter", "textcat"):
        nlp.add_pipe(name)
    reference = Doc(
        nlp.vocab,
        words=["Al-Qaida", "left", "北京", "大学"],
        spaces=[True, True, False, False],
        tags=["NNP", "VBD", "NNP", "NNP"],
        heads=[1, 1, 1, 2],
        deps=["nsubj", "ROOT", "dobj", "flat"],
        ents=["B-org", "O", "B-geo", "B-org"],
    )
    reference.cats = {"a": 1.0, "b": 0.0}
    example = shown(nlp, reference)
    nlp.initialize(lambda: [example])
    losses = nlp.update([example])
    assert set(losses) == {"ner_lstm", "tagger", "parser", "senter", "textcat"}
    assert all(losses[name] > 0 for name in ("ner_lstm", "tagger", "parser", "textcat"))


def test_errors_name_the_doc_and_the_augmenter(nlp, monkeypatch):
    reference = annotated(nlp, [f"w{i}" for i in range(12)], [])
    monkeypatch.setattr(nlp, "max_length", 5)
    with pytest.raises(ValueError, match=r"E088") as error:
        shown(nlp, reference)
    assert "ner_lstm_component.raw_text.v1" in str(error.value)
    assert "'w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 …'" in str(error.value)


def test_augmenter_gives_the_share_it_was_asked_for(nlp):
    reference = annotated(nlp, ["al-Qaida"], [(0, 1, "org")])
    example = Example(Doc(nlp.vocab, words=["al-Qaida"]), reference)
    random.seed(0)
    augment = raw_text_augmenter(0.5)
    lengths = [len(eg.predicted) for _ in range(200) for eg in augment(nlp, example)]
    assert set(lengths) == {1, 3}
    assert 60 < lengths.count(3) < 140
    assert [len(eg.predicted) for eg in raw_text_augmenter(0.0)(nlp, example)] == [1]
    (eg,) = raw_text_augmenter(1.0)(nlp, example)
    assert [(e.text, e.label_) for e in eg.reference.ents] == [("al-Qaida", "org")]
    assert not eg.predicted.ents


@pytest.mark.parametrize("level", [-0.1, 1.5])
def test_augmenter_refuses_another_level(level):
    with pytest.raises(ValueError, match="from 0 to 1"):
        raw_text_augmenter(level)
