import pytest
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from ner_lstm_component.training.batcher import make_batcher


@pytest.fixture(scope="module")
def examples():
    docs = [Doc(Vocab(), words=["w"] * (3 + k % 8)) for k in range(400)]
    return [Example(doc, doc) for doc in docs]


def padded(batch):
    return len(batch) * max(map(len, batch))


def test_much_data_and_streams_have_batches_of_the_full_size(examples):
    for batches, data in ((10, examples), (1000, iter(examples))):
        found = list(make_batcher(size=100, batches=batches, buffer=64)(data))
        assert sum(map(len, found)) == len(examples)
        assert 80 < max(map(padded, found)) <= 100


def test_little_data_has_smaller_batches(examples):
    found = list(make_batcher(size=10_000, batches=40, buffer=64)(examples))
    assert sorted(map(id, (eg for batch in found for eg in batch))) == sorted(map(id, examples))
    assert max(map(padded, found)) <= sum(map(len, examples)) / 40
    assert len(found) >= 40
    found = list(make_batcher(size=1500, batches=100, buffer=512)(examples[:5]))
    assert [len(batch) for batch in found] == [1] * 5


@pytest.mark.parametrize("name", ["size", "batches", "buffer"])
def test_numbers_are_checked(name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        make_batcher(**{"size": 1, "batches": 1, "buffer": 1, name: 0})
