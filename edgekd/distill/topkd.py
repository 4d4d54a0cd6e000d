"""Hinton's distillation from soft labels of the top classes and one bucket for all the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.distill.kd import kd_loss
from edgekd.distill.logits import precise


def bucketed(logits: Tensor, top: Tensor, temperature: float) -> Tensor:
    """The student's logits (B, C) in the form of the teacher's: (B, k + 1), those of the classes
    `top` (B, k) and the rest's at the temperature. Differentiable in all C.
    """
    apart = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, top, True)
    others = logits.masked_fill(apart, float("-inf"))
    rest = temperature * (others / temperature).logsumexp(1, keepdim=True)
    return torch.cat([logits.gather(1, top), rest], 1)


def top_kd_loss(student: Tensor, teacher: Tensor, top: Tensor, temperature: float = 4.0) -> Tensor:
    """`kd_loss` over k + 1 classes: the teacher's top k, and all the others as one.

    It is at most `kd_loss` of all classes (the divergence of sums is at most that of what is
    summed), and equal where student and teacher share the rest out alike.

    Args:
        student: logits (B, C).
        teacher: values (B, k + 1), as `toplogits.compact` makes them for this temperature.
        top: (B, k), their classes, int64.
        temperature: T > 0.

    Raises:
        ValueError: the shapes differ, or T is not positive.
    """
    return kd_loss(bucketed(precise(student), top, temperature), teacher, temperature)
