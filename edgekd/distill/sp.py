"""Similarity-preserving distillation (Tung and Mori 2019, ICCV)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.features import PairPart
from edgekd.distill.part import Step


def sp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """|G_t - G_s|² / B²: G is the inner products of the samples' features in the batch, each row
    of length 1.

    Args:
        student: (B, ...); only the batch has to be the teacher's.
        teacher: (B, ...).

    Raises:
        ValueError: the batches differ.
    """
    if len(student) != len(teacher):
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    ours, theirs = (F.normalize(x @ x.T) for x in (student.flatten(1), teacher.flatten(1)))
    return (theirs - ours).square().sum() / len(student) ** 2


class SP(PairPart):
    """Which samples of a batch are alike, at each pair of layers."""

    def compare(self, number: int, student: Tensor, teacher: Tensor, step: Step) -> Tensor:
        """The difference of the similarities."""
        return sp_loss(student, teacher)


make = SP
