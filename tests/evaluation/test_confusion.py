from __future__ import annotations

from dataclasses import replace

from ner_lstm_component.evaluation.scores import entity_confusion, tag_confusion

LABELS = ["eve", "geo", "per", "org"]


def test_tags(sentences):
    confusion = tag_confusion(sentences, LABELS)
    assert list(confusion.index)[:3] == list(confusion.columns)[:3] == ["O", "B-eve", "I-eve"]
    found = confusion.stack()
    assert found[found > 0].to_dict() == {
        ("O", "O"): 3 + 1 + 1 + 2 + 2,
        ("O", "B-org"): 1,
        ("O", "B-per"): 2,
        ("B-per", "B-per"): 1,
        ("I-per", "I-per"): 1,
        ("B-geo", "B-geo"): 1,
        ("B-geo", "B-org"): 1,
        ("B-per", "O"): 1,
        ("I-per", "B-per"): 1,
        ("B-eve", "I-org"): 1,
        ("I-eve", "O"): 1,
        ("B-eve", "O"): 1,
    }
    # Tokens without annotation are left out.
    first = sentences[0]
    confusion = tag_confusion([replace(first, missing=frozenset({2, 5}))], LABELS)
    assert confusion.to_numpy().sum() == len(first.words) - 2


def test_entities(sentences):
    confusion = entity_confusion(sentences, LABELS)
    assert list(confusion.index) == [*LABELS, "(spurious)"]
    assert list(confusion.columns) == [*LABELS, "(missed)"]
    assert confusion.to_numpy().tolist() == [
        [0, 0, 0, 1, 1],  # eve: one taken for org, one missed
        [0, 1, 0, 1, 0],  # geo
        [0, 0, 2, 0, 0],  # per, one of them with other boundaries
        [0, 0, 0, 0, 0],  # org: not in the data
        [0, 0, 2, 0, 0],  # spurious
    ]
    assert entity_confusion([], LABELS).to_numpy().sum() == 0
