import unicodedata
from itertools import pairwise

import pytest

from ner_lstm_component.text.characters import (
    is_invisible,
    is_plain,
    plain,
    plain_words,
    without_invisible_end,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("‘Anna’ ‚Anna‛ Annaʼs 5′", "'Anna' 'Anna' Anna's 5'"),
        ("“Oslo” „Oslo‟ «Oslo» ‹Oslo› 10″", '"Oslo" "Oslo" "Oslo" \'Oslo\' 10"'),
        ("al‐Qaida al‑Qaida −5 1939–45", "al-Qaida al-Qaida -5 1939-45"),
        ("Oslo—Paris ― Rome…", "Oslo--Paris -- Rome..."),
        ("Ｏｓｌｏ！ ﬁrst ﬄ ﬅ 𝐎𝑠𝓁𝟘", "Oslo! first ffl st Osl0"),
        (
            "\ufeffOs\u200blo Pa\u00adris \u200eRome\u200f ❤\ufe0f e\U000e0101",
            "Oslo Paris Rome ❤ e",
        ),
        ("Zu\u0308rich Z\u00fcrich", "Zürich Zürich"),
        ("e\u200d\u0301", "é"),
        ("Oslo\u3164Paris", "Oslo Paris"),
        ("\u00a0 \u2003\t\n\u3000\u2028", "\u00a0 \u2003\t\n\u3000\u2028"),
    ],
)
def test_plain_text_is_what_a_typist_writes(text, expected):
    assert plain(text) == expected
    assert plain_words(text)[0] == expected


@pytest.mark.parametrize("text", ["", "It's \x00 plain --\n", "Zürich, naïve, Москва, 東京 ❤"])
def test_plain_text_stays_the_same_object(text):
    assert is_plain(text)
    assert plain(text) is text
    assert plain_words(text) == (text, list(range(len(text) + 1)))


def test_offsets_are_where_characters_begin():
    text = "\ufeffa…u\u0308\u200b—"
    assert plain_words(text) == ("a...ü--", [1, 2, 2, 2, 3, 6, 6, 7])


@pytest.mark.parametrize(
    "text", ["\u1112\u1161\u11ab\u1100\u1173\u11af", "q\u0323\u0307 a\u0307\u0323"]
)
def test_offsets_of_decomposed_text(text):
    composed, offsets = plain_words(text)
    assert composed == unicodedata.normalize("NFC", text)
    pieces = [text[a:b] for a, b in pairwise(offsets)]
    assert unicodedata.normalize("NFC", "".join(pieces)) == composed
    assert offsets[0] == 0
    assert offsets[-1] == len(text)


def test_only_an_en_dash_between_digits_is_a_hyphen_to_tokenizers():
    assert plain_words("1939–45 Oslo–Paris –x x– –5 5–")[0] == "1939-45 Oslo–Paris –x x– –5 5–"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Oslo\u200b\ufeff", "Oslo"),
        ("❤\ufe0f\u200b", "❤\ufe0f"),
        ("\u200b", ""),
        ("\n\u200b", "\n"),
        ("O\u200bslo", "O\u200bslo"),
    ],
)
def test_invisible_end(text, expected):
    assert without_invisible_end(text) == expected


def test_tags_and_selectors_are_invisible_alone():
    assert is_invisible("\U000e0067\U000e0100\u034f \ufe0f")
    assert not is_invisible("❤\ufe0f")
