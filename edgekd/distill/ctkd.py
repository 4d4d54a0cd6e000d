"""Curriculum temperature (Li et al. 2023, AAAI): a temperature learned against the student."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.config.logit_methods import CTKDSettings
from edgekd.distill.kd import kd_loss
from edgekd.distill.logits import standardized
from edgekd.distill.part import Pair, Part, Step, logits_of_teacher
from edgekd.spec import Task


class _Scaled(torch.autograd.Function):
    """The same value; its gradient times a factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        """x."""
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """factor * gradient."""
        return ctx.factor * gradients[0], None


def reversal(epoch: int, epochs: int = 10) -> float:
    """lambda: from 0 to -1 along half a cosine over the first epochs, then -1.

    Args:
        epoch: from 0.
        epochs: until -1 is reached, 1 or more.
    """
    done = min(epoch / epochs, 1.0)
    return (1 + math.cos(math.pi * done)) / 2 - 1


class Temperature(nn.Module):
    """T = 1 + 20 sigmoid(theta), one for all samples, the paper's global form with the authors'
    settings: theta starts at 1, and T lies between 1 and 21.

    Args:
        least: T is above this, itself above 0.
        span: and below `least` + `span`.
    """

    def __init__(self, least: float = 1.0, span: float = 20.0) -> None:
        super().__init__()
        self.least, self.span = least, span
        self.theta = nn.Parameter(torch.ones(1))

    def forward(self, factor: float = 1.0) -> Tensor:
        """T, whose gradient in theta is `factor` times the true one."""
        return self.least + self.span * _Scaled.apply(self.theta, factor).sigmoid()  # type: ignore[union-attr]


class CTKD(Part):
    """Hinton's loss at a temperature that is trained to make it larger, ever more so."""

    settings: CTKDSettings

    def __init__(self, settings: CTKDSettings, pair: Pair | None, task: Task) -> None:
        super().__init__(settings)
        self.temperature = Temperature(settings.least, settings.span)

    def forward(self, step: Step) -> Tensor:
        """T² KL(teacher ‖ student) with the cached answers of the teacher."""
        outputs, teacher = step.outputs, logits_of_teacher(step, self.name)
        if self.settings.standardize:
            outputs, teacher = standardized(outputs), standardized(teacher)
        factor = reversal(step.epoch, self.settings.reversal_epochs)
        return kd_loss(outputs, teacher, self.temperature(factor)).sum()


make = CTKD
