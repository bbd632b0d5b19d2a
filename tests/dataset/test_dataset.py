from __future__ import annotations

import gzip
import importlib.util
import io
import sys
import zipfile
from collections import Counter
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest
from spacy.tokens import DocBin
from spacy.training import Corpus
from spacy.vocab import Vocab

from ner_lstm_component import dataset
from ner_lstm_component.dataset import (
    Counts,
    DatasetError,
    Sentence,
    Split,
    count,
    read_csv,
    read_folder,
    split_sentences,
    to_doc,
    to_docbin,
)
from ner_lstm_component.dataset import splits as dataset_splits
from ner_lstm_component.decoding.iob2 import find_invalid

HEADER = "Sentence #,Word,POS,Tag\n"
SAMPLE = HEADER + (
    "Sentence: 1,Thousands,NNS,O\n"
    ",left,VBD,O\n"
    ",New,NNP,B-geo\n"
    ",York,NNP,I-geo\n"
    "Sentence: 2,None,NN,O\n"
    ",slept,VBD,O\n"
)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def read(path: Path, text: str | bytes, **options) -> tuple[Sentence, ...]:
    return read_csv(write(path, text), **options).sentences


def words_of(path: Path, text: str | bytes, **options) -> list[tuple[str, ...]]:
    return [sentence.words for sentence in read(path, text, **options)]


def make(n: int, copies: int = 1) -> list[Sentence]:
    return [
        Sentence(f"Sentence: {copy * n + i}", (f"word{i}", "."), ("B-geo", "O"), ("NNP", "."))
        for copy in range(copies)
        for i in range(n)
    ]


# --- what is read ----------------------------------------------------------------------


def test_sentences_with_id_on_first_row_only(csv_file):
    assert read(csv_file, SAMPLE) == (
        Sentence(
            "Sentence: 1",
            ("Thousands", "left", "New", "York"),
            ("O", "O", "B-geo", "I-geo"),
            ("NNS", "VBD", "NNP", "NNP"),
        ),
        Sentence("Sentence: 2", ("None", "slept"), ("O", "O"), ("NN", "VBD")),
    )


def test_sentences_with_id_on_every_row(csv_file):
    text = HEADER + "1,a,X,O\n1,b,X,O\n2,c,X,O\n2,d,X,O\n1,e,X,O\n"
    assert words_of(csv_file, text) == [("a", "b"), ("c", "d"), ("e",)]


def test_columns_in_any_order_without_pos(csv_file):
    sentences = read(csv_file, "Tag,extra,Word,Sentence #\nB-x,?,Rome,1\nO,?,sleeps,\n")
    assert sentences == (Sentence("1", ("Rome", "sleeps"), ("B-x", "O"), None),)


def test_any_entity_type(csv_file):
    text = "Sentence #,Word,Tag\n1,a,B-Größe-2\n,b,I-Größe-2\n,c,B-Größe-2\n,d,B-[b]\n"
    (sentence,) = read(csv_file, text)
    assert [(e.text, e.label_) for e in to_doc(sentence, Vocab()).ents] == [
        ("a b", "Größe-2"),
        ("c", "Größe-2"),
        ("d", "[b]"),
    ]


@pytest.mark.parametrize("word", ["None", "NA", "nan", "NaN", "null", "N/A", "1e5", "06-Apr"])
def test_words_that_look_like_something_else_stay_words(csv_file, word):
    text = f"Sentence #,Word,Tag\n{word},{word},O\n,z,O\n"
    assert read(csv_file, text) == (Sentence(word, (word, "z"), ("O", "O")),)


@pytest.mark.parametrize(
    "word", ["5\xa0storm", "a\x85b", "a\u2028b", "a\u200bb", "co\xadop", "x\x1cy", "…", "❤\ufe0f"]
)
def test_unusual_characters_stay_in_one_token(csv_file, word):
    words = (word, "z")
    assert words_of(csv_file, f"Sentence #,Word,Tag\n1,{word},B-x\n,z,I-x\n") == [words]
    doc = to_doc(Sentence("1", words, ("B-x", "I-x")), Vocab())
    (again,) = DocBin().from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(Vocab())
    assert tuple(token.text for token in again) == words
    assert [(ent.start, ent.end) for ent in again.ents] == [(0, 2)]


def test_quotation_marks_commas_and_line_ends_in_words(csv_file):
    text = 'Sentence #,Word,Tag\n1,"""",O\n,",",O\n,"1,000",O\n,"a\nb",O\n,"c\r\nd",O\n,\'\',O\n'
    assert words_of(csv_file, text) == [('"', ",", "1,000", "a\nb", "c\r\nd", "''")]


# Blanks and characters that are not seen: zero-width, byte order mark, soft hyphen, controls.
INVISIBLE = [" ", "\t", "\xa0", "\u3000", "\u200b", "\ufeff", "\xad", "\u200e", "\x07", "\x85"]


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_invisible_characters_at_the_ends_are_removed_and_counted(csv_file, character):
    c = character
    text = (
        f"{c}Sentence #{c},{c}Word,POS,Tag{c}\n"
        f"{c}1{c},{c}New,{c}NNP{c},B-{c}geo{c}\n{c},York{c}{c},NNP,{c}I-geo\n"
        f",is,X,O{c}\n2,5{c}x,X,O\n"
    )
    source = read_csv(write(csv_file, text))
    assert [sentence.words for sentence in source.sentences] == [("New", "York", "is"), (f"5{c}x",)]
    assert [sentence.tags for sentence in source.sentences] == [("B-geo", "I-geo", "O"), ("O",)]
    assert [sentence.id for sentence in source.sentences] == ["1", "2"]
    assert source.sentences[0].pos == ("NNP", "NNP", "X")
    assert source.remarks == (
        "2 words and 3 tags had blanks or invisible characters at their ends, which were removed",
    )


def test_clean_data_has_no_remarks(csv_file):
    source = read_csv(write(csv_file, SAMPLE))
    assert (source.remarks, source.separator) == ((), "commas")


@pytest.mark.parametrize("word", ["\u200b", "\xa0", " ", "\x85", "\ufe0f", "\ufeff\xad"], ids=ascii)
def test_rows_whose_word_is_not_seen_are_left_out_and_counted(csv_file, word):
    text = f"Sentence #,Word,Tag\n1,{word},O\n,New,B-geo\n,{word},I-geo\n,York,I-geo\n"
    source = read_csv(write(csv_file, text))
    # The id of the row that was left out holds for the row after it.
    assert source.sentences == (Sentence("1", ("New", "York"), ("B-geo", "I-geo")),)
    assert source.remarks == ("2 rows whose word has no visible character were left out",)


@pytest.mark.parametrize("blank", [",,,", ",,,,,,", "   ", " ,\xa0,\u200b,", '"",,,'], ids=ascii)
def test_rows_without_content_are_left_out_and_counted(csv_file, blank):
    text = SAMPLE.replace("Sentence: 2", f"{blank}\nSentence: 2") + f"{blank}\n"
    source = read_csv(write(csv_file, f"{blank}\n{text}"))
    assert source.sentences == read(csv_file, SAMPLE)
    assert source.remarks == ("2 rows without content were left out",)


def test_the_id_of_a_row_without_content_begins_a_sentence(csv_file):
    text = HEADER + "1,,,\n,a,X,O\n,b,X,O\n2,,,\n,c,X,O\n3,,,\n4,d,X,O\n,e,X,O\n5,,,\n"
    sentences = read(csv_file, text)
    assert [(s.id, s.words) for s in sentences] == [
        ("1", ("a", "b")),
        ("2", ("c",)),
        ("4", ("d", "e")),
    ]


def test_an_id_on_first_rows_begins_a_sentence_though_it_repeats(csv_file):
    text = HEADER + "d,a,X,O\n,b,X,O\nd,c,X,O\n,e,X,O\nd,f,X,O\n"
    source = read_csv(write(csv_file, text))
    assert [sentence.words for sentence in source.sentences] == [("a", "b"), ("c", "e"), ("f",)]
    assert source.remarks == (
        "2 sentences have the id of an earlier one; each was read as a sentence of its own",
    )


def test_an_id_on_every_row_that_comes_back_is_remarked(csv_file):
    text = HEADER + "1,a,X,O\n1,b,X,O\n2,c,X,O\n2,d,X,O\n1,e,X,O\n1,f,X,O\n"
    source = read_csv(write(csv_file, text))
    assert [sentence.words for sentence in source.sentences] == [("a", "b"), ("c", "d"), ("e", "f")]
    assert source.remarks[0].startswith("1 sentences have the id of an earlier one")


def test_a_lost_id_does_not_part_a_file_with_ids_on_every_row(csv_file):
    text = HEADER + "1,a,X,O\n1,b,X,O\n1,c,X,O\n2,d,X,O\n,e,X,O\n2,f,X,O\n2,g,X,O\n"
    assert words_of(csv_file, text) == [("a", "b", "c"), ("d", "e", "f", "g")]


@pytest.mark.parametrize(
    ("delimiter", "separator"), [("\t", "tabs"), (";", "semicolons"), ("|", "vertical bars")]
)
def test_other_delimiters(csv_file, delimiter, separator):
    text = 'Sentence #,Word,POS,Tag\n1,"""",Q,O\n,a,X,B-x\n,"b~c",X,I-x\n'.replace(",", delimiter)
    source = read_csv(write(csv_file, text.replace("~", delimiter)))
    assert source.sentences[0].words == ('"', "a", f"b{delimiter}c")
    assert source.separator == separator


def test_tabs_without_quoting(csv_file):
    text = 'Sentence #\tWord\tTag\n1\t"\tO\n\ta\tO\n\t"\tO\n\t""\tO\n\t"b\tO\n'
    assert words_of(csv_file, text) == [('"', "a", '"', '""', '"b')]


CONLL = (
    "-DOCSTART- -X- -X- O\n\n# id = 1\nNew NNP I-NP B-geo\nYork\xa05 NNP I-NP I-geo\n"
    "# # O O\n\n \n-DOCSTART- -X- -X- O\n\nIt PRP B-NP O\nrained _ B-VP O\n\n"
)


@pytest.mark.parametrize("name", ["data.csv", "train.conll", "x.iob"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", [" ", "  ", "\t"])
def test_conll(tmp_path, name, line_end, columns):
    text = CONLL.replace(" ", columns).replace("\n", line_end)
    source = read_csv(write(tmp_path / name, text))
    assert source.sentences == (
        Sentence("1", ("New", "York\xa05", "#"), ("B-geo", "I-geo", "O"), ("NNP", "NNP", "#")),
        Sentence("2", ("It", "rained"), ("O", "O"), ("PRP", "")),
    )
    assert source.separator == "tabs or blanks, an empty line after each sentence (CoNLL)"
    assert source.remarks == ()


def test_conll_of_two_columns(csv_file):
    assert read(csv_file, "#rome\tB-geo\n!\tO\n\n#\tO\n@bob\tB-per\n") == (
        Sentence("1", ("#rome", "!"), ("B-geo", "O")),
        Sentence("2", ("#", "@bob"), ("O", "B-per")),
    )


def test_iob1_is_read_by_repair(csv_file):
    text = "Ann I-per\nBob B-per\nin O\nNew I-geo\nYork I-geo\n"
    with pytest.raises(DatasetError, match=r"line 1: found the tag 'I-per'.*IOB1.*--repair"):
        read(csv_file, text)
    (sentence,) = read(csv_file, text, repair_tags=True)
    assert sentence.tags == ("B-per", "B-per", "O", "B-geo", "I-geo")


BAD_CONLL = {
    "columns": ("a X O\nb O\n", 2, "found 2 columns; expected 3"),
    "BILOU": ("a U-per\nb O\n", 1, "the tag 'U-per'"),
    "no word": ("a\tO\n\tO\n", 2, "the empty word"),
    "numbers": ("1\tAnn\tB-per\n2\tsings\tO\n", 1, "numbers alone in the first column"),
    "ids": ("S: 1\tAnn\tB-per\nS: 1\tsings\tO\n", 1, "numbers alone in the first column"),
}


@pytest.mark.parametrize("case", BAD_CONLL)
def test_bad_conll_is_refused_with_its_line(csv_file, case):
    text, line, message = BAD_CONLL[case]
    with pytest.raises(DatasetError) as error:
        read(csv_file, text)
    assert str(error.value).startswith(f"{csv_file}, line {line}: ")
    assert message in str(error.value)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends(csv_file, line_end):
    expected = read(csv_file, SAMPLE)
    assert read(csv_file, SAMPLE.replace("\n", line_end)) == expected
    assert read(csv_file, SAMPLE.rstrip("\n").replace("\n", line_end)) == expected


def test_blank_lines_are_passed_over(csv_file):
    text = "\n" + SAMPLE.replace("Sentence: 2", "\nSentence: 2") + "\n\n"
    assert read(csv_file, text) == read(csv_file, SAMPLE)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_byte_order_mark_is_no_part_of_the_header(csv_file, encoding):
    source = read_csv(write(csv_file, SAMPLE.encode("utf-8-sig")), encoding=encoding)
    assert len(source.sentences) == 2


@pytest.mark.parametrize("written", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encoding_is_recognized(csv_file, written, line_end):
    text = "Sentence #,Word,Tag\n1,café…,O\n,5\xa0storm,O\n,€,O\n".replace("\n", line_end)
    source = read_csv(write(csv_file, text.encode(written)))
    assert source.encoding == written
    assert source.sentences[0].words == ("café…", "5\xa0storm", "€")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1251", "utf-16", "utf-16-le"])
def test_named_encoding(csv_file, encoding):
    word = "Ж" if encoding == "cp1251" else "é"
    text = f"Sentence #,Word,Tag\n1,{word},O\n".encode(encoding)
    source = read_csv(write(csv_file, text), encoding=encoding)
    assert (source.encoding, source.sentences[0].words) == (encoding, (word,))


@pytest.mark.parametrize("name", ["data.zip", "data.csv"])
def test_zip_with_one_csv(tmp_path, csv_file, name):
    expected = read(csv_file, SAMPLE)
    path = tmp_path / name
    write(path, zipped({"in/ner.csv": SAMPLE, "readme.txt": "?", "__MACOSX/in/._ner.csv": "?"}))
    source = read_csv(path)
    assert source.sentences == expected
    assert source.name == f"{path}:in/ner.csv"


def zipped(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["data.csv.gz", "data.csv", "data.gz"])
def test_gzip(tmp_path, csv_file, name):
    expected = read(csv_file, SAMPLE)
    source = read_csv(write(tmp_path / name, gzip.compress(SAMPLE.encode())))
    assert (source.sentences, source.name) == (expected, str(tmp_path / name))


def test_utf_16_with_byte_order_mark(csv_file):
    # As Excel saves "Unicode text".
    source = read_csv(write(csv_file, SAMPLE.replace(",", "\t").encode("utf-16")))
    assert (source.encoding, source.separator) == ("utf-16", "tabs")
    assert len(source.sentences) == 2


def workbook() -> bytes:
    return zipped({"[Content_Types].xml": "<x/>", "xl/worksheets/sheet1.xml": "<x/>"})


@pytest.mark.parametrize("name", ["book.xlsx", "data.csv", "data.zip", "data.csv.gz"])
@pytest.mark.parametrize("kind", ["Excel", "old Excel", "OpenDocument"])
def test_workbooks_are_refused_with_the_way_out(tmp_path, name, kind):
    data = {
        "Excel": workbook(),
        "old Excel": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(100),
        "OpenDocument": zipped({"mimetype": "application/vnd.oasis", "content.xml": "<x/>"}),
    }[kind]
    path = write(tmp_path / name, gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(DatasetError, match=r"workbook.*CSV UTF-8") as error:
        read_csv(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("member", ["book.xlsx", "data.csv"])
def test_workbook_in_a_zip(tmp_path, member):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, workbook())
    path = write(tmp_path / "data.zip", buffer.getvalue())
    with pytest.raises(DatasetError, match=r"workbook.*CSV UTF-8") as error:
        read_csv(path)
    assert str(error.value).startswith(f"{path}:{member}: ")


def test_archives_in_archives_end(tmp_path):
    data = SAMPLE.encode()
    for _ in range(5):
        data = gzip.compress(data)
    with pytest.raises(DatasetError, match="packed 3 times over"):
        read_csv(write(tmp_path / "data.csv.gz", data))


def test_folder_of_other_suffixes(tmp_path):
    write(tmp_path / "train.tsv", SAMPLE.replace(",", "\t"))
    write(tmp_path / "dev.csv.gz", gzip.compress(SAMPLE.encode()))
    write(tmp_path / "test.conll", CONLL)
    assert [len(source.sentences) for source in read_folder(tmp_path).values()] == [2, 2, 2]
    write(tmp_path / "test.csv", SAMPLE)
    with pytest.raises(DatasetError, match=r"found test\.csv and test\.conll; expected one file"):
        read_folder(tmp_path)


def test_folder(tmp_path):
    for part, word in zip(dataset.PARTS, "abc", strict=True):
        write(tmp_path / f"{part}.csv", f"Sentence #,Word,Tag\n1,{word},O\n")
    sources = read_folder(tmp_path)
    assert {part: source.sentences[0].words for part, source in sources.items()} == {
        "train": ("a",),
        "dev": ("b",),
        "test": ("c",),
    }


def test_repair_counts_what_it_mends(csv_file):
    text = "Sentence #,Word,Tag\n1,a,I-x\n,b,I-x\n,c,I-y\n2,d,O\n,e,I-x\n"
    source = read_csv(write(csv_file, text), repair_tags=True)
    assert source.mended == 3
    assert [s.tags for s in source.sentences] == [("B-x", "I-x", "B-y"), ("O", "B-x")]


def test_repair_leaves_good_tags(csv_file):
    source = read_csv(write(csv_file, SAMPLE), repair_tags=True)
    assert source.mended == 0
    assert source.sentences == read(csv_file, SAMPLE)


# --- what is refused -------------------------------------------------------------------

# text, line, what the message must say
BAD = {
    "empty file": ("", None, "the file is empty"),
    "blank file": ("\n\r\n", None, "the file is empty"),
    "no rows": (HEADER, None, "no rows"),
    "missing column": ("Sentence #,Word,POS\n1,a,X\n", 1, "lacks the column 'Tag'"),
    "no header": ("1,a,X,O\n", 1, "lacks the column 'Sentence #', 'Word', 'Tag'"),
    "other delimiter": (SAMPLE.replace(",", "~"), 1, "'Sentence #~Word~POS~Tag'"),
    "missing column, semicolons": ("Sentence #;Word;POS\n1;a;X\n", 1, "lacks the column 'Tag'"),
    "other format": ("I|O like|O London|B-GPE\n", 1, "`spacy convert`"),
    "column twice": ("Sentence #,Word,Word,Tag\n1,a,a,O\n", 1, "the column 'Word' more than once"),
    "no first id": (HEADER + "\n,a,X,O\n1,b,X,O\n", 3, "no sentence id"),
    "blank first id": (HEADER + "  ,a,X,O\n", 2, "no sentence id"),
    "empty word": (HEADER + "1,a,X,O\n,,X,O\n", 3, "the empty word ''"),
    "invisible word": (HEADER + '1,a,X,O\n," \t",X,B-x\n', 3, "'B-x' on the word ' \\t'"),
    "zero-width word": (HEADER + "1,a,X,O\n,\u200b,X,B-x\n", 3, "'B-x' on the word '\\u200b'"),
    "word read as missing": (HEADER + "1,a,X,O\n,,,O\n", 3, "None, NA or null"),
    "unknown tag": (HEADER + "1,a,X,O\n,b,X,U-geo\n", 3, "the tag 'U-geo'"),
    "tag without type": (HEADER + "1,a,X,B-\n", 2, "the tag 'B-'"),
    "empty tag": (HEADER + "1,a,X,\n", 2, "the tag ''"),
    "lone I- first": (HEADER + "1,a,X,O\n2,b,X,I-geo\n", 3, "'I-geo' at the sentence's start"),
    "lone I- after O": (HEADER + "1,a,X,O\n,b,X,I-geo\n,c,X,O\n", 3, "'I-geo' after 'O'"),
    "I- of other type": (HEADER + "1,a,X,B-per\n,b,X,I-geo\n", 3, "'I-geo' after 'B-per'"),
    "too few fields": (HEADER + "1,a,O\n", 2, "found 3 fields; expected 4"),
    "too many fields": (HEADER + "1,a,X,O\n,,,,,O\n", 3, "found 6 fields; expected 4"),
    "line end in word": (HEADER + '1,"a\nb",X,O\n\n,,X,O\n', 5, "the empty word ''"),
    "line end in the bad row": (HEADER + '1,a,X,O\n,"b\r\nc",X,P\n', 3, "the tag 'P'"),
    "U+0085 is no line end": (HEADER + "1,a\x85b\u2028c,X,O\n,,X,O\n", 3, "the empty word ''"),
    "open quote": (HEADER + '1,a,X,O\n,",X,O\n,b,X,O\n', 3, "not valid CSV"),
    "stray quote": (HEADER + '1,"a"b,X,O\n', 2, "not valid CSV"),
    "quotes that swallow rows": (
        HEADER + '1,a,X,O\n,",X,O\n,b,X,O\n,",X,O\n',
        3,
        "a word of several lines",
    ),
    "long open quote": (HEADER + '1,a,X,O\n,",X,O\n' + ",b,X,O\n" * 40_000, 3, "not valid CSV"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_content_is_refused_with_its_line(csv_file, case):
    text, line, message = BAD[case]
    with pytest.raises(DatasetError) as error:
        read(csv_file, text)
    place = f"{csv_file}, line {line}: " if line else f"{csv_file}: "
    assert str(error.value).startswith(place)
    assert message in str(error.value)
    assert "expected" in str(error.value)


def test_repair_is_offered(csv_file):
    with pytest.raises(DatasetError, match=r"repair_tags=True \(--repair\)"):
        read(csv_file, BAD["lone I- first"][0])


def test_repair_does_not_hide_other_faults(csv_file):
    with pytest.raises(DatasetError, match="line 3: found the tag 'U-geo'"):
        read(csv_file, BAD["unknown tag"][0], repair_tags=True)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("data", "encoding", "byte"),
    [
        (b"\xe9", "utf-8", "0xe9"),
        (b"\xe9", "ascii", "0xe9"),
        (b"\x81", "auto", "0x81"),
        (b"\x8d", "cp1252", "0x8d"),
    ],
)
def test_undecodable_bytes_are_refused_with_their_line(csv_file, data, encoding, byte, line_end):
    text = b"Sentence #,Word,Tag\n1,a,O\n,b" + data + b",O\n,c,O\n"
    with pytest.raises(DatasetError) as error:
        read(csv_file, text.replace(b"\n", line_end.encode()), encoding=encoding)
    assert str(error.value).startswith(f"{csv_file}, line 3: found the byte {byte}; expected valid")
    assert "--encoding" in str(error.value)


@pytest.mark.parametrize("encoding", ["auto", "utf-8-sig"])
def test_byte_order_mark_forbids_other_encodings(csv_file, encoding):
    text = b"\xef\xbb\xbfSentence #,Word,Tag\n1,a,O\n,b\xe9,O\n"
    with pytest.raises(DatasetError, match="line 3: found the byte 0xe9; expected valid"):
        read(csv_file, text, encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-99", "rot13", "base64", ""])
def test_unknown_encoding_is_refused(csv_file, encoding):
    with pytest.raises(DatasetError, match=r"^encoding \(--encoding\): .*expected 'auto' or"):
        read(csv_file, SAMPLE, encoding=encoding)


def test_missing_file(csv_file):
    with pytest.raises(DatasetError) as error:
        read_csv(csv_file)
    assert str(error.value).startswith(f"{csv_file}: no such file")


def test_folder_is_no_file(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read_csv(tmp_path)


def test_folder_without_a_part(tmp_path):
    write(tmp_path / "train.csv", SAMPLE)
    with pytest.raises(DatasetError) as error:
        read_folder(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'dev.csv'}: no such file")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "holds 0 CSV files; found no member at all; expected exactly one CSV"),
        ({"a.txt": "?"}, "holds 0 CSV files; found 'a.txt'; expected exactly one CSV"),
        (
            {"a.csv": SAMPLE, "b.csv": SAMPLE},
            "holds 2 CSV files; found 'a.csv', 'b.csv'; expected exactly one CSV",
        ),
    ],
)
def test_zip_without_exactly_one_csv(tmp_path, members, message):
    path = write(tmp_path / "data.zip", zipped(members))
    with pytest.raises(DatasetError) as error:
        read_csv(path)
    assert str(error.value).startswith(f"{path}: the zip {message}")


def corrupt(data: bytes, how: str) -> bytes:
    if how == "cut":
        return data[: len(data) // 2]
    if how == "content":
        middle = data.index(b"ner.csv") + len(b"ner.csv") + 5
        return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
    if how == "encrypted":  # the flag in the local header and in the directory
        directory = data.index(b"PK\x01\x02")
        return data[:6] + b"\x01" + data[7 : directory + 8] + b"\x01" + data[directory + 9 :]
    return b"no zip at all"


def test_corrupt_gzip(tmp_path):
    path = write(tmp_path / "data.csv.gz", gzip.compress(SAMPLE.encode())[:-12])
    with pytest.raises(
        DatasetError, match=r"cannot be unpacked .* expected an intact gzip"
    ) as error:
        read_csv(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("how", ["cut", "content", "encrypted", "other"])
def test_corrupt_zip(tmp_path, how):
    path = write(tmp_path / "data.zip", corrupt(zipped({"ner.csv": SAMPLE}), how))
    with pytest.raises(DatasetError) as error:
        read_csv(path)
    assert str(error.value).startswith(f"{path}: cannot be unpacked (")


def test_bad_content_in_a_zip_names_the_member(tmp_path):
    path = write(tmp_path / "data.zip", zipped({"ner.csv": BAD["unknown tag"][0]}))
    with pytest.raises(DatasetError) as error:
        read_csv(path)
    assert str(error.value).startswith(f"{path}:ner.csv, line 3: ")


def test_missing_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    name = "ner_lstm_component.dataset_splits_again"
    spec = importlib.util.spec_from_file_location(name, dataset_splits.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ImportError, match=r"pip install 'ner-lstm-component\[train\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


# --- splits ----------------------------------------------------------------------------


def texts(part: list[Sentence]) -> set[tuple[str, ...]]:
    return {sentence.words for sentence in part}


def test_deduplicated_parts_share_no_text():
    sentences = make(100, copies=3)
    parts = split_sentences(sentences, "deduplicated")
    assert [len(texts(parts[part])) for part in dataset.PARTS] == [80, 10, 10]
    assert [len(parts[part]) for part in dataset.PARTS] == [240, 30, 30]
    assert not texts(parts["train"]) & texts(parts["test"])
    assert not texts(parts["train"]) & texts(parts["dev"])
    assert not texts(parts["dev"]) & texts(parts["test"])


@pytest.mark.parametrize("split", Split)
def test_each_sentence_is_in_one_part_in_order(split):
    sentences = make(60, copies=2)
    parts = split_sentences(sentences, split)
    place = {sentence.id: i for i, sentence in enumerate(sentences)}
    places = {part: [place[s.id] for s in parts[part]] for part in dataset.PARTS}
    assert sorted(chain.from_iterable(places.values())) == list(range(120))
    assert all(found == sorted(found) for found in places.values())


@pytest.mark.parametrize("split", Split)
def test_same_seed_same_split(split):
    sentences = make(200)
    assert split_sentences(sentences, split, 7) == split_sentences(sentences, split, 7)
    assert split_sentences(sentences, split) == split_sentences(
        sentences, split, dataset.DEFAULT_SEED
    )


def test_seed_moves_every_part_of_deduplicated():
    sentences = make(200)
    one, other = (split_sentences(sentences, "deduplicated", seed) for seed in (1, 2))
    assert all(one[part] != other[part] for part in dataset.PARTS)


def test_seed_moves_only_dev_of_community():
    sentences = make(200)
    one, other = (split_sentences(sentences, "community", seed) for seed in (1, 2))
    assert one["test"] == other["test"]
    assert one["dev"] != other["dev"]
    assert [len(one[part]) for part in dataset.PARTS] == [144, 16, 40]


def test_community_test_part_is_the_published_draw():
    from sklearn.model_selection import train_test_split

    sentences = make(50)
    _, expected = train_test_split(sorted(s.id for s in sentences), test_size=0.2, random_state=42)
    assert {s.id for s in split_sentences(sentences, "community")["test"]} == set(expected)


def test_community_keeps_an_id_together():
    sentences = [Sentence(f"{i % 20}", (f"w{i}",), ("O",)) for i in range(60)]
    parts = split_sentences(sentences, "community")
    ids = [{s.id for s in parts[part]} for part in dataset.PARTS]
    assert sum(map(len, ids)) == len(set().union(*ids)) == 20


@pytest.mark.parametrize("n", [3, 4, 7, 10, 11])
@pytest.mark.parametrize("split", Split)
def test_no_part_is_empty(split, n):
    parts = split_sentences(make(n), split)
    assert all(parts[part] for part in dataset.PARTS)


@pytest.mark.parametrize(
    ("split", "what"), [("deduplicated", "distinct texts"), ("community", "sentence ids")]
)
def test_too_few_sentences(split, what):
    with pytest.raises(DatasetError, match=f"found 2 {what}; expected at least 3"):
        split_sentences(make(2), split)


def test_too_few_texts_in_many_sentences():
    with pytest.raises(DatasetError, match="found 2 distinct texts"):
        split_sentences(make(2, copies=50), "deduplicated")


def test_wrong_arguments():
    with pytest.raises(DatasetError, match="split: found 'random'; expected 'deduplicated' or"):
        split_sentences(make(10), "random")
    with pytest.raises(DatasetError, match="seed: found -1; expected a number from 0"):
        split_sentences(make(10), "community", -1)


# --- counts and Docs -------------------------------------------------------------------


def test_count(csv_file):
    text = HEADER + "1,a,X,B-x\n,b,X,I-x\n,c,X,B-x\n,d,X,B-y\n2,e,X,O\n"
    assert count(read(csv_file, text)) == Counts(2, 5, 1, {"x": 2, "y": 1})
    assert count([]) == Counts(0, 0, 0, {})


def test_doc(csv_file):
    sentence = read(csv_file, SAMPLE)[0]
    doc = to_doc(sentence, Vocab())
    assert tuple(token.text for token in doc) == sentence.words
    assert tuple(token.tag_ for token in doc) == sentence.pos
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == [(2, 4, "geo")]
    assert [token.ent_iob_ for token in doc] == ["O", "O", "B", "I"]
    assert doc.has_unknown_spaces


def test_doc_without_entity_is_marked_outside(csv_file):
    doc = to_doc(read(csv_file, SAMPLE)[1], Vocab())
    assert [token.ent_iob_ for token in doc] == ["O", "O"]
    assert not doc.ents


def test_doc_without_pos():
    doc = to_doc(Sentence("1", ("a", "b"), ("B-x", "B-x")), Vocab())
    assert [token.tag_ for token in doc] == ["", ""]
    assert [(ent.start, ent.end) for ent in doc.ents] == [(0, 1), (1, 2)]


def test_doc_with_partly_empty_pos():
    doc = to_doc(Sentence("1", ("a", "b"), ("O", "O"), ("", "NN")), Vocab())
    assert [token.tag_ for token in doc] == ["", "NN"]


def test_corpus_keeps_tokens_and_annotation(tmp_path):
    # Words that spaCy's English tokenizer would divide.
    words = ("U.S.-led", "5\xa0storm", "can't", "None", '"')
    tags = ("B-gpe", "B-eve", "I-eve", "O", "O")
    pos = ("JJ", "CD", "MD", "NN", "``")
    path = tmp_path / "train.spacy"
    to_docbin([Sentence("1", words, tags, pos)]).to_disk(path)
    # Without a tokenizer: the gold tokens are all that there is to take.
    (example,) = Corpus(path)(SimpleNamespace(vocab=Vocab()))
    assert tuple(token.text for token in example.predicted) == words
    assert tuple(token.text for token in example.reference) == words
    assert tuple(token.tag_ for token in example.reference) == pos
    assert example.reference.has_unknown_spaces
    assert not example.reference.has_annotation("SENT_START")
    assert example.get_aligned_ner() == ["U-gpe", "B-eve", "L-eve", "O", "O"]


def test_docbin_is_the_same_each_time():
    assert to_docbin(make(5)).to_bytes() == to_docbin(make(5)).to_bytes()


# --- the real file ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def real(real_path: Path) -> dataset.Source:
    return read_csv(real_path)


@pytest.mark.real
def test_real_counts(real, real_entities):
    assert (real.encoding, real.mended, real.remarks) == ("cp1252", 0, ())
    assert count(real.sentences) == Counts(47_959, 1_048_575, 7_042, real_entities)
    assert sum(real_entities.values()) == 111_891


@pytest.mark.real
def test_real_tokens(real):
    words = Counter(word for sentence in real.sentences for word in sentence.words)
    assert len(words) == 35_178
    assert words["None"] == 10
    assert sum(sentence.words[0] == "None" for sentence in real.sentences) == 10
    assert words['"'] == 3_686
    rows = [row for s in real.sentences for row in list(zip(s.words, s.tags, strict=True))[1:]]
    assert rows.count(('"', "O")) == 3_498
    assert words["5\xa0storm"] == 1
    assert words["…"] == 4
    assert not any("\x85" in word for word in words)
    assert sum(n for word, n in words.items() if not word.isascii()) == 53


@pytest.mark.real
def test_real_sentences(real):
    lengths = sorted(len(sentence.words) for sentence in real.sentences)
    assert (lengths[len(lengths) // 2], lengths[-1]) == (21, 104)
    assert lengths[round(len(lengths) * 0.99)] == 43
    taggings: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for sentence in real.sentences:
        taggings.setdefault(sentence.words, set()).add(sentence.tags)
    assert len(taggings) == 47_575
    assert sum(len(tags) > 1 for tags in taggings.values()) == 35
    assert all(find_invalid(sentence.tags) is None for sentence in real.sentences)
    assert all(sentence.pos for sentence in real.sentences)


@pytest.mark.real
def test_real_community_split(real):
    parts = split_sentences(real.sentences, "community")
    found = count(parts["test"])
    assert (found.sentences, found.tokens) == (9_592, 209_830)
    assert sum(found.entities.values()) == 22_532
    rest = texts(parts["train"]) | texts(parts["dev"])
    assert sum(sentence.words in rest for sentence in parts["test"]) == 109
    assert len(parts["dev"]) == 3_837
    assert split_sentences(real.sentences, "community", 1)["test"] == parts["test"]


@pytest.mark.real
def test_real_deduplicated_split(real):
    parts = split_sentences(real.sentences, "deduplicated")
    distinct = [len(texts(parts[part])) for part in dataset.PARTS]
    assert distinct == [47_575 - 2 * 4_758, 4_758, 4_758]
    assert len(set().union(*(texts(parts[part]) for part in dataset.PARTS))) == 47_575
    assert sum(len(parts[part]) for part in dataset.PARTS) == 47_959
