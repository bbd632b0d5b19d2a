from pathlib import Path

import pytest
import spacy
from samples import make_doc
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from ner_lstm_component.features.ngram_tags import lexicon_of
from ner_lstm_component.network.architectures import reader_of
from ner_lstm_component.training.streaming import make_stream_sample

DEFAULT = Path(__file__).parents[2] / "configs" / "default.cfg"


@pytest.mark.parametrize(("max_epochs", "expected"), [(-1, [0, 1, 2]), (0, None), (3, None)])
def test_only_streams_are_sampled(max_epochs, expected):
    corpus = make_stream_sample(lambda nlp: iter(range(10)), max_epochs, limit=3)
    for _ in range(2):
        assert expected == (corpus and list(corpus(spacy.blank("en"))))
    with pytest.raises(ValueError, match="limit=0"):
        make_stream_sample(lambda nlp: [], max_epochs, limit=0)


@pytest.mark.parametrize("max_epochs", [-1, 1])
def test_the_default_config_learns_from_the_whole_corpus(tmp_path, max_epochs):
    """A type and a name that only the last of 300 sentences has are learnt."""
    sentences = [f"Anna/B-per saw town{k} ." for k in range(299)] + ["Last/B-late came ."]
    docs = [make_doc(Vocab(), sentence) for sentence in sentences]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    DocBin(docs=docs[:1]).to_disk(tmp_path / "dev.spacy")
    overrides = {
        "paths.train": str(tmp_path / "train.spacy"),
        "paths.dev": str(tmp_path / "dev.spacy"),
        "training.max_epochs": max_epochs,
        "training.max_steps": 2,
        "training.eval_frequency": 2,
        "components.ner_lstm.model.hidden_width": 16,
    }
    train(DEFAULT, tmp_path / "out", overrides=overrides)
    nlp = spacy.load(tmp_path / "out" / "model-last")
    ner = nlp.get_pipe("ner_lstm")
    assert ner.labels == ("late", "per")
    lexicon = lexicon_of(ner.model.get_ref("lexicon"))
    last, unseen = lexicon.ids(reader_of(ner.model)([nlp.make_doc("Last"), nlp.make_doc("xyz")]))[
        :, :2
    ]
    assert (last != unseen).all()
    # Without a stream, the saved config initializes the pipeline without the corpus.
    if max_epochs > 0:
        (tmp_path / "train.spacy").unlink()
        nlp.initialize()
