import pytest
import spacy

from ner_lstm_component.text.sentences import Reader

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

PARTS = [
    "Oslo",
    "he",
    "The",
    "U.S.",
    "left.",
    "no!",
    '"Go',
    "Corp.",
    "(so)",
    "5",
    "東京。",
    "“No.”",
]
BLANKS = "\t \x1f\xa0\u1680\u2003\u2009\u202f\u205f\u3000\ufeff\u2800"
# At most one line break: two are an empty line.
WHITE_SPACE = st.tuples(
    st.text(BLANKS, max_size=3),
    st.sampled_from(["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\t", " "]),
    st.text(BLANKS, max_size=3),
).map("".join)


@pytest.fixture(scope="module")
def tokenizer():
    config = {"nlp": {"tokenizer": {"@tokenizers": "ner_lstm_component.Tokenizer.v1"}}}
    return spacy.blank("en", config=config).tokenizer


@pytest.mark.parametrize("reader", [Reader(), Reader(normalize=True)], ids=["v1", "normalize"])
@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(parts=st.lists(st.tuples(st.sampled_from(PARTS), WHITE_SPACE), max_size=12))
def test_white_space_does_not_change_what_is_read(tokenizer, reader, parts):
    # Line breaks before capitals may separate items.
    words = [f"he {part}" for part, _ in parts]
    text = "".join(word + white_space for word, (_, white_space) in zip(words, parts, strict=True))
    found, expected = (reader([tokenizer(one)]) for one in (text, " ".join(words)))
    assert found.orths.tolist() == expected.orths.tolist()
    assert found.lengths.tolist() == expected.lengths.tolist()
