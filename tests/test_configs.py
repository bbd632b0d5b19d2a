from __future__ import annotations

from pathlib import Path

import pytest
from spacy import util
from spacy.cli.debug_config import debug_config
from spacy.cli.init_config import fill_config
from thinc.api import Config

from ner_lstm_component.component import DEFAULT_CONFIG
from ner_lstm_component.training.run import DEFAULT

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.cfg"))
BY_NAME = {path.stem: path for path in CONFIGS}


def settings(config: Config) -> dict[str, object]:
    """Dotted name → value."""
    return {".".join(path): value for path, value in util.walk_dict(config)}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_resolves_with_the_projects_overrides(path, tmp_path):
    paths = {"paths.train": "x.spacy", "paths.dev": "y.spacy", "paths.log": "z.jsonl"}
    overrides = {**paths, "system.seed": 7}
    filled = tmp_path / "filled.cfg"
    fill_config(filled, path)  # drops unknown settings
    debug_config(filled, overrides=overrides)
    assert settings(Config().from_disk(path)).keys() <= settings(Config().from_disk(filled)).keys()
    config = util.load_config(path, overrides=overrides, interpolate=True)
    assert [config["corpora"][name]["path"] for name in ("train", "dev")] == ["x.spacy", "y.spacy"]
    assert config["training"]["logger"]["output_file"] == "z.jsonl"
    assert config["training"]["seed"] == 7


def test_the_documented_ones_log_alike_and_to_no_file_by_default():
    assert {"default", "gpu", "spacy_ner", "tok2vec"} <= set(BY_NAME)
    loggers = [util.load_config(path, interpolate=True)["training"]["logger"] for path in CONFIGS]
    assert all(logger == loggers[0] for logger in loggers)
    assert loggers[0]["output_file"] is None


def test_the_package_has_the_default_config():
    """For `ner-lstm train`, where only the package is installed: a copy, to be made again."""
    assert DEFAULT.read_text(encoding="utf-8") == BY_NAME["default"].read_text(encoding="utf-8")


def test_gpu_differs_from_default_only_in_batches():
    default, gpu = (settings(Config().from_disk(BY_NAME[name])) for name in ("default", "gpu"))
    assert default.keys() == gpu.keys()
    learning = ("training.batcher", "training.eval_frequency", "training.optimizer.learn_rate")
    sections = ("nlp.batch_size", "components.ner_lstm.model.batch_tokens", *learning)
    different = [name for name in default if default[name] != gpu[name]]
    assert all(name.startswith(sections) for name in different)
    # Thinc's allocator for TensorFlow needs its own TensorFlow support, which is not in use.
    assert gpu["training.gpu_allocator"] is None
    size = "training.batcher.size"
    # A training batch is one padded batch of the network.
    assert default[size] < gpu[size] <= gpu["components.ner_lstm.model.batch_tokens"]


def test_default_config_has_the_components_default_model():
    config = util.load_config(BY_NAME["default"])
    assert config["components"]["ner_lstm"]["model"] == DEFAULT_CONFIG["model"]
