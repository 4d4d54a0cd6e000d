"""Random numbers that are a function of (seed, view, index) and of nothing else.

A generator's state would depend on the order in which samples come; the soft-label cache and the
training loop have to draw the same for a sample in any order and any batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def draw(index: Tensor, seed: int, view: int, stream: int, choices: int | Tensor) -> Tensor:
    """Whole numbers (B,) from 0 to choices - 1; each stream of a sample is independent."""
    return (hashed(index, _mix(seed & MASK) + stream, view) & 0xFFFFFFFF) % choices


def uniform(index: Tensor, seed: int, view: int, stream: int) -> Tensor:
    """Numbers (B,) above 0 and below 1, float64, multiples of 2^-33."""
    bits = hashed(index, _mix(seed & MASK) + stream, view) & 0xFFFFFFFF
    return (bits.double() + 0.5) / (1 << 32)


def gauss(x: Tensor, index: Tensor, seed: int, view: int) -> Tensor:
    """Standard normal numbers of x's shape, of one channel (Box and Muller 1958)."""
    size = x[0].numel()
    places = index[:, None] * size + torch.arange(size, device=x.device)
    bits = hashed(places.flatten(), _mix(seed & MASK) + 6, view)
    first = ((bits & 0xFFFFFF) + 1).to(torch.float32) / (1 << 24)
    second = (_shifted(bits, 32) & 0xFFFFFF).to(torch.float32) / (1 << 24)
    drawn = torch.sqrt(-2 * torch.log(first)) * torch.cos(2 * torch.pi * second)
    return drawn.view(x.shape).to(x.dtype)


def hashed(index: Tensor, seed: int, view: int) -> Tensor:
    """64 mixed bits for each index, int64 (SplitMix64: Steele, Lea and Flood 2014)."""
    key = _mix(_mix(seed & MASK) ^ (view & MASK))
    z = index.to(torch.int64) * _signed(_GOLDEN) + _signed(key)
    z = (z ^ _shifted(z, 30)) * _signed(_FIRST)
    z = (z ^ _shifted(z, 27)) * _signed(_SECOND)
    return z ^ _shifted(z, 31)


def _mix(z: int) -> int:
    z = (z + _GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * _FIRST) & MASK
    z = ((z ^ (z >> 27)) * _SECOND) & MASK
    return z ^ (z >> 31)


def _shifted(z: Tensor, by: int) -> Tensor:
    """A logical shift to the right: torch shifts the sign in."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
