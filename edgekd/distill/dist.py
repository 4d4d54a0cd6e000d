"""DIST: distillation from a stronger teacher (Huang et al. 2022, NeurIPS)."""

from __future__ import annotations

from torch import Tensor

from edgekd.distill.logits import check, precise

EPSILON = 1e-8
"""Least norm of what is correlated: a class that no sample differs in correlates with nothing."""


def dist_loss(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 4.0,
    beta: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """T² [beta (1 - mean rho of rows) + gamma (1 - mean rho of columns)]: equations 9 to 11.

    rho is Pearson's correlation of the probabilities softmax(z / T) of student and teacher: within
    each sample, and within each class over the batch, which should hold some samples of each.

    Args:
        student: logits (B, C).
        teacher: logits (B, C).
        temperature: T > 0.
        beta: weight of the relations within a sample.
        gamma: weight of the relations within a class.

    Raises:
        ValueError: the shapes differ, or T is not positive.
    """
    check(student, teacher, temperature)
    s = (precise(student) / temperature).softmax(1)
    t = (precise(teacher) / temperature).softmax(1)
    within_samples = 1 - _correlation(s, t).mean()
    within_classes = 1 - _correlation(s.T, t.T).mean()
    return temperature**2 * (beta * within_samples + gamma * within_classes)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of each row."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    norms = (a.square().sum(1) * b.square().sum(1)).clamp(min=EPSILON**4).sqrt()
    return (a * b).sum(1) / norms
