from __future__ import annotations

from pathlib import Path

import pytest
from spacy import util
from spacy.cli.debug_config import debug_config
from spacy.cli.init_config import fill_config
from thinc.api import Config

from ner_lstm_component.component import DEFAULT_CONFIG

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.cfg"))
BY_NAME = {path.stem: path for path in CONFIGS}


def settings(config: Config) -> dict[str, object]:
    """Dotted name → value."""
    return {".".join(path): value for path, value in util.walk_dict(config)}


def test_there_are_the_documented_ones():
    assert {"default", "gpu", "spacy_ner", "tok2vec"} <= set(BY_NAME)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_resolves_and_has_no_unknown_setting(path, tmp_path):
    filled = tmp_path / "filled.cfg"
    fill_config(filled, path)  # drops unknown settings
    debug_config(filled, overrides={"paths.train": "a.spacy", "paths.dev": "b.spacy"})
    assert settings(Config().from_disk(path)).keys() <= settings(Config().from_disk(filled)).keys()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_has_what_the_project_overrides(path):
    overrides = {
        "paths.train": "x.spacy",
        "paths.dev": "y.spacy",
        "paths.log": "z.jsonl",
        "system.seed": 7,
    }
    config = util.load_config(path, overrides=overrides, interpolate=True)
    assert config["corpora"]["train"]["path"] == "x.spacy"
    assert config["corpora"]["dev"]["path"] == "y.spacy"
    assert config["training"]["logger"]["output_file"] == "z.jsonl"
    assert config["training"]["seed"] == 7


def test_all_log_alike_and_to_no_file_unless_told_so():
    loggers = [util.load_config(path, interpolate=True)["training"]["logger"] for path in CONFIGS]
    assert all(logger == loggers[0] for logger in loggers)
    assert loggers[0]["output_file"] is None


def test_gpu_is_the_default_but_for_its_batches():
    default, gpu = (settings(Config().from_disk(BY_NAME[name])) for name in ("default", "gpu"))
    assert default.keys() == gpu.keys()
    assert {name for name in default if default[name] != gpu[name]} <= {
        "nlp.batch_size",
        "components.ner_lstm.model.batch_tokens",
        "training.eval_frequency",
        "training.batcher.size",
        "training.batcher.buffer",
        "training.optimizer.learn_rate",
        "training.optimizer.learn_rate.base_rate",
        "training.optimizer.learn_rate.decay",
    }
    size = "training.batcher.size"
    # A training batch is one padded batch of the network.
    assert default[size] < gpu[size] <= gpu["components.ner_lstm.model.batch_tokens"]


def test_gpu_memory_is_left_to_each_library():
    # Thinc's allocator for TensorFlow needs its own TensorFlow support, which is not in use.
    config = util.load_config(BY_NAME["gpu"], interpolate=True)
    assert config["training"]["gpu_allocator"] is None


def test_default_config_is_the_components_default():
    stands = util.load_config(BY_NAME["default"])["components"]["ner_lstm"]["model"]
    assert stands == DEFAULT_CONFIG["model"]
