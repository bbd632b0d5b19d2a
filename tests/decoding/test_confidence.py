"""``Span._.confidence``: who registers it, and where its values go."""

import subprocess
import sys

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from ner_lstm_component.decoding.confidence import register_extension, set_confidence


@pytest.fixture
def doc():
    tags = ["B-per", "I-per", "O", "O", "B-geo"]
    return Doc(Vocab(), words=["Anna", "Berg", "lives", "in", "Oslo"], ents=tags)


@pytest.fixture
def no_extension():
    """Remove the extension, and restore it afterwards."""
    Span.remove_extension("confidence")
    yield
    Span.remove_extension("confidence")
    register_extension()


@pytest.fixture(autouse=True)
def _registered():
    register_extension()


def confidences(doc):
    return [ent._.confidence for ent in doc.ents]


def test_values_are_saved_with_the_doc(doc):
    assert confidences(doc) == [None, None]
    set_confidence(doc, [(4, 5)], [0.25])
    data = DocBin(docs=[doc], store_user_data=True).to_bytes()
    (read,) = DocBin().from_bytes(data).get_docs(Vocab())
    for saved in (doc, read, Doc(Vocab()).from_bytes(doc.to_bytes())):
        assert confidences(saved) == [None, 0.25]


STEPS = {
    "import ner_lstm_component": False,
    "spacy.blank('en').add_pipe('ner_lstm')": False,
    "spacy.blank('en').add_pipe('ner_lstm', config={'confidence': True})": True,
    "spacy.blank('en').add_pipe('ner_lstm').confidence = True": True,
    "ner_lstm_component.register_extension()": True,
}


def test_registered_when_needed():
    """Without confidences, other extensions may use the name."""
    code = """import spacy, sys
for step in sys.argv[1:]:
    exec(step)
    print(spacy.tokens.Span.has_extension("confidence"))
    if spacy.tokens.Span.has_extension("confidence"):
        spacy.tokens.Span.remove_extension("confidence")"""
    run = [sys.executable, "-c", code, *STEPS]
    shown = subprocess.run(run, check=True, capture_output=True, text=True)
    assert shown.stdout.split() == [str(expected) for expected in STEPS.values()]


def test_own_extension_is_kept(doc, no_extension):
    Span.set_extension("confidence", default=-1.0)
    register_extension()
    set_confidence(doc, [(4, 5)], [0.25])
    assert confidences(doc) == [-1.0, 0.25]
    Span.remove_extension("confidence")
    set_confidence(doc, [(4, 5)], [0.5])
    assert confidences(doc) == [None, 0.5]


@pytest.mark.parametrize("own", [{"getter": len}, {"method": len}])
def test_own_extension_without_values(doc, no_extension, own):
    Span.set_extension("confidence", **own)
    with pytest.raises(ValueError, match="stores no values"):
        register_extension()
    with pytest.raises(ValueError, match="stores no values"):
        spacy.blank("en").add_pipe("ner_lstm", config={"confidence": True})
    assert spacy.blank("en").add_pipe("ner_lstm").confidence is False
    assert Span.get_extension("confidence")[1:3] == (own.get("method"), own.get("getter"))
    with pytest.raises(ValueError, match="stores no values"):
        set_confidence(doc, [(4, 5)], [0.25])
