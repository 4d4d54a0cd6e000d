"""Contrastive representation distillation (Tian et al. 2020, ICLR), with the batch's negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.config.feature_methods import CRDSettings
from edgekd.distill.features import PairPart, embedding
from edgekd.distill.part import Step
from edgekd.distill.vectors import unit


def contrastive_loss(
    student: Tensor, teacher: Tensor, y: Tensor | None = None, temperature: float = 0.07
) -> Tensor:
    """InfoNCE (van den Oord et al. 2018, equation 4) both ways: which teacher's embedding in the
    batch is of the student's sample, and the reverse. The sum of the two means.

    The paper takes its negatives from a memory of the whole data set; here they are
    the others of the batch, which needs no memory. With `y` samples of the same class are no
    negatives, as in the authors' code.

    Args:
        student: embeddings (B, D).
        teacher: embeddings (B, D).
        y: classes (B,); those below 0 are not known.
        temperature: tau of the cosines, above 0.

    Raises:
        ValueError: the shapes differ, or the temperature is not positive.
    """
    if student.shape != teacher.shape or student.ndim != 2:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature {temperature} is not positive")
    alike = unit(student) @ unit(teacher).T / temperature
    own = torch.arange(len(student), device=student.device)
    if y is not None:
        same = (y[:, None] == y[None]) & (y >= 0) & (own[:, None] != own[None])
        alike = alike.masked_fill(same, -torch.inf)
    return F.cross_entropy(alike, own) + F.cross_entropy(alike.T, own)


class CRD(PairPart):
    """Embeddings of both, linear from the maps averaged over positions, as alike as possible."""

    settings: CRDSettings

    def prepare(self) -> None:
        """The embeddings."""
        size = self.settings.dimension
        self.of_student = nn.ModuleList([nn.Linear(s[0], size) for s, _ in self.shapes])
        self.of_teacher = nn.ModuleList([nn.Linear(t[0], size) for _, t in self.shapes])

    def needed(self, number: int, teacher: Tensor) -> Tensor:
        """The embedding."""
        return embedding(teacher)

    def compare(self, number: int, student: Tensor, teacher: Tensor, step: Step) -> Tensor:
        """The contrastive loss."""
        classes = self.task in ("classification", "binary") and step.batch.partner is None
        return contrastive_loss(
            self.of_student[number](embedding(student)),
            self.of_teacher[number](teacher),
            step.batch.y if classes else None,
            self.settings.temperature,
        )


make = CRD
