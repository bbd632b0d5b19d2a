import random
from collections import Counter

import pytest
import spacy
from samples import annotated_doc, annotation, make_doc
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from ner_lstm_component.training.case import case_augmenter, title_case
from ner_lstm_component.training.chain import chain_augmenters

# Each case with its shares of 1, for examples that all change.
ALL = {"lower": (1.0, 0.0, 0.0), "upper": (0.0, 1.0, 0.0), "title": (0.0, 0.0, 1.0)}


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en")


def bare(doc):
    """The Doc's words and spaces, as spaCy's corpus reader gives them to the pipeline."""
    return Doc(doc.vocab, words=words_of(doc), spaces=[bool(t.whitespace_) for t in doc])


def words_of(doc):
    return [token.text for token in doc]


def shown(nlp, reference, shares, predicted=None):
    """The example as the augmenter shows it."""
    example = Example(predicted or bare(reference), reference)
    (result,) = case_augmenter(*ALL[shares])(nlp, example)
    return result


@pytest.mark.parametrize(("name", "change"), [("lower", str.lower), ("upper", str.upper)])
def test_all_annotation_is_kept_and_offsets_are_those_of_the_new_words(nlp, name, change):
    reference = annotated_doc(nlp.vocab)
    before = annotation(reference)
    example = shown(nlp, reference, name)
    kept = example.reference
    words = words_of(reference)
    assert words_of(kept) == words_of(example.predicted) == [change(word) for word in words]
    assert annotation(kept) == annotation(reference) == before
    assert [(e.text, e.label_) for e in kept.ents] == [
        (change("Anna"), "per"),
        (change("al-Qaida"), "org"),
    ]
    assert kept.user_data == {"source": "wire", ("._.", "negated", kept[7].idx, None): True}
    assert not example.predicted.ents


def test_the_example_of_before_stays(nlp):
    reference = annotated_doc(nlp.vocab)
    example = Example(bare(reference), reference)
    (result,) = case_augmenter(*ALL["upper"])(nlp, example)
    assert result is not example
    assert words_of(example.predicted) == words_of(annotated_doc(nlp.vocab))


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("upper", ["Große", "Straße", "ist", "weiß"], ["GROSSE", "STRASSE", "IST", "WEISS"]),
        ("lower", ["İzmir", "DIŞI"], ["i\u0307zmir", "dişi"]),
        ("upper", ["ﬁne", "ısı"], ["FINE", "ISI"]),
    ],
)
def test_words_may_change_length(nlp, name, words, expected):
    spaces = [i != len(words) - 2 for i in range(len(words))]  # the last two without a space
    reference = Doc(nlp.vocab, words=words, spaces=spaces)
    reference.set_ents([Span(reference, len(words) - 1, len(words), "geo")])
    last = reference[-1]
    key = ("._.", "note", last.idx, last.idx + len(last))
    reference.user_data[key] = "x"
    kept = shown(nlp, reference, name).reference
    assert words_of(kept) == expected
    assert kept.text == " ".join(expected[:-1]) + expected[-1] + " "
    (entity,) = kept.ents
    assert entity.text == kept.text[entity.start_char : entity.end_char] == expected[-1]
    assert kept.user_data == {("._.", "note", entity.start_char, entity.end_char): "x"}


def test_known_and_unknown_spaces_are_kept(nlp):
    for spaces in (None, [True, False, False]):
        reference = Doc(nlp.vocab, words=["Rome", "fell", "."], spaces=spaces)
        for predicted in (bare(reference), Doc(nlp.vocab, words=words_of(reference))):
            example = shown(nlp, reference, "upper", predicted)
            assert annotation(example.reference) == annotation(reference)
            for new, old in ((example.reference, reference), (example.predicted, predicted)):
                assert new.text == old.text.upper()
                assert new.has_unknown_spaces == old.has_unknown_spaces


def test_raw_text_is_tokenized_anew(nlp):
    reference = Doc(nlp.vocab, words=["Al-Qaida", "left."], spaces=[True, False])
    predicted = nlp.make_doc(reference.text)
    example = shown(nlp, reference, "lower", predicted)
    assert words_of(example.reference) == ["al-qaida", "left."]
    assert words_of(example.predicted) == ["al", "-", "qaida", "left", "."]


# As print has them: every part of a word in title case, and only the first letter a capital.
TITLES = {
    "UN": ("Un", "UN"),
    "al-Qaida": ("Al-Qaida", "Al-Qaida"),
    "e-mail": ("E-Mail", "E-mail"),
    "Iran's": ("Iran's", "Iran's"),
    "DON'T": ("Don't", "DOn't"),
    "don’t": ("Don’t", "Don’t"),
    "n't": ("n't", "n't"),
    "'s": ("'s", "'s"),
    "N'T": ("n't", "n't"),
    "o'neill": ("O'Neill", "O'neill"),
    "l'équipe": ("L'Équipe", "L'équipe"),
    "u.s.": ("U.S.", "U.s."),
    "2nd": ("2nd", "2nd"),
    "(the": ("(The", "(The"),
    "jose\u0301s": ("Jose\u0301s", "Jose\u0301s"),
    "ßahn": ("Ssahn", "Ssahn"),
    "ǆepo": ("ǅepo", "ǅepo"),
    "北京": ("北京", "北京"),
    "-": ("-", "-"),
}


@pytest.mark.parametrize("word", TITLES)
def test_title_case_of_a_word(word):
    random.seed(0)
    assert {title_case([word])[0] for _ in range(50)} == set(TITLES[word])


def test_title_case_has_four_styles():
    random.seed(0)
    words = ["NATO", "the", "and", "with", "Of", "it", "'s"]
    counts = Counter(" ".join(title_case(words)) for _ in range(800))
    assert counts.keys() == {
        "Nato The And With Of It 's",
        "NATO The And With Of It 's",
        "Nato the and With Of it 's",
        "NATO the and With Of it 's",
    }
    assert all(150 < count < 250 for count in counts.values())


def test_shares_of_the_examples(nlp):
    reference = Doc(nlp.vocab, words=["Anna", "left"])
    augment = case_augmenter(0.1, 0.2, 0.3)
    random.seed(0)
    counts = Counter()
    for _ in range(2000):
        for example in augment(nlp, Example(bare(reference), reference)):
            assert words_of(example.predicted) == words_of(example.reference)
            counts[example.reference.text.strip()] += 1
    expected = {"anna left": 200, "ANNA LEFT": 400, "Anna Left": 600, "Anna left": 800}
    assert counts == pytest.approx(expected, abs=60)


def test_what_no_case_changes_is_kept(nlp):
    for words in ([], ["北京", "!", "12"]):
        reference = Doc(nlp.vocab, words=words)
        example = Example(bare(reference), reference)
        for shares in ALL.values():
            assert list(case_augmenter(*shares)(nlp, example)) == [example]


@pytest.mark.parametrize("shares", [(-0.1, 0, 0), (0, 1.1, 0), (0, 0, float("nan"))])
def test_shares_out_of_range(shares):
    with pytest.raises(ValueError, match=r"'(lower|upper|title)' must be from 0 to 1"):
        case_augmenter(*shares)


def test_the_sum_of_shares():
    case_augmenter(0.7, 0.2, 0.1)  # 0.9999999999999999 if added up one by one
    case_augmenter(0.1, 0.2, 0.7)
    with pytest.raises(ValueError, match=r"at most 1\. Received: .*'upper': 0\.5"):
        case_augmenter(0.5, 0.5, 0.01)


def test_errors_name_the_doc_and_the_augmenter(nlp, monkeypatch):
    reference = Doc(nlp.vocab, words=["al-Qaida", "left"])
    predicted = nlp.make_doc(reference.text)
    monkeypatch.setattr(nlp, "max_length", 5)
    with pytest.raises(ValueError, match=r"ner_lstm_component\.case\.v1.*'al-Qaida left'.*E088"):
        shown(nlp, reference, "upper", predicted)


def test_a_chain_hands_every_example_on(nlp):
    def twice(nlp, example):
        yield example
        yield example

    reference = Doc(nlp.vocab, words=["Anna"])
    example = Example(bare(reference), reference)
    upper = case_augmenter(*ALL["upper"])
    results = list(chain_augmenters(twice, upper, twice)(nlp, example))
    assert [result.reference.text.strip() for result in results] == ["ANNA"] * 4
    assert list(chain_augmenters()(nlp, example)) == [example]


CONFIG = """
[corpus]
@readers = "spacy.Corpus.v1"
path = "{path}"
gold_preproc = false

[corpus.augmenter]
@augmenters = "ner_lstm_component.chain.v1"

[corpus.augmenter.*.case]
@augmenters = "ner_lstm_component.case.v1"
lower = 0.0
upper = 1.0
title = 0.0

[corpus.augmenter.*.a_raw_text]
@augmenters = "ner_lstm_component.raw_text.v1"
level = 1.0
"""


def test_config_applies_augmenters_in_its_order(nlp, tmp_path):
    pytest.importorskip("sacremoses")
    path = tmp_path / "train.spacy"
    DocBin(docs=[make_doc(nlp.vocab, "Al-Qaida/B-org was n't in Rome/B-geo .")]).to_disk(path)
    config = spacy.Config().from_str(CONFIG.format(path=path.as_posix()))
    # Saved and read again, as by ``spacy train``, with the sections in the same order.
    config = spacy.Config().from_str(config.to_str())
    corpus = spacy.registry.resolve(config)["corpus"]
    (example,) = corpus(nlp)
    assert example.predicted.text == example.reference.text == "AL-QAIDA WASN'T IN ROME."
    assert words_of(example.reference) == ["AL-QAIDA", "WAS", "N'T", "IN", "ROME", "."]
    assert words_of(example.predicted)[:3] == ["AL", "-", "QAIDA"]
    ents = [(ent.text, ent.label_) for ent in example.reference.ents]
    assert ents == [("AL-QAIDA", "org"), ("ROME", "geo")]
    assert example.get_aligned_ner()[:3] == ["B-org", "I-org", "L-org"]
