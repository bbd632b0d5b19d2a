import numpy as np
import pytest
from thinc.api import Config

from ner_lstm_component.decoding.threshold import (
    by_label,
    check_config,
    check_labels,
    checked_threshold,
    for_config,
)


def test_numbers_mappings_and_pairs():
    assert checked_threshold(1) == 1.0
    assert checked_threshold(np.float32(0.5)) == 0.5
    given = {"org": 0.5, "per": 1}
    assert checked_threshold(given) == checked_threshold(list(given.items())) == given
    assert checked_threshold({}) == {}


@pytest.mark.parametrize(
    "wrong",
    [-0.1, float("nan"), "0.5", None, ["org"], {"org": 1.5}, {"org": "0.5"}, {"org": {"per": 0.1}}],
)
def test_anything_else_is_refused(wrong):
    with pytest.raises(ValueError, match=r"'threshold' is a probability.*Received: "):
        checked_threshold(wrong)


def test_unknown_labels_are_named():
    check_labels({"org": 0.5}, ["geo", "org"], "ner")
    check_labels(0.5, [], "ner")
    with pytest.raises(
        ValueError, match=r"'ner'.*does not have: Org, per\. Its labels are geo, org"
    ):
        check_labels({"per": 0.5, "org": 0.1, "Org": 0.0}, ["geo", "org"], "ner")


def test_labels_that_are_not_named_have_none():
    assert by_label({"org": 0.5}, ["geo", "org"]).tolist() == [0.0, 0.5]
    assert by_label(0.5, ["geo", "org"]).tolist() == [0.5, 0.5]


PLAIN = ("org", "ORG", "B2", "geo.city", "a b", "x-y", "Ö", "%", '"x"', "%(x)s")
SPECIAL = ("a:b", "a=b", "#x", ";x", "[x]", "@x", "*", "$x", "x ", "a\nb", "")


@pytest.mark.parametrize("label", [*PLAIN, *SPECIAL])
def test_configs_can_have_any_label(label):
    value = {label: 0.5, "per": 0.25}
    config = Config({"threshold": for_config(value)})
    read = Config().from_str(Config({"component": config}).to_str(), interpolate=True)
    assert checked_threshold(read["component"]["threshold"]) == value
    if for_config(value) == value:
        check_config(value)
    else:
        with pytest.raises(ValueError, match=r"Write 'threshold' as pairs: threshold = \[\["):
            check_config(value)
    check_config(for_config(value))
