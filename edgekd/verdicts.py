"""Limits of a budget beside what was measured for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from edgekd.config.budget import BudgetSettings, LatencyBudget
from edgekd.results import Accuracy, BenchFigures, BudgetFigures, ModelFigures
from edgekd.tasks.names import is_share, title

Kind = Literal["size", "score", "drop", "mae", "p50", "p90"]
MAE = ("mae", "")
"""Name and target of the mean absolute error over all targets."""
ROUNDING = 1e-12


@dataclass(frozen=True)
class Limited:
    """One limit and its measurements, one a seed."""

    name: str
    """Such as "size" or "latency p50 on local, 1 thread"."""
    kind: Kind
    limit: float
    """In the base unit of `unit`."""
    unit: str
    """bytes, fraction, us, score or raw; see `BudgetFigures.unit`."""
    values: tuple[float, ...]
    """What was reached; empty where nothing measured it."""
    bench: tuple[BenchFigures, ...] = ()
    """Of a limit of time: what the values are of."""

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.kind == "score"

    @property
    def value(self) -> float | None:
        """The mean over the seeds."""
        return sum(self.values) / len(self.values) if self.values else None

    def keeps(self, value: float) -> bool:
        """Whether a value is within the limit."""
        if self.at_least:
            return value >= self.limit - ROUNDING
        return value <= self.limit + ROUNDING

    def figures(self) -> BudgetFigures:
        """As a run's summary has it."""
        value = self.value
        ok = value is not None and self.keeps(value)
        return BudgetFigures(name=self.name, limit=self.limit, value=value, unit=self.unit, ok=ok)


def limited(
    limits: BudgetSettings,
    form: str,
    precision: str,
    models: Sequence[ModelFigures],
    bench: Sequence[BenchFigures],
) -> list[Limited]:
    """Every limit with the measurements of the student's file in this format and precision."""
    files = [m for m in models if (m.stage, m.format, m.precision) == ("student", form, precision)]
    metric = next((m.accuracy.metric for m in files if m.accuracy is not None), "accuracy")
    score, unit = title(metric), "fraction" if is_share(metric) else "score"
    reached = {m.seed: m.accuracy.value for m in files if m.accuracy is not None}
    before = teachers(models)
    drops = [before[seed].value - value for seed, value in reached.items() if seed in before]
    errors = [row.value for m in files for row in m.metrics if (row.name, row.target) == MAE]
    sizes = [float(m.bytes) for m in files]
    asked: tuple[tuple[str, Kind, float | None, str, Iterable[float]], ...] = (
        ("size", "size", limits.size, "bytes", sizes),
        (score, "score", limits.accuracy, unit, reached.values()),
        (f"{score} drop", "drop", limits.accuracy_drop, unit, drops),
        (title("mae"), "mae", limits.mae, "raw", errors),
    )
    found = [
        Limited(name, kind, limit, unit, tuple(values))
        for name, kind, limit, unit, values in asked
        if limit is not None
    ]
    paths = {m.path for m in files}
    ours = [row for row in bench if row.model in paths]
    return found + [row for limit in limits.latency for row in _times(limit, ours)]


def teachers(models: Sequence[ModelFigures]) -> dict[int, Accuracy]:
    """The teacher's score by seed: as PyTorch answers, or, of an .onnx file, ONNX Runtime."""
    of_torch = any(m.stage == "teacher" and m.format == "torch" for m in models)
    judging = "torch" if of_torch else "onnxruntime"
    return {
        m.seed: m.accuracy
        for m in models
        if m.stage == "teacher" and m.accuracy is not None and m.accuracy.runtime == judging
    }


def _times(limit: LatencyBudget, bench: Sequence[BenchFigures]) -> list[Limited]:
    there = [row for row in bench if row.device == limit.device]
    every = max((row.threads for row in there), default=0)
    threads = every if limit.threads == "all" else limit.threads
    found = []
    asked: tuple[tuple[Kind, float | None], ...] = (("p50", limit.p50), ("p90", limit.p90))
    for kind, most in asked:
        if most is not None:
            times = [(row, getattr(row.latency_us, kind, None)) for row in there]
            known = [(row, time) for row, time in times if row.threads == threads and time]
            rows, values = tuple(row for row, _ in known), tuple(time for _, time in known)
            name = f"latency {kind} on {limit.device}, {_threads_text(limit)}"
            found.append(Limited(name, kind, most, "us", values, rows))
    return found


def _threads_text(limit: LatencyBudget) -> str:
    return "1 thread" if limit.threads == 1 else f"{limit.threads} threads"
