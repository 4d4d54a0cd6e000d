"""Settings of the training loop, with the defaults of each stage that trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from edgekd.config.base import Settings


class TrainSettings(Settings):
    """How a network is trained."""

    epochs: PositiveInt = 40
    """Passes over the training set."""
    stop_after: PositiveInt | None = None
    """Stop after this many of the `epochs`, as if the training had been cut there: the rate goes on
    as planned for all of them, and the best weights so far are kept."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Samples a step; a last batch of one sample is joined to the one before it."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """`sgd` uses Nesterov momentum; give it a `learning_rate` of 0.05 to 0.1."""
    learning_rate: PositiveFloat = 2e-3
    """The highest rate that the schedule reaches."""
    weight_decay: NonNegativeFloat = 0.02
    """Not applied to biases and normalisation; for `sgd`, 5e-4 is customary."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of `sgd`; `adamw` uses 0.9 and 0.999."""
    schedule: Literal["cosine", "one_cycle", "step"] = "cosine"
    """The rate over time: a half cosine to 0; up for 30 % and down to 0; or steps."""
    warmup_epochs: NonNegativeInt = 1
    """Epochs in which `cosine` and `step` climb linearly to `learning_rate`."""
    step_epochs: tuple[PositiveInt, ...] = ()
    """Epochs after which `step` multiplies the rate by `step_factor`."""
    step_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """See `step_epochs`."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all classes; for classes only."""
    regression_loss: Literal["mse", "smooth_l1"] = "mse"
    """Of a regression, on standardised targets: the squared error, or smooth L1, which minds
    outliers less."""
    clip_norm: PositiveFloat | None = 5.0
    """Gradients are scaled down to this L2 norm; `null` leaves them."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay per step of a moving average of the weights, which is then what is kept."""
    patience: PositiveInt | None = None
    """Stop after this many epochs without a better validation score."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto` computes in bfloat16 where the processor or the GPU has it in hardware."""
    freeze_epochs: NonNegativeInt = 0
    """Epochs in which only the classifier is trained; for a pretrained network."""
    backbone_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Everything but the classifier learns at this share of the rate; for a pretrained network."""


class FinetuneTrain(TrainSettings):
    """Training that starts from a trained student."""

    epochs: PositiveInt = 15
    """Passes over the training set."""
    learning_rate: PositiveFloat = 1e-3
    """The highest rate that the schedule reaches."""


class QatTrain(TrainSettings):
    """Training through fake quantizers, in float32."""

    epochs: PositiveInt = 10
    """Passes over the training set."""
    learning_rate: PositiveFloat = 3e-4
    """The highest rate that the schedule reaches."""
    weight_decay: NonNegativeFloat = 0.0
    """Not applied to biases and normalisation."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Only `float32`: quantization steps would drown in bfloat16's rounding."""

    @field_validator("precision")
    @classmethod
    def _only_float32(cls, value: str) -> str:
        if value != "float32":
            raise ValueError("quantization-aware training computes in float32 only")
        return value
