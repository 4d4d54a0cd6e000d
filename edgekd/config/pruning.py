"""Settings of structured pruning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from edgekd.config.base import Settings
from edgekd.config.quantities import BYTES, JSON_INPUT, MICROSECONDS, parse_quantity
from edgekd.config.training import FinetuneTrain

Target = Literal["macs", "parameters", "bytes", "latency"]
Importance = Literal["magnitude", "bn_scale", "taylor", "hessian"]
MEASURED = ("bytes", "latency")
"""Targets that only a file can tell."""
UNITS: dict[str, tuple[dict[str, float], str]] = {
    "bytes": ({**BYTES}, "40 kB"),
    "latency": ({**MICROSECONDS}, "2 ms"),
}


class PruneSettings(Settings):
    """Structured pruning: whole channels go, and the network stays dense."""

    target: Target = "macs"
    """What is brought down: multiply-accumulates, `parameters`, the `bytes` of the deployed file,
    or its `latency`: the median on this machine, one thread, measured of exported files."""
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of it that remains at most."""
    limit: Annotated[PositiveFloat, Field(json_schema_extra=JSON_INPUT)] | None = None
    """So much of it remains at most, instead of `keep`: `40 kB`, `2 ms`, 3000000."""
    importance: Importance = "magnitude"
    """What tells which channels go: the weights' L2 norm; the scale of their batch normalisation;
    by gradients of training samples, what the loss would change to first order (`taylor`) or to
    second order (`hessian`)."""
    scope: Literal["global", "layer"] = "global"
    """Compare channels of all layers, or take the same share of every layer."""
    ignored_layers: tuple[str, ...] = ()
    """Layers that stay as they are, with all that is inside them; `*` stands for a part of a name
    between two dots."""
    steps: PositiveInt = 1
    """Prune in so many steps, with a training after each (gradual pruning)."""
    schedule: Literal["cubic", "linear"] = "cubic"
    """How much of it goes in each of several steps: much at first and less later, or alike."""
    step_epochs: PositiveInt = 2
    """Epochs of the training after each step but the last."""
    round_to: PositiveInt = 8
    """Channels that remain are a multiple of this, which is what SIMD kernels like."""
    train: FinetuneTrain = FinetuneTrain()
    """How the pruned network recovers."""

    @model_validator(mode="before")
    @classmethod
    def _no_sparsity(cls, value: Any) -> Any:
        if isinstance(value, dict) and "sparsity" in value:
            raise ValueError(
                "`sparsity`: only whole channels are pruned. Zeros inside layers (2:4, blocks, "
                "single weights) make no int8 file faster or smaller in LiteRT or ONNX Runtime on "
                "a CPU: take `keep` or `limit`"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _one_bound(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("limit") is None:
            return value
        if value.get("keep") not in (None, cls.model_fields["keep"].default):
            raise ValueError("give either `keep` or `limit`")
        target, limit = str(value.get("target", "macs")), value["limit"]
        units, example = UNITS.get(target, ({}, ""))
        if not units and isinstance(limit, str):
            raise ValueError(f"a `limit` of {target} is a plain number, such as 3000000")
        return {**value, "limit": parse_quantity(limit, units, example)}

    @field_validator("ignored_layers", mode="before")
    @classmethod
    def _one_layer(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def measured(self) -> bool:
        """Whether the target is measured of an exported file."""
        return self.target in MEASURED

    def limits(self, before: float) -> list[float]:
        """What may remain after each step, in the target's unit.

        With `cubic`, what remains of the way after the share t of the steps is (1 - t)^3 (Zhu and
        Gupta 2017, "To prune, or not to prune", equation 1).

        Args:
            before: what there is before the first step.
        """
        last = self.limit if self.limit is not None else self.keep * before
        power = 3 if self.schedule == "cubic" else 1
        found = []
        for step in range(1, self.steps + 1):
            left = (1 - step / self.steps) ** power
            found.append(last + max(0.0, before - last) * left)
        return found
