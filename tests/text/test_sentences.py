import copy
import pickle
import re
import unicodedata
from functools import cache

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from ner_lstm_component.text.sentences import KnownWords, Reader, chunks, split
from ner_lstm_component.text.windows import Windowing, Windows, pad_windows, split_windows
from ner_lstm_component.text.words import abbreviation_hashes

WINDOWING = Windowing(window=10, context=2, batch_tokens=40)


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


@pytest.mark.parametrize(("context", "batch_tokens"), [(2, 1), (-1, 1), (1, 0)])
def test_windowing_is_checked(context, batch_tokens):
    with pytest.raises(ValueError, match="Received"):
        Windowing(window=4, context=context, batch_tokens=batch_tokens)


@pytest.mark.parametrize("lengths", [[1], [10], [11], [3, 25, 10, 1], [100], [6, 7, 12, 13, 60]])
def test_cores_cover_every_token_once_with_context(lengths):
    windows = split_windows(np.array(lengths), WINDOWING)
    covered = np.concatenate(
        [np.arange(a, b) for a, b in zip(windows.core_start, windows.core_end, strict=True)]
    )
    assert covered.tolist() == list(range(sum(lengths)))
    assert windows.lengths.max() <= WINDOWING.window
    assert (len(windows.start) == len(lengths)) == (max(lengths) <= WINDOWING.window)
    sentence_of = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    for start, end, core_start, core_end in zip(
        windows.start, windows.end, windows.core_start, windows.core_end, strict=True
    ):
        sentence = sentence_of[core_start]
        first, last = ends[sentence] - lengths[sentence], ends[sentence]
        assert sentence_of[end - 1] == sentence == sentence_of[start]
        # Context on both sides, within the sentence.
        assert core_start - start in (WINDOWING.context, core_start - first)
        assert end - core_end in (WINDOWING.context, last - core_end)


def test_batches_hold_every_core_token_once():
    lengths = np.array([3, 25, 10, 1, 7, 7, 7, 2])
    seen = []
    for batch in pad_windows(split_windows(lengths, WINDOWING), WINDOWING):
        assert batch.mask.size <= WINDOWING.batch_tokens
        assert batch.mask.any(axis=0).all(), "a column has only padding"
        assert not (batch.core & ~batch.mask).any()
        # Right-padded: what precedes a token is a token.
        assert (batch.mask[:, :-1] | ~batch.mask[:, 1:]).all()
        seen.extend(batch.tokens[batch.core].tolist())
    assert sorted(seen) == list(range(lengths.sum()))


def test_a_window_longer_than_a_batch_is_a_batch():
    windowing = Windowing(window=100, context=10, batch_tokens=5)
    windows = split_windows(np.array([50, 2]), windowing)
    shapes = [batch.mask.shape for batch in pad_windows(windows, windowing)]
    assert shapes == [(1, 50), (1, 2)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("He left . She stayed .", [3, 3]),
        ('" Stop ! " he said . " Go . " They went .', [7, 4, 3]),
        ("He left ( at 5 . ) Then ? ! Well ...", [7, 3, 2]),
        ("An approx . value of no . 5 .", [7, 2]),
        ("no end", [2]),
        (". . .", [3]),
        ("「 彼 。 」 彼女 。", [4, 2]),
    ],
)
def test_sentences_end_at_punctuation(vocab, text, sentences):
    assert Reader()([Doc(vocab, words=text.split())]).lengths.tolist() == sentences


def test_boundaries_of_a_doc_are_kept(vocab):
    words = ["Go", ".", "Stay", ".", "Now"]
    one = Doc(vocab, words=words, sent_starts=[True, False, False, False, False])
    two = Doc(vocab, words=words, sent_starts=[True, True, False, False, False])
    docs = [one, Doc(vocab, words=words), two, Doc(vocab), one]
    assert Reader()(docs).lengths.tolist() == [5, 2, 2, 1, 1, 4, 5]
    for nothing in ([], [Doc(vocab)]):
        assert Reader()(nothing).lengths.tolist() == []


def test_a_batch_of_one_window_tags_only_its_core():
    windowing = Windowing(window=10, context=2, batch_tokens=100)
    whole = split_windows(np.array([20]), windowing)
    second = Windows(*(array[1:2] for array in vars(whole).values()))
    (batch,) = pad_windows(second, windowing)
    assert batch.tokens.tolist() == [list(range(4, 14))]
    assert batch.tokens[batch.core].tolist() == list(range(6, 12))


# --- text as people have it --------------------------------------------------------------

KNOWN = KnownWords(abbreviation_hashes())
READERS = {False: Reader(), True: Reader(normalize=True)}
BLANKS = "\t\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2003\u2009\u2028\u202f\u205f\u3000\n\r"
INVISIBLE = "\u200b\u200e\u2060\ufeff\xad\u034f\u2800\ufe0f\U000e0041\x00"


@cache
def pipeline(lang):
    config = {"nlp": {"tokenizer": {"@tokenizers": "ner_lstm_component.Tokenizer.v1"}}}
    return spacy.blank(lang, config=config if lang != "zh" else {})


def read(text, normalize=True, lang="en"):
    """Return the sentences of a text as strings, their words joined by blanks."""
    doc = pipeline(lang).make_doc(text)
    found = READERS[normalize]([doc], KNOWN)
    words = [doc.vocab.strings[orth] for orth in found.orths.tolist()]
    return [" ".join(sentence) for sentence in split(words, found.lengths.tolist())]


@pytest.mark.parametrize("normalize", READERS)
def test_no_blank_is_a_word(vocab, normalize):
    for blank in BLANKS + INVISIBLE + " ":
        doc = Doc(vocab, words=[blank, "Oslo", blank * 2, "fell", blank])
        text = READERS[normalize]([doc])
        assert text.is_word.tolist() == [False, True, False, True, False]
        assert READERS[normalize].is_visible([doc]).tolist() == text.is_word.tolist()
        assert text.doc_lengths == [2]
        assert len(READERS[normalize]([Doc(vocab, words=[blank])]).lengths) == 0


@pytest.mark.parametrize("normalize", READERS)
@pytest.mark.parametrize(
    ("blank", "is_empty_line"),
    [
        *[(blank, True) for blank in ("\n\n", "\r\n\r\n", "\r\r", "\n \n", "\n\t\r\n", "\u2029")],
        *[(blank, True) for blank in ("\n\u200b\n", "\x0c\x0c", "\x85\x85", "\u2028 \u2028")],
        *[(blank, False) for blank in ("\n", "\r\n", "\r", "\x0b", "\u2028", "   ", " \u200b ")],
        *[(blank, False) for blank in ("\t\t", "\xa0\xa0", "\n    ", "  \n", "\ufeff\n\u200b")],
    ],
)
def test_an_empty_line_ends_a_sentence(normalize, blank, is_empty_line):
    expected = ["they saw", "rome fall"] if is_empty_line else ["they saw rome fall"]
    assert read(f"they saw{blank}rome fall", normalize) == expected
    assert read(f"{blank}they saw rome{blank}", normalize) == ["they saw rome"]


@pytest.mark.parametrize("normalize", READERS)
def test_a_blank_may_carry_a_boundary(vocab, normalize):
    words = ["\n", "Go", ".", "\n\n", "now", " ", "Stay", ".", "-", "x"]
    starts = [True, False, False, True, False, False, True, False, False, False]
    doc = Doc(vocab, words=words, sent_starts=starts)
    assert READERS[normalize]([doc]).lengths.tolist() == [2, 1, 4]


TITLES = (
    "Mr. Mrs. Ms. Dr. Prof. Rev. Fr. Hon. St. Sr. Pres. Gov. Sen. Rep. Amb. Atty. Adm. Gen. Lt. "
    "Col. Maj. Capt. Cpt. Cpl. Pvt. Pfc. Sgt. SSgt. SFC. MSgt. Cmdr. Cdr. Comm. Ens. Brig. Det. "
    "Insp. Supt. Dep. Const. Treas. Asst. Mgr. Msgr. Bp. Ald. Geo. Wm. Jos. Pte. Gnr. LCpl. Ven. "
    "Sqn. Ldr. Flt. Cdre. Lt.-Col. Maj.-Gen. Sub-Lt. R.Adm. Ph.D. J. Sgts. Reps. Messrs. CAPT. "
)
ABBREVIATIONS = (
    "Fig. No. Nos. Vol. Sec. Art. Eq. Jan. Feb. Aug. Sept. Oct. Nov. Dec. Mon. Inc. Corp. Ltd. Co. "
    "Bros. S.A. U.S. U.K. Ave. Blvd. Rd. Hwy. Mt. Ft. Pt. Dept. Univ. vs. e.g. i.e. cf. approx. "
    "p.m. A.M. Calif. Mass. Fla. D.C. Jr. pp. Ct. Prov. Dist. Tel. avg. etc."
)


@pytest.mark.parametrize("word", (TITLES + ABBREVIATIONS).split())
def test_a_sentence_goes_on_after_an_abbreviation(word):
    for text in (f"On Monday {word} Joe Doe spoke.", f"{word}\nJoe Doe spoke.", f"{word} Joe Doe"):
        assert len(read(text)) == 1
    if word in ABBREVIATIONS.split():
        assert [sentence[:2] for sentence in read(f"We saw {word} He left.")] == ["We", "He"]


@pytest.mark.parametrize(
    "text",
    [
        "Lt. Col. Ann Lee met Maj. Gen. Ed Doe",
        "See Fig. Five in No. Ten.",
        "J. R. R. Tolkien saw George W. Bush.",
        "at 5 p.m. Monday, he left",
        '"Stop!" she said.',
        "(No. 5?) he asked.",
    ],
)
def test_one_sentence(text):
    assert len(read(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "He runs Acme Corp. | He left.",
        "It ended at 5 p.m. | The end.",
        "He said no. | Oslo fell.",
        "It was in Washington D.C. | He left.",
        "Really?! | Yes... | Well… | Go!!! | Now.",
        'He said "Go." | She left. | "No!" | They went.',
        "“Go.” | He left. | ‘No.’ | She stayed. | (He did.) | Then.",
        "He left.”) | She stayed.",
        "« Allons. » | Il part.",
        "He left. | „Geh.“ | Dann »Komm.« | Er ging.",
        "نعم۔ | لا؟ | جاء.",
        "जाता है। | वह",
        "It has these:\n | Oslo\n | Rome",
    ],
)
def test_ends_of_sentences(text):
    found = read(text.replace("| ", "").replace("\n ", "\n- "))
    assert [one.replace(" ", "") for one in found] == [
        "".join(part.split()) for part in text.split("|")
    ]


def test_ends_of_sentences_without_a_blank():
    assert read("London.He said so.") == ["London .", "He said so ."]
    assert read("他走了。她来了！真的？", lang="zh") == ["他 走 了 。", "她 来 了 ！", "真 的 ？"]


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("de", "Hptm. Berg | Frl. Berg | Dr. med. Anna Berg | Nr. Berlin | ca. Berlin | am 3. Mai"),
        (
            "fr",
            "M. Dupont | Mme. Dupont | Cdt. Dupont | av. Voltaire | boul. Voltaire | MM. Dupont",
        ),
        ("es", "Sr. López | Dña. Ana | Tte. López | Excmo. Sr. López | Avda. Madrid | Hnos. López"),
    ],
)
def test_abbreviations_of_other_languages(lang, text):
    for part in text.split(" | "):
        assert len(read(f"A {part}", lang=lang)) == 1
    exceptions = pipeline(lang).Defaults.tokenizer_exceptions
    for word in (word for word in exceptions if re.fullmatch(r"[^\W\d_]{2,}\.", word)):
        assert len(read(f"a {word} Xaver", lang=lang)) == 1


ITEMS = ["Oslo fell", "Rome rose", "Paris stayed"]


@pytest.mark.parametrize(
    "markers",
    [
        *["- - -", "* * *", "+ + +", "• • •", "– — –", "▪ ▪ ▪", "1. 2. 3.", "9) 10) 11)"],
        *["(a) (b) (c)", "a) b) c)", "iv. v. vi.", "II. III. IV.", "[1] [2] [3]", "(i) (ii) (iii)"],
    ],
)
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\n", "\n   "])
def test_list_items(markers, line_break):
    lines = [f"{marker} {item}" for marker, item in zip(markers.split(), ITEMS, strict=True)]
    assert read(line_break.join(lines)) == ITEMS
    assert read(f"So:{line_break}" + line_break.join(lines)) == ["So :", *ITEMS]
    assert "".join(read(line_break.join(lines), normalize=False))[0] == markers[0]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        # List items.
        ("- Oslo fell\n  again\n- rome rose", ["Oslo fell again", "rome rose"]),
        ("Plans\n* go home\n* stay", ["Plans", "go home", "stay"]),
        ("- [ ] Oslo\n- [x] Rome", ["Oslo", "Rome"]),
        ("- Oslo\n\n31. Rome", ["Oslo", "Rome"]),
        # Wrapped lines.
        ("They met in July\n31. It rained.", ["They met in July 31 .", "It rained ."]),
        ("in the town\n- rather small - of Oslo", ["in the town - rather small - of Oslo"]),
        ("between 5 and\n6) of Oslo", ["between 5 and 6 ) of Oslo"]),
        ("they saw Oslo,\nRome and\nthe Alps", ["they saw Oslo , Rome and the Alps"]),
        # Quoted lines.
        ("> Oslo fell\n> again.\nWhy?", ["Oslo fell again .", "Why ?"]),
        ("Why?\n> Oslo\n\nRome\n> Paris", ["Why ?", "Oslo", "Rome", "Paris"]),
        ("> > Oslo\n> > fell\n> again\nRome", ["Oslo fell", "again", "Rome"]),
        (">> Oslo\n>> fell\n> again", ["Oslo fell", "again"]),
        ("> Oslo\n>\n> Rome\n> fell", ["Oslo", "Rome fell"]),
        ("> Oslo\n>\n> Rome and\n> Paris\n> fell", ["Oslo", "Rome and Paris fell"]),
        ("> - Oslo\n> - Rome", ["Oslo", "Rome"]),
        # Headings.
        ("# Oslo\nIt fell", ["Oslo", "It fell"]),
        ("We left\n## Oslo ##\nit fell", ["We left", "Oslo", "it fell"]),
        ("Oslo\n====\nit fell", ["Oslo", "it fell"]),
        ("Oslo\n----\nit fell", ["Oslo", "it fell"]),
        ("== Oslo ==\nit fell", ["Oslo", "it fell"]),
        ("He left\n\n---\n\nshe left", ["He left", "she left"]),
        ("#Oslo is in #Norway", ["Oslo is in Norway"]),
        # Tables.
        ("| Oslo | fell |\n|---|---|\n| Rome | rose |", ["Oslo", "fell", "Rome", "rose"]),
        # Keys and chats.
        ("From: Ann Lee\nTo: Ed", ["From :", "Ann Lee", "To :", "Ed"]),
        ("Date of birth: May\nleft at: 5", ["Date of birth :", "May left at : 5"]),
        ("**From:** Ann\n**To**: Ed", ["From :*", "Ann", "To :", "Ed"]),
        ("_From:_ Ann\n- To: Ed", ["From :", "Ann", "To :", "Ed"]),
        ("10:30 Ann: ok\n10:31 Ed: ok", ["10:30 Ann :", "ok", "10:31 Ed :", "ok"]),
        ("[10:30] Ann: ok\n[10:31] Ed: ok", ["[ 10:30 ] Ann : ok", "[ 10:31 ] Ed : ok"]),
        ("they met at\n10:30 in Oslo", ["they met at 10:30 in Oslo"]),
        # HTML.
        ("<h1>Oslo</h1><p>It <b>fell</b>.</p>", ["Oslo", "It fell ."]),
        ("<ul><li>Oslo</li><li>Rome</li></ul>", ["Oslo", "Rome"]),
        ("<td>Oslo</td><td>Rome</td>", ["Oslo", "Rome"]),
        ("Oslo<br/>Rome <i>fell</i>", ["Oslo", "Rome fell"]),
        ("<section>Oslo</section><blockquote>Rome</blockquote>", ["Oslo", "Rome"]),
        ("New&nbsp;York", ["New York"]),
        # Emphasis.
        ("**Oslo** _fell_ ~~again~~ `now`", ["Oslo fell again now"]),
        ("**Oslo fell.** It rose. *It* fell", ["Oslo fell .", "It rose .", "It fell"]),
    ],
)
def test_lines_and_markup(text, sentences):
    assert read(text) == sentences
    assert read(text.replace("\n", "\r\n")) == sentences


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ('"Go," he said - it\'s 5', "“Go,” he said – it’s 5"),
        ("Zürich is a café", unicodedata.normalize("NFD", "Zürich is a café")),
        ("Oslo is in Norway", "Os\xadlo\u200b is\ufeff in Nor\u2060way"),
        ("Oslo is in Norway", "**Oslo** is _in_ ~~Norway~~"),
        ("Well ... he left", "Well … he left"),
    ],
)
def test_forms_of_typographic_and_invisible_characters(typed, written):
    found, expected = (
        READERS[True]([pipeline("en").make_doc(text)], KNOWN) for text in (written, typed)
    )
    np.testing.assert_array_equal(found.forms, expected.forms)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    plain = READERS[False]([pipeline("en").make_doc(written)])
    assert plain.forms.tolist() == plain.orths.tolist()


@pytest.mark.parametrize("normalize", READERS)
def test_copies_of_a_reader(vocab, normalize):
    doc = Doc(vocab, words=["“", "Oslo", "\n", "Sgt", ".", "Xiris"], spaces=[False] * 6)
    expected = READERS[normalize]([doc], KNOWN)
    reader = READERS[normalize]
    for other in (copy.deepcopy(reader), pickle.loads(pickle.dumps(reader))):  # noqa: S301
        for found, wanted in zip(other([doc], KNOWN)[1:], expected[1:], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_abbreviations_are_learned(vocab):
    printed = "We saw the Xqr. Oslo building."
    assert len(read(printed)) == 2
    doc = Doc(vocab, words=["the", "Xqr.", "Oslo", "building", "."])
    known = READERS[True].learn([[Example(doc.copy(), doc)] * 2])
    assert len(READERS[True]([pipeline("en").make_doc(printed)], known).lengths) == 1


def test_chunks_are_whole_sentences(vocab):
    text = READERS[True]([Doc(vocab, words=("A b . " * 3 + "A b c d e f g . A").split())])
    assert [one.lengths.tolist() for one in chunks(text, 6)] == [[3, 3], [3], [8], [1]]
    assert np.concatenate([one.forms for one in chunks(text, 6)]).tolist() == text.forms.tolist()


TWEETS = ["@ anna is in #Oslo", "we miss @ anna", "rain in #Oslo today", "so tired * sigh *"] * 30


def test_frequent_marks_are_words(vocab):
    docs = [Doc(vocab, words=text.split()) for text in TWEETS + ["good morning"] * 3_000]
    rare = READERS[True].learn([[Example(doc.copy(), doc) for doc in docs]])
    frequent = READERS[True].learn([[Example(doc.copy(), doc) for doc in docs[: len(TWEETS)]]])
    assert rare.kept == "#@"
    assert frequent.kept == "*#@"
    once = READERS[True].learn([[Example(docs[0].copy(), docs[0])]])
    assert once.kept == ""


def test_marks_that_are_words_have_features(vocab):
    reader, doc = Reader(normalize=True), Doc(vocab, words=["@", "anna", "is", "in", "#Oslo"])
    without, kept = reader([doc]), reader([doc], KnownWords(kept="@#"))
    assert without.is_word.tolist() == [False, True, True, True, True]
    assert kept.is_word is None
    oslo, hashed = (Doc(vocab, words=[word]) for word in ("Oslo", "#Oslo"))
    assert without.forms[-1] == reader([oslo]).forms[0]
    assert kept.forms[-1] == reader([hashed], KnownWords(kept="#")).forms[0] != without.forms[-1]
    assert reader([doc]).is_word.tolist() == without.is_word.tolist()
