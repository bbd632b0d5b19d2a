import numpy as np
import pytest

from ner_lstm_component.decoding.iob2 import (
    entity_arrays,
    entity_spans,
    find_invalid,
    is_tag,
    repair,
    tag_names,
    tag_of_bilou,
    tags_of_entities,
)


def test_tag_names_order():
    assert tag_names(["a", "b"]) == ("O", "B-a", "I-a", "B-b", "I-b")
    assert tag_names([]) == ("O",)


def test_is_tag():
    tags = ["O", "B-x", "I-x-y", "B-College Name"]
    assert [tag for tag in [*tags, "B-", "B- x", "B-x ", "X-a", "o"] if is_tag(tag)] == tags


@pytest.mark.parametrize(
    ("tags", "position"),
    [
        ([], None),
        (["O", "B-a", "I-a", "I-a", "B-a"], None),
        (["I-a"], 0),
        (["B-a", "O", "I-a"], 2),
        (["B-a", "I-b"], 1),
        (["B-a", "I-a", "I-b"], 2),
    ],
)
def test_find_invalid(tags, position):
    assert find_invalid(tags) == position


def test_repair_gives_valid_tags_and_counts():
    repaired, changed = repair(["I-a", "I-a", "O", "I-b", "B-a", "I-b"])
    assert repaired == ["B-a", "I-a", "O", "B-b", "B-a", "B-b"]
    assert changed == 3
    assert find_invalid(repaired) is None
    assert repair(["B-a", "I-a"]) == (["B-a", "I-a"], 0)


@pytest.mark.parametrize(
    ("bilou", "name"),
    [("O", "O"), ("B-b", "B-b"), ("I-b", "I-b"), ("L-b", "I-b"), ("U-b", "B-b"), ("U-a", "B-a")],
)
def test_tag_of_bilou(bilou, name):
    labels = {"a": 0, "b": 1}
    assert tag_names(labels)[tag_of_bilou(bilou, labels)] == name
    with pytest.raises(KeyError):
        tag_of_bilou("U-c", labels)


def test_entity_arrays_and_their_inverse():
    hashes = np.array([11, 22], np.uint64)
    iob, types = entity_arrays(np.array([0, 1, 2, 3, 4]), hashes).T
    assert iob.tolist() == [2, 3, 1, 3, 1]
    assert types.tolist() == [0, 11, 11, 22, 22]
    columns = np.array([0, 1, 2, 2, 3, 0, 1, 1, 4])
    assert tags_of_entities(*entity_arrays(columns, hashes).T, hashes).tolist() == columns.tolist()
    iob, types = np.array([0, 3, 2], np.uint64), np.zeros(3, np.uint64)
    assert tags_of_entities(iob, types, hashes).tolist() == [-1, 0, 0]
    with pytest.raises(KeyError, match="33"):
        tags_of_entities(np.array([3], np.uint64), np.array([33], np.uint64), hashes)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ([], []),
        ([0, 0], []),
        ([1], [[0, 1, 0]]),
        ([1, 2, 2, 0, 3, 4], [[0, 3, 0], [4, 6, 1]]),
        ([3, 3, 1, 2, 3], [[0, 1, 1], [1, 2, 1], [2, 4, 0], [4, 5, 1]]),
    ],
)
def test_entity_spans(tags, spans):
    assert entity_spans(np.array(tags, np.int64)).tolist() == spans
    assert entity_spans(np.repeat(np.array(tags, np.int32), 2)[::2]).tolist() == spans
