"""Rows of processes that tell no single times, as TFLite's benchmark_model: nothing is made up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgekd.bench.benchmark_model import summary_lines
from edgekd.bench.bootstrap import compare
from edgekd.bench.gather import gather, latency
from edgekd.bench.result import BenchRow
from edgekd.bench.table import format_bench
from edgekd.devices.android_tool import as_result
from edgekd.devices.benchmark_output import Output, Runs

STATE = {"governor": None, "cores": [0]}


def times(seed: int) -> np.ndarray:
    return np.round(np.random.default_rng(seed).gamma(9, 30, 50 + seed))


def result(us: np.ndarray) -> dict:
    """What benchmark_model tells of such times, as a device gives it."""
    p5, p50, p95 = (float(np.sort(us)[len(us) * p // 100]) for p in (5, 50, 95))
    runs = Runs(len(us), us[0], us[-1], us.min(), us.max(), us.mean(), us.std(), p50, p5, p95)
    told = as_result(Output(900.0, us[0], runs, runs, 1 << 20, 2 << 20, 3 << 20, []), "a.tflite")
    return {
        **told,
        **{"runtime_version": "benchmark_model 0a1b", "threads": 1, "peak_rss_bytes": 3 << 20},
        **{"before": STATE, "after": STATE, "warnings": [], "disturbed": []},
    }


def row(*all_: np.ndarray) -> BenchRow:
    known = {"model": "a.tflite", "stage": "", "seed": 0, "precision": "int8", "bytes": 900}
    return gather([result(us) for us in all_], {**known, "device": "phone"})


def test_what_follows_exactly_is_that_of_all_runs():
    parts = [times(seed) for seed in range(4)]
    every = np.concatenate(parts)
    found = latency([result(us) for us in parts])
    assert found.mean == pytest.approx(every.mean()) and found.n == len(every)
    assert (found.min, found.max) == (every.min(), every.max())
    assert found.std == pytest.approx(every.std(), rel=0.02)
    assert found.p50 == np.median([np.sort(us)[len(us) // 2] for us in parts])
    assert (found.p90, found.p99, found.mad, found.outliers) == (None, None, None, None)
    assert found.p50_low is not None and found.p50_high is not None
    assert found.p50_low < found.p50 < found.p50_high


def test_one_process_has_no_interval():
    found = latency([result(times(0))])
    assert (found.p50_low, found.p50_high) == (None, None)


def test_tables_and_lines_leave_out_what_is_not_known():
    found = row(times(1), times(2))
    head, shown = format_bench([found])
    assert "p90" not in head and "p50" in head and len(head) == len(shown)
    (line,) = [text for text in summary_lines([found]) if "count=" in text]
    assert " p5=" not in line and f" median={found.p50_us:.0f} " in line


def test_processes_are_compared_by_their_medians():
    one, other = row(*map(times, range(5))), row(*(2 * times(seed) for seed in range(5)))
    found = compare(one.times(), other.times(), paired=True)
    assert found.ratio == pytest.approx(2, rel=0.01) and found.verdict == "slower"
    alone = compare(row(times(0)).times(), row(times(1)).times())
    assert (alone.low, alone.high) == (0, math.inf)
