"""Files that exceed the memory: read sentence by sentence, and written as many files."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Corpus

from ner_lstm_component.dataset import DatasetError, read_csv
from ner_lstm_component.dataset import reader as reader_module
from ner_lstm_component.dataset.reader import stream_csv
from ner_lstm_component.dataset.shards import write_shards

HEADER = "Sentence #,Word,POS,Tag\n"
PARTS = ("train", "dev", "test")


def rows(n, first_only=False):
    """Sentences of three words, of which every fifth repeats an earlier one."""
    for i in range(n):
        name = f"Town{i % (n - n // 5)}"
        for k, (word, tag) in enumerate([(name, "B-geo"), ("sleeps", "O"), (".", "O")]):
            yield f"{'' if first_only and k else f'Sentence: {i}'},{word},NN,{tag}\n"


def sentences_in(folder, part):
    vocab = spacy.blank("en").vocab
    for path in sorted((folder / part).glob("*.spacy")):
        for doc in DocBin().from_disk(path).get_docs(vocab):
            yield tuple(token.text for token in doc), tuple(t.ent_iob_ for t in doc)


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("packed", ["", ".gz", ".zip"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_reads_as_the_whole_file_is_read(tmp_path, monkeypatch, first_only, packed, encoding):
    monkeypatch.setattr(reader_module, "_N_FIRST", 50)
    data = (HEADER + "".join(rows(40, first_only)) + "Sentence: é,Zürich,NN,B-geo\n").encode(
        encoding
    )
    path = tmp_path / f"data.csv{packed}"
    if packed == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.csv", data)
    else:
        path.write_bytes(gzip.compress(data) if packed else data)
    assert tuple(stream_csv(path)) == read_csv(path).sentences


def test_conll(tmp_path):
    path = tmp_path / "data.conll"
    path.write_text("Oslo B-geo\nsleeps O\n\n# a comment\nParis B-geo\r\nsleeps O\n")
    assert tuple(stream_csv(path)) == read_csv(path).sentences


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (HEADER.encode(), "found a header and no rows"),
        (HEADER.encode() + b"1,Oslo,NN,B-geo\n2,x,NN,I-geo\n", "line 3: found the tag 'I-geo'"),
        (HEADER.encode() + b"1,Oslo,NN\n", "line 2: found 3 fields"),
        (HEADER.encode() + b",Oslo,NN,O\n", "line 2: the first row has no sentence id"),
        (b"PK\x03\x04broken", "cannot be read"),
        (gzip.compress(HEADER.encode() * 1000)[:-9], "cannot be read"),
        (b"PAR1", "neither a table nor a CoNLL file"),
        (b"1 O\n2 O\n", "found only numbers in the first column"),
    ],
)
def test_errors_are_those_of_the_reader(tmp_path, content, message):
    path, output = tmp_path / "data.csv", tmp_path / "out"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        write_shards(path, output)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["data.csv"]


def test_bytes_of_another_encoding(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(HEADER.encode() + b"1,Oslo,NN,O\n2,Z\xfcrich,NN,O\n")
    assert [one.words for one in stream_csv(path)] == [("Oslo",), ("Zürich",)]
    with pytest.raises(
        DatasetError, match=r"after line \d: found the byte 0xfc; expected valid utf-8"
    ):
        list(stream_csv(path, encoding="utf-8"))
    with pytest.raises(DatasetError, match="'klingon' is unknown"):
        list(stream_csv(path, encoding="klingon"))


def test_every_sentence_is_in_one_part(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(HEADER + "".join(rows(500)))
    counts = write_shards(path, tmp_path / "out", sentences=50)
    found = {part: list(sentences_in(tmp_path / "out", part)) for part in PARTS}
    assert {part: len(found[part]) for part in PARTS} == {p: counts[p].sentences for p in PARTS}
    expected = Counter(one.words for one in read_csv(path).sentences)
    assert Counter(words for part in PARTS for words, _ in found[part]) == expected
    texts = [{words for words, _ in found[part]} for part in PARTS]
    assert sum(map(len, texts)) == len(set.union(*texts))
    assert 300 < counts["train"].sentences < 450
    assert len(list((tmp_path / "out" / "train").iterdir())) > 5
    assert found["train"][0][1] == ("B", "O", "O")
    write_shards(path, tmp_path / "again", sentences=50)
    for file in (tmp_path / "out").rglob("*.spacy"):
        again = tmp_path / "again" / file.relative_to(tmp_path / "out")
        assert again.read_bytes() == file.read_bytes()
    other = write_shards(path, tmp_path / "other", seed=1)
    assert other != counts
    nlp = spacy.blank("en")
    assert len(list(Corpus(tmp_path / "out" / "train")(nlp))) == counts["train"].sentences


@pytest.mark.slow
def test_memory_does_not_depend_on_the_size(tmp_path):
    peaks = []
    for n in (30_000, 300_000):
        path = tmp_path / f"{n}.csv"
        with path.open("w") as file:
            file.write(HEADER)
            file.writelines(rows(n))
        code = (
            "import sys; sys.path.append('scripts')\n"
            "from pathlib import Path\n"
            "from benchmarks.worker import peak_memory\n"
            "from ner_lstm_component.dataset.shards import write_shards\n"
            f"out = Path({str(tmp_path / f'{n}')!r})\n"
            f"write_shards(Path({str(path)!r}), out, sentences=5_000)\n"
            "print(peak_memory())"
        )
        root = Path(__file__).parents[2]
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.2 * peaks[0]
