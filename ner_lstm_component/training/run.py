"""The training behind ``ner-lstm train``: from a data file to a pipeline with its report."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
import srsly
from rich.console import Console
from spacy.language import DEFAULT_CONFIG
from spacy.training import Corpus
from spacy.training.initialize import init_nlp
from spacy.training.loop import DIR_MODEL_LAST, train
from spacy.util import dot_to_object, get_lang_class, load_config
from thinc.api import Config

from ..component import LSTMEntityRecognizer
from ..dataset import AUTO, count
from ..dataset.checks import check, refuse_unusable
from ..dataset.parts import read_parts, summary, write_parts
from ..evaluation.pipeline import evaluate, read_log, read_training, write_report
from ..evaluation.summary import Evaluation
from .output import CONFIG, CORPUS, LOG, PIPELINE, REPORT, TrainingError, claim, replace
from .progress import Stopped, raising_stopped
from .recipe import FREQUENCY, overrides_for
from .resume import (
    Attempt,
    attempts_in,
    best_checkpoint,
    going_on,
    last_checkpoint,
    new_attempt,
    write_log,
)
from .thresholds import tune

DEFAULT = Path(__file__).with_name("default.cfg")

_FACTORY = "ner_lstm"
# In the folder in which a run works: its attempts, and what a run that goes on must have too.
ATTEMPTS, _TRAINING = "attempts", "training.json"


@dataclass(frozen=True)
class Result:
    """The outcome of a training.

    :param evaluation: the scores on the test part, or None if they could not be computed.
    :param problem: the reason if there are no scores, or no report; otherwise empty.
    :param interruption: the signal or the error that ended training early, if any.
    """

    evaluation: Evaluation | None
    problem: str
    interruption: Stopped | Exception | None


def run(
    data: Path,
    output: Path,
    *,
    lang: str | None = None,
    config: Path | None = None,
    overrides: dict[str, Any] | None = None,
    gpu_id: int = -1,
    seed: int | None = None,
    encoding: str = AUTO,
    repair: bool = False,
    tune_thresholds: bool = False,
    resume: bool = False,
) -> Result:
    """Check data, train a pipeline, evaluate it, and put all that belongs to it in a folder.

    Prints what was read and found, and a progress bar. A former result in the folder stays until
    the new one is complete.

    :param data: a file, or a folder of three (see `dataset.parts.read_parts`).
    :param lang: the pipeline's language; that of the config if None.
    :param config: the training config; by default `DEFAULT`, with `recipe.overrides_for`.
    :param overrides: values of the config by their dotted names.
    :param gpu_id: the number of the GPU, or -1 for the CPU.
    :param seed: the seed of the split.
    :param tune_thresholds: whether to find a threshold for each label on the dev part.
    :param resume: whether to go on from the last checkpoint if an earlier run was killed.
    :raises DatasetError: if the data cannot be used.
    :raises TrainingError: if the folder, the config or the GPU cannot be used.
    :raises Stopped: if a signal stopped training before there was anything to keep.
    """
    chosen = {**({"nlp.lang": lang} if lang else {}), **(overrides or {})}
    settings = read_config(config or DEFAULT, chosen)  # before the work, for its errors
    for name in _paths(output).keys() & chosen.keys():
        raise TrainingError(
            f"--{name}: the parts are those of {data}. To choose them, give a folder with "
            "train.csv, dev.csv and test.csv."
        )
    # A component that is sourced has no factory here.
    if tune_thresholds and not any(
        component.get("factory", _FACTORY) == _FACTORY
        for component in settings.get("components", {}).values()
    ):
        raise TrainingError(
            f"--tune-thresholds: the config has no component {_FACTORY!r}, which has thresholds; "
            "leave the option out."
        )
    _use_device(gpu_id)
    console = Console(highlight=False, soft_wrap=True)
    with claim(output, resume=resume) as work:
        parts = read_parts(data, seed=seed, encoding=encoding, repair=repair)
        refuse_unusable(data, parts)
        console.print(summary(parts))
        for finding in check(parts):
            console.print(f"Found {finding.what}", markup=False)
            for example in finding.examples:
                console.print(f"    {example}", markup=False)
        if config is None:
            given = chosen.get(FREQUENCY)
            chosen = {**overrides_for(count(parts["train"]), given), **chosen}
        result = work / "result"
        shutil.rmtree(result, ignore_errors=True)  # of a run that was killed
        write_parts(parts, result / CORPUS)
        settings = read_config(config or DEFAULT, {**chosen, **_paths(result)})
        attempts = _attempts_at(work, result / CORPUS, settings)
        interruption = _train(settings, result, work / ATTEMPTS, attempts, gpu_id)
        _write_configs(result, output, settings["training"])
        # From here on, nothing that happens costs the trained pipeline.
        (result / REPORT).mkdir()
        evaluation: Evaluation | None = None
        problem = ""
        try:
            with raising_stopped():
                if tune_thresholds:
                    _tune_thresholds(result, work / "tuned", console)
                evaluation = _evaluate(result, output.resolve().name, gpu_id)
                write_report(evaluation, None, read_log(result / LOG), result / REPORT)
        except Stopped as signal:
            interruption, problem = signal, "stopped before the end"
        # Drawing, and pipelines of other components, may raise anything.
        except Exception as error:
            problem = str(error) or repr(error)
        replace(output, result)
    return Result(evaluation, problem, interruption)


def read_config(path: Path, overrides: dict[str, Any]) -> Config:
    """Read a config, with the values to override by their dotted names.

    :raises TrainingError: if the config, the language or a name in `overrides` is unknown, or if
        the config does not take its data from ``paths.train`` and ``paths.dev``.
    """
    name = "the default config" if path == DEFAULT else str(path)
    for setting in overrides:
        section, _, key = setting.partition(".")
        # spaCy ignores these. It checks the deeper sections, which may have any names.
        if section in ("nlp", "training") and key.partition(".")[0] not in DEFAULT_CONFIG[section]:
            known = ", ".join(DEFAULT_CONFIG[section])
            raise TrainingError(f"--{setting}: no such setting; [{section}] has {known}")
    try:
        config = load_config(path, overrides=overrides)
        resolved = DEFAULT_CONFIG.merge(config).interpolate()
        corpora = {
            part: dot_to_object(resolved, resolved["training"][f"{part}_corpus"])["path"]
            for part in ("train", "dev")
        }
    # A file that is no config fails anywhere in spaCy, Thinc and their parsers.
    except Exception as error:
        raise TrainingError(f"{name}: cannot be used to train: {error}") from error
    for part, found in corpora.items():
        if found != resolved["paths"][part]:
            raise TrainingError(
                f"{name}: the {part} corpus is at {found}; expected path = ${{paths.{part}}}, so "
                "that the data can be given."
            )
    frequency = dot_to_object(resolved, FREQUENCY)
    if type(frequency) is not int or frequency < 1:
        raise TrainingError(f"--{FREQUENCY}: expected a number of steps. Received: {frequency!r}")
    lang = resolved["nlp"]["lang"]
    try:
        tokenizer = get_lang_class(lang).default_config["nlp"]["tokenizer"]
    except ImportError as error:
        raise TrainingError(
            f"{lang!r}: no language that spaCy has (--lang); expected a code such as 'en', 'de' or "
            "'xx' (any language)."
        ) from error
    # Ours adds to the rules of spaCy's, which Chinese, Japanese and others do not use.
    has_own = tokenizer["@tokenizers"] != "spacy.Tokenizer.v1"
    if path == DEFAULT and has_own and "nlp.tokenizer.@tokenizers" not in overrides:
        config["nlp"]["tokenizer"] = tokenizer
    config.setdefault("training", {}).setdefault("logger", DEFAULT_CONFIG["training"]["logger"])
    return config


def _use_device(gpu_id: int) -> None:
    try:
        if gpu_id >= 0:
            spacy.require_gpu(gpu_id)
    except Exception as error:  # CuPy's and CUDA's are of many kinds
        raise TrainingError(f"the GPU {gpu_id} (--gpu-id) cannot be used: {error}") from error


def _paths(folder: Path) -> dict[str, str]:
    return {f"paths.{part}": str(folder / CORPUS / f"{part}.spacy") for part in ("train", "dev")}


def _attempts_at(work: Path, corpus: Path, config: Config) -> list[Attempt]:
    """Return what runs that were killed have attempted, if they had the same data and settings.

    :raises TrainingError: if they had others.
    """
    attempts = attempts_in(work / ATTEMPTS)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in corpus.iterdir()}
    training = {"corpus": sums, "config": config.to_str()}
    if attempts and srsly.read_json(work / _TRAINING) != training:
        raise TrainingError(
            "--resume: the data, the split or the settings are not those of the training that was "
            "killed. Give the same ones, or leave --resume out to begin anew."
        )
    srsly.write_json(work / _TRAINING, training)
    return attempts


def _train(
    config: Config, result: Path, folder: Path, attempts: list[Attempt], gpu_id: int
) -> Stopped | Exception | None:
    """Train a pipeline, and copy the best, or the last if all score 0, to the result.

    :param folder: the folder of attempts.
    :param attempts: those of runs that were killed.
    :return: the signal or the error that ended training early, if any.
    :raises Stopped, TrainingError: if it did before any evaluation found an entity.
    """
    start = last_checkpoint(attempts)
    attempt = new_attempt(folder, len(attempts), start.step if start else 0)
    running = going_on(config, start) if start else config.copy()
    if start:
        Console(stderr=True).print(
            f"Going on from step {start.step} of a training that was killed."
        )
    running["training"]["logger"] = {
        "@loggers": "ner_lstm_component.ProgressLogger.v1",
        "output_file": str(attempt.log),
        "logger": config["training"]["logger"],
    }
    interruption: Stopped | Exception | None = None
    try:
        with Console(stderr=True).status("Initializing …"):
            nlp = init_nlp(running, use_gpu=gpu_id)
    # A setting that a component refuses, vectors or a language's package that are missing.
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise TrainingError(f"the config cannot be used to train: {error}") from error
    try:
        # Our logger shows what spaCy would print.
        ignored = io.StringIO()
        train(nlp, attempt.checkpoints, use_gpu=gpu_id, stdout=ignored, stderr=ignored)
    except (Stopped, Exception) as error:
        interruption = error
    attempts = [*attempts, attempt]
    write_log(attempts, result / LOG)
    best = best_checkpoint(attempts)
    has_score = best is not None and best.score > 0
    if interruption is not None and not has_score:
        if isinstance(interruption, ValueError):
            raise TrainingError(f"training failed: {interruption}") from interruption
        raise interruption
    # Of equal scores the first is taken, which is that of the untrained pipeline.
    last = attempt.checkpoints / DIR_MODEL_LAST
    shutil.copytree(best.path if best and has_score else last, result / PIPELINE)
    return interruption


def _write_configs(result: Path, output: Path, training: dict[str, Any]) -> None:
    """Write the config that repeats the training, with the given settings and final paths."""
    pipeline = result / PIPELINE / CONFIG
    config = Config().from_disk(pipeline, interpolate=False)
    # A training that goes on has others.
    for name in {"logger", "max_steps"} & training.keys():
        config["training"][name] = training[name]
    if rate := training.get("optimizer", {}).get("learn_rate"):
        config["training"]["optimizer"]["learn_rate"] = rate
    # A pipeline may be given to others, whom the folders here do not concern.
    for path, folder in ((pipeline, Path()), (result / CONFIG, output.resolve())):
        for name, value in _paths(folder).items():
            config["paths"][name.removeprefix("paths.")] = value
        config.to_disk(path)


def _tune_thresholds(result: Path, scratch: Path, console: Console) -> None:
    """Find the thresholds of each ``ner_lstm`` on the dev part, and save the pipeline with them."""
    nlp = spacy.load(result / PIPELINE)
    for name, pipe in nlp.pipeline:
        if isinstance(pipe, LSTMEntityRecognizer):
            found = tune(nlp, Corpus(result / CORPUS / "dev.spacy")(nlp), name)
            listed = ", ".join(f"{label} {threshold:.2f}" for label, threshold in found.items())
            console.print(f"Thresholds of {name}: {listed}", markup=False)
    nlp.to_disk(scratch)
    shutil.rmtree(result / PIPELINE)
    scratch.rename(result / PIPELINE)


def _evaluate(result: Path, name: str, gpu_id: int) -> Evaluation:
    training = read_training(result / CORPUS / "train.spacy")
    test = result / CORPUS / "test.spacy"
    return evaluate(str(result / PIPELINE), name, test, gpu_id, training, slice(0))[0]
