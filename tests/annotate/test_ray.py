"""``ner-lstm annotate --engine ray``: the same files, whatever happens to the actors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_annotate import TEXTS, files, model  # noqa: F401

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
ray = pytest.importorskip("ray")

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path) -> Path:
    """Parts that take a second each."""
    texts = [f"{n} {text}" for n in range(2_500) for text in TEXTS]
    table = pa.table({"id": range(len(texts)), "text": texts})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=2_000)
    return tmp_path / "data.parquet"


def start(model, data, output, *options):  # noqa: F811
    command = [sys.executable, "-m", "ner_lstm_component.cli", "annotate", str(model), str(data)]
    command += ["--output", str(output), "--workers", "2", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def actors() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds actors as on Linux")
def test_an_actor_is_killed_and_nothing_is_lost(model, data, tmp_path):  # noqa: F811
    finish(start(model, data, tmp_path / "local"))
    expected = files(tmp_path / "local")
    assert len(expected) == 15
    process = start(model, data, tmp_path / "out", "--engine", "ray")
    deadline = time.monotonic() + 120
    while len(files(tmp_path / "out")) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    (victim, *_) = actors()
    os.kill(victim, signal.SIGKILL)
    assert len(files(tmp_path / "out")) < len(expected)
    finish(process)
    assert files(tmp_path / "out") == expected


def test_a_cluster_of_two_nodes(model, data, tmp_path):  # noqa: F811
    from ray.cluster_utils import Cluster

    finish(start(model, data, tmp_path / "local"))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        options = ("--engine", "ray", "--address", cluster.address)
        finish(start(model, data, tmp_path / "out", *options))
    finally:
        cluster.shutdown()
    assert files(tmp_path / "out") == files(tmp_path / "local")
