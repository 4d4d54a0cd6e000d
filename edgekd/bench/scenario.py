"""Single stream and offline, two ways in which a model is used: after the scenarios of MLPerf
Inference (Reddi et al. 2020), by the shorter rules that benchmarks/README.md writes down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from edgekd.bench.result import ScenarioFigures
from edgekd.results import Latency
from edgekd.statistics import mean_interval

Scenario = Literal["single-stream", "offline"]
LEAST_QUERIES = 1024
"""Of a single stream; MLPerf's own number."""


def single_stream(times: Latency, results: Sequence[dict[str, Any]]) -> ScenarioFigures:
    """One sample at a time, the next when the one before is answered: the 90th percentile.

    Args:
        times: of all processes, with their 90th percentile.
        results: the agent's, one a process.
    """
    assert times.p90 is not None
    batches = [result.get("batch", 1) for result in results]
    parts = [result["latency_us"] for result in results]
    queries = [batch * part["n"] for batch, part in zip(batches, parts, strict=True)]
    spent = sum(n * part["mean"] for n, part in zip(queries, parts, strict=True))
    low, high = _interval([part["p90"] for part in parts])
    notes = []
    if sum(queries) < LEAST_QUERIES:
        notes.append(f"{sum(queries)} queries, and the rules ask for {LEAST_QUERIES}")
    if max(batches) > 1:
        notes.append(f"of the means of {max(batches)} queries: the clock tells no single ones")
    return ScenarioFigures(
        name="single-stream",
        value=times.p90,
        unit="us",
        low=low,
        high=high,
        samples=sum(queries),
        seconds=spent / 1e6,
        batch=1,
        note="; ".join(notes),
    )


def offline(results: Sequence[dict[str, Any]]) -> ScenarioFigures:
    """All samples are there at once: samples a second, in the batch that is fastest.

    The value is the geometric mean over the processes.
    """
    found = [result["offline"] for result in results]
    rates = [one["samples_per_s"] for one in found]
    low, high = _interval(rates)
    return ScenarioFigures(
        name="offline",
        value=math.exp(float(np.mean(np.log(rates)))),
        unit="samples/s",
        low=low,
        high=high,
        samples=sum(one["samples"] for one in found),
        seconds=sum(one["seconds"] for one in found),
        batch=found[0]["batch"],
        note=found[0]["note"],
    )


def _interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Student's t over processes, on the logarithm; none of a single one."""
    if len(values) < 2:
        return None, None
    _mean, low, high = mean_interval([math.log(value) for value in values])
    return math.exp(low), math.exp(high)


def describe(model: str, threads: int, found: ScenarioFigures) -> str:
    """One line."""
    from edgekd.bench.table import duration, three_digits

    def shown(value: float) -> str:
        return duration(value) if found.unit == "us" else f"{three_digits(value)} samples a second"

    what = "90 % within" if found.name == "single-stream" else "throughput"
    known = found.low is not None and found.high is not None
    interval = f" [{shown(found.low or 0.0)}, {shown(found.high or 0.0)}]" if known else ""
    counted = f"{found.samples} samples in {found.seconds:.1f} s"
    batch = "" if found.name == "single-stream" else f" in batches of {found.batch}"
    note = f" ({found.note})" if found.note else ""
    return (
        f"{model}, {threads} threads, {found.name}: {what} {shown(found.value)}{interval}, "
        f"{counted}{batch}{note}"
    )
