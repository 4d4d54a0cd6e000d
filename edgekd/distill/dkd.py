"""Decoupled knowledge distillation (Zhao et al. 2022, CVPR)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.logits import check, others, precise


def dkd_loss(
    student: Tensor,
    teacher: Tensor,
    y: Tensor,
    temperature: float = 4.0,
    alpha: float = 1.0,
    beta: float = 8.0,
) -> Tensor:
    """T² [alpha KL(b_t ‖ b_s) + beta KL(p_t ‖ p_s)], mean over the batch: equation 7.

    b is the probability of the target and of all the rest, p the softmax among the rest. All in
    logarithms: a student that is sure would make the rest's probability 0.

    Args:
        student: logits (B, C), C of 2 or more.
        teacher: logits (B, C).
        y: targets (B,), int64.
        temperature: T > 0.
        alpha: weight of the target against the rest.
        beta: weight of the rest among themselves.

    Raises:
        ValueError: the shapes differ, or T is not positive.
    """
    check(student, teacher, temperature)
    s, t = precise(student) / temperature, precise(teacher) / temperature
    binary = _divergence(_binary(t, y), _binary(s, y))
    rest = _divergence(F.log_softmax(others(t, y), 1), F.log_softmax(others(s, y), 1))
    return temperature**2 * (alpha * binary + beta * rest)


def _binary(logits: Tensor, y: Tensor) -> Tensor:
    """Logarithms of the target's probability and of the rest's, (B, 2)."""
    target = logits.gather(1, y[:, None])
    rest = others(logits, y).logsumexp(1, keepdim=True)
    return F.log_softmax(torch.cat([target, rest], 1), 1)


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
