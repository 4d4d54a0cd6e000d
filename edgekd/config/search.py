"""Settings of the search for a student: networks by width, and limits that they keep untrained."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat, model_validator

from edgekd.config.base import Settings
from edgekd.config.budget import BudgetSettings, LatencyBudget
from edgekd.config.networks import ZooName
from edgekd.config.quantities import Bytes


class SearchSettings(Settings):
    """Students that are looked at: every network with every width."""

    models: Annotated[tuple[ZooName, ...], Field(min_length=1)]
    """Networks of the zoo."""
    widths: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (0.25, 0.5, 1.0)
    """Widths of each."""


class ObjectiveSettings(Settings):
    """What the int8 TFLite file of a student may cost: measured before any training, because size
    and time of a file do not depend on what its weights are. One that costs more is not trained.
    """

    size: Bytes | None = None
    """Largest file, such as `40 kB`."""
    latency: tuple[LatencyBudget, ...] = ()
    """Longest time of one inference: `2 ms` (the median on this machine), `2 ms on DEVICE`, or
    fields as those of `budget.latency`; one, or a list."""

    @model_validator(mode="before")
    @classmethod
    def _short_latency(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("latency") is None:
            return value
        given = value["latency"]
        several = list(given) if isinstance(given, list | tuple) else [given]
        return {**value, "latency": [_limit(one) for one in several]}

    @property
    def budget(self) -> BudgetSettings:
        """The same as limits of a file."""
        return BudgetSettings(size=self.size, latency=self.latency)


def _limit(given: Any) -> Any:
    """`2 ms on DEVICE` written out."""
    if isinstance(given, dict | LatencyBudget):
        return given
    time, _, device = str(given).partition(" on ")
    return {"p50": time, **({"device": device.strip()} if device else {})}
