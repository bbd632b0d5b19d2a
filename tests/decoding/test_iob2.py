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
    without,
)
from ner_lstm_component.kernels import numpy_kernels


def test_tag_names_order():
    assert tag_names(["a", "b"]) == ("O", "B-a", "I-a", "B-b", "I-b")
    assert tag_names([]) == ("O",)


def test_is_tag():
    tags = ["O", "B-x", "I-x-y", "B-College Name"]
    assert [tag for tag in [*tags, "B-", "B- x", "B-x ", "X-a", "o"] if is_tag(tag)] == tags


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", ""),
        ("O B-a I-a I-a B-a", "O B-a I-a I-a B-a"),
        ("B-a O I-a", "B-a O B-a"),
        ("B-a I-a I-b", "B-a I-a B-b"),
        ("I-a I-a O I-b B-a I-b", "B-a I-a O B-b B-a B-b"),
    ],
)
def test_invalid_tags_are_found_and_repaired(tags, expected):
    tags, expected = tags.split(), expected.split()
    changed = [i for i, tag in enumerate(tags) if tag != expected[i]]
    assert find_invalid(tags) == (changed[0] if changed else None)
    assert repair(tags) == (expected, len(changed))
    assert find_invalid(expected) is None


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
        # White space within entities, and after them.
        ([0, 1, 0, 2, 0], [[1, 4, 0]]),
        ([1, 0, 0, 2, 2, 0, 2, 0, 3, 0, 1, 0, 0], [[0, 7, 0], [8, 9, 1], [10, 11, 0]]),
    ],
)
def test_entity_spans(tags, spans):
    assert entity_spans(np.array(tags, np.int64)).tolist() == spans
    assert entity_spans(np.repeat(np.array(tags, np.int32), 2)[::2]).tolist() == spans
    assert numpy_kernels.entity_spans(np.array(tags, np.int64)).tolist() == spans


@pytest.mark.parametrize(
    ("tags", "filled"),
    [
        ([1, 0, 2, 0], [1, 2, 2, 0]),
        ([0, 3, 0, 0, 4, 0, 4, 3, 0, 1, 0], [0, 3, 4, 4, 4, 4, 4, 3, 0, 1, 0]),
        ([1, 2, 0, 1, 0, 2], [1, 2, 0, 1, 2, 2]),
        ([0, 0], [0, 0]),
    ],
)
def test_white_space_within_an_entity_is_in_it(tags, filled):
    hashes = np.array([11, 22], np.uint64)
    arrays = [entity_arrays(np.array(columns), hashes) for columns in (tags, filled)]
    assert arrays[0].tolist() == arrays[1].tolist()
    assert tags_of_entities(*arrays[0].T, hashes).tolist() == filled


@pytest.mark.parametrize(
    ("tags", "removed", "kept"),
    [
        ([1, 2, 2], [0], [1, 2]),
        ([0, 1, 2, 2, 2, 0], [1, 2], [0, 1, 2, 0]),
        ([1, 2, 2], [1], [1, 2]),
        ([1, 2, 2, 3], [2], [1, 2, 3]),
        ([1, 2, 1, 2, 3], [0, 2, 4], [1, 1]),
        ([1, 1, 0, 3, 3], [0, 3], [1, 0, 3]),
        ([1, -1, -1], [0], [-1, -1]),
        ([1, 2], [0, 1], []),
        ([], [], []),
    ],
)
def test_tags_without_some_tokens(tags, removed, kept):
    """An entity keeps its other tokens, and one that follows it stays another."""
    columns = np.array(tags, np.int64)
    assert without(columns, ~np.isin(np.arange(len(tags)), removed)).tolist() == kept
    assert columns.tolist() == tags
