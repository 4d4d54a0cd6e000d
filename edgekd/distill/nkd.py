"""Normalised knowledge distillation (Yang et al. 2023, ICCV)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.logits import check, others, precise


def nkd_loss(
    student: Tensor, teacher: Tensor, y: Tensor, temperature: float = 1.0, gamma: float = 1.5
) -> Tensor:
    """-t log s - gamma T² sum_i t_i log s_i, mean over the batch: equation 5 without its first
    term, the cross-entropy with the labels.

    t and s are the target's probabilities (without temperature); t_i and s_i the softmax at T among
    the other classes, from which the target is dropped, not masked.

    Args:
        student: logits (B, C), C of 2 or more.
        teacher: logits (B, C).
        y: targets (B,), int64.
        temperature: T > 0, the paper's lambda.
        gamma: weight of the other classes.

    Raises:
        ValueError: the shapes differ, or T is not positive.
    """
    check(student, teacher, temperature)
    s, t = precise(student), precise(teacher)
    of_target = t.softmax(1).gather(1, y[:, None]) * F.log_softmax(s, 1).gather(1, y[:, None])
    log_s = F.log_softmax(others(s, y) / temperature, 1)
    among_others = ((others(t, y) / temperature).softmax(1) * log_s).sum(1)
    return -of_target.mean() - gamma * temperature**2 * among_others.mean()
