import pytest
import spacy

from ner_lstm_component.text.characters import (
    is_invisible,
    is_plain,
    plain,
    plain_words,
    without_invisible_end,
)

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

ODD = "“”‘’…—–‑\u00ad\u200b\u200d\ufeff\ufe0f\u2800\u00a0\u2003\u0301\u0323\u1100\u1161ﬁＡ𝐀 \n\x00"
TEXTS = st.text(
    st.sampled_from(ODD + "aen.,'|~=@#<b>/")
    | st.characters(exclude_categories=["Cs"], min_codepoint=0x80),
    max_size=30,
)
CONFIG = {"nlp": {"tokenizer": {"@tokenizers": "ner_lstm_component.Tokenizer.v1"}}}
check = hypothesis.settings(deadline=None, max_examples=300)


@pytest.fixture(scope="module")
def tokenizer():
    return spacy.blank("en", config=CONFIG).tokenizer


@check
@hypothesis.given(TEXTS)
def test_plain_text_has_offsets_and_nothing_more_to_change(text):
    typed, offsets = plain_words(text)
    assert is_plain(plain(text))
    assert typed.replace("–", "-") == plain(text).replace("–", "-")
    assert len(offsets) == len(typed) + 1
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(text)


@check
@hypothesis.given(text=TEXTS)
def test_tokens_are_the_text_and_have_no_invisible_edge(tokenizer, text):
    doc = tokenizer(text)
    assert doc.text == text
    if not is_plain(text):
        for word in (token.text for token in doc if not is_invisible(token.text)):
            assert without_invisible_end(word) == word
            assert plain(word[0])


@pytest.fixture(scope="module")
def searching(tokenizer):
    """The same tokenizer, with the searches for affixes that spaCy would make."""
    searching = spacy.blank("en").tokenizer.from_bytes(tokenizer.to_bytes())
    assert searching.suffix_search.__self__.pattern == tokenizer.suffix_search.__self__.pattern
    return searching


AFFIXES = st.sampled_from([*"()[]'\"*#_-.=|~@<>/&;:,?!$%0a é😀", "'s", "km", "&lt;", "</b>", "a="])


@hypothesis.settings(deadline=None)
@hypothesis.given(parts=st.lists(st.tuples(AFFIXES, st.integers(1, 150)), max_size=3))
def test_affixes_of_long_words_are_those_that_spacy_finds(tokenizer, searching, parts):
    text = "".join(part * n for part, n in parts)
    assert [t.text for t in tokenizer(text)] == [t.text for t in searching(text)]


@pytest.mark.parametrize("text", ["(" * 8000, "a" + ")" * 8000, "(" * 4000 + "a" + "'s" * 2000])
def test_long_words_of_affixes_take_no_minutes(tokenizer, text):
    loaded = spacy.blank("en", config=CONFIG).tokenizer
    loaded.from_bytes(tokenizer.to_bytes())
    tokens = [token.text for token in loaded(text)]
    assert "".join(tokens) == text
    assert len(tokens) > 6000
    assert [token for _, token in loaded.explain(text[:300])] == [
        t.text for t in loaded(text[:300])
    ]
