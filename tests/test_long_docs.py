"""Documents of any length: bounded batches and bounded memory."""

import subprocess
import sys

import pytest

# Peak memory is a process's own.
MEASURE = """
import resource, sys
import spacy
from spacy.tokens import Doc

nlp = spacy.load(sys.argv[1])
ner = nlp.get_pipe("ner_lstm")
words = "Paul met Maria Costa in Paris . Prices fell in York again .".split()
megabytes = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
ner(Doc(nlp.vocab, words=words * 300))
doc = Doc(nlp.vocab, words=words * 15_000)
before = megabytes()
ner(doc)
assert len(doc.ents) > 15_000 * 3
print(megabytes() - before)
"""


@pytest.mark.slow
def test_memory_is_bounded(trained_nlp, tmp_path):
    trained_nlp.to_disk(tmp_path)
    command = [sys.executable, "-c", MEASURE, tmp_path]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(shown.stdout) < 300


def test_a_long_doc_makes_many_small_batches(trained_nlp, monkeypatch):
    """Time is linear, and memory bounded: the network never reads more than a batch."""
    ner = trained_nlp.get_pipe("ner_lstm")
    shim = ner.model.layers[1].shims[0]
    shapes = []
    predict = shim.predict

    def watched(inputs):
        shapes.append(inputs.args[1].shape)
        return predict(inputs)

    monkeypatch.setattr(shim, "predict", watched)
    doc = trained_nlp.make_doc("Anna Berg lives in Oslo . " * 4000)
    ner(doc)
    windowing = ner.model.attrs["windowing"]
    assert max(batch * time for batch, time in shapes) <= windowing.batch_tokens
    assert max(time for _, time in shapes) <= windowing.window
    assert sum(batch * time for batch, time in shapes) < 1.5 * len(doc)
    assert len(doc.ents) > 7000
