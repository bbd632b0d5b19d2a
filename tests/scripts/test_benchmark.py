"""Ratios, tables, rounds and refusals of the benchmark; never how long something takes."""

from __future__ import annotations

import json
import shutil
from itertools import count, product
from pathlib import Path

import pytest
import spacy
from loading import flat, load_script, runner
from samples import SENTENCES, SMALL_MODEL, make_doc
from spacy.tokens import DocBin
from thinc.api import Config
from typer.testing import Result

from benchmarks import inputs, measurements, processes, steps, tables, worker
from benchmarks.training import KerasTraining, SpacyTraining
from ner_lstm_component import kernels

ROOT = Path(__file__).parents[2]
benchmark = load_script("benchmark")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, trained_nlp):
    """A pipeline of ours, a peer's, one without entities, and data."""
    folder = tmp_path_factory.mktemp("benchmark")
    trained_nlp.to_disk(folder / "ours")
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(folder / "blank")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "geo", "pattern": "Oslo"}])
    nlp.to_disk(folder / "peer")
    DocBin(docs=[make_doc(nlp.vocab, text) for text in SENTENCES]).to_disk(folder / "data.spacy")
    (folder / "corrupt.spacy").write_bytes(b"something else")
    return folder


run = runner(benchmark)


def run_on(folder, options: str, *more: object, exit_code: int = 0) -> Result:
    """Run on four sentences, with the pipeline of `folder`."""
    always = "--sentences 4 --no-tensorflow --rounds 1 --warm-up 0"
    arguments = [*f"{always} {options}".split(), *more]
    return run("run", folder / "ours", folder / "data.spacy", *arguments, exit_code=exit_code)


def series(case, unit, system, *values):
    return {"case": case, "unit": unit, "system": system, "values": list(values)}


def test_systems_are_compared_round_by_round():
    measured = [
        # In its second round the machine was half as fast for both.
        series("small", "words/s", "ours", 1000.0, 500.0, 4000.0),
        series("small", "words/s", "theirs", 100.0, 50.0, 200.0),
        series("small", "ms", "ours", 2.0, 2.0, 4.0),
        series("small", "ms", "theirs", 8.0, 6.0, 8.0),
    ]
    speeds = ("1,000 (500–4,000)", "100 (50–200)", "10.00× as fast (10.00–20.00)")
    assert tables.table_of({"compare": "systems", "series": measured}) == [
        ("", "unit", "ours", "theirs", "ours against theirs"),
        ("small", "words/s", *speeds),
        ("small", "ms", "2 (2–4)", "8 (6–8)", "3.00× as fast (2.00–4.00)"),
    ]


def test_cases_are_compared_with_the_first_of_their_unit_and_system():
    measured = [
        series("short", "µs/token", "ours", 10.0, 20.0),
        series("long", "µs/token", "ours", 15.0, 40.0),
        series("long", "MB", "ours", 3.5),
    ]
    _, first, second, other = tables.table_of({"compare": "cases", "series": measured})
    assert second == ("ours", "long", "µs/token", "27.5 (15–40)", "1.75× (1.50–2.00)")
    assert (first[-1], other[-1]) == ("1.00× (1.00–1.00)", "")


def test_systems_take_turns_and_warm_up_does_not_count():
    tasks = dict.fromkeys("ab", count().__next__)
    found = measurements.repeat(tasks, rounds=2, warm_up=1)
    assert found == {"a": [2, 4], "b": [3, 5]}


def test_processes_get_the_threads_and_the_other_variables(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = processes.environment_of(3)
    names = ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NER_LSTM_THREADS")
    assert [found[name] for name in names] == ["Haswell", "3", "3", "3"]


def test_errors_of_a_process_are_raised(folder):
    with processes.Process(1) as process:
        with pytest.raises(processes.WorkerError, match="no such file"):
            process.ask("read", path="no such file")
        # The process continues.
        assert process.ask("read", path=str(folder / "ours" / "meta.json")) is None
        process._process.kill()
        with pytest.raises(processes.WorkerError, match="exit code"):
            process.ask("import_spacy")


def test_a_step_excludes_the_steps_inside_it():
    clock = count()
    timers = steps.Timers(lambda: next(clock))
    inner = timers.around("inner", lambda: next(clock))
    outer = timers.around("outer", lambda: (next(clock), inner(), next(clock)))
    outer()
    # Reading the clock counts one: inner from 2 to 4, outer from 0 to 6.
    assert timers.seconds == {"inner": 2, "outer": 4}

    def items():
        for _ in range(2):
            yield next(clock)

    for _ in timers.around("items", items)():
        next(clock)  # not counted
    # Two items with one tick each, and the end without one.
    assert timers.seconds["items"] == 2 + 2 + 1


def test_every_step_takes_time(trained_nlp):
    loaded = spacy.blank("en").from_config(trained_nlp.config).from_bytes(trained_nlp.to_bytes())
    loaded.get_pipe("ner_lstm").confidence = True
    timers = steps.Timers()
    with steps.timed_steps(timers):
        docs = list(loaded.pipe(["Anna Berg lives in Oslo.", "It rained."]))
    assert [len(doc.ents) for doc in docs] == [2, 0]
    uncompiled = set() if kernels.IS_COMPILED else {"embedding"}
    measured = dict(timers.seconds)
    assert set(measured) == set(steps.STEPS) - uncompiled
    assert min(measured.values()) > 0
    list(loaded.pipe(["Not timed."]))
    assert timers.seconds == measured
    with pytest.raises(LookupError, match=r"json:none"):
        steps.timed_steps(timers, {"step": ("json:none",)}).__enter__()


def test_a_worker_tags(folder, tmp_path):
    texts = ["Anna Berg lives in Oslo.", "It rained for two days."]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    loaded = worker.Worker()
    loaded.load(str(folder / "ours"), [], "onnx")
    loaded.read(str(tmp_path / "texts.json"))
    assert loaded.count_tokens() == 12
    seen = []
    component = loaded.nlp.get_pipe("ner_lstm")
    predict = component.predict
    component.predict = lambda docs: seen.extend(docs) or predict(docs)
    loaded.share(sentences=5, batch_size=2)
    assert [doc.text for doc in seen] == [*texts, *texts, texts[0]]
    loaded.doc(tokens=7, least=21)
    assert [len(doc) for doc in seen[-3:]] == [7, 7, 7]
    assert seen[-2].text.rstrip() == "rained for two days. Anna Berg"


def test_spacys_loop_runs_for_the_given_tokens(folder):
    config = ROOT / "configs" / "spacy_ner.cfg"
    loop = SpacyTraining(config, folder / "data.spacy", limit=4)
    # One batch of all four sentences: the schedule of its size ends at 1,000 words.
    four = sum(len(sentence.split()) for sentence in SENTENCES[:4])
    assert loop.run(1) == four
    assert loop.run(four + 1) == 2 * four


@pytest.mark.slow
def test_keras_trains_the_components_network_on_its_batches(folder, tmp_path):
    config = Config().from_disk(ROOT / "configs" / "default.cfg", interpolate=False)
    config["components"]["ner_lstm"]["model"] = {**SMALL_MODEL, "pos_weight": 0.0}
    config["training"]["batcher"]["size"] = 40
    config.to_disk(tmp_path / "own.cfg")
    keras = KerasTraining(tmp_path / "own.cfg", folder / "data.spacy", limit=4)
    model, batch = keras._network, keras._batches[0]
    loss = float(model.network(**batch, training=False))
    assert float(model(batch, training=False)) == pytest.approx(loss, rel=1e-5)
    assert float(model.losses[0]) == pytest.approx(loss / len(batch["mask"]), rel=1e-5)
    sizes = [int(one["mask"].sum()) for one in keras._batches]
    assert keras.run(sizes[0] + 1) == sizes[0] + sizes[1]
    assert keras.run(1) == sizes[2]  # it continues where it stopped
    assert float(model.network(**batch, training=False)) != pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run {}/nowhere {}/data.spacy", "MODEL"),
        ("run {}/peer {}/data.spacy --only pipe", "ner_lstm"),
        ("run {}/ours {}/nowhere.spacy", ".spacy"),
        ("run {}/ours {}/corrupt.spacy --only pipe", "DocBin"),
        ("run {}/ours {}/data.spacy --only pipe", "holds 12"),
        ("run {}/ours {}/data.spacy --only train", "--train"),
        ("run {}/ours {}/data.spacy --train {}/none.spacy", "none.spacy"),
        ("run {}/ours {}/data.spacy --only pipe --peer {}/blank", "has sentencizer"),
        ("run {}/ours {}/data.spacy --only pipe --peer {}/peer --peer-name ner_lstm", "another"),
        ("run {}/ours {}/data.spacy --config {}/none.cfg", "no such config"),
        ("run {}/ours {}/data.spacy --environment {}", "site-packages"),
        ("run {}/ours {}/data.spacy --only pipe --results {}/corrupt.spacy", "not JSON"),
        ("tables --results {}/nowhere.json", "no results"),
    ],
)
def test_bad_arguments_are_refused_first(folder, monkeypatch, arguments, message):
    monkeypatch.setattr(measurements, "Process", pytest.fail)
    result = run(*arguments.replace("{}", str(folder)).split(), exit_code=2)
    # The frame around the message may break it anywhere.
    assert message.replace(" ", "") in flat(result.output).replace(" ", "")


def test_only_components_that_find_entities_are_loaded(folder, tmp_path):
    assert inputs.unneeded(folder / "ours", "MODEL") == ()
    assert inputs.unneeded(folder / "peer", "--peer") == ("sentencizer",)
    nlp = spacy.blank("en")
    for name in ("tok2vec", "tagger", "ner"):
        nlp.add_pipe(name)
    nlp.to_disk(tmp_path)
    assert inputs.unneeded(tmp_path, "--peer") == ("tok2vec", "tagger")
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96}
    config = Config().from_disk(tmp_path / "config.cfg", interpolate=False)
    config["components"]["ner"]["model"]["tok2vec"] = listener
    config.to_disk(tmp_path / "config.cfg")
    assert inputs.unneeded(tmp_path, "--peer") == ("tagger",)


def test_texts_are_drawn_the_same_each_time(folder):
    texts, words = inputs.read_texts(folder / "data.spacy", 0)
    assert words == sum(len(sentence.split()) for sentence in SENTENCES)
    some, again = (inputs.read_texts(folder / "data.spacy", 3)[0] for _ in range(2))
    assert some == again
    assert (len(set(some)), set(some) < set(texts)) == (3, True)


class InProcess(processes.Process):
    """A worker in this process, which is quicker."""

    def __init__(self, threads, clock="wall"):
        self.worker = worker.Worker(clock)

    def tell(self, do, **arguments):
        self.result = getattr(self.worker, do)(**arguments)

    def answer(self):
        return self.result

    def __exit__(self, *exception):
        pass


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setattr(measurements, "Process", InProcess)


def test_a_pipeline_runs_in_its_own_process(folder, tmp_path):
    options = "--calls 3 --only single --clock cpu"
    run_on(folder, options, "--results", tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text())["single"]
    first = found["series"][0]
    assert (found["clock"], first["case"], first["system"]) == ("cpu", "median", "ner_lstm")


def test_failed_and_impossible_measurements(folder, tmp_path, in_process, monkeypatch):
    def fail(setup):
        raise processes.WorkerError("out of order")

    monkeypatch.setitem(measurements.MEASUREMENTS, "pipe", fail)
    result = run_on(folder, "--only pipe --results", tmp_path / "results.json", exit_code=1)
    assert "pipe could not be measured. out of order" in result.output
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None)
    arguments = ("--sentences", 4, "--only", "pipe")
    result = run("run", folder / "ours", folder / "data.spacy", *arguments, exit_code=2)
    assert "--no-tensorflow" in result.output


def test_a_run_gives_results_tables_and_a_picture(folder, tmp_path, in_process):
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    (packages / "tensorflow").mkdir(parents=True)
    (packages / "tensorflow" / "file").write_bytes(b"12345")
    (packages / "link").symlink_to(packages / "tensorflow" / "file")
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"size": {}, "train": {"series": ["earlier"]}}))
    options = (
        "--peer-name rules --only pipe --only single --only size --only budget --no-tensorflow "
        "--rounds 2 --warm-up 0 --sentences 4 --batch-size 2 --batch-size 4 --calls 3"
    )
    paths = ("--peer", folder / "peer", "--environment", tmp_path / "env", "--results", results)
    result = run("run", folder / "ours", folder / "data.spacy", *options.split(), *paths)
    assert "nlp.pipe on raw text" in result.output
    found = json.loads(results.read_text())
    assert list(found) == ["pipe", "single", "size", "train", "budget"]
    assert found.pop("train") == {"series": ["earlier"]}
    cases = [(s["case"], s["system"], len(s["values"])) for s in found["pipe"]["series"]]
    assert cases == list(product(("batches of 2", "batches of 4"), ("ner_lstm", "rules"), [2]))
    # The options stand in the order of their definition.
    command = f"python scripts/benchmark.py run MODEL TEST.spacy --peer PEER {options}"
    assert found["pipe"]["command"] == f"{command} --environment DIR"
    sizes = {one["case"]: one["values"] for one in found["size"]["series"]}
    assert (sizes["site-packages"], sizes["of that link"]) == ([5e-6], [0])
    assert found["size"]["notes"] == ["TensorFlow in environment env: installed."]
    assert set(steps.STEPS) < {one["case"] for one in found["budget"]["series"]}

    results.write_text(json.dumps(found))
    assert set(measurements.MEASUREMENTS) == set(tables.TITLES)
    page, picture = tmp_path / "page.md", tmp_path / "picture.png"
    shutil.copy(benchmark.PAGE, page)
    run("tables", "--results", results, "--page", page, "--picture", picture)
    text = page.read_text(encoding="utf-8")
    for part in ("| batches of 2 | words/s | ", "ner_lstm against rules", "Not measured yet."):
        assert part in text
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_measurements_in_fresh_processes(folder, tmp_path, in_process, monkeypatch):
    monkeypatch.setattr(measurements, "_TIMED_TOKENS", 20)
    options = (
        "--shared 4 --length 5 --length 50 --stream 6 --clock cpu "
        "--only load --only length --only stream --only workers"
    )
    run_on(folder, options, "--results", tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text())
    clocks = {"load": "wall", "length": "cpu", "stream": "cpu", "workers": "wall"}
    assert {name: one["clock"] for name, one in found.items()} == clocks
    units = {name: {s["unit"] for s in one["series"]} for name, one in found.items()}
    assert units == {
        "load": {"s", "MB"},
        "length": {"µs/token", "MB"},
        "stream": {"sentences/s", "MB"},
        "workers": {"sentences/s"},
    }
