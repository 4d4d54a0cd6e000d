"""The search file of `edgekd sweep`: which fields of a pipeline vary, and what is to be good."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import Discriminator, Field, PositiveInt, Tag, field_validator, model_validator

from edgekd.config.base import Settings
from edgekd.config.budget import LatencyBudget
from edgekd.config.search import ObjectiveSettings

ACCURACY, SIZE, LATENCY = "accuracy", "size", "latency"
OBJECTIVE = re.compile(rf"^({ACCURACY}|{SIZE}|{LATENCY}(?: on (\S+))?)$")


class IntRange(Settings):
    """Whole numbers of a range."""

    int: tuple[int, int]
    """The smallest and the largest, both included."""
    log: bool = False
    """Small ones are as likely as large ones by their logarithm."""

    @model_validator(mode="after")
    def _in_order(self) -> IntRange:
        _check_range(*self.int, log=self.log)
        return self


class FloatRange(Settings):
    """Real numbers of a range."""

    float: tuple[float, float]
    """The smallest and the largest, both included."""
    log: bool = False
    """Small ones are as likely as large ones by their logarithm."""

    @model_validator(mode="after")
    def _in_order(self) -> FloatRange:
        _check_range(*self.float, log=self.log)
        return self


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("a range has two finite ends")
    if low >= high:
        raise ValueError(f"the first end, {low:g}, must be below the second, {high:g}")
    if log and low <= 0:
        raise ValueError("`log` needs a range above 0")


def _form(value: Any) -> str:
    if isinstance(value, IntRange | FloatRange):
        return "int" if isinstance(value, IntRange) else "float"
    if isinstance(value, dict):
        return "float" if "float" in value else "int"
    return "values"


Choices = Annotated[list[Any], Field(min_length=1)]
Dimension = Annotated[
    Annotated[Choices, Tag("values")]
    | Annotated[IntRange, Tag("int")]
    | Annotated[FloatRange, Tag("float")],
    Discriminator(_form),
]
"""A list of values, `{int: [1, 8]}` or `{float: [1.0e-3, 0.1], log: true}`."""


class SweepSettings(Settings):
    """A search over fields of a pipeline, for several objectives at once."""

    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    """What varies, by the field as `--set` writes it: a list of values, `{int: [LOW, HIGH]}` or
    `{float: [LOW, HIGH]}`, both with `log: true` where factors count rather than differences."""
    trials: PositiveInt = 40
    """Settings that are tried; in a smaller space, all of it."""
    objectives: tuple[str, ...] = (ACCURACY, SIZE)
    """`accuracy` (the task's headline score, on validation), `size` (bytes of the deployed file),
    `latency` or `latency on DEVICE` (median of one sample with one thread)."""
    limits: ObjectiveSettings = ObjectiveSettings()
    """What the file may cost, such as `{size: 40 kB, latency: 2 ms on DEVICE}`: measured before
    any training, and only what keeps it is trained."""
    early_stop: bool = True
    """End trainings that are behind those that cost no more, by successive halving."""
    seeds: PositiveInt = 3
    """How often each point of the front is made, with as many seeds, from training to benchmark."""

    @field_validator("objectives")
    @classmethod
    def _known_objectives(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for objective in value:
            if not OBJECTIVE.match(objective):
                raise ValueError(
                    f"{objective!r} is no objective: take accuracy, size, latency or "
                    "latency on DEVICE"
                )
        if len(set(value)) < len(value):
            raise ValueError("an objective is given twice")
        if ACCURACY not in value:
            raise ValueError("accuracy must be among them: sizes and times alone need no training")
        return value

    @field_validator("space")
    @classmethod
    def _values_differ(cls, value: dict[str, Any]) -> dict[str, Any]:
        for field, dimension in value.items():
            texts = [repr(one) for one in dimension] if isinstance(dimension, list) else []
            if len(set(texts)) < len(texts):
                raise ValueError(f"{field} has a value twice")
        return value

    @property
    def limited(self) -> bool:
        """Whether there are limits of what a file may cost."""
        return self.limits.size is not None or bool(self.limits.latency)

    @property
    def costly(self) -> bool:
        """Whether a file's costs have to be known."""
        return self.limited or len(self.objectives) > 1

    @property
    def timed(self) -> tuple[LatencyBudget, ...]:
        """Where a file is timed: for the objectives first, then for the limits."""
        objectives = [LatencyBudget(device=device_of(o)) for o in self.objectives if _timed(o)]
        known = {limit.device for limit in objectives}
        others = [
            LatencyBudget(device=limit.device, threads=limit.threads)
            for limit in self.limits.latency
            if limit.threads != 1 or limit.device not in known
        ]
        return (*objectives, *dict.fromkeys(others))


def _timed(objective: str) -> bool:
    return objective.startswith(LATENCY)


def device_of(objective: str) -> str:
    """The device of an objective of time."""
    match = OBJECTIVE.match(objective)
    return (match[2] if match else None) or "local"
