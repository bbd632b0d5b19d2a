"""A Keras BiLSTM-CRF named-entity tagger as a spaCy pipeline component."""

from importlib.metadata import version

__version__ = version("ner-lstm-component")
