"""The benchmark of ways to one size runs, on tiny files; what it measures is not judged here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recordings import write_recordings

from benchmarks.compression import equal_bytes, sparsity
from benchmarks.compression.equal_bytes import ALONE, ARMS, BOTH, DISTILLED, TIERS
from edgekd.config.load import load_pipeline

Run = Callable[..., dict[str, Any]]
FOLDER = Path(equal_bytes.__file__).parent


@pytest.mark.parametrize("name", equal_bytes.STUDENTS)
def test_all_ways_have_as_many_epochs_and_their_method(name: str) -> None:
    epochs = set()
    for arm in ARMS:
        changes = equal_bytes.overrides(arm, name, TIERS["minutes"], 20_000)
        pipeline, _ = load_pipeline(FOLDER / f"{name}.yaml", changes)
        prune = pipeline.prune
        assert (prune is not None) == arm.pruned
        if prune is not None:
            assert (prune.target, prune.limit) == ("bytes", 20_000)
        recover = prune.train.epochs if prune is not None else 0
        epochs.add(pipeline.distill.train.epochs + recover)
        assert pipeline.distill.method.name == arm.method  # type: ignore[union-attr]
        assert (pipeline.deployed_format, pipeline.deployed_precision) == ("tflite", "int8")
    assert len(epochs) == 1


def test_differences_are_of_the_same_seed() -> None:
    files = {
        arm.label: [
            {"test": 0.5 + 0.01 * number + 0.1 * seed, "bytes": 1000 + number, "macs": 5}
            for seed in range(3)
        ]
        for number, arm in enumerate(ARMS)
    }
    figures = equal_bytes.compared(files)
    assert figures["arms"][ALONE.label]["minus_alone"] is None
    gain = figures["arms"][BOTH.label]["minus_alone"]
    assert gain["values"] == pytest.approx([0.03] * 3)
    assert figures["both_minus_distilled"]["values"] == pytest.approx([0.02] * 3)
    told = equal_bytes.rows(figures)
    assert told[-1].ok and told[-1].reached == "+0.3%"
    assert "helps" in told[1].reached and told[1].what == DISTILLED.label


def test_patterns_leave_what_they_say() -> None:
    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    fours = sparsity.two_of_four(weight).reshape(-1, 4)
    assert (fours.count_nonzero(1) == 2).all()
    assert torch.equal(fours.abs().amax(1), weight.reshape(-1, 4).abs().amax(1))
    kept = sparsity.blocks(weight).reshape(-1, 4).count_nonzero(1)
    assert set(kept.tolist()) == {0, 4} and 0.15 < (kept == 4).float().mean() < 0.25
    assert 0.05 < sparsity.single(weight).count_nonzero() / weight.numel() < 0.15


@pytest.mark.slow
def test_sparsity(run_benchmark: Run) -> None:
    figures = run_benchmark("compression.sparsity", "--quick")["figures"]
    assert len(figures) == 8
    assert all(len(figure["ms"]) == 1 and figure["ms"][0] > 0 for figure in figures.values())


@pytest.mark.slow
def test_equal_bytes(tmp_path: Path, run_benchmark: Run) -> None:
    recordings = tmp_path / "fsdd.zip"
    write_recordings(recordings, 120, 2, ("theo", "x", "y"))
    name = "equal_bytes-spoken-digits"
    arguments = ("--data", recordings, "--tier", "quick", "--seeds", 1, "--work", tmp_path)
    result = run_benchmark("compression.equal_bytes", *arguments, result=name)
    arms = result["figures"]["arms"]
    assert list(arms) == [arm.label for arm in ARMS]
    small = arms[ALONE.label]["bytes"][0]
    for arm in ARMS:
        (size,) = arms[arm.label]["bytes"]
        assert 0.85 * small < size <= 1.01 * small
    assert result["quick"] and len(result["figures"]["minutes_a_seed"]) == 1
    assert (tmp_path / f"{name}.svg").read_text().count("<svg") == 1
