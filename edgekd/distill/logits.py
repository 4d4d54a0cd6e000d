"""What the losses on logits share: checks, precision, the other classes, standardization."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-7


def check(student: Tensor, teacher: Tensor, temperature: float | Tensor = 1.0) -> None:
    """Refuses what no loss on logits can take.

    Raises:
        ValueError: the shapes differ or are not (B, C), or the temperature is not positive.
    """
    if student.shape != teacher.shape or student.ndim != 2:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature {temperature} is not positive")


def precise(logits: Tensor) -> Tensor:
    """Half precision as float32; everything else as it is."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def standardized(logits: Tensor) -> Tensor:
    """(z - mean) / (deviation + 1e-7) for each sample, (B, C).

    Sun et al. 2024 ("Logit standardization in knowledge distillation"), algorithm 1; the deviation
    is the population's, as there. The temperature of the loss that follows is the paper's base
    temperature.
    """
    logits = precise(logits)
    centred = logits - logits.mean(1, keepdim=True)
    # The deviation of equal logits is 0, where a square root has no gradient.
    deviation = centred.square().mean(1, keepdim=True).clamp(min=EPSILON**2).sqrt()
    return centred / (deviation + EPSILON)


def others(logits: Tensor, y: Tensor) -> Tensor:
    """The logits without the target's, (B, C - 1), in the classes' order."""
    kept = torch.ones_like(logits, dtype=torch.bool).scatter_(1, y[:, None], False)
    return logits[kept].view(len(logits), -1)
