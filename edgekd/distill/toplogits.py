"""Soft labels of many classes in short: the logits of the top ones, and one for all the rest.

At the temperature T, exp(r / T) of the rest's logit r = T log sum exp(z_j / T) is the sum over all
other classes. So softmax over the k + 1 values at T gives the top classes exactly the probabilities
that all C logits give them, and the rest the sum of the others'.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.distill.kd import kd_loss
from edgekd.distill.logits import precise


def compact(
    logits: NDArray[np.floating], k: int, temperature: float
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The top classes (n, k), likeliest first, and the values (n, k + 1): their logits, and the
    rest's at the temperature.

    Args:
        logits: (n, C), C above k.
    """
    kind = np.uint16 if logits.shape[1] <= np.iinfo(np.uint16).max else np.uint32
    z = np.asarray(logits, np.float64)
    order = np.argsort(-z, axis=1, kind="stable")
    ordered = np.take_along_axis(z, order, 1)
    others = ordered[:, k:]
    largest = others[:, :1]
    shares = np.exp((others - largest) / temperature).sum(1, keepdims=True)
    rest = largest + temperature * np.log(shares)
    return order[:, :k].astype(kind), np.concatenate([ordered[:, :k], rest], 1)


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
        teacher: values (B, k + 1), as `compact` makes them for this temperature.
        top: (B, k), their classes, int64.
        temperature: T > 0.

    Raises:
        ValueError: the shapes differ, or T is not positive.
    """
    return kd_loss(bucketed(precise(student), top, temperature), teacher, temperature)
