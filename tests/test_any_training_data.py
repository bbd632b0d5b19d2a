"""Training data of any kind: each is learned, or refused with what to do."""

from __future__ import annotations

import csv
import itertools
import sys
from functools import partial

import pytest
import spacy
from samples import SMALL_MODEL, run_app
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

from ner_lstm_component import cli

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

train = partial(run_app, cli.app, "train")

# Sentences as the data has them, in words, and what their languages write between words.
LANGUAGES = {
    "de": [
        "Angela/B-per Merkel/I-per besuchte Köln/B-geo .",
        "Die Süddeutsche/B-org Zeitung/I-org schreibt aus München/B-geo .",
        "In Köln/B-geo regnete es , sagt Müller/B-per .",
        "Niemand sprach mit Müller/B-per .",
    ],
    "ar": [
        "زار محمد/B-per علي/I-per القاهرة/B-geo .",
        "تقع بغداد/B-geo في العراق/B-geo .",
        "قال علي/B-per لا شيء .",
        "افتتح البنك/B-org الدولي/I-org فرعا في القاهرة/B-geo .",
    ],
    "zh": [
        "习近平/B-per 访问 了 巴黎/B-geo 。",
        "北京/B-geo 大学/I-geo 在 北京/B-geo 。",
        "世界/B-org 银行/I-org 在 华盛顿/B-geo 。",
        "没有 人 说话 。",
    ],
    "th": [
        "สมชาย/B-per เดินทาง ไป กรุงเทพ/B-geo",
        "ธนาคาร/B-org โลก/I-org อยู่ ที่ วอชิงตัน/B-geo",
        "ไม่มี ใคร พูด กับ สมชาย/B-per",
        "ฝน ตก ที่ กรุงเทพ/B-geo",
    ],
}
BETWEEN_WORDS = {"zh": "", "th": ""}


def blank(lang: str = "en", **settings: object) -> Language:
    nlp = spacy.blank(lang)
    nlp.add_pipe("ner_lstm", config={"model": {**SMALL_MODEL, **settings}})
    return nlp


def reference(nlp: Language, sentence: str, between: str = " ") -> Doc:
    tokens = [token.partition("/") for token in sentence.split()]
    return Doc(
        nlp.vocab,
        words=[word for word, _, _ in tokens],
        spaces=[bool(between)] * len(tokens),
        ents=[tag or "O" for _, _, tag in tokens],
    )


def learn(nlp: Language, examples: list[Example], steps: int = 40) -> None:
    fix_random_seed(0)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)


def texts_of(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


@pytest.mark.parametrize(
    "lang", [*(pytest.param(lang, marks=pytest.mark.slow) for lang in ("de", "ar", "th")), "zh"]
)
def test_languages(lang):
    """Words of the data, tokens of the pipeline: Chinese has one for each character."""
    # spaCy's tokenizer for Thai needs PyThaiNLP.
    nlp = blank("xx" if lang == "th" else lang)
    between = " " if lang == "th" else BETWEEN_WORDS.get(lang, " ")
    references = [reference(nlp, sentence, between) for sentence in LANGUAGES[lang]]
    learn(nlp, [Example(nlp.make_doc(doc.text), doc) for doc in references])
    for doc in references:
        assert texts_of(nlp(doc.text)) == texts_of(doc)


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["de", "ar", "zh"])
def test_the_command_learns_a_language(lang, tmp_path):
    path = tmp_path / "data.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file).writerow
        write(["Sentence #", "Word", "Tag"])
        # Ten times, with words of their own, since the parts share no sentence.
        sentences = [f"{n} {s}" for n in range(10) for s in LANGUAGES[lang]]
        for number, sentence in enumerate(sentences):
            for word, _, tag in (token.partition("/") for token in sentence.split()):
                write([f"Sentence: {number}", word, tag or "O"])
    train(path, "--output", tmp_path / "out", "--lang", lang, "--training.max_steps", 100)
    nlp = spacy.load(tmp_path / "out" / "pipeline")
    assert nlp.lang == lang
    for sentence in LANGUAGES[lang]:
        doc = reference(nlp, sentence, BETWEEN_WORDS.get(lang, " "))
        assert texts_of(nlp(f"7 {doc.text}")) == texts_of(doc)


def test_a_language_whose_tokenizer_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pythainlp", None)
    path = tmp_path / "data.iob"
    path.write_text("\n\n".join(f"{word} B-geo\nx O" for word in "abcdefghijkl"))
    result = train(path, "--lang", "th", "--output", tmp_path / "out", exit_code=1)
    assert "pythainlp" in result.stderr.lower()
    assert not (tmp_path / "out" / "pipeline").exists()


@pytest.mark.parametrize(
    "sentences",
    [
        ["Anna/B-per lives in Oslo/B-geo ."],
        pytest.param(["Anna/B-per", "Oslo/B-per", "Rome/B-per"], marks=pytest.mark.slow),
        pytest.param(["a/B-x b/I-x c/I-x d/I-x e/I-x f/I-x g/I-x"], marks=pytest.mark.slow),
    ],
    ids=["one sentence", "one type, without O", "one entity, without O"],
)
def test_little_data(sentences):
    nlp = blank()
    references = [reference(nlp, sentence) for sentence in sentences]
    learn(nlp, [Example(nlp.make_doc(doc.text), doc) for doc in references])
    for doc in references:
        assert texts_of(nlp(doc.text)) == texts_of(doc)


@pytest.mark.slow
def test_a_hundred_types():
    nlp = blank()
    sentences = [f"{a}Word{n}/B-type{n} fell" for n in range(100) for a in ("", "then ")]
    references = [reference(nlp, sentence) for sentence in sentences]
    learn(nlp, [Example(nlp.make_doc(doc.text), doc) for doc in references])
    found = [texts_of(nlp(doc.text)) == texts_of(doc) for doc in references]
    assert sum(found) > 180


def test_no_entities():
    nlp = blank()
    doc = reference(nlp, "It rained .")
    with pytest.raises(ValueError, match="E143"):
        nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc)])
    # With given labels, that nothing is an entity can be learned.
    nlp.get_pipe("ner_lstm").add_label("geo")
    learn(nlp, [Example(nlp.make_doc(doc.text), doc)], steps=20)
    assert not nlp("It rained .").ents


@pytest.mark.parametrize(
    ("entities", "error"),
    [
        ([(0, 8, "A"), (5, 13, "B")], "E103"),  # crossing
        ([(0, 8, "A"), (0, 4, "B")], "E103"),  # one in the other
        ([(0, 8, "A"), (0, 8, "B")], "E103"),  # two types
    ],
)
def test_overlapping_entities_are_refused_by_spacy(entities, error):
    doc = blank().make_doc("Anna Berg lives in Oslo .")
    with pytest.raises(ValueError, match=error):
        Example.from_dict(doc, {"entities": entities})


LABELS = [f"type{n}" for n in range(100)]
WORDS = st.text("abcÀé日本.'-1", min_size=1, max_size=6)


@st.composite
def corpora(draw):
    """Random Docs: words, their tags or None, and the pipeline's own borders of tokens."""
    docs = []
    for _ in range(draw(st.integers(1, 4))):
        words = draw(st.lists(WORDS, min_size=1, max_size=8))
        tags = []
        for _ in words:
            kind = draw(st.sampled_from(["O", "", "B", "I"]))
            entity = kind in ("B", "I")
            tags.append(f"{kind}-{draw(st.sampled_from(LABELS))}" if entity else kind)
        text = " ".join(words)
        cuts = draw(st.sets(st.integers(1, len(text) - 1), max_size=8)) if len(text) > 1 else set()
        docs.append((words, tags, [0, *sorted(cuts), len(text)]))
    return docs


# Each corpus has a pipeline of its own, too slow to be made smaller after a failure.
@pytest.mark.slow
@hypothesis.settings(deadline=None, max_examples=20, phases=[hypothesis.Phase.generate])
@hypothesis.given(corpora())
def test_any_data_is_learned(corpus):
    """Tags missing, in any order, of up to a hundred types, and tokens that share no border."""
    nlp = blank()
    ner = nlp.get_pipe("ner_lstm")
    for label in LABELS:
        ner.add_label(label)
    examples = []
    for words, tags, borders in corpus:
        known = [
            tag if tag[:1] != "I" or before[1:] == tag[1:] else f"B{tag[1:]}"
            for before, tag in zip(["O", *tags], tags, strict=False)
        ]
        text = " ".join(words)
        pieces = [text[a:b] for a, b in itertools.pairwise(borders)]
        predicted = Doc(nlp.vocab, words=pieces, spaces=[False] * len(pieces))
        spaces = [True] * (len(words) - 1) + [False]
        gold = Doc(nlp.vocab, words=words, spaces=spaces, ents=known)
        examples.append(Example(predicted, gold))
    optimizer = nlp.initialize(lambda: examples)
    losses = nlp.update(examples, sgd=optimizer)
    assert 0 <= losses["ner_lstm"] < float("inf")
    for example in examples:
        doc = ner(example.predicted.copy())
        assert {ent.label_ for ent in doc.ents} <= set(LABELS)
        assert nlp.evaluate([example])["token_acc"] is not None
