"""Numbers that change while a student is trained: temperatures and weights of methods."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
)

from edgekd.config.base import Settings
from edgekd.errors import StageError


class TemperatureSchedule(Settings):
    """A temperature that goes from one value to another over the epochs of a training."""

    start: Annotated[PositiveFloat, Field(validation_alias=AliasChoices("from", "start"))]
    """In the first epoch; `from` is another name for it."""
    end: Annotated[PositiveFloat, Field(validation_alias=AliasChoices("to", "end"))]
    """In the last epoch; `to` is another name for it."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """How it gets there: slow at both ends, or evenly."""


class WeightSchedule(Settings):
    """A weight that changes over the epochs, by plan or by how the student fares."""

    start: Annotated[NonNegativeFloat, Field(validation_alias=AliasChoices("from", "start"))]
    """In the first epoch; `from` is another name for it."""
    end: Annotated[NonNegativeFloat | None, Field(validation_alias=AliasChoices("to", "end"))] = (
        None
    )
    """In the last epoch, that of the start by default; `to` is another name for it."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """How it gets there: slow at both ends, or evenly."""
    until: PositiveFloat | None = None
    """The method is off after this: below 1 a share of the epochs, else a number of them (early-
    stopped distillation, Cho and Hariharan 2019). Where all methods are off, the loss with the
    labels has the weight 1."""
    by: Literal["gap", "gradient"] | None = None
    """What else drives it. `gap`: times the student's gap to the teacher on validation, as a share
    of its gap after the first epoch. `gradient`: times the ratio of the gradients' norms of the
    loss with the labels and the method's, with respect to the logits, so that a weight means the
    same for every pair and method."""

    @property
    def last(self) -> float:
        """In the last epoch."""
        return self.start if self.end is None else self.end


AUTO = "auto"
"""Chosen by the stage `tune`."""


def _number_or_schedule(value: Any) -> str:
    if isinstance(value, str):
        return "<auto>" if value == AUTO else "<number>"
    return "<schedule>" if isinstance(value, dict | Settings) else "<number>"


Temperature = Annotated[
    Annotated[PositiveFloat, Tag("<number>")]
    | Annotated[TemperatureSchedule, Tag("<schedule>")]
    | Annotated[Literal["auto"], Tag("<auto>")],
    Discriminator(_number_or_schedule),
]
"""A number, `{from: 8, to: 1, schedule: cosine}`, or `auto`."""
Weight = Annotated[
    Annotated[NonNegativeFloat, Tag("<number>")]
    | Annotated[WeightSchedule, Tag("<schedule>")]
    | Annotated[Literal["auto"], Tag("<auto>")],
    Discriminator(_number_or_schedule),
]
"""A number, `{from: 1, to: 0, schedule: linear}`, or `auto`."""
Changing = float | TemperatureSchedule | WeightSchedule | str


def value_at(value: Changing, epoch: int, epochs: int) -> float:
    """The number in an epoch (from 0) of so many; `by` is not in it.

    Raises:
        StageError: it is `auto`, and nothing chose it.
    """
    if isinstance(value, str):
        raise StageError(
            "A temperature or weight is `auto`, and nothing chose it.",
            fix="give a number; `auto` is for the distill stage of a pipeline",
        )
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, WeightSchedule) and value.until is not None:
        stop = value.until * epochs if value.until < 1 else value.until
        if epoch >= stop:
            return 0.0
    progress = min(1.0, epoch / (epochs - 1)) if epochs > 1 else 0.0
    if value.schedule == "cosine":
        progress = 0.5 * (1 - math.cos(math.pi * progress))
    end = value.last if isinstance(value, WeightSchedule) else value.end
    return value.start + (end - value.start) * progress


def start_of(value: Changing) -> float:
    """The number in the first epoch; of `auto` Hinton's default of a temperature, 4, at which soft
    labels are looked at before it is chosen."""
    if isinstance(value, str):
        return 4.0
    return float(value) if isinstance(value, int | float) else value.start


def settled(value: Any) -> Any:
    """What later trainings of the same student keep of a schedule: its end."""
    if isinstance(value, TemperatureSchedule):
        return value.end
    if not isinstance(value, WeightSchedule):
        return value
    end = 0.0 if value.until is not None else value.last
    return WeightSchedule(start=end, by="gradient") if value.by == "gradient" else end
