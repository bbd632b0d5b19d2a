from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import spacy
import ner_lstm_component.app

nlp = spacy.blank("en")
nlp.add_pipe("ner_lstm")
names = ("matplotlib", "tensorboardX", "ner_lstm_component.evaluation")
print([name for name in names if name in sys.modules])
"""


def test_nothing_that_tags_or_serves_imports_it():
    shown = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"
