"""Multi-level logit distillation (Jin et al. 2023, CVPR)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgekd.config.logit_methods import MLKDSettings
from edgekd.distill.kd import kd_loss
from edgekd.distill.logits import check, precise, standardized
from edgekd.distill.part import Pair, Part, Step, logits_of_teacher
from edgekd.spec import Task

TEMPERATURES = (2.0, 3.0, 4.0, 5.0, 6.0)


def mlkd_loss(
    student: Tensor, teacher: Tensor, temperatures: Sequence[float] = TEMPERATURES
) -> Tensor:
    """The sum over the temperatures of three levels.

    - Of a prediction: T² KL(p_t ‖ p_s), mean over the batch; the T² is the authors' code.
    - Of the batch: |p_t p_tᵀ - p_s p_sᵀ|² / B, how alike the samples' predictions are.
    - Of the classes: |p_tᵀ p_t - p_sᵀ p_s|² / C, which classes go together.

    The published code departs from the paper: it masks what is already a mean and shows strongly
    augmented samples as well. This is the paper's.

    Args:
        student: logits (B, C).
        teacher: logits (B, C).
        temperatures: T > 0, at least one.

    Raises:
        ValueError: the shapes differ, or a T is not positive.
    """
    losses = []
    for temperature in temperatures:
        check(student, teacher, temperature)
        s = (precise(student) / temperature).softmax(1)
        t = (precise(teacher) / temperature).softmax(1)
        of_batch = (t @ t.T - s @ s.T).square().sum() / len(s)
        of_classes = (t.T @ t - s.T @ s).square().sum() / s.shape[1]
        losses.append(kd_loss(student, teacher, temperature) + of_batch + of_classes)
    return torch.stack(losses).sum()


class MLKD(Part):
    """The three levels of the logits."""

    settings: MLKDSettings

    def __init__(self, settings: MLKDSettings, pair: Pair | None, task: Task) -> None:
        super().__init__(settings)

    def forward(self, step: Step) -> Tensor:
        """The loss with the cached answers of the teacher."""
        outputs, teacher = step.outputs, logits_of_teacher(step, self.name)
        if self.settings.standardize:
            outputs, teacher = standardized(outputs), standardized(teacher)
        return mlkd_loss(outputs, teacher, self.settings.temperatures)


make = MLKD
