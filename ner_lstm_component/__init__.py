"""A Keras BiLSTM-CRF named-entity tagger as a spaCy pipeline component."""

from importlib.metadata import version

from .decoding.confidence import register_extension

__all__ = ["__version__", "register_extension"]

__version__ = version("ner-lstm-component")
