"""The benchmarks of several processes and of memory run; ratios are those of neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgekd
from benchmarks.scale import million, processes


def test_a_ratio_is_above_one_where_an_arm_is_faster() -> None:
    seconds = {processes.ONE: [4.0, 6.0], processes.TWO: [2.0, 4.0], processes.THREADS: [4.0, 3.0]}
    assert processes.ratios(seconds, processes.TWO) == [2.0, 1.5]
    assert processes.spread([2.0, 1.5]) == "1.50 to 2.00"
    low = {processes.TWO: [3e-5, 9e-5], processes.THREADS: [1e-6, 2e-6]}
    weights = {"0.005": low, "0.05": {**low, processes.TWO: [3e-5, 2e-4]}}
    trainings = {
        name: {"accuracy": [0.97, 0.99], "epoch_seconds": times} for name, times in seconds.items()
    }
    rows = processes._rows({"labelling": seconds, "trainings": trainings, "weights": weights})
    assert [row.ok for row in rows if row.target] == [True, True, False, True]


@pytest.mark.slow
def test_its_arms_run(tmp_path: Path) -> None:
    """Its pipeline is right, and two processes label with the teacher of one."""
    short = ("teacher.train.epochs=1", "teacher.model.width=0.25")
    made = edgekd.run(processes.PIPELINE, overrides=short, until="teacher", runs=tmp_path)
    _, two, _ = processes.ARMS
    said = processes.launch(
        two, "benchmarks.scale.labelling", str(made.folder), "--views", "2", "--rounds", "2"
    )
    first, second = json.loads(said.splitlines()[-1])
    assert first > 0
    assert second > 0


def test_memory_is_judged_by_its_highest_peak() -> None:
    stages = {
        name: {"seconds": 9.0, "cpu_seconds": 8.0, "resident": resident}
        for name, resident in zip(million.STAGES, (0.3e9, 1.2e9, 1.6e9, 0.5e9), strict=True)
    }
    figures = {"stages": stages, "cache_bytes": 82e6, "shard_bytes": 2e9}
    rows = million._rows({**figures, "accuracy": {"teacher": 0.7, "distill": 0.6}})
    assert [row.ok for row in rows if row.target] == [False, True]
    assert rows[0].reached == "1.60 GB"


@pytest.mark.slow
def test_a_million_in_small(tmp_path: Path) -> None:
    """Its shards are read by a process whose memory is told, and its pipeline is right."""
    written = million.write_shards(tmp_path / "shards", 480, 24)
    assert written == sum(path.stat().st_size for path in (tmp_path / "shards").glob("*.tar"))
    assert 20e6 < million.run_stage(tmp_path, "data")["resident"] < 2e9
    made = edgekd.run(
        million.PIPELINE,
        overrides=[f"data.root={tmp_path}"],
        until="distill",
        runs=tmp_path / "runs",
    )
    cache = next(made.folder.glob("softlabels-*"))
    assert np.load(cache / "top.npy").shape == (1, 480, 20)
    assert np.load(cache / "values.npy").shape == (1, 480, 21)
