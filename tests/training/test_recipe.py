import pytest

from ner_lstm_component.dataset import Counts
from ner_lstm_component.training.recipe import overrides_for


@pytest.mark.parametrize(
    ("sentences", "tokens", "frequency"),
    [
        (16, 200, 25),  # an epoch of 16 batches, of one sentence each
        (500, 11_000, 50),  # an epoch of 100 batches
        (34_530, 755_000, 188),
        (1_000_000, 22_000_000, 250),
    ],
)
def test_evaluations_are_as_frequent_as_the_data_is_small(sentences, tokens, frequency):
    assert overrides_for(Counts(sentences, tokens, 0, {})) == {
        "training.eval_frequency": frequency,
        "training.patience": 10 * frequency,
    }


def test_patience_follows_a_given_frequency():
    assert overrides_for(Counts(500, 11_000, 0, {}), 7) == {
        "training.eval_frequency": 7,
        "training.patience": 70,
    }
