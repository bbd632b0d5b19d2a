import gzip
import json
import logging

import numpy as np
import pytest
import spacy
from samples import SENTENCES, overfit, values_in
from spacy.util import registry

from ner_lstm_component.features import clusters
from ner_lstm_component.features.clusters import load_clusters
from ner_lstm_component.features.lexical import FeatureTable
from ner_lstm_component.features.word_table import WordTable
from ner_lstm_component.text.sentences import Reader

# As spacy-lookups-data has them: the most frequent word first, 0 for none.
TABLE = {".": 8, "the": 11, "London": 678, "Turkey": 1446, "turkey": 1145, "rare": 0, "IBM": 38}


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Return a function that installs lookups, as the entry points of packages do."""

    def install(by_language):
        monkeypatch.setattr(registry.lookups, "get_all", lambda: by_language)
        load_clusters.cache_clear()

    yield install
    load_clusters.cache_clear()


@pytest.fixture
def table(install, tmp_path):
    path = tmp_path / "xx_lexeme_cluster.json.gz"
    path.write_bytes(gzip.compress(json.dumps(TABLE).encode()))
    install({"xx": {"lexeme_cluster": path.with_suffix("")}, "yy": {}})
    return load_clusters("xx")


def clusters_of(words, lang="xx"):
    return values_in(load_clusters(lang), words)


def test_words_have_their_clusters_or_those_of_other_cases(table):
    words = ["London", "LONDON", "The", "turkey", "Turkey", "TURKEY", "IBM", "ibm", "rare", "Oslo"]
    assert clusters_of(words) == [678, 678, 11, 1145, 1446, 1145, 38, 0, 0, 0]


def test_other_languages_have_none(table):
    assert clusters_of(["London"], "yy") == [0]
    assert clusters_of(["London"], "zz") == [0]


def test_only_frequent_words_are_kept(table, monkeypatch):
    monkeypatch.setattr(clusters, "_MAX_WORDS", 3)
    load_clusters.cache_clear()
    assert clusters_of([*TABLE]) == [8, 11, 678, 0, 0, 0, 0]


def test_missing_lookups_are_reported_once(install, caplog):
    install({})
    with caplog.at_level(logging.WARNING):
        assert not len(load_clusters("xx").words)
        load_clusters("xx")
    assert [record.message.count("[lookups]") for record in caplog.records] == [1]


def test_words_of_a_cluster_have_equal_features(table):
    features = FeatureTable(["CLUSTER", "CLUSTER4", "CLUSTER2"], [500, 50, 50])
    nlp = spacy.blank("xx")
    text = Reader()([nlp.make_doc("London LONDON IBM Turkey turkey Oslo")])
    london, upper, ibm, turkey, bird, oslo = features(text, [list(table)]).tolist()
    assert london == upper
    assert len({tuple(ids) for ids in (london, ibm, turkey, bird, oslo)}) == 5
    # Equal low bits: 678 and 38 are 0110 at the end, 1446 and 38 are 10 at the end.
    assert london[2:] == ibm[2:] == turkey[2:]
    assert bird[4:] != turkey[4:]
    # Words are looked up again when the clusters change.
    assert len({tuple(ids) for ids in features(text, [list(WordTable())]).tolist()}) == 1
    assert features(text, [list(table)]).tolist()[0] == london


def test_a_trained_pipeline_contains_its_clusters(table, install, tmp_path):
    config = {"features": ["LOWER", "CLUSTER", "CLUSTER4"], "rows": [100, 100, 20]}
    nlp = spacy.blank("xx")
    nlp.add_pipe("ner_lstm", config={"model": config})
    overfit(nlp, steps=2)
    nlp.to_disk(tmp_path / "nlp")
    install({})
    loaded = spacy.load(tmp_path / "nlp")
    for text in (*(" ".join(words) for words, *_ in SENTENCES), "London and Turkey"):
        expected, found = (
            one.get_pipe("ner_lstm").model.predict([one.make_doc(text)]) for one in (nlp, loaded)
        )
        np.testing.assert_allclose(found.emissions, expected.emissions, atol=1e-4)
