"""Settings of `edgekd check`: a budget, and what a released run may be better in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgekd.config.base import Settings
from edgekd.config.budget import BudgetSettings
from edgekd.config.quantities import Fraction

Confidence = Annotated[Fraction, Field(ge=0.5, lt=1)]
Unverified = Literal["fail", "pass"]


class RegressionSettings(Settings):
    """How much worse than the released run the new one may be; `null` switches a rule off."""

    accuracy: Fraction | None = 0.005
    """Most headline score below the released file, such as `0.5 %` (absolute)."""
    latency: Fraction | None = 0.05
    """Most of the median's time above the released file's, such as `5 %` of it, on every device and
    thread count that the released run measured."""
    size: Fraction | None = 0.02
    """Most bytes above the released file's, such as `2 %` of them."""
    confidence: Confidence = 0.95
    """Of the interval that must lie on one side of a limit for the rule to be kept, or failed."""
    unverified: Unverified = "pass"
    """Whether a rule that is shown neither way fails the check."""


class GateSettings(BudgetSettings):
    """A budget, with how sure its verdicts must be, and the rules against a released run."""

    confidence: Confidence | None = None
    """Of the interval that must lie within a limit, or beyond it; without, measured values count as
    they are, as `edgekd run` judges them."""
    unverified: Unverified = "fail"
    """Whether a limit that was not measured, or is shown neither way, fails the check."""
    regression: RegressionSettings | None = None
    """Rules against a released run; with `--baseline`, all of them with their defaults."""
