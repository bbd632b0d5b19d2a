from __future__ import annotations

import gzip
import re

import pytest
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ner_lstm_component.dataset import (
    PARTS,
    DatasetError,
    Sentence,
    Source,
    read_file,
    read_folder,
    to_docbin,
)

HEADER = "Sentence #,Word,POS,Tag\n"
SAMPLE = HEADER + (
    "Sentence: 1,New,NNP,B-geo\n,York,NNP,I-geo\nSentence: 2,None,NN,O\n,slept,VBD,O\n"
)
EXPECTED = (
    Sentence("Sentence: 1", ("New", "York"), ("B-geo", "I-geo"), ("NNP", "NNP")),
    Sentence("Sentence: 2", ("None", "slept"), ("O", "O"), ("NN", "VBD")),
)
CONLL = (
    "-DOCSTART- -X- -X- O\n\n# id = 1\nNew NNP I-NP B-geo\nYork\xa05 NNP I-NP I-geo\n"
    "# # O O\n\n \n-DOCSTART- -X- -X- O\n\nIt PRP B-NP O\nrained _ B-VP O\n\n"
)


def words_of(source: Source) -> list[tuple[str, ...]]:
    return [sentence.words for sentence in source.sentences]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "text",
    [SAMPLE, SAMPLE.rstrip("\n"), "\n" + SAMPLE.replace("Sentence: 2", "\nSentence: 2") + "\n\n"],
    ids=["as usual", "unfinished", "blank lines"],
)
def test_line_ends_and_blank_lines(read, text, line_end):
    source = read(text.replace("\n", line_end))
    assert (source.sentences, source.remarks, source.separator) == (EXPECTED, (), "commas")


@pytest.mark.parametrize(
    ("ids", "sentences", "again"),
    [
        ("1 1 2 2 3", "ab cd e", None),
        ("1 1 1 2 _ 2 2", "abc defg", None),  # a lost id does not divide a sentence
        ("1 1 2 2 1 1", "ab cd ef", "1 sentence"),
        ("1 _ 1 _ 1", "ab cd e", "2 sentences"),  # an id on first rows always begins one
    ],
)
def test_ids_on_every_row_or_on_first_rows(read, ids, sentences, again):
    rows = zip(ids.replace("_", "").split(" "), "abcdefg", strict=False)
    source = read(HEADER + "".join(f"{number},{word},X,O\n" for number, word in rows))
    assert words_of(source) == [tuple(sentence) for sentence in sentences.split()]
    remark = f"found {again} with the id of an earlier one, and did not join them"
    assert source.remarks == ((remark,) if again else ())


def test_the_id_of_a_row_without_content_begins_a_sentence(read):
    source = read(HEADER + "1,,,\n,a,X,O\n,b,X,O\n2,,,\n,c,X,O\n3,,,\n4,d,X,O\n,e,X,O\n5,,,\n")
    assert [(s.id, "".join(s.words)) for s in source.sentences] == [
        ("1", "ab"),
        ("2", "c"),
        ("4", "de"),
    ]


@pytest.mark.parametrize("word", ["None", "NA", "nan", "null", "N/A", "1e5", "06-Apr"])
def test_columns_in_any_order_with_words_that_look_like_something_else(read, word):
    source = read(f"Tag,extra,Word,Sentence #\nB-x,?,{word},{word}\nO,?,sleeps,\n")
    assert source.sentences == (Sentence(word, (word, "sleeps"), ("B-x", "O"), None),)


@pytest.mark.parametrize(
    ("delimiter", "separator"), [("\t", "tabs"), (";", "semicolons"), ("|", "vertical bars")]
)
def test_other_delimiters(read, delimiter, separator):
    text = 'Sentence #,Word,POS,Tag\n1,"""",Q,O\n,a,X,B-x\n,"b~c",X,I-x\n'.replace(",", delimiter)
    source = read(text.replace("~", delimiter))
    assert words_of(source) == [('"', "a", f"b{delimiter}c")]
    assert source.separator == separator


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ('1,"""",O\n,",",O\n,"1,000",O\n,"a\nb",O\n,"c\r\nd",O\n', '" , 1,000 a\nb c\r\nd'),
        ('1\t"\tO\n\ta\tO\n\t"\tO\n\t""\tO\n\t"b\tO\n', '" a " "" "b'),  # without quoting
    ],
)
def test_quotation_marks_commas_and_line_ends_in_words(read, rows, words):
    header = "Sentence #,Word,Tag\n".replace(",", "\t" if "\t" in rows else ",")
    assert words_of(read(header + rows)) == [tuple(words.split(" "))]


# Blanks and characters that are not seen: zero-width, byte order mark, soft hyphen, controls.
INVISIBLE = [" ", "\t", "\xa0", "\u3000", "\u200b", "\ufeff", "\xad", "\u200e", "\x07", "\x85"]


@pytest.mark.parametrize("c", INVISIBLE, ids=ascii)
def test_invisible_characters_at_the_ends_are_removed_and_counted(read, c):
    source = read(
        f"{c}Sentence #{c},{c}Word,POS,Tag{c}\n{c}1{c},{c}New,{c}NNP{c},B-{c}geo{c}\n"
        f"{c},York{c}{c},NNP,{c}I-geo\n,5{c}x,X,O{c}\n"
    )
    tags, pos = ("B-geo", "I-geo", "O"), ("NNP", "NNP", "X")
    assert source.sentences == (Sentence("1", ("New", "York", f"5{c}x"), tags, pos),)
    (remark,) = source.remarks
    assert remark == "removed blanks or invisible characters at the ends of 2 words and 3 tags"


@pytest.mark.parametrize("word", ["\u200b", "\xa0", " ", "\x85", "\ufe0f", "\ufeff\xad"], ids=ascii)
def test_rows_without_a_visible_word_are_left_out_and_counted(read, word):
    text = f"Sentence #,Word,Tag\n1,{word},O\n,New,B-geo\n,{word},I-geo\n,York,I-geo\n"
    source = read(text)
    # The row after the one that was left out takes its id.
    assert source.sentences == (Sentence("1", ("New", "York"), ("B-geo", "I-geo")),)
    assert source.remarks == ("left out 2 rows without a visible character in the word",)


@pytest.mark.parametrize("blank", [",,,", ",,,,,,", "   ", " ,\xa0,\u200b,", '"",,,'], ids=ascii)
def test_rows_without_content_are_left_out_and_counted(read, blank):
    source = read(f"{blank}\n" + SAMPLE.replace("Sentence: 2", f"{blank}\nSentence: 2"))
    assert source.sentences == EXPECTED
    assert source.remarks == ("left out 1 row without content",)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", [" ", "  ", "\t"])
def test_conll(read, line_end, columns):
    source = read(CONLL.replace(" ", columns).replace("\n", line_end))
    assert source.sentences == (
        Sentence("1", ("New", "York\xa05", "#"), ("B-geo", "I-geo", "O"), ("NNP", "NNP", "#")),
        Sentence("2", ("It", "rained"), ("O", "O"), ("PRP", "")),
    )
    assert source.separator == "tabs or blanks, an empty line after each sentence (CoNLL)"
    assert source.remarks == ()


def test_conll_of_two_columns(read):
    assert read("#rome\tB-place name\n{\tO\n\n#\tO\n@bob\tB-per\n").sentences == (
        Sentence("1", ("#rome", "{"), ("B-place name", "O")),
        Sentence("2", ("#", "@bob"), ("O", "B-per")),
    )


@pytest.mark.parametrize(
    ("text", "mended", "tags"),
    [
        ("Ann I-per\nBob B-per\nin O\nNew I-geo\nYork I-geo\n", 2, "B-per B-per O B-geo I-geo"),
        ("Sentence #,Word,Tag\n1,a,I-x\n,b,I-x\n,c,I-y\n,d,O\n,e,I-x\n", 3, "B-x I-x B-y O B-x"),
        ("Sentence #,Word,Tag\n1,a,B-x\n,b,I-x\n", 0, "B-x I-x"),
    ],
)
def test_repair_reads_iob1_and_counts_what_it_mends(read, text, mended, tags):
    source = read(text, repair_tags=True)
    assert (source.mended, source.sentences[0].tags) == (mended, tuple(tags.split()))


# text, line, what the message must say
BAD = {
    "empty file": ("", None, "the file is empty"),
    "no rows": (HEADER, None, "no rows"),
    "missing column": ("Sentence #,Word,POS\n1,a,X\n", 1, "lacks the column 'Tag'"),
    "no header": ("1,a,X,O\n", 1, "lacks the column 'Sentence #', 'Word', 'Tag'"),
    "JSON": ('\n {"text": "Ann"}\n', None, "found JSON"),
    "other format": ("I|O like|O London|B-GPE\n", 1, "`spacy convert`"),
    "column twice": ("Sentence #,Word,Word,Tag\n1,a,a,O\n", 1, "the column 'Word' more than once"),
    "no first id": (HEADER + "\n,a,X,O\n1,b,X,O\n", 3, "no sentence id"),
    "empty word": (HEADER + "1,a,X,O\n,,X,O\n", 3, "the empty word ''"),
    "invisible word": (HEADER + '1,a,X,O\n," \t",X,B-x\n', 3, "'B-x' on the word ' \\t'"),
    "word read as missing": (HEADER + "1,a,X,O\n,,,O\n", 3, "None, NA or null"),
    "unknown tag": (HEADER + "1,a,X,O\n,b,X,U-geo\n", 3, "the tag 'U-geo'"),
    "lone I- first": (HEADER + "1,a,X,O\n2,b,X,I-geo\n", 3, "'I-geo' at the sentence's start"),
    "too few fields": (HEADER + "1,a,O\n", 2, "found 3 fields; expected 4"),
    "line end in word": (HEADER + '1,"a\nb",X,O\n\n,,X,O\n', 5, "the empty word ''"),
    "U+0085 is no line end": (HEADER + "1,a\x85b\u2028c,X,O\n,,X,O\n", 3, "the empty word ''"),
    "stray quote": (HEADER + '1,"a"b,X,O\n', 2, "not valid CSV"),
    "two open quotes": (HEADER + '1,a,X,O\n,",X,O\n,b,X,O\n,",X,O\n', 3, "a word of several lines"),
    "long open quote": (HEADER + '1,a,X,O\n,",X,O\n' + ",b,X,O\n" * 40_000, 3, "not valid CSV"),
    "lone I- in CoNLL": ("Ann I-per\n", 1, "as in IOB1, with repair_tags=True (--repair)"),
    "CoNLL, columns": ("a X O\nb O\n", 2, "found 2 columns; expected 3"),
    "CoNLL, ids": ("S: 1\tAnn\tB-per\nS: 1\tsings\tO\n", 1, "only numbers in the first column"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_content_is_refused_with_its_line(read, tmp_path, case):
    text, line, message = BAD[case]
    with pytest.raises(DatasetError) as error:
        read(text)
    place = f"{tmp_path / 'data.csv'}, line {line}: " if line else f"{tmp_path / 'data.csv'}: "
    assert str(error.value).startswith(place)
    assert message in str(error.value)
    assert "expected" in str(error.value)
    if "I-" not in case:  # repair hides no other fault
        with pytest.raises(DatasetError, match=re.escape(str(error.value))):
            read(text, repair_tags=True)


def test_folder(tmp_path):
    (tmp_path / "train.tsv").write_text(SAMPLE.replace(",", "\t"))
    (tmp_path / "valid.csv").write_text(SAMPLE)
    with pytest.raises(DatasetError) as error:
        read_folder(tmp_path)
    message = f"{tmp_path}: no file for dev; found 'train.tsv', 'valid.csv'; expected dev.csv"
    assert str(error.value).startswith(message)
    (tmp_path / "dev.csv.gz").write_bytes(gzip.compress(SAMPLE.encode()))
    (tmp_path / "test.conll").write_text(CONLL)
    sources = read_folder(tmp_path)
    assert [sources[part].sentences[-1].words[1] for part in PARTS] == ["slept", "slept", "rained"]
    (tmp_path / "test.csv").write_text(SAMPLE)
    with pytest.raises(DatasetError, match=r"found test\.csv and test\.conll; expected one file"):
        read_folder(tmp_path)


def test_each_word_has_its_line(read):
    source = read('\nSentence #,Word,Tag\n1,"a\nb",O\n,,\n,c,O\n\n2,d,O\n')
    assert [sentence.lines for sentence in source.sentences] == [(3, 6), (8,)]


@pytest.fixture
def docs(tmp_path) -> list[Doc]:
    """Docs in a file: with spaces, without a token, partly annotated."""
    text = Doc(Vocab(), ["New", "York", "."], [True, False, False], ents=["B-geo", "I-geo", "O"])
    text.cats, text.user_data["source"] = {"news": 1.0}, "wire"
    docs = [text, Doc(Vocab()), Doc(Vocab(), words=["in", "Oslo"], ents=["", "B-geo"])]
    DocBin(store_user_data=True, docs=docs).to_disk(tmp_path / "train.spacy")
    return docs


def test_docs_are_read_as_sentences_and_written_as_they_were(tmp_path, docs):
    source = read_file(tmp_path / "train.spacy")
    assert source.sentences == (
        Sentence("1", ("New", "York", "."), ("B-geo", "I-geo", "O")),
        Sentence("3", ("in", "Oslo"), ("O", "B-geo")),
    )
    text, partly = to_docbin(source.sentences).get_docs(Vocab())
    assert (text.text, text.cats, text.user_data) == ("New York.", docs[0].cats, docs[0].user_data)
    assert [token.ent_iob_ for token in partly] == ["", "B"]


def test_a_folder_may_hold_docs_but_text_beside_them_comes_first(tmp_path, docs):
    for part in ("dev", "test"):
        (tmp_path / f"{part}.csv").write_text(SAMPLE)
    read = read_folder(tmp_path)
    assert [read[part].encoding for part in PARTS] == ["DocBin", "utf-8", "utf-8"]
    (tmp_path / "train.csv").write_text(SAMPLE)  # from which train.spacy was converted
    assert read_folder(tmp_path)["train"].sentences == EXPECTED


@pytest.mark.parametrize("content", [None, b"x\x9cK\x04\x00\x00b\x00b", DocBin().to_bytes()])
def test_docs_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "data.spacy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"data\.spacy: (cannot be read as|found no Doc)"):
        read_file(path)
