"""A training from the file to the folder, by the command: one short training for all tests."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import spacy
from samples import SENTENCES, run_app
from spacy.tokens import DocBin
from spacy.util import load_config
from spacy.vocab import Vocab

from ner_lstm_component import cli
from ner_lstm_component.training import run as module
from ner_lstm_component.training.progress import Stopped
from ner_lstm_component.training.run import DEFAULT, TrainingError, read_config

MODEL = "--components.ner_lstm.model"
TINY = (
    *("--training.max_steps", 4, "--training.eval_frequency=2", "--training.dropout", 0.1),
    *(f"{MODEL}.width", 8, f"{MODEL}.hidden_width", 8, f"{MODEL}.embed_width", 4),
    *(f"{MODEL}.batch_tokens", 256),
)
run = partial(run_app, cli.app, "train")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Twenty sentences with blanks between the columns, without an extension of their own."""
    path = tmp_path_factory.mktemp("data") / "my data.iob"
    tokens = [[token.partition("/") for token in s.split()] for s in SENTENCES]
    texts = ["\n".join(f"{word} {tag or 'O'}" for word, _, tag in words) for words in tokens]
    more = [f"Town{n} B-geo\nsleeps O" for n in range(8)]
    path.write_text("\n\n".join(texts + more) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(data):
    """The folder of a training and what was printed."""
    output = data.parent / "it's" / "result"
    return output, run(data, "--output", output, *TINY)


def test_prints_data_findings_scores_and_what_to_do_next(trained, data):
    output, result = trained
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{data}: 20 sentences, read as utf-8")
    assert "Found 2 types with fewer than 10 entities in train\n    per (6)\n" in result.stdout
    assert any(line.startswith("│ all") for line in lines)
    load, serve = (line.partition(":")[2].strip() for line in lines[-2:])
    assert eval(load, {"spacy": spacy}).pipe_names == ["ner_lstm"]
    assert shlex.split(serve) == ["ner-lstm", "serve", str(output / "pipeline")]


def test_writes_all_that_belongs_to_the_pipeline(trained):
    output, _ = trained
    names = {"config.cfg", "corpus", "files.txt", "log.jsonl", "pipeline", "report"}
    assert {path.name for path in output.iterdir() if path.name[0] != "."} == names
    docs = [list(DocBin().from_disk(p).get_docs(Vocab())) for p in (output / "corpus").iterdir()]
    assert sorted(map(len, docs)) == [2, 2, 16]
    steps = [json.loads(line)["step"] for line in (output / "log.jsonl").read_text().splitlines()]
    assert steps == [0, 2, 4]
    metrics = json.loads((output / "report" / "metrics.json").read_text())
    assert (metrics["model"], metrics["documents"]) == ("result", 2)
    assert metrics["by_familiarity"] is not None
    for name in ("report.md", "report.html", "report_files/learning_curve.png"):
        assert (output / "report" / name).is_file()


def test_the_config_repeats_the_training_from_anywhere(trained):
    output, _ = trained
    config = load_config(output / "config.cfg", interpolate=True)
    corpora = [config["corpora"][part]["path"] for part in ("train", "dev")]
    assert corpora == [str(output / "corpus" / f"{part}.spacy") for part in ("train", "dev")]
    training = config["training"]
    assert [training[name] for name in ("max_steps", "eval_frequency", "dropout")] == [4, 2, 0.1]
    assert training["logger"] == load_config(DEFAULT, interpolate=True)["training"]["logger"]
    assert config["components"]["ner_lstm"]["model"]["width"] == 8
    # The pipeline's own has no path of this machine.
    assert str(output) not in (output / "pipeline" / "config.cfg").read_text()


@pytest.fixture
def fake(monkeypatch, trained):
    """Replace training by one that has a pipeline, and logs scores before it is stopped."""
    pipeline = spacy.load(trained[0] / "pipeline")

    def replace(
        *scores: float, number: int | None = None, error: BaseException | None = None
    ) -> None:
        def train(config, checkpoints, **_):
            log = Path(config["training"]["logger"]["output_file"])
            rows = [
                {"step": step, "losses": {}, "scores": {}, "score": score}
                for step, score in enumerate(scores)
            ]
            log.write_text("".join(json.dumps(row) + "\n" for row in rows))
            for name in ("best", "last"):
                pipeline.meta["description"] = name
                pipeline.to_disk(checkpoints / f"model-{name}")
            if number is not None:
                raise Stopped(number)
            if error is not None:
                raise error

        monkeypatch.setattr(module, "init_nlp", lambda config, use_gpu: config)
        monkeypatch.setattr(module, "train", train)

    return replace


def test_a_stopped_training_keeps_the_best_so_far(fake, data, tmp_path):
    fake(0.0, 0.5, 0.4, number=signal.SIGTERM)
    result = run(data, "--output", tmp_path, *TINY, exit_code=143)
    assert "Training ended early (SIGTERM): this is the best pipeline so far." in result.stdout
    assert spacy.load(tmp_path / "pipeline").meta["description"] == "best"
    assert (tmp_path / "report" / "metrics.json").is_file()


def test_stopped_before_anything_was_found(fake, data, trained, tmp_path):
    fake(0.0, number=signal.SIGINT)
    output = tmp_path / "new"
    result = run(data, "--output", output, exit_code=130)
    assert result.stderr.endswith(f"Stopped. Nothing is kept: {output} is as it was before.\n")
    assert not output.exists()


def test_an_error_in_training_keeps_the_best_so_far(fake, data, tmp_path):
    fake(0.0, 0.5, error=ValueError("the loss is not finite"))
    result = run(data, "--output", tmp_path, *TINY, exit_code=1)
    assert "Training ended early (the loss is not finite): this is the best" in result.stdout
    assert spacy.load(tmp_path / "pipeline").pipe_names == ["ner_lstm"]
    for scores in ([], [0.0]):
        fake(*scores, error=ValueError("the loss is not finite"))
        result = run(data, "--output", tmp_path, *TINY, exit_code=1)
        assert "Error: training failed: the loss is not finite" in result.stderr
    assert spacy.load(tmp_path / "pipeline").pipe_names == ["ner_lstm"]


def test_an_interrupted_training_goes_on(fake, data, tmp_path):
    fake(0.1, 0.5, error=KeyboardInterrupt())  # a second signal
    run(data, "--output", tmp_path, "--resume", *TINY, exit_code=130)
    fake(0.2, 0.3)
    message = "--resume: the data, the split or the settings are not those of the training"
    for changed in (("--seed", 1), ("--training.dropout", 0.3)):
        refused = run(data, "--output", tmp_path, "--resume", *TINY, *changed, exit_code=1)
        assert message in refused.stderr
    result = run(data, "--output", tmp_path, "--resume", *TINY)
    assert "Going on from step 1 of a training that was killed." in result.stderr
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(row["step"], row["score"]) for row in rows] == [(0, 0.1), (1, 0.2), (2, 0.3)]
    assert spacy.load(tmp_path / "pipeline").meta["description"] == "best"
    # Without the option, nothing of a training is kept.
    fake(0.1, 0.5, error=KeyboardInterrupt())
    run(data, "--output", tmp_path, *TINY, exit_code=130)
    fake(0.5)
    assert "Going on" not in run(data, "--output", tmp_path, "--resume", *TINY).stderr


def interrupt(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail(*_: object) -> None:
    raise RuntimeError("no font")


@pytest.mark.parametrize(
    ("step", "happens", "exit_code", "message"),
    [
        ("evaluate", interrupt, 130, "No scores: stopped before the end"),
        ("tune", interrupt, 130, "No scores: stopped before the end"),
        ("evaluate", fail, 0, "No scores: no font"),
        ("write_report", fail, 0, "No report: no font"),
    ],
)
def test_a_trained_pipeline_is_kept_whatever_happens(
    fake, data, tmp_path, monkeypatch, step, happens, exit_code, message
):
    fake(0.0, 0.5)
    monkeypatch.setattr(module, step, happens)
    arguments = [data, "--output", tmp_path, "--tune-thresholds"]
    assert message in run(*arguments, *TINY, exit_code=exit_code).stdout
    assert spacy.load(tmp_path / "pipeline").pipe_names == ["ner_lstm"]
    assert list((tmp_path / "report").iterdir()) == []


def test_docs_in_a_folder_without_an_entity_to_score(fake, data, trained, tmp_path):
    fake(0.0, number=None)
    folder = tmp_path / "docs"
    folder.mkdir()
    for part in ("train", "dev"):
        (folder / f"{part}.spacy").write_bytes(
            (trained[0] / "corpus" / f"{part}.spacy").read_bytes()
        )
    (folder / "test.conll").write_text("It O\nrained O\n")
    result = run(folder, "--output", folder)
    assert "test has no entity: there is nothing to score" in result.stdout
    assert "No scores: " in result.stdout
    assert list((folder / "report").iterdir()) == []
    assert "Report:" not in result.stdout
    # The first, which scored as high, is not trained.
    assert spacy.load(folder / "pipeline").meta["description"] == "last"
    assert (folder / "corpus" / "train.spacy").is_file()
    assert (folder / "train.spacy").is_file()  # the data stays


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("no.csv", "no.csv: no such file"),
        ("{data} --lang qq", "'qq': no language that spaCy has (--lang)"),
        ("{data} --training.dropot 3", "--training.dropot: no such setting; [training] has "),
        ("{data} --training.eval_frequency 0", "--training.eval_frequency: expected a number of"),
        ("{data} --training.eval_frequency x", "--training.eval_frequency: expected a number of"),
        ("{data} --trainin.dropout 3", "the default config: cannot be used to train"),
        ("{data} --tune", "found '--tune'; expected an option (see --help)"),
        ("{data} more", "found 'more'; expected an option"),
        ("{data} --config {data}", "{data}: cannot be used to train"),
        ("{data} --corpora.dev.path x", "the default config: the dev corpus is at x; expected"),
        ("{data} --seed 1 --output {data}", "{data}: cannot be written"),
        ("{data} " + f"{MODEL}.width 0", "the config cannot be used to train"),
        ("{data} --paths.vectors none", "the config cannot be used to train: [E884]"),
        ("{data} --training.seed x", "the config cannot be used to train"),
        ("{data} --paths.dev x", "--paths.dev: the parts are those of {data}"),
        (
            "{data} --components.ner_lstm.factory ner --tune-thresholds",
            "--tune-thresholds: the config has no component 'ner_lstm'",
        ),
        ("{empty}", "{empty}: found no entity in the training part, of 8 sentences"),
        ("{short}", "{short}: too few sentences to split"),
    ],
)
def test_errors_say_what_is_wrong(data, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    short, empty = tmp_path / "short.iob", tmp_path / "empty.iob"
    short.write_text("Oslo B-geo\n\nParis B-geo\n")
    empty.write_text("".join(f"It O\nis O\n{n} O\n\n" for n in range(10)))
    files = {"data": "data.iob", "empty": empty, "short": short}
    (tmp_path / "data.iob").write_bytes(data.read_bytes())
    before = sorted(tmp_path.rglob("*"))
    result = run(*arguments.format(**files).split(), exit_code=1)
    assert f"Error: {message.format(**files)}" in result.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(left) == before


def test_unusable_data_is_refused_before_tensorflow_is_imported(tmp_path):
    code = (
        "import sys\nfrom ner_lstm_component.cli import app\n"
        "try: app()\nfinally: print('tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, "train", str(tmp_path / "no.csv")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "False\n")


def test_the_folder_is_named_after_the_data(data, tmp_path, monkeypatch, fake):
    fake(0.5, number=None)
    monkeypatch.chdir(tmp_path)
    for name, stem in (("tweets.2020.IOB", "tweets.2020"), ("tweets.v2", "tweets.v2")):
        (tmp_path / name).write_bytes(data.read_bytes())
        run(name)
        assert (tmp_path / "training" / stem / "pipeline").is_dir()


def test_warnings_are_shown(data, tmp_path, monkeypatch, fake):
    """Such as that of `clusters.load_clusters`."""
    fake(0.5, number=None)
    logger = logging.getLogger("ner_lstm_component.component")
    monkeypatch.setattr(module, "init_nlp", lambda config, use_gpu: logger.warning("!") or config)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # without pytest's
    assert "!\n" in run(data, "--output", tmp_path).stderr


def test_what_training_needs_is_named(data, monkeypatch):
    find = cli.find_spec
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "keras" else find(name))
    result = run(data, exit_code=1)
    assert "training needs keras, which is not installed; run: pip install" in result.stderr


def test_values_of_the_config():
    arguments = ["--a.b", "1", "--a.c=x=y", "--a.d", "--a.e-f", "[1]", "--a.g", "-1", "--a.h", "x"]
    values = {"a.b": 1, "a.c": "x=y", "a.d": True, "a.e-f": [1], "a.g": -1, "a.h": "x"}
    assert cli._overrides(arguments) == values


def test_a_language_with_a_tokenizer_of_its_own_keeps_it():
    assert read_config(DEFAULT, {"nlp.lang": "zh"})["nlp"]["tokenizer"] == {
        "@tokenizers": "spacy.zh.ChineseTokenizer",
        "segmenter": "char",
    }
    name = "nlp.tokenizer.@tokenizers"
    chosen = read_config(DEFAULT, {"nlp.lang": "zh", name: "spacy.Tokenizer.v1"})
    assert chosen["nlp"]["tokenizer"]["@tokenizers"] == "spacy.Tokenizer.v1"


def test_a_config_keeps_its_language_and_may_lack_a_logger(tmp_path):
    config = tmp_path / "config.cfg"
    config.write_text('[paths]\ntrain = null\ndev = null\n[nlp]\nlang = "de"\npipeline = []\n')
    found = read_config(config, {"paths.train": "x"})
    assert found["nlp"]["lang"] == "de"
    assert found["training"]["logger"]["@loggers"] == "spacy.ConsoleLogger.v1"
    with pytest.raises(TrainingError, match="'qq': no language"):
        read_config(config, {"nlp.lang": "qq"})
