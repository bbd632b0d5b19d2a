"""Saved components that are damaged, or made to do harm, are refused when they are loaded."""

from __future__ import annotations

import copy
import gc
import json
import random
import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import srsly
from samples import SENTENCES, SMALL_MODEL, SMALL_TOK2VEC_MODEL, overfit
from spacy.language import Language

from ner_lstm_component.checksums import checksums
from ner_lstm_component.component import FILES, LSTMEntityRecognizer

MODEL = {
    **SMALL_MODEL,
    "@architectures": "ner_lstm_component.KerasLSTMTagger.v2",
    "features": [*SMALL_MODEL["features"], "CLUSTER4", "NAME"],
    "rows": [*SMALL_MODEL["rows"], 32, 128],
}
TEXT = "Anna Berg of the Nordic Bank lives in Oslo, and met Paul in New York."


@pytest.fixture(scope="module")
def nlp() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": copy.deepcopy(MODEL)})
    return overfit(nlp, steps=3)


@pytest.fixture(scope="module")
def saved(nlp, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts") / "nlp"
    nlp.to_disk(folder)
    return folder / "ner_lstm"


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "ner_lstm"))


def load(nlp: Language, folder: Path) -> LSTMEntityRecognizer:
    """Load a component as a pipeline of the same config does."""
    component = nlp.create_pipe("ner_lstm", config={"model": copy.deepcopy(MODEL)})
    return component.from_disk(folder, exclude=["vocab"])


def emissions(nlp: Language, component: LSTMEntityRecognizer) -> np.ndarray:
    return component.potentials([nlp.make_doc(TEXT)]).emissions


def reseal(folder: Path) -> None:
    """Write the checksums of changed files, as an attacker can."""
    files = {name: (folder / name).read_bytes() for name in FILES}
    srsly.write_json(folder / "checksums", checksums(files))


def refuse(nlp: Language, folder: Path, *parts: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(str(folder))}: ") as caught:
        load(nlp, folder)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert gc.isenabled()


# -- damage


def test_an_intact_component_is_loaded(nlp, folder):
    expected = emissions(nlp, nlp.get_pipe("ner_lstm"))
    np.testing.assert_allclose(emissions(nlp, load(nlp, folder)), expected, atol=1e-4)
    component = nlp.create_pipe("ner_lstm", config={"model": copy.deepcopy(MODEL)})
    component.from_bytes(nlp.get_pipe("ner_lstm").to_bytes())
    np.testing.assert_allclose(emissions(nlp, component), expected, atol=1e-4)


@pytest.mark.parametrize("name", [*FILES, "checksums"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b" ",
        lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
        lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
        lambda data: data[::-1],
    ],
)
def test_damaged_files_are_refused(nlp, folder, name, damage):
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(damage(data))
    if name == "checksums" and json.loads(data) == _json(path):
        return  # a blank at the end
    refuse(nlp, folder, repr(name))


def _json(path: Path) -> Any:
    try:
        return srsly.read_json(path)
    except ValueError:
        return None


def test_swapped_and_missing_files_are_refused(nlp, folder, saved):
    (folder / "cfg").rename(folder / "other")
    (folder / "model").rename(folder / "cfg")
    (folder / "other").rename(folder / "model")
    refuse(nlp, folder)
    for name in FILES:
        shutil.copytree(saved, folder, dirs_exist_ok=True)
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=name):
            load(nlp, folder)
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    (folder / "checksums").unlink()
    refuse(nlp, folder, "'checksums' is missing")


def test_a_model_of_another_pipeline_is_refused(nlp, folder, tmp_path):
    other = spacy.blank("en")
    other.add_pipe("ner_lstm", config={"model": copy.deepcopy(MODEL)})
    overfit(other, steps=1).to_disk(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "ner_lstm" / "model", folder)
    refuse(nlp, folder, "'model' changed")
    other.get_pipe("ner_lstm").cfg["labels"] = ["geo", "org"]
    other.get_pipe("ner_lstm").to_disk(tmp_path / "fewer", exclude=["vocab"])
    shutil.copy(tmp_path / "fewer" / "cfg", folder)
    reseal(folder)
    refuse(nlp, folder, "has 7 tags; expected 5")


def test_newer_formats_are_refused(nlp, folder):
    for name in ("checksums", "cfg"):
        data = srsly.read_json(folder / name)
        srsly.write_json(folder / name, {**data, "format": 3})
        refuse(nlp, folder, "in format 3, by a newer version", "formats 1 to 2")


def test_damaged_bytes_are_refused(nlp):
    data = srsly.msgpack_loads(nlp.get_pipe("ner_lstm").to_bytes())
    data["model"] = data["model"][:-9] + b"x" * 9
    component = nlp.create_pipe("ner_lstm", config={"model": copy.deepcopy(MODEL)})
    with pytest.raises(ValueError, match="'model' changed after it was saved"):
        component.from_bytes(srsly.msgpack_dumps(data))


# -- malice: the checksums are right


def change_cfg(folder: Path, **values: Any) -> None:
    cfg = srsly.read_json(folder / "cfg")
    (folder / "cfg").write_text(json.dumps({**cfg, **values}))
    reseal(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"labels": ["geo", "org"]},
        {"labels": ["geo", "geo", "org"]},
        {"labels": ["org", "geo", "per"]},
        {"labels": [1, 2, 3]},
        {"labels": {"geo": 1}},
        {"labels": None},
        {"labels": ["", "org", "per"]},
        {"pos": [7]},
        {"confidence": "yes"},
        {"threshold": 2},
        {"threshold": {"geo": "high"}},
        {"temperature": 0},
        {"temperature": float("nan")},
        {"temperature": "1"},
        {"entity_bias": float("inf")},
        {"network": [1]},
        {"network": {"hidden_width": 17}},
    ],
)
def test_settings_out_of_range_are_refused(nlp, folder, values):
    change_cfg(folder, **values)
    refuse(nlp, folder)


@pytest.mark.parametrize("data", ["[]", "7", "null", '"x"', "[" * 100_000])
def test_settings_that_are_no_object_are_refused(nlp, folder, data):
    (folder / "cfg").write_text(data)
    reseal(folder)
    refuse(nlp, folder, "'cfg' is damaged")


def change_model(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the unpacked model in place, or replace its bytes by what the function returns."""
    saved = srsly.msgpack_loads((folder / "model").read_bytes())
    saved["attrs"] = [
        {name: srsly.msgpack_loads(data) for name, data in attrs.items()}
        for attrs in saved["attrs"]
    ]
    saved["shims"] = [[srsly.msgpack_loads(data) for data in shims] for shims in saved["shims"]]
    changed = change(saved)
    if not isinstance(changed, bytes):
        saved["attrs"] = [
            {name: srsly.msgpack_dumps(value) for name, value in attrs.items()}
            for attrs in saved["attrs"]
        ]
        saved["shims"] = [[srsly.msgpack_dumps(one) for one in shims] for shims in saved["shims"]]
        changed = srsly.msgpack_dumps(saved)
    (folder / "model").write_bytes(changed)
    reseal(folder)


def network_of(saved: dict[str, Any]) -> dict[str, Any]:
    return next(one for shims in saved["shims"] for one in shims if "weights" in one)


def lexicon_of(saved: dict[str, Any]) -> dict[str, Any]:
    return next(one for shims in saved["shims"] for one in shims if "levels" in one)


def attrs_with(saved: dict[str, Any], name: str) -> dict[str, Any]:
    return next(attrs for attrs in saved["attrs"] if name in attrs)


LAMBDA = {
    "class_name": "Lambda",
    "module": "keras.layers",
    "registered_name": None,
    "config": {"name": "x", "function": {"class_name": "__lambda__", "config": {"code": "4wE="}}},
}
FUNCTION = {"class_name": "function", "module": "builtins", "config": "print"}
SYSTEM = {"class_name": "system", "module": "os", "config": {"command": "true"}}
MODULE = {"class_name": "Sum", "module": "os.path", "config": {}}
REGISTERED = {"class_name": "Sum", "module": "keras", "registered_name": "evil>Sum", "config": {}}
NO_CLASS = {"module": "os", "registered_name": "system", "config": {}}


@pytest.mark.parametrize("layer", [LAMBDA, FUNCTION, SYSTEM, MODULE, REGISTERED, NO_CLASS])
@pytest.mark.parametrize("place", ["layer", "activation", "deep"])
def test_networks_of_other_classes_are_refused(nlp, folder, layer, place):
    def change(saved):
        network = network_of(saved)
        config = json.loads(network["config"])
        layers = config["config"]["encoder"]["config"]["layers"]
        if place == "layer":
            layers.append(layer)
        elif place == "activation":
            dense = next(one for one in layers if one["class_name"] == "Dense")
            dense["config"]["activation"] = layer
        else:
            layers[0]["config"]["x"] = [[{"y": layer}]]
        network["config"] = json.dumps(config)

    change_model(folder, change)
    refuse(nlp, folder, "no network of this component does")


def set_weight(**values: Any) -> Callable:
    def change(saved):
        network_of(saved)["weights"][1].update(values)

    return change


def put(value: float) -> Callable:
    def change(saved):
        weight = network_of(saved)["weights"][-1]
        array = np.frombuffer(weight["data"], "<f4").copy()
        array[-1] = value
        weight["data"] = array.tobytes()

    return change


def remove_weight(saved: dict[str, Any]) -> None:
    del network_of(saved)["weights"][-1]


def swap_weights(saved: dict[str, Any]) -> None:
    weights = network_of(saved)["weights"]
    weights[0], weights[1] = weights[1], weights[0]


@pytest.mark.parametrize(
    "change",
    [
        set_weight(shape=[32, 160]),
        set_weight(shape=[10**12, 10**12]),
        set_weight(shape=[-1, 32]),
        set_weight(shape=[]),
        set_weight(shape="x"),
        set_weight(dtype="float64"),
        set_weight(dtype="object"),
        set_weight(dtype="x" * 10_000),
        set_weight(data=b""),
        set_weight(data=b"\0" * 4),
        set_weight(data="text"),
        set_weight(name="other"),
        put(np.nan),
        put(-np.inf),
        remove_weight,
        swap_weights,
        lambda saved: network_of(saved).update(config="{"),
        lambda saved: network_of(saved).update(config="[" * 100_000),
        lambda saved: network_of(saved).update(config=None),
        lambda saved: network_of(saved).update(format=9),
        lambda saved: network_of(saved).pop("call"),
    ],
)
def test_networks_with_other_weights_are_refused(nlp, folder, change):
    change_model(folder, change)
    refuse(nlp, folder)


def lie(name: str, dtype: str, place: int, value: int) -> Callable:
    def change(saved):
        lexicon = lexicon_of(saved)
        array = np.frombuffer(lexicon[name], dtype).copy()
        array[place] = value
        lexicon[name] = array.tobytes()

    return change


@pytest.mark.parametrize(
    "change",
    [
        lie("starts", "<i4", -1, 10**9),
        lie("starts", "<i4", 0, -5),
        lie("starts", "<i4", 300, 10**9),
        lie("levels", "<u1", 7, 255),
        lambda saved: lexicon_of(saved).update(n_tags=9),
        lambda saved: lexicon_of(saved).update(n_tags=10**9),
        lambda saved: lexicon_of(saved).update(n_tags=-1),
        lambda saved: lexicon_of(saved).update(rests=b""),
        lambda saved: lexicon_of(saved).update(starts=b"\0" * 4),
        lambda saved: lexicon_of(saved).update(levels=b"\0"),
        lambda saved: lexicon_of(saved).update(ngrams=[[0]]),
        lambda saved: lexicon_of(saved).update(format=99),
        lambda saved: lexicon_of(saved).update(held_out=[b"x"]),
        lambda saved: lexicon_of(saved).update(held_out=7),
    ],
)
def test_lexicons_that_lie_are_refused(nlp, folder, change):
    change_model(folder, change)
    refuse(nlp, folder)


def set_field(name: str, place: int, change: Callable[[np.ndarray], Any]) -> Callable:
    def change_field(saved):
        fields = attrs_with(saved, name)[name]
        fields[place] = change(fields[place].copy())

    return change_field


def first_too_high(array: np.ndarray) -> np.ndarray:
    array[0] = np.iinfo(array.dtype).max
    return array


@pytest.mark.parametrize(
    "change",
    [
        *(
            set_field(name, place, change)
            for name in ("clusters", "gazetteer", "known_words")
            for place, change in [
                (0, lambda array: array[::-1]),
                (0, lambda array: array.astype(float)),
                (0, lambda array: array[None]),
                (0, lambda array: [1, 2]),
                (1, first_too_high),
                (1, lambda array: array[:-1]),
                (1, lambda array: None),
            ]
        ),
        set_field("clusters", 2, lambda array: array[:1]),
        set_field("gazetteer", 2, lambda array: array.astype(float)),
        set_field("known_words", 2, first_too_high),
        lambda saved: attrs_with(saved, "known_words").update(known_words="text"),
        lambda saved: attrs_with(saved, "clusters").update(clusters={}),
        lambda saved: attrs_with(saved, "clusters").update(clusters=[1] * 9),
        lambda saved: attrs_with(saved, "n_pos").update(n_pos=-1),
        lambda saved: attrs_with(saved, "n_pos").update(n_pos=10**9),
        lambda saved: attrs_with(saved, "n_pos").update(n_pos="1"),
    ],
)
def test_tables_of_words_that_lie_are_refused(nlp, folder, change):
    change_model(folder, change)
    refuse(nlp, folder)


def is_refused_or_equal(nlp: Language, folder: Path, expected: np.ndarray) -> bool:
    """Return whether a component is refused; if it is not, it must be the same."""
    try:
        component = load(nlp, folder)
    except (ValueError, FileNotFoundError):
        assert gc.isenabled()
        return True
    np.testing.assert_allclose(emissions(nlp, component), expected, atol=1e-4)
    return False


@pytest.mark.parametrize(
    "change",
    [
        *(
            lambda saved, name=name, value=value: saved["attrs"][0].update({name: value})
            for name, value in [("settings", 1), ("reader", []), ("windowing", {}), ("table", 0)]
        ),
        lambda saved: saved["nodes"].append(saved["nodes"][0]),
        lambda saved: saved["nodes"].pop(),
        lambda saved: saved["nodes"][1].update(name="other"),
        lambda saved: saved["nodes"][0]["dims"].update(nO=9),
        lambda saved: saved["nodes"][0]["dims"].update(nO="7"),
        lambda saved: saved["nodes"][0]["dims"].update(nO=10**15),
        lambda saved: saved["nodes"][0]["dims"].update(nX=7),
        lambda saved: saved["nodes"][0]["refs"].update(lexicon=0),
        lambda saved: saved["nodes"][0]["refs"].update(lexicon=99),
        lambda saved: saved["nodes"][0]["refs"].update(other=1),
        lambda saved: saved["nodes"][0]["refs"].update(lexicon=None),
        lambda saved: saved["shims"][2].append(saved["shims"][2][0]),
        lambda saved: saved["shims"][2].clear(),
        lambda saved: saved["params"][1].update(W=np.zeros(3)),
        lambda saved: saved.update(params=None),
        lambda saved: srsly.msgpack_dumps({**saved, "attrs": 7, "shims": []}),
        lambda saved: b"\x80",
        lambda saved: b"\xc1",
        lambda saved: b"\x91" * 1_000_000,
        lambda saved: b"\xdd\xff\xff\xff\xff" + b"\x01" * 100,
        lambda saved: b"\xdf\xff\xff\xff\xff" + b"\x01" * 100,
        lambda saved: b"\xc6\xff\xff\xff\xff" + b"\x01" * 100,
        lambda saved: srsly.msgpack_dumps([1, 2]),
        lambda saved: srsly.msgpack_dumps({"nodes": {"x": 1}}),
        # An array as NumPy's extension of msgpack has it, of objects, and larger than the memory.
        lambda saved: srsly.msgpack_dumps(
            {b"nd": True, b"type": "|O", b"kind": b"", b"shape": (9,), b"data": bytes(72)}
        ),
        lambda saved: srsly.msgpack_dumps(
            {b"nd": True, b"type": "<f8", b"kind": b"", b"shape": (2**50,), b"data": b""}
        ),
    ],
)
def test_other_models_are_refused(nlp, folder, change):
    change_model(folder, change)
    size = (folder / "model").stat().st_size
    tracemalloc.start()
    try:
        refuse(nlp, folder)
        assert tracemalloc.get_traced_memory()[1] < 20 * size + 50e6
    finally:
        tracemalloc.stop()


def test_weights_of_a_tok2vec_are_checked(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("ner_lstm", config={"model": copy.deepcopy(SMALL_TOK2VEC_MODEL)})
    overfit(nlp, steps=1).to_disk(tmp_path / "nlp")
    spacy.load(tmp_path / "nlp")

    def spoil(saved):
        params = next(one for one in saved["params"] if one.get("W") is not None)
        params["W"] = params["W"] * np.nan

    change_model(tmp_path / "nlp" / "ner_lstm", spoil)
    with pytest.raises(ValueError, match="NaN or infinity"):
        spacy.load(tmp_path / "nlp")


# -- at random


def damage(data: bytes, rng: random.Random) -> bytes:
    """Damage bytes in one of several ways."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice([1, 2, 9, 100, 5000]))
    return rng.choice(
        [
            lambda: data[:start],
            lambda: data[start:],
            lambda: data[:start] + data[end:],
            lambda: data[:end] + data[start:],
            lambda: data[:start] + bytes(end - start) + data[end:],
            lambda: data[:start] + rng.randbytes(end - start) + data[end:],
            lambda: data[:start] + bytes([data[start] ^ 1 << rng.randrange(8)]) + data[start + 1 :],
        ]
    )()


@pytest.mark.parametrize(
    "n_folders", [80, pytest.param(2_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_random_damage_is_refused(nlp, saved, folder, n_folders):
    expected = emissions(nlp, load(nlp, saved))
    rng = random.Random(n_folders)
    refused = 0
    for _ in range(n_folders):
        name = rng.choice([*FILES, *FILES, "checksums"])
        (folder / name).write_bytes(damage((saved / name).read_bytes(), rng))
        refused += is_refused_or_equal(nlp, folder, expected)
        shutil.copy(saved / name, folder)
    # Some bytes are as they were, such as white space.
    assert refused > 0.9 * n_folders


@pytest.mark.parametrize(
    "n_folders", [80, pytest.param(2_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_random_damage_with_right_checksums_does_no_harm(nlp, saved, folder, n_folders):
    """The component is refused, or predicts numbers."""
    rng = random.Random(n_folders)
    loaded = 0
    for _ in range(n_folders):
        name = rng.choice(FILES)
        (folder / name).write_bytes(damage((saved / name).read_bytes(), rng))
        reseal(folder)
        try:
            component = load(nlp, folder)
        except ValueError:
            pass
        else:
            loaded += 1
            assert np.isfinite(emissions(nlp, component)).all()
            list(component.pipe(nlp.make_doc(sentence) for sentence in SENTENCES))
        assert gc.isenabled()
        shutil.copy(saved / name, folder)
    assert 0 < loaded < n_folders
