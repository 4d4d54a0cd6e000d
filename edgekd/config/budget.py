"""Settings of limits: what a file may cost, and what it must be worth."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import PositiveFloat, PositiveInt, model_validator

from edgekd.config.base import Settings
from edgekd.config.quantities import Bytes, Fraction, Microseconds


class LatencyBudget(Settings):
    """Longest time of one inference (batch 1) on a device."""

    device: str = "local"
    """A device of `bench.devices`."""
    threads: PositiveInt | Literal["all"] = 1
    """A thread count of `bench.threads`."""
    p50: Microseconds | None = None
    """Limit of the median, such as `2 ms`."""
    p90: Microseconds | None = None
    """Limit of the 90th percentile."""


class BudgetSettings(Settings):
    """What the final model may cost. A missed budget is told at the end, with exit code 3."""

    format: Literal["tflite", "onnx"] | None = None
    """The file that is judged; by default the TFLite file if there is one."""
    size: Bytes | None = None
    """Largest file, such as `40 kB`."""
    accuracy: Fraction | None = None
    """Least accuracy on the test set, measured in the deployed file's runtime; of other tasks, the
    least headline score: macro F1 or R²."""
    accuracy_drop: Fraction | None = None
    """Most accuracy (or headline score) below the teacher on the test set, such as `1 %`
    (absolute)."""
    mae: PositiveFloat | None = None
    """Largest mean absolute error of a regression on the test set, in the targets' units; of
    several targets, the mean of theirs."""
    latency: tuple[LatencyBudget, ...] = ()
    """Limits of time; a single one may be given without a list."""

    @model_validator(mode="before")
    @classmethod
    def _single_latency(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("latency"), dict):
            return {**value, "latency": [value["latency"]]}
        return value
