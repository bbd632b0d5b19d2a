import pickle

import pytest
import spacy

from ner_lstm_component.text.characters import is_invisible

CONFIG = {"nlp": {"tokenizer": {"@tokenizers": "ner_lstm_component.Tokenizer.v1"}}}
TYPOGRAPHIC = "\ufeff“Don’t,” Os\u00adlo said…  —Zu\u0308rich\u200b <b>agrees</b>"


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("en", config=CONFIG)


def words(nlp, text):
    doc = nlp.make_doc(text)
    assert doc.text == text
    return [token.text for token in doc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~~Oslo~~.", "~~ Oslo ~~ ."),
        ("~Oslo~", "~ Oslo ~"),
        ("|Oslo|Name|", "| Oslo | Name |"),
        ("==Oslo==", "== Oslo =="),
        ("**Oslo**", "* * Oslo * *"),
        ("**Oslo**-based", "* * Oslo ** -based"),
        ("__Oslo__", "_ _ Oslo _ _"),
        ("`Oslo`", "` Oslo `"),
        ("#Oslo,", "# Oslo ,"),
        ("(@maria),", "( @ maria ) ,"),
        (".@maria's", ".@ maria 's"),
        ("Oslo™.", "Oslo ™ ."),
        ("©Oslo®", "© Oslo ®"),
        ("•Oslo†", "• Oslo †"),
        ("<b>Oslo</b>.", "<b> Oslo </b> ."),
        ("<P>Oslo<br/>Rome", "<P> Oslo <br/> Rome"),
        ("<td>Anna</td><td>Oslo</td>", "<td> Anna </td> <td> Oslo </td>"),
        ("<city>Oslo</city>", "< city > Oslo </city>"),
        ("<maria>", "< maria >"),
        ('href="x">Oslo</a>', 'href =" x" > Oslo </a>'),
        ("&nbsp;Oslo", "&nbsp; Oslo"),
        ("[Oslo](http://x.org)", "[ Oslo ]( http://x.org )"),
        ('"Anna","Oslo"', '" Anna "," Oslo "'),
        ("Oslo--", "Oslo --"),
    ],
)
def test_markup_is_split_off_words(nlp, text, expected):
    assert words(nlp, text) == expected.split()


@pytest.mark.parametrize(
    "text",
    [
        *["3*4", "a_b", "C#", "snake_case_name", "__init__", "AT&T", "x~y", "~5", "~/dir", "a@b"],
        *["http://x.org/a_b|c", "http://x.org/?q=", "http://x.org/~anna/", "user@example.org"],
        *[":-)", ":|", "@_@", "@_@,", "<3", "</3", "O_o", "=)", ">.<", "->", "<-"],
        *["He didn't say 'Oslo' (U.S.-based) at 5pm.", "a  b \n c", "-5 - 3", "1939-45", ""],
    ],
)
def test_other_text_is_as_spacy_has_it(nlp, text):
    assert words(nlp, text) == [token.text for token in spacy.blank("en").make_doc(text)]


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("“Don’t,” he said…", '"Don\'t," he said...'),
        ("Anna’s ‘Oslo’ — Rome—Bonn", "Anna's 'Oslo' -- Rome--Bonn"),
        ("don\u00ad’t Os\u200blo", "don't Oslo"),
        ("1939–45 al‑Qaida", "1939-45 al-Qaida"),
        ("Ｏｓｌｏ，𝐎𝐬𝐥𝐨", "Oslo,Oslo"),
        ("Zu\u0308rich’s cafe\u0301.Then", "Zürich's café.Then"),
    ],
)
def test_tokens_and_norms_are_those_of_the_typed_text(nlp, text, typed):
    doc, expected = nlp.make_doc(text), nlp.make_doc(typed)
    assert doc.text == text
    assert [token.norm_ for token in doc] == [token.norm_ for token in expected]
    assert [bool(token.whitespace_) for token in doc] == [bool(t.whitespace_) for t in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffOslo is", ["\ufeff", "Oslo", "is"]),
        ("Oslo\u200b is \u200bhere", ["Oslo", "\u200b", "is", "\u200b", "here"]),
        ("Oslo \u200b is", ["Oslo", "\u200b", "is"]),
        ("Os\u200blo", ["Os\u200blo"]),
        ("(\u200eOslo\u200f)", ["(", "\u200e", "Oslo", "\u200f", ")"]),
        ("❤\ufe0f Oslo", ["❤\ufe0f", "Oslo"]),
        ("\u200b \u200b", ["\u200b", "\u200b"]),
        ("Oslo\u2800Rome", ["Oslo", "\u2800", "Rome"]),
    ],
)
def test_invisible_characters_at_an_edge_are_tokens(nlp, text, expected):
    assert words(nlp, text) == expected


def test_tokens_survive_saving(nlp, tmp_path):
    expected = words(nlp, TYPOGRAPHIC)
    assert [word for word in expected if not is_invisible(word)] == [
        *["“", "Do", "n’t", ",", "”", "Os\u00adlo", "said", "…"],
        *["—", "Zu\u0308rich", "<b>", "agrees", "</b>"],
    ]
    nlp.to_disk(tmp_path)
    blank = spacy.blank("en", config=CONFIG)
    loaded = [spacy.load(tmp_path), blank.from_bytes(nlp.to_bytes())]
    assert [words(other, TYPOGRAPHIC) for other in loaded] == [expected] * 2
    doc = pickle.loads(pickle.dumps(nlp.tokenizer))(TYPOGRAPHIC)  # noqa: S301
    assert [token.text for token in doc] == expected


@pytest.mark.slow
def test_tokens_are_the_same_in_processes(nlp):
    docs = nlp.pipe([TYPOGRAPHIC] * 4, n_process=2)
    assert [[token.text for token in doc] for doc in docs] == [words(nlp, TYPOGRAPHIC)] * 4


def test_special_cases_apply_to_typographic_and_plain_forms():
    nlp = spacy.blank("en", config=CONFIG)
    nlp.tokenizer.add_special_case("rock’n’roll", [{"ORTH": "rock"}, {"ORTH": "’n’roll"}])
    assert words(nlp, "rock’n’roll rock'n'roll") == ["rock", "’n’roll", "rock", "'n'roll"]


def test_explanation_has_the_tokens_of_the_plain_text(nlp):
    explained = nlp.tokenizer.explain("“Don’t” ~~Oslo~~")
    assert [token for _, token in explained] == ['"', "Do", "n't", '"', "~~", "Oslo", "~~"]


@pytest.mark.parametrize("lang", ["de", "fr", "es", "ar", "ru", "hi", "fa", "xx", "nb", "hu"])
def test_other_languages(lang):
    nlp = spacy.blank(lang, config=CONFIG)
    text = "\ufeff“Oslo”, ~~Oslo~~ |Oslo| #Oslo @Oslo =Oslo= <b>Oslo</b> —Oslo– Oslo…"
    assert words(nlp, text).count("Oslo") == 9


@pytest.mark.parametrize("lang", ["ja", "ko", "th", "vi", "zh"])
def test_languages_with_a_tokenizer_of_their_own_are_refused(lang):
    with pytest.raises(ValueError, match=rf"Received: '{lang}'.*@tokenizers = 'spacy\.{lang}\."):
        spacy.blank(lang, config=CONFIG)
