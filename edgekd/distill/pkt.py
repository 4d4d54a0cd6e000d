"""Probabilistic knowledge transfer (Passalis and Tefas 2018, ECCV)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.distill.features import PairPart, embedding
from edgekd.distill.part import Step

EPSILON = 1e-7


def pkt_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over all pairs of p_t log(p_t / p_s): p is how alike two samples are, (cosine + 1) / 2,
    as a share of all samples; the mean and the 1e-7 are the authors' code.

    Args:
        student: embeddings (B, D).
        teacher: embeddings (B, D'); D' may be another.

    Raises:
        ValueError: these are no embeddings of one batch.
    """
    if len(student) != len(teacher) or student.ndim != 2 or teacher.ndim != 2:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    p_s, p_t = _alike(student), _alike(teacher)
    return (p_t * ((p_t + EPSILON) / (p_s + EPSILON)).log()).mean()


def _alike(x: Tensor) -> Tensor:
    """(B, B), each row with the sum 1."""
    x = x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + EPSILON)
    alike = (x @ x.T + 1) / 2
    return alike / alike.sum(1, keepdim=True)


class PKT(PairPart):
    """Which samples of a batch are alike, as probabilities; maps are averaged over positions."""

    def needed(self, number: int, teacher: Tensor) -> Tensor:
        """The embedding."""
        return embedding(teacher)

    def compare(self, number: int, student: Tensor, teacher: Tensor, step: Step) -> Tensor:
        """The divergence of the similarities."""
        return pkt_loss(embedding(student), teacher)


make = PKT
