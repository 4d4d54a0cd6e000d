"""The benchmarks of benchmarking run; what they measure is not judged here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]


@pytest.mark.slow
def test_the_harness_against_a_loop(run_benchmark: Run) -> None:
    found = run_benchmark("bench.overhead", "--quick")
    assert {f["runtime"] for f in found["figures"].values()} == {"onnxruntime", "litert"}
    assert all(len(f["gaps_us"]) == 2 for f in found["figures"].values())
    assert all(row["ok"] is None for row in found["rows"])


@pytest.mark.slow
def test_a_file_against_itself_and_a_slower_one(run_benchmark: Run) -> None:
    found = run_benchmark("bench.verdicts", "--quick", "--format", "onnx", result="verdicts-onnx")[
        "figures"
    ]
    (one,) = found["slower"]
    assert one["low"] <= one["ratio"] <= one["high"]
    assert len(found["same"]) == 1


@pytest.mark.slow
def test_the_same_again(run_benchmark: Run) -> None:
    found = run_benchmark("bench.repeatability", "--quick")
    assert all(len(f["p50_us"]) == 2 for f in found["figures"].values())
    assert any("bench with its defaults" in row["what"] for row in found["rows"])
