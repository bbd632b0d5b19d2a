from __future__ import annotations

import re
from pathlib import Path

import pytest
from spacy.tokens import DocBin
from spacy.util import load_config
from spacy.vocab import Vocab
from weasel.cli.run import project_run
from weasel.util.config import load_project_config

ROOT = Path(__file__).parents[1]
HEADER = "Sentence #,Word,POS,Tag\n"
# Overrides of configs/spacy_ner.cfg for a quick training.
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
    """The project as in a new clone, with a small corpus and a small config."""
    for name in ("project.yml", "scripts", "ner_lstm_component"):
        (tmp_path / name).symlink_to(ROOT / name)
    for folder in ("corpus", "configs"):
        (tmp_path / folder).mkdir()
    for name, n in {"train": 40, "dev": 5, "test": 5}.items():
        (tmp_path / "corpus" / f"{name}.csv").write_text(sentences("Town", n))
    (tmp_path / "other.csv").write_text(sentences("Village", 50))
    config = load_config(ROOT / "configs" / "spacy_ner.cfg", overrides=SMALL)
    for name in ("default", "gpu"):
        config.to_disk(tmp_path / "configs" / f"{name}.cfg")
    return tmp_path


@pytest.fixture
def run(project, capfd):
    """Runs a command of the project, and returns the lines of its scripts that were run."""

    def run(command: str, *, dry: bool = False, **variables: object) -> list[str]:
        overrides = {f"vars.{name}": value for name, value in variables.items()}
        capfd.readouterr()
        project_run(project, command, overrides=overrides, dry=dry)
        return re.findall(r"^Running command: \S+ (.+)$", capfd.readouterr().out, re.MULTILINE)

    return run


def words(path: Path) -> str:
    return " ".join(doc.text for doc in DocBin().from_disk(path).get_docs(Vocab()))


def test_commands_and_their_deps():
    """Each dep is a file of the project, or made by an earlier command."""
    config = load_project_config(ROOT, interpolate=True)
    assert config["workflows"]["all"] == ["convert", "train", "evaluate", "package"]
    made = {"training/train.spacy", "training/test.spacy", "training/log.jsonl"}
    for command in config["commands"]:
        name, deps = command["name"], set(command.get("deps", []))
        assert re.fullmatch(r"[A-Z][^\n]*[^.\n]", command["help"]), name
        used = set(re.findall(r"(?:scripts|configs)/[\w./]+", " ".join(command["script"])))
        assert used <= deps, name
        assert {dep for dep in deps - made if not (ROOT / dep).exists()} == set(), name
        made |= set(command.get("outputs", []))
        if name == "package":
            assert {"ner_lstm_component", "setup.cfg", "setup.py", "README.md"} <= deps


def test_variables_reach_the_commands(project, run):
    variables = {"dataset": "other.csv", "split": "community"}
    convert, _, train = run("train", dry=True, **variables, config="gpu", gpu_id=0, seed=5)
    assert "--vars.dataset other.csv --vars.split community" in convert
    for option in ("train configs/gpu.cfg", "--gpu-id 0", "--system.seed 5"):
        assert option in train


@pytest.mark.slow
def test_train_converts_first_and_unchanged_steps_are_skipped(project, run):
    assert len(run("train")) == 4  # including convert and its script
    assert "Town" in words(project / "corpus" / "train.spacy")
    assert run("train") == run("convert") == []
    assert len(run("evaluate")) == 1
    assert run("evaluate") == []

    # After converting other data, the pipeline is still scored on its own test part.
    run("convert", dataset="other.csv")
    assert run("evaluate") == []
    assert "Town" in words(project / "training" / "test.spacy")

    # Training on other data replaces the test part.
    assert len(run("train", dataset="other.csv")) == 3
    assert "Village" in words(project / "training" / "test.spacy")
    assert len(run("evaluate", dataset="other.csv")) == 1
    assert run("train", dataset="other.csv") == []
    assert '"geo": 5' in (project / "metrics" / "metrics.json").read_text()


@pytest.mark.slow
def test_failed_training_leaves_no_pipeline_of_other_data(project, run):
    run("train")
    faulty = project / "configs" / "gpu.cfg"
    faulty.write_text(faulty.read_text().replace("Adam.v1", "Eve.v1"))
    for overrides, is_kept in (({}, True), ({"dataset": "other.csv"}, False)):
        with pytest.raises(SystemExit):
            run("train", config="gpu", **overrides)
        assert (project / "training" / "model-best").exists() == is_kept


def test_convert_and_clean(project, run):
    (project / "my data").mkdir()
    (project / "other.csv").rename(project / "my data" / "it's other.csv")
    run("convert", dataset="my data/it's other.csv", split_seed=3)
    assert "Village" in words(project / "corpus" / "test.spacy")
    (project / "training" / "model-best").mkdir()
    run("clean")
    kept = {path.name for path in (project / "corpus").iterdir()}
    assert kept == {"dev.csv", "test.csv", "train.csv"}
    assert not (project / "training").exists()
