from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import srsly
from spacy.tokens import DocBin
from spacy.util import load_config
from spacy.vocab import Vocab
from weasel.cli.run import project_run
from weasel.util.config import load_project_config

ROOT = Path(__file__).parents[1]
HEADER = "Sentence #,Word,POS,Tag\n"
# Of configs/spacy_ner.cfg, so that training takes no time.
SMALL = {
    "components.tok2vec.model.encode.width": 16,
    "components.tok2vec.model.encode.depth": 1,
    "components.tok2vec.model.embed.rows": [100, 100, 100, 100],
    "training.max_steps": 20,
    "training.eval_frequency": 10,
}


def sentences(word: str, n: int) -> str:
    return HEADER + "".join(f"{i},{word}{i},NNP,B-geo\n,sleeps,VBZ,O\n" for i in range(n))


@pytest.fixture
def project(tmp_path) -> Path:
    """The project as in a new clone, with a corpus and a config that take no time."""
    for name in (
        "project.yml",
        "scripts",
        "ner_lstm_component",
        "setup.cfg",
        "setup.py",
        "pyproject.toml",
    ):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, n in {"train": 40, "dev": 5, "test": 5}.items():
        path = tmp_path / "corpus" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(sentences("Town", n))
    (tmp_path / "other.csv").write_text(sentences("Village", 50))
    (tmp_path / "configs").mkdir()
    config = load_config(ROOT / "configs" / "spacy_ner.cfg", overrides=SMALL)
    for name in ("default", "gpu"):
        config.to_disk(tmp_path / "configs" / f"{name}.cfg")
    return tmp_path


@pytest.fixture
def run(project, capfd):
    """Run a command of the project; gives the lines of its scripts that were run."""

    def run(command: str, *, dry: bool = False, **variables: object) -> list[str]:
        overrides = {f"vars.{name}": value for name, value in variables.items()}
        capfd.readouterr()
        project_run(project, command, overrides=overrides, dry=dry)
        return re.findall(r"^Running command: \S+ (.+)$", capfd.readouterr().out, re.MULTILINE)

    return run


def words(path: Path) -> str:
    return " ".join(doc.text for doc in DocBin().from_disk(path).get_docs(Vocab()))


# --- what project.yml says -------------------------------------------------------------


@pytest.fixture(scope="module")
def config() -> dict:
    return srsly.read_yaml(ROOT / "project.yml")


def test_is_valid():
    config = load_project_config(ROOT, interpolate=True)
    assert config["workflows"]["all"] == ["convert", "train", "evaluate", "package"]
    names = [command["name"] for command in config["commands"]]
    assert {"convert", "train", "evaluate", "package", "serve", "clean"} <= set(names)


def test_every_command_has_a_one_line_help(config):
    for command in config["commands"]:
        assert re.fullmatch(r"[A-Z][^\n]*[^.\n]", command["help"]), command["name"]


def test_every_script_and_config_exists_and_is_a_dep(config):
    for command in config["commands"]:
        for line in command["script"]:
            for path in re.findall(r"(?:scripts|configs)/[\w./${}]+", line):
                assert path in command["deps"], command["name"]
                default = path.replace("${vars.config}", config["vars"]["config"])
                assert (ROOT / default).is_file()


def test_every_dep_exists_or_is_made_by_an_earlier_command(config):
    made = ["training/train.spacy", "training/test.spacy", "training/log.jsonl"]
    for command in config["commands"]:
        for dep in command.get("deps", []):
            if not dep.startswith("${") and dep not in made:
                assert (ROOT / dep.replace("${vars.config}", "default")).exists(), dep
        made += command.get("outputs", [])


def test_package_depends_on_the_whole_package(config):
    (package,) = [command for command in config["commands"] if command["name"] == "package"]
    assert {"ner_lstm_component", "setup.cfg", "setup.py", "README.md"} <= set(package["deps"])


def test_asset_is_the_real_file(config):
    (asset,) = config["assets"]
    assert asset["dest"] == "assets/ner_dataset.csv"
    assert asset["checksum"] == "0c5f5151df296234941d06f30305d9f6"
    assert "url" not in asset


# --- what it does ----------------------------------------------------------------------


def test_variables_reach_the_commands(project, run):
    (convert, _, train) = run(
        "train", dry=True, dataset="other.csv", split="community", config="gpu", gpu_id=0, seed=5
    )
    assert "--vars.dataset other.csv --vars.split community" in convert
    assert "train configs/gpu.cfg" in train
    assert "--gpu-id 0" in train
    assert "--system.seed 5" in train


def test_command_line_overrides(project):
    """As a user types it; the dot stands for the project's folder."""
    (project / "my data").mkdir()
    (project / "other.csv").rename(project / "my data" / "it's other.csv")
    overrides = ["--vars.split_seed", "3", "--vars.dataset", "my data/it's other.csv"]
    result = subprocess.run(
        [sys.executable, "-m", "spacy", "project", "run", "convert", ".", *overrides],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Village" in words(project / "corpus" / "test.spacy")


def test_train_converts_first_and_unchanged_steps_are_skipped(project, run):
    assert len(run("train")) == 4  # convert and its script among them
    assert "Town" in words(project / "corpus" / "train.spacy")
    assert (project / "training" / "model-best" / "config.cfg").exists()
    assert run("train") == []
    assert run("convert") == []
    assert len(run("evaluate")) == 1
    assert run("evaluate") == []

    # Other data is converted: the pipeline is still scored on the test part of its own.
    run("convert", dataset="other.csv")
    assert "Village" in words(project / "corpus" / "test.spacy")
    assert run("evaluate") == []
    assert "Town" in words(project / "training" / "test.spacy")

    # Training on other data takes over the test part.
    assert len(run("train", dataset="other.csv")) == 3
    assert "Village" in words(project / "training" / "test.spacy")
    assert len(run("evaluate", dataset="other.csv")) == 1
    assert run("train", dataset="other.csv") == []
    metrics = json.loads((project / "metrics" / "metrics.json").read_text())
    assert metrics["documents"] == 5
    assert metrics["entities"] == {"geo": 5}


@pytest.mark.slow
def test_failed_training_leaves_no_pipeline_of_other_data(project, run):
    run("train")
    faulty = project / "configs" / "gpu.cfg"
    faulty.write_text(faulty.read_text().replace("Adam.v1", "Eve.v1"))
    with pytest.raises(SystemExit):
        run("train", config="gpu")
    assert (project / "training" / "model-best").exists()
    assert "Town" in words(project / "training" / "test.spacy")
    with pytest.raises(SystemExit):
        run("train", config="gpu", dataset="other.csv")
    assert not (project / "training" / "model-best").exists()


def test_clean(project, run):
    run("convert")
    (project / "training" / "model-best").mkdir()
    run("clean")
    assert sorted(path.name for path in (project / "corpus").iterdir()) == [
        "dev.csv",
        "test.csv",
        "train.csv",
    ]
    assert not (project / "training").exists()
