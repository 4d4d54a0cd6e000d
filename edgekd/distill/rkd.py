"""Relational knowledge distillation (Park et al. 2019, CVPR)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.config.feature_methods import RKDSettings
from edgekd.distill.features import PairPart, embedding
from edgekd.distill.part import Step
from edgekd.distill.vectors import unit

EPSILON = 1e-12
"""Least squared distance."""


def rkd_distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Smooth L1 of the distances between the samples, each divided by the mean of those above 0:
    the distance-wise loss of section 3.2.1; the mean is over all B² pairs, as in the authors' code.

    A batch of one has no distances, and the loss is 0.

    Args:
        student: embeddings (B, D).
        teacher: embeddings (B, D').

    Raises:
        ValueError: these are no embeddings of one batch.
    """
    _check(student, teacher)
    if len(student) < 2:
        return 0 * student.sum()
    return F.smooth_l1_loss(_distances(student), _distances(teacher))


def _distances(x: Tensor) -> Tensor:
    squares = x.square().sum(1)
    squared = squares[:, None] + squares[None] - 2 * x @ x.T
    apart = ~torch.eye(len(x), dtype=torch.bool, device=x.device)
    distances = squared.clamp(min=EPSILON).sqrt() * apart
    return distances / distances[apart].mean()


def rkd_angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Smooth L1 of the cosines of the angles that two samples form at a third: the angle-wise loss
    of section 3.2.2; the mean is over all B³ triples. Memory is O(B³).

    Samples with the same embedding have no direction to each other: their cosines are 0, and no
    gradient comes from them.

    Args:
        student: embeddings (B, D).
        teacher: embeddings (B, D').

    Raises:
        ValueError: these are no embeddings of one batch.
    """
    _check(student, teacher)
    return F.smooth_l1_loss(_cosines(student), _cosines(teacher))


def _cosines(x: Tensor) -> Tensor:
    direction = unit(x[None] - x[:, None])
    return direction @ direction.transpose(1, 2)


def _check(student: Tensor, teacher: Tensor) -> None:
    if len(student) != len(teacher) or student.ndim != 2 or teacher.ndim != 2:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")


class RKD(PairPart):
    """Distances and angles between the samples of a batch; maps are averaged over positions."""

    settings: RKDSettings

    def needed(self, number: int, teacher: Tensor) -> Tensor:
        """The embedding."""
        return embedding(teacher)

    def compare(self, number: int, student: Tensor, teacher: Tensor, step: Step) -> Tensor:
        """Both losses with their factors."""
        ours, theirs = embedding(student), teacher
        loss = 0 * ours.sum()
        if self.settings.distance:
            loss = loss + self.settings.distance * rkd_distance_loss(ours, theirs)
        if self.settings.angle:
            loss = loss + self.settings.angle * rkd_angle_loss(ours, theirs)
        return loss


make = RKD
