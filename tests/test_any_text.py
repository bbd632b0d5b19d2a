"""Any text, from `nlp(text)` to entities: nothing fails, and what is found is valid."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import spacy
from samples import SENTENCES, SMALL_MODEL, overfit
from spacy.language import Language
from spacy.tokens import Doc, Span

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

# Words that the pipeline knows as entities, among which the odd ones are.
NAMES = ["Anna Berg", "Oslo", "Nordic Bank", "New York", "Reuters", "Paul", "lives in", "."]
ODD = st.sampled_from(
    [
        *[
            "",
            " ",
            "\n",
            "\n\n",
            "\t",
            "\u00a0",
            "\u2003",
            "\u3000",
            "\x00",
            "\x07",
            "\x85",
            "\ufeff",
        ],
        *[
            "\u00ad",
            "\u200b",
            "\u200d",
            "\u202e",
            "\u2066",
            "\u0301",
            "\u0323\u0301",
            "\ufe0f",
            "\u20e3",
        ],
        *[
            "😀",
            "👨\u200d👩\u200d👧",
            "🇳🇴",
            "1️⃣",
            "\U0001f3fd",
            "\U000e0067",
            "\ufffd",
            "\uffff",
            "\U0010ffff",
        ],
        *["שלום", "مرحبا", "ไทย", "中文", "日本", "한국어", "हिन्दी", "ﬁ", "ß", "İ", "ǅ", "Ω", "𝐀"],
        *[
            "(",
            "))",
            "**",
            "__",
            "~~",
            "|",
            "#",
            "@",
            "> ",
            "- ",
            "* ",
            "1. ",
            "<b>",
            "&lt;",
            "[x](y)",
        ],
        *["http://x.org/?a=b", "a@b.org", "...", "…", "“", "’s", "—", "U.S.", "Mr.", "10:30", "$5"],
    ]
)
TEXTS = st.lists(
    st.sampled_from(NAMES) | ODD | st.text(max_size=6) | st.characters(exclude_categories=["Cs"]),
    max_size=14,
).flatmap(lambda parts: st.sampled_from(["", " "]).map(lambda blank: blank.join(parts)))
TEXTS = TEXTS.filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))

no_deadline = hypothesis.settings(deadline=None)


@pytest.fixture(scope="module", params=["v1", "v2"])
def nlp(request) -> Language:
    """A pipeline of spaCy's tokenizer and the first architecture, or of the default config's."""
    config: dict[str, Any] = {}
    model = {**copy.deepcopy(SMALL_MODEL), "window": 16, "context": 4}
    if request.param == "v2":
        config = {"nlp": {"tokenizer": {"@tokenizers": "ner_lstm_component.Tokenizer.v1"}}}
        model["@architectures"] = "ner_lstm_component.KerasLSTMTagger.v2"
    nlp = spacy.blank("en", config=config)
    nlp.add_pipe("ner_lstm", config={"model": model})
    return overfit(nlp)


def check_entities(doc: Doc, labels: tuple[str, ...]) -> None:
    """Check that entities are in order, apart, of known labels, and not blank at an edge."""
    end = 0
    for ent in doc.ents:
        assert end <= ent.start < ent.end <= len(doc)
        assert ent.label_ in labels
        assert not doc[ent.start].is_space
        assert not doc[ent.end - 1].is_space
        end = ent.end


def test_any_text_has_valid_entities(nlp):
    labels = nlp.get_pipe("ner_lstm").labels

    @no_deadline
    @hypothesis.given(TEXTS)
    def check(text: str) -> None:
        doc = nlp(text)
        assert doc.text == text
        check_entities(doc, labels)
        assert doc.has_annotation("ENT_IOB") or not len(doc)

    check()


def test_a_text_is_read_the_same_beside_others(nlp):
    ner = nlp.get_pipe("ner_lstm")

    @no_deadline
    @hypothesis.given(st.lists(TEXTS, min_size=2, max_size=5))
    def check(texts: list[str]) -> None:
        docs = [nlp.make_doc(text) for text in texts]
        together = ner.potentials(docs)
        alone = [ner.potentials([doc]).emissions for doc in docs]
        np.testing.assert_allclose(together.emissions, np.concatenate(alone), atol=1e-3)
        assert ner.potentials(docs).emissions.tobytes() == together.emissions.tobytes()

    check()


def test_given_sentences_and_entities_are_kept(nlp):
    labels = (*nlp.get_pipe("ner_lstm").labels, "given")

    @no_deadline
    @hypothesis.given(TEXTS, st.data())
    def check(text: str, data: Any) -> None:
        doc = nlp.make_doc(text)
        for token in doc:
            token.is_sent_start = token.i == 0 or data.draw(st.booleans())
        if len(doc):
            start = data.draw(st.integers(0, len(doc) - 1))
            given = Span(doc, start, data.draw(st.integers(start + 1, len(doc))), "given")
            doc.set_ents([given])
        given = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
        doc = nlp(doc)
        found = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
        assert set(given) <= set(found)
        starts = [token.i for token in doc if token.is_sent_start]
        for start, end, label in found:
            assert label in labels
            assert label == "given" or not any(start < border < end for border in starts)

    check()


LONG = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00" * 100,
        "Oslo",
        pytest.param("a" * LONG, id="a long word"),
        pytest.param("é" * LONG, id="a long word of accents"),
        pytest.param("e" + "\u0301" * (LONG - 1), id="many combining marks"),
        pytest.param("\u202e" * LONG, id="only controls"),
        pytest.param("-" * LONG, id="a line"),
        pytest.param(" " * LONG, id="blanks"),
        pytest.param("\n" * LONG, id="empty lines"),
        # spaCy's own tokenizer takes quadratic time for them.
        pytest.param("(" * 500 + "Oslo" + ")" * 500, id="brackets"),
        pytest.param("Oslo " * 40_000, id="many tokens"),
        pytest.param("Oslo " * 200_000, id="a million characters", marks=pytest.mark.slow),
    ],
)
def test_extreme_texts(nlp, text):
    doc = nlp(text)
    assert doc.text == text
    check_entities(doc, nlp.get_pipe("ner_lstm").labels)


@pytest.mark.slow
def test_a_million_tokens(nlp):
    words = " ".join(SENTENCES).replace("/B-", " ").split()
    doc = Doc(nlp.vocab, words=(words * (LONG // len(words) + 1))[:LONG])
    check_entities(nlp(doc), nlp.get_pipe("ner_lstm").labels)


def test_lone_surrogates_are_refused_by_spacy(nlp):
    with pytest.raises(UnicodeEncodeError):
        nlp("Oslo \ud800")
