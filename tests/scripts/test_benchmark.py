"""Ratios, tables, turns and refusals of the benchmark; never how long something takes."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
import spacy
from loading import load_script
from samples import SENTENCES, SMALL_MODEL, make_doc
from spacy.tokens import Doc, DocBin
from thinc.api import Config
from typer.testing import CliRunner

from ner_lstm_component import kernels

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark():
    return load_script("benchmark")


@pytest.fixture(scope="module")
def tables():
    return load_script("benchmark_tables")


@pytest.fixture(scope="module")
def steps():
    return load_script("benchmark_steps")


@pytest.fixture
def worker():
    return load_script("benchmark_worker").Worker()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, trained_nlp):
    """A pipeline of ours, one of a peer, and data."""
    folder = tmp_path_factory.mktemp("benchmark")
    trained_nlp.to_disk(folder / "ours")
    peer = spacy.blank("en")
    peer.add_pipe("entity_ruler").add_patterns([{"label": "geo", "pattern": "Oslo"}])
    peer.add_pipe("sentencizer")
    peer.to_disk(folder / "peer")
    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    blank.to_disk(folder / "blank")
    docs = [make_doc(blank.vocab, sentence) for sentence in SENTENCES]
    DocBin(docs=docs).to_disk(folder / "data.spacy")
    (folder / "corrupt.spacy").write_bytes(b"something else")
    return folder


# ---------------------------------------------------------------- arithmetic


def test_ratios_are_taken_round_by_round(tables):
    # In the second round the machine was half as fast for both.
    assert tables.ratios([100.0, 50.0, 90.0], [10.0, 5.0, 10.0]) == [10.0, 10.0, 9.0]
    with pytest.raises(ValueError, match="shorter"):
        tables.ratios([1.0, 2.0], [1.0])


def test_the_spread_is_median_least_and_greatest(tables):
    assert tables.spread([3.0, 1.0, 9.0, 2.0]) == (2.5, 1.0, 9.0)


@pytest.mark.parametrize(("unit", "gain"), [("words/s", 2.0), ("ms", 0.5), ("s", 2.0), ("MB", 2.0)])
def test_gains_say_how_many_times_as_fast_or_as_much(tables, unit, gain):
    assert tables.gains(unit, [20.0], [10.0]) == [gain]


def series(case, unit, system, *values):
    return {"case": case, "unit": unit, "system": system, "values": list(values)}


def test_systems_stand_side_by_side(tables):
    found = tables.table_of(
        {
            "compare": "systems",
            "series": [
                series("small", "words/s", "ours", 1000.0, 2000.0, 4000.0),
                series("small", "words/s", "theirs", 100.0, 100.0, 200.0),
                series("small", "ms", "ours", 2.0, 2.0, 4.0),
                series("small", "ms", "theirs", 8.0, 6.0, 8.0),
                series("large", "words/s", "ours", 5.0, 5.0, 5.0),
            ],
        }
    )
    assert found == [
        ("", "unit", "ours", "theirs", "ours against theirs"),
        (
            "small",
            "words/s",
            "2,000 (1,000–4,000)",
            "100 (100–200)",
            "20.00× as fast (10.00–20.00)",
        ),
        ("small", "ms", "2 (2–4)", "8 (6–8)", "3.00× as fast (2.00–4.00)"),
        ("large", "words/s", "5 (5–5)", "", ""),
    ]


def test_cases_are_compared_with_the_first_of_their_unit_and_system(tables):
    found = tables.table_of(
        {
            "compare": "cases",
            "series": [
                series("short", "µs/token", "ours", 10.0, 20.0),
                series("long", "µs/token", "ours", 15.0, 40.0),
                series("short", "µs/token", "theirs", 100.0),
                series("long", "MB", "ours", 3.5),
            ],
        }
    )
    assert [row[-1] for row in found] == [
        "of the first",
        "1.00× (1.00–1.00)",
        "1.75× (1.50–2.00)",
        "1.00×",
        "",
    ]
    assert found[2][:4] == ("ours", "long", "µs/token", "27.5 (15–40)")


def test_each_machine_is_told_once(tables):
    one = {"processor": "P", "cores": 2, "load": 0.5, "versions": {"spacy": "3.8"}}
    other = {**one, "versions": {"spacy": "3.9"}}
    results = {
        name: {"machine": machine}
        for name, machine in (("a", one), ("b", {**one, "load": 1.0}), ("c", other))
    }
    assert tables.machine_text(results) == ("P, 2 cores; spacy 3.8.\n\nP, 2 cores; spacy 3.9.\n")


def test_what_no_step_accounts_for_is_told(benchmark):
    seconds = {"whole": 10.0, **dict.fromkeys(benchmark.STEPS, 1.0)}
    assert benchmark.parts_of(seconds)["everything else"] == 10.0 - len(benchmark.STEPS)


# ---------------------------------------------------------------- turns


class Rounds:
    warm_up, rounds = 1, 2


def test_systems_take_turns_and_warm_up_does_not_count(benchmark):
    log = []

    def task(name):
        log.append(name)
        return f"{name}{log.count(name)}"

    found = benchmark.interleave(Rounds, {"a": lambda: task("a"), "b": lambda: task("b")})
    assert log == ["a", "b"] * 3
    assert found == {"a": ["a2", "a3"], "b": ["b2", "b3"]}


def test_processes_get_the_threads_and_keep_the_rest(benchmark, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environment = benchmark.environment_of(3)
    assert environment["OPENBLAS_CORETYPE"] == "Haswell"
    assert {environment[name] for name in benchmark.THREAD_VARIABLES} == {"3"}
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NER_LSTM_THREADS"} <= set(
        benchmark.THREAD_VARIABLES
    )


def test_a_process_tells_what_went_wrong(benchmark, folder):
    with benchmark.Process(1) as process:
        with pytest.raises(benchmark.WorkerError, match="no such file"):
            process.ask("read", path="no such file")
        # It is there still.
        assert process.ask("read", path=str(folder / "ours" / "meta.json")) is None
        process._process.kill()
        with pytest.raises(benchmark.WorkerError, match="exit code"):
            process.ask("import_spacy")


# ---------------------------------------------------------------- steps


@pytest.fixture
def own_package(monkeypatch):
    """A package of two modules, the second of which imports a function of the first."""
    first, second = ModuleType("own_package.first"), ModuleType("own_package.second")
    clock = count()

    def inner():
        next(clock)

    def outer():
        next(clock)
        second.inner()
        next(clock)

    def items():
        for _ in range(2):
            next(clock)
            yield

    first.inner, first.outer, first.items = inner, outer, items
    second.inner = inner
    for module in (first, second):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return first, second, lambda: next(clock)


def test_a_step_has_its_own_time_only(steps, own_package):
    first, second, clock = own_package
    timers = steps.Timers(clock)
    names = {
        "inner": ("own_package.first:inner",),
        "outer": ("own_package.first:outer",),
        "items": ("own_package.first:items",),
    }
    originals = (first.inner, second.inner, first.outer)
    with steps.timed_steps(timers, names, "own_package"):
        assert second.inner is first.inner is not originals[0]
        first.outer()
        # Reading the clock counts one: inner from 2 to 4, outer from 0 to 6.
        assert timers.seconds == {"inner": 2, "outer": 4}
        for _ in first.items():
            for _ in range(100):
                clock()
        # Two items, each with one tick, and the end with none.
        assert timers.seconds["items"] == 2 + 2 + 1
    assert (first.inner, second.inner, first.outer) == originals


def test_functions_are_put_back_after_an_error(steps, own_package):
    first, _, clock = own_package
    original = first.inner
    names = {"inner": ("own_package.first:inner",), "none": ("own_package.first:none",)}
    with (
        pytest.raises(LookupError, match=r"own_package\.first:none"),
        steps.timed_steps(steps.Timers(clock), names, "own_package"),
    ):
        pass
    assert first.inner is original


def test_the_steps_are_those_of_the_component(steps, trained_nlp):
    loaded = spacy.blank("en").from_config(trained_nlp.config).from_bytes(trained_nlp.to_bytes())
    loaded.get_pipe("ner_lstm").confidence = True
    timers = steps.Timers()
    with steps.timed_steps(timers):
        docs = list(loaded.pipe(["Anna Berg lives in Oslo.", "It rained."]))
        loaded("Paul met Maria Costa in Paris.")
    assert docs[0].ents
    embeds = {"embedding"} if kernels.IS_COMPILED else set()
    assert set(timers.seconds) == set(steps.STEPS) - {"embedding"} | embeds
    assert min(timers.seconds.values()) > 0


def test_every_step_has_its_functions(steps):
    for names in steps.STEPS.values():
        for name in names:
            assert callable(steps.find(name)[2])


# ---------------------------------------------------------------- what a process does


def test_a_worker_tags(worker, folder, tmp_path):
    texts = ["Anna Berg lives in Oslo.", "It rained for two days."]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    assert worker.import_spacy()["peak"] > 0
    assert worker.load(str(folder / "ours"), [], "onnx")["peak"] > 0
    worker.read(str(tmp_path / "texts.json"))
    assert worker.count_tokens() == 12
    assert len(worker.single(3)) == 3
    seen = []
    component = worker.nlp.get_pipe("ner_lstm")
    predict = component.predict
    component.predict = lambda docs: seen.extend(docs) or predict(docs)
    worker.pipe(batch_size=2)
    assert [doc.text for doc in seen] == texts
    seen.clear()
    worker.share(sentences=5, batch_size=2)
    assert [doc.text for doc in seen] == [*texts, *texts, texts[0]]
    seen.clear()
    # Three Docs of seven tokens, the texts again and again, after 1,000 sentences.
    assert worker.doc(tokens=7, least=21).keys() == {"seconds", "beyond"}
    assert [len(doc) for doc in seen[1000:]] == [7, 7, 7]
    assert seen[1000].text.rstrip() == "Anna Berg lives in Oslo. It"
    assert seen[1001].text.rstrip() == "rained for two days. Anna Berg"


def test_steps_of_a_worker_add_up(worker, folder, tmp_path, steps):
    (tmp_path / "texts.json").write_text(json.dumps(["Anna Berg lives in Oslo."]))
    worker.load(str(folder / "ours"), [], None)
    worker.read(str(tmp_path / "texts.json"))
    for seconds in (worker.steps(2), worker.steps_of_single(2)):
        assert set(seconds) == {"whole", *steps.STEPS}
        assert 0 < sum(seconds[step] for step in steps.STEPS) <= seconds["whole"]


def test_processor_time_does_not_pass_while_waiting():
    module = load_script("benchmark_worker")
    wall, processor = module.Worker("wall").clock, module.Worker("cpu").clock
    wall_start, start = wall(), processor()
    time.sleep(0.1)
    assert processor() - start < wall() - wall_start


def test_memory_is_told():
    module = load_script("benchmark_worker")
    module.forget_peak()
    held = bytearray(50_000_000)
    assert module.peak_memory() >= module.memory() > len(held)


# ---------------------------------------------------------------- training


def test_spacys_loop_goes_on_for_the_tokens_asked_for(folder):
    training = load_script("benchmark_training")
    data = folder / "data.spacy"
    loop = training.SpacyTraining(ROOT / "configs" / "spacy_ner.cfg", data, limit=4)
    batches = []
    update = loop.nlp.update
    loop.nlp.update = lambda examples, **more: (
        batches.append(sum(len(eg.predicted) for eg in examples)) or update(examples, **more)
    )
    assert loop.run(30) == sum(batches) >= 30
    n_batches = len(batches)
    assert loop.run(1) == batches[-1]
    assert len(batches) == n_batches + 1
    # One batch of all four sentences: its size is the 1,000 words at the schedule's end.
    four = sum(len(sentence.split()) for sentence in SENTENCES[:4])
    assert set(batches) == {four}


@pytest.mark.slow
def test_keras_trains_the_components_network_on_its_batches(folder, tmp_path):
    config = Config().from_disk(ROOT / "configs" / "default.cfg", interpolate=False)
    config["components"]["ner_lstm"]["model"] = {**SMALL_MODEL, "pos_weight": 0.0}
    config["training"]["batcher"]["size"] = 40
    config.to_disk(tmp_path / "own.cfg")
    training = load_script("benchmark_training")
    keras = training.KerasTraining(tmp_path / "own.cfg", folder / "data.spacy", limit=4)
    model, batch = keras._network, keras._batches[0]
    loss = float(model.network(**batch, training=False))
    assert float(model(batch, training=False)) == pytest.approx(loss, rel=1e-5)
    assert float(model.losses[0]) == pytest.approx(loss / len(batch["mask"]), rel=1e-5)
    before = [weight.numpy().copy() for weight in model.trainable_weights]
    sizes = [int(one["mask"].sum()) for one in keras._batches]
    assert keras.run(sizes[0] + 1) == sizes[0] + sizes[1]
    assert int(model.optimizer.iterations) == 2
    # It goes on where it stopped.
    assert keras.run(1) == sizes[2]
    after = [weight.numpy() for weight in model.trainable_weights]
    assert any((one != other).any() for one, other in zip(before, after, strict=True))
    assert (model.optimizer.clipnorm, model.optimizer.use_ema) == (1.0, True)
    rate = model.optimizer._learning_rate
    assert [float(rate(step)) for step in (0, 1000)] == pytest.approx([0.0025, 0.00125])


# ---------------------------------------------------------------- refusals


_KERAS = "Keras fit"


def run_arguments(folder, *more):
    return ["run", str(folder / "ours"), str(folder / "data.spacy"), "--sentences", "4", *more]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "{}/nowhere", "{}/data.spacy"], "MODEL"),
        (["run", "{}/peer", "{}/data.spacy", "--only", "pipe"], "ner_lstm"),
        (["run", "{}/ours", "{}/nowhere.spacy"], ".spacy"),
        (["run", "{}/ours", "{}/corrupt.spacy", "--only", "pipe"], "DocBin"),
        (["run", "{}/ours", "{}/data.spacy", "--only", "pipe"], "holds 12"),
        (["run", "{}/ours", "{}/data.spacy", "--only", "train"], "--train"),
        (["run", "{}/ours", "{}/data.spacy", "--train", "{}/none.spacy"], "none.spacy"),
        (
            ["run", "{}/ours", "{}/data.spacy", "--only", "pipe", "--peer", "{}/blank"],
            "sets entities",
        ),
        (
            ["run", "{}/ours", "{}/data.spacy", "--only", "pipe", "--peer", "{}/nowhere"],
            "--peer",
        ),
        (["run", "{}/ours", "{}/data.spacy", "--environment", "{}/ours"], "--environment"),
        (["run", "{}/ours", "{}/data.spacy", "--config", "{}/no.cfg"], "no such config"),
        (
            ["run", "{}/ours", "{}/data.spacy", "--only", "pipe", "--peer-name", _KERAS],
            _KERAS,
        ),
        (["run", "{}/ours", "{}/data.spacy", "--only", "something"], "something"),
        (["run", "{}/ours", "{}/data.spacy", "--threads", "0"], "--threads"),
        (["run", "{}/ours", "{}/data.spacy", "--batch-size", "0"], "--batch-size"),
        (
            ["run", "{}/ours", "{}/data.spacy", "--only", "pipe", "--results", "{}/corrupt.spacy"],
            "not JSON",
        ),
        (["tables", "--results", "{}/nowhere.json"], "no results"),
    ],
)
def test_what_cannot_be_measured_is_refused_first(benchmark, folder, monkeypatch, arguments, told):
    monkeypatch.setattr(benchmark, "Process", pytest.fail)
    result = CliRunner().invoke(
        benchmark.app, [one.replace("{}", str(folder)) for one in arguments]
    )
    assert result.exit_code == 2, result.output
    # The message may be broken anywhere by the frame that it stands in.
    assert "".join(told.split()) in "".join(result.output.replace("│", "").split())


def test_without_tensorflow_it_says_what_to_do(benchmark, folder, monkeypatch):
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None)
    result = CliRunner().invoke(benchmark.app, run_arguments(folder, "--only", "pipe"))
    assert result.exit_code == 2
    assert "--no-tensorflow" in result.output


# ---------------------------------------------------------------- what is given


def test_only_what_finds_entities_is_loaded(benchmark, folder, tmp_path):
    assert benchmark.unneeded(folder / "ours", "MODEL") == ()
    assert benchmark.unneeded(folder / "peer", "--peer") == ("sentencizer",)
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec")
    nlp.add_pipe("tagger")
    nlp.add_pipe("ner")
    nlp.to_disk(tmp_path / "alone")
    assert benchmark.unneeded(tmp_path / "alone", "--peer") == ("tok2vec", "tagger")
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96}
    config = Config().from_disk(tmp_path / "alone" / "config.cfg", interpolate=False)
    config["components"]["ner"]["model"]["tok2vec"] = listener
    config.to_disk(tmp_path / "alone" / "config.cfg")
    assert benchmark.unneeded(tmp_path / "alone", "--peer") == ("tagger",)


def test_texts_are_drawn_alike_and_words_counted(benchmark, folder, tmp_path):
    texts, words = benchmark.read_texts(folder / "data.spacy", 0)
    assert texts[0] == "Anna Berg lives in Oslo."
    assert words == sum(len(sentence.split()) for sentence in SENTENCES)
    some, _ = benchmark.read_texts(folder / "data.spacy", 3)
    assert benchmark.read_texts(folder / "data.spacy", 3)[0] == some
    assert len(set(some)) == 3
    assert set(some) < set(texts)
    DocBin(docs=[Doc(spacy.blank("en").vocab)]).to_disk(tmp_path / "empty.spacy")
    with pytest.raises(Exception, match="holds 0"):
        benchmark.read_texts(tmp_path / "empty.spacy", 0)


def test_environments_and_folders_are_weighed(benchmark, tmp_path):
    packages = tmp_path / "own" / "lib" / "python3.11" / "site-packages"
    (packages / "one" / "inner").mkdir(parents=True)
    (packages / "one" / "inner" / "file").write_bytes(b"12345")
    (packages / "two.py").write_bytes(b"123")
    (packages / "link").symlink_to(packages / "two.py")
    sizes = {
        path.name: benchmark.size_of(path) for path in benchmark.site_packages(tmp_path / "own")
    }
    assert sizes == {"one": 5, "two.py": 3, "link": 0}
    assert benchmark.size_of(tmp_path) == 8


# ---------------------------------------------------------------- the whole


@pytest.fixture
def in_process(benchmark, monkeypatch):
    """Workers live in this process, which is quicker."""
    worker_class = load_script("benchmark_worker").Worker

    class InProcess(benchmark.Process):
        def __init__(self, threads, clock="wall"):
            self.worker = worker_class(clock)

        def tell(self, do, **arguments):
            self.result = getattr(self.worker, do)(**arguments)

        def answer(self):
            return self.result

        def __exit__(self, *exception):
            pass

    monkeypatch.setattr(benchmark, "Process", InProcess)


def test_a_pipeline_lives_in_a_process_of_its_own(benchmark, folder, tmp_path):
    results = tmp_path / "results.json"
    options = "--no-tensorflow --rounds 1 --warm-up 0 --calls 3 --only single --clock cpu --results"
    result = CliRunner().invoke(
        benchmark.app, run_arguments(folder, *options.split(), str(results))
    )
    assert result.exit_code == 0, result.output
    found = json.loads(results.read_text())["single"]
    assert found["clock"] == "cpu"
    median, _ = found["series"]
    assert (median["case"], median["unit"], median["system"]) == ("median", "ms", "ner_lstm")
    assert len(median["values"]) == 1


def test_a_failure_is_an_error(benchmark, folder, tmp_path, in_process, monkeypatch):
    def fail(settings):
        raise benchmark.WorkerError("out of order")

    monkeypatch.setitem(benchmark.MEASUREMENTS, "pipe", fail)
    options = ["--no-tensorflow", "--only", "pipe", "--results", str(tmp_path / "results.json")]
    result = CliRunner().invoke(benchmark.app, run_arguments(folder, *options))
    assert result.exit_code == 1
    assert "pipe could not be measured. out of order" in result.output


def test_a_run_gives_results_tables_and_a_picture(benchmark, folder, tmp_path, in_process):
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    (packages / "tensorflow").mkdir(parents=True)
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"size": {}, "train": {"series": ["of before"]}}))
    options = "--no-tensorflow --rounds 2 --warm-up 0 --calls 3 --batch-size 2 --batch-size 4"
    chosen = ["--only", "pipe", "--only", "single", "--only", "size", "--only", "budget"]
    chosen += ["--peer", str(folder / "peer"), "--peer-name", "rules"]
    chosen += ["--environment", str(tmp_path / "env"), "--results", str(results)]
    arguments = run_arguments(folder, *options.split(), *chosen)
    result = CliRunner().invoke(benchmark.app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(results.read_text())
    assert list(found) == ["pipe", "single", "size", "train", "budget"]
    # A round's calls are those of all its turns.
    assert {len(one["values"]) for one in found["single"]["series"]} == {2}
    assert found.pop("train") == {"series": ["of before"]}
    by_name = defaultdict(list)
    for one in found["pipe"]["series"]:
        by_name[one["system"]].append((one["case"], len(one["values"])))
    expected = [("batches of 2", 2), ("batches of 4", 2)]
    assert by_name == {"ner_lstm": expected, "rules": expected}
    assert found["pipe"]["command"] == (
        "python scripts/benchmark.py run MODEL TEST.spacy --peer PEER --peer-name rules "
        "--only pipe --only single --only size --only budget --no-tensorflow --rounds 2 "
        "--warm-up 0 --sentences 4 --batch-size 2 --batch-size 4 --calls 3 --environment DIR"
    )
    assert str(tmp_path) not in results.read_text()
    assert found["size"]["notes"] == ["TensorFlow in environment env: installed."]
    budget = {one["case"] for one in found["budget"]["series"]}
    assert budget == {"whole", *benchmark.STEPS, "everything else", "whole, without timers"}
    assert "nlp.pipe on raw text" in result.output

    results.write_text(json.dumps(found))
    page, picture = tmp_path / "page.md", tmp_path / "picture.png"
    page.write_text(benchmark.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    texts = []
    for _ in range(2):  # the second time changes nothing
        more = ["--results", str(results), "--page", str(page), "--picture", str(picture)]
        result = CliRunner().invoke(benchmark.app, ["tables", *more])
        assert result.exit_code == 0, result.output
        texts.append(page.read_text())
    assert texts[0] == texts[1]
    assert "| batches of 2 | words/s | " in texts[0]
    assert "ner_lstm against rules" in texts[0]
    assert "Not measured yet." in texts[0]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_fresh_processes_are_measured(benchmark, folder, tmp_path, in_process, monkeypatch):
    monkeypatch.setattr(benchmark, "_TIMED_TOKENS", 20)
    options = "--no-tensorflow --rounds 1 --warm-up 0 --shared 4 --length 5 --length 50 --clock cpu"
    chosen = ["--only", "load", "--only", "length", "--only", "workers"]
    results = tmp_path / "results.json"
    arguments = run_arguments(folder, *options.split(), *chosen, "--results", str(results))
    result = CliRunner().invoke(benchmark.app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(results.read_text())
    assert {name: one["clock"] for name, one in found.items()} == {
        "load": "wall",
        "length": "cpu",
        "workers": "wall",
    }
    load = {(one["system"], one["unit"]): one["values"][0] for one in found["load"]["series"]}
    assert load.keys() == {(s, u) for s in ("ner_lstm", "import spacy") for u in ("s", "MB")}
    assert min(load["ner_lstm", "MB"], load["import spacy", "MB"]) > 10
    assert [one["case"] for one in found["length"]["series"]] == [
        "5 tokens",
        "50 tokens",
        "5 tokens, memory beyond it",
        "50 tokens, memory beyond it",
    ]
    assert [(one["system"], one["case"]) for one in found["workers"]["series"]] == [
        ("ner_lstm", "1 process"),
        ("ner_lstm", "2 processes"),
        ("ner_lstm, loading included", "1 process"),
        ("ner_lstm, loading included", "2 processes"),
    ]


def test_the_page_has_a_place_for_each_table(benchmark):
    text = benchmark.PAGE.read_text(encoding="utf-8")
    assert text.count("<!-- table ") == text.count("<!-- end -->") == len(benchmark.TITLES) + 1
    assert all(f"<!-- table {name} -->\n" in text for name in benchmark.TITLES)
    assert set(benchmark.MEASUREMENTS) == set(benchmark.TITLES)
