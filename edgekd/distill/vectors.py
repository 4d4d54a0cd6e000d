"""Directions of vectors, also of those that have none."""

from __future__ import annotations

import torch
from torch import Tensor

SHORTEST = 1e-12
"""A vector whose squared length is not above this has no direction."""


def unit(x: Tensor) -> Tensor:
    """Vectors along the last axis with the length 1; those that are too short become 0 and have no
    gradient, which would be of the size of one over their length."""
    squared = x.square().sum(-1, keepdim=True)
    long = squared > SHORTEST
    return x * torch.where(long, squared, 1.0).rsqrt() * long
