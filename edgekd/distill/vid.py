"""Variational information distillation (Ahn et al. 2019, CVPR)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.features import PairPart
from edgekd.distill.part import Step
from edgekd.distill.regressor import CONVOLUTIONS, pooled, smaller

LEAST_VARIANCE = 1e-5
FIRST_VARIANCE = 5.0


def vid_loss(mean: Tensor, variance: Tensor, teacher: Tensor) -> Tensor:
    """Mean of (t - mean)² / (2 variance) + log(variance) / 2: the negative logarithm of a Gaussian
    density without its constant (section 2 of the paper).

    Args:
        mean: what the student expects of the teacher's map, (B, C, ...).
        variance: of each channel (C,), above 0.
        teacher: (B, C, ...).

    Raises:
        ValueError: the shapes differ.
    """
    if mean.shape != teacher.shape or variance.shape != teacher.shape[1:2]:
        raise ValueError(
            f"mean {tuple(mean.shape)}, variance {tuple(variance.shape)}, teacher "
            f"{tuple(teacher.shape)}"
        )
    spread = variance.view(1, -1, *(1,) * (mean.ndim - 2))
    return 0.5 * ((mean - teacher).square() / spread + spread.log()).mean()


class Expectation(nn.Module):
    """What the student expects of the teacher's map: three 1 x 1 convolutions, and a variance for
    each channel, softplus of a parameter, so that it is learnt as well."""

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        super().__init__()
        axes = len(teacher) - 1
        inputs, outputs = student[0], teacher[0]
        layers: list[nn.Module] = []
        for taken in (inputs, outputs, outputs):
            one = CONVOLUTIONS[axes][0](taken, outputs, 1) if axes else nn.Linear(taken, outputs)
            layers += [one, nn.ReLU()]
        self.mean = nn.Sequential(*layers[:-1])
        start = math.log(math.expm1(FIRST_VARIANCE - LEAST_VARIANCE))
        self.scale = nn.Parameter(torch.full((outputs,), start))

    @property
    def variance(self) -> Tensor:
        """(C,)."""
        return F.softplus(self.scale) + LEAST_VARIANCE


class VID(PairPart):
    """The teacher's maps as likely as possible, given the student's; the larger map is averaged
    down to the smaller one's positions."""

    every_size = True

    def prepare(self) -> None:
        """The expectations."""
        self.expectations = nn.ModuleList()
        for number, (student, teacher) in enumerate(self.shapes):
            if len(student) != len(teacher) or len(student) > 3:
                raise self.unlike(number, "they have different axes")
            self.expectations.append(Expectation(student, teacher))

    def needed(self, number: int, teacher: Tensor) -> Tensor:
        """The map at the smaller size."""
        return pooled(teacher, smaller(*self.shapes[number]))

    def compare(self, number: int, student: Tensor, teacher: Tensor, step: Step) -> Tensor:
        """The negative logarithm of the likelihood."""
        expectation = self.expectations[number]
        mean = expectation.mean(pooled(student, smaller(*self.shapes[number])))  # type: ignore[operator]
        return vid_loss(mean, expectation.variance, teacher)  # type: ignore[arg-type]


make = VID
