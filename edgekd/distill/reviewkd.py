"""Knowledge review (Chen et al. 2021, CVPR)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.config.feature_methods import ReviewKDSettings
from edgekd.distill.features import FeaturePart
from edgekd.distill.part import Step
from edgekd.distill.regressor import CONVOLUTIONS, pooled

SIDES = (4, 2, 1)
"""Sides of the pyramid below the full size; each has half the weight of the one before."""
MOST_CHANNELS = 512
"""Of what the fusing blocks pass on."""


def pyramid_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The paper's hierarchical context loss: the mean squared difference of the maps and of their
    averages on 4, 2 and 1 positions a side, weighted 1, 1/2, 1/4, 1/8 and divided by the sum of
    the weights. Sides that the map does not exceed are left out.

    Args:
        student: (B, C, H, W) or (B, C, L).
        teacher: likewise.

    Raises:
        ValueError: the shapes differ.
    """
    if student.shape != teacher.shape or student.ndim < 3:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    loss, total, weight = F.mse_loss(student, teacher), 1.0, 1.0
    for side in SIDES:
        if side >= student.shape[2]:
            continue
        size = tuple(min(side, n) for n in student.shape[2:])
        weight /= 2
        loss = loss + weight * F.mse_loss(pooled(student, size), pooled(teacher, size))
        total += weight
    return loss / total


class Fusion(nn.Module):
    """The paper's attention-based fusion: a map of the student and what came from the deeper ones,
    each position weighing them, give the map that is compared and what goes on to the next.

    Args:
        student: shape of the student's map.
        teacher: shape of the teacher's.
        middle: channels of what is passed on.
        deepest: there is nothing deeper to fuse with.
    """

    def __init__(
        self, student: tuple[int, ...], teacher: tuple[int, ...], middle: int, *, deepest: bool
    ) -> None:
        super().__init__()
        convolution, _, norm = CONVOLUTIONS[len(teacher) - 1]
        self.size = teacher[1:]
        self.enter = nn.Sequential(convolution(student[0], middle, 1, bias=False), norm(middle))
        self.leave = nn.Sequential(
            convolution(middle, teacher[0], 3, padding=1, bias=False), norm(teacher[0])
        )
        self.attend = (
            None if deepest else nn.Sequential(convolution(2 * middle, 2, 1), nn.Sigmoid())
        )

    def forward(self, x: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """The map in the teacher's shape, and what is passed on."""
        x = self.enter(x)
        if self.attend is not None and deeper is not None:
            deeper = F.interpolate(deeper, x.shape[2:], mode="nearest")
            share = self.attend(torch.cat([x, deeper], 1))
            x = x * share[:, :1] + deeper * share[:, 1:]
        if tuple(x.shape[2:]) != self.size:
            x = F.interpolate(x, self.size, mode="nearest")
        return self.leave(x), x


class ReviewKD(FeaturePart):
    """Each of the teacher's maps from the student's of that depth and deeper. The fusing blocks are
    no part of the student. The authors compare maps before their activation; here a map is what the
    named layer puts out."""

    settings: ReviewKDSettings
    every_size = True

    def weight(self, epoch: int) -> float:
        """It climbs over the first epochs."""
        return super().weight(epoch) * min((epoch + 1) / self.settings.warmup_epochs, 1.0)

    def prepare(self) -> None:
        """The fusing blocks, in the order of the pairs, which is from shallow to deep."""
        for number, (student, teacher) in enumerate(self.shapes):
            alike = len(student) == len(teacher) == len(self.shapes[0][0])
            if not alike or len(student) not in (2, 3):
                raise self.unlike(number, "the review is of maps with positions")
        middle = min(MOST_CHANNELS, self.shapes[-1][0][0])
        last = len(self.shapes) - 1
        self.fusions = nn.ModuleList(
            [Fusion(*pair, middle, deepest=n == last) for n, pair in enumerate(self.shapes)]
        )

    def forward(self, step: Step) -> Tensor:
        """The sum over the pairs, from the deepest on."""
        losses, passed = [], None
        for fusion, (student, teacher) in zip(
            reversed(self.fusions), reversed(self.maps(step)), strict=True
        ):
            map_, passed = fusion(student, passed)
            losses.append(pyramid_loss(map_, teacher))
        return torch.stack(losses).sum()


make = ReviewKD
