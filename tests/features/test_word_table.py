import numpy as np
import pytest
from samples import values_in

from ner_lstm_component.features.word_table import WordTable

VALUES = {"London": 300, "the": 7, "IBM": 2**32 - 1, "turkey": 9, "Turkey": 8}


@pytest.mark.parametrize("n_values", [1, 255, 256, 70_000])
def test_values_of_words(n_values):
    values = {f"word{k}": k % n_values + 1 for k in range(70_000)}
    table = WordTable.of(values)
    assert (np.diff(table.words.astype(np.int64)) > 0).all()
    # A few in 100,000 words have the hash of another.
    words = [*values][:1000]
    found = values_in(table, words)
    assert np.mean(np.equal(found, [values[word] for word in words])) > 0.99
    assert not any(values_in(table, [word.upper() + "x" for word in words]))


def test_other_cases_of_a_word():
    words = ["London", "LONDON", "london", "The", "turkey", "TURKEY", "Turkey", "IBM", "ibm", ""]
    expected = [300, 300, 300, 7, 9, 9, 8, 2**32 - 1, 0, 0]
    assert values_in(WordTable.of(VALUES), words) == expected


@pytest.mark.parametrize("table", [WordTable(), WordTable.of({}), WordTable.of(VALUES)])
def test_no_words(table):
    assert values_in(table, []) == []
    assert values_in(table, ["Oslo"]) == [0]


def test_a_table_takes_few_bytes():
    few, many = (WordTable.of({str(k): k % n for k in range(1000)}) for n in (200, 1000))
    assert sum(field.nbytes for field in few) == 1000 * 5 + 200 * 4
    assert sum(field.nbytes for field in many) == 1000 * 6 + 1000 * 4
