"""The benchmark of several processes runs, and its ratios are those of neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgekd
from benchmarks.scale import processes


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
