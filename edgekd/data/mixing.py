"""mixup and CutMix: which other sample is mixed in, and how much of it, by (seed, view, index)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgekd.config.data import Augment
from edgekd.data.hashing import draw, uniform


@dataclass(frozen=True)
class Pairs:
    """What is mixed into each sample of a batch."""

    index: Tensor
    """(B,), int64, where the other sample stands in the split; never the sample itself."""
    share: Tensor
    """(B,), float32, the sample's own share of the target, from 0 to 1."""
    box: Tensor
    """(B, 4), int64: top, bottom, left and right of the pasted rectangle, the ends exclusive."""
    pasted: Tensor
    """(B,), whether the other sample is pasted in (CutMix) and not averaged (mixup)."""


def pairs(
    index: Tensor, count: int, shape: tuple[int, ...], settings: Augment, seed: int, view: int
) -> Pairs:
    """The pairs of the samples at `index`, on its device.

    Args:
        index: (B,), int64.
        count: samples of the split.
        shape: of a sample; CutMix needs (C, H, W).
    """
    other = (index + 1 + draw(index, seed, view, 15, max(1, count - 1))) % count
    pasted = torch.zeros_like(index, dtype=torch.bool)
    if settings.cutmix:
        pasted = ~pasted if not settings.mixup else draw(index, seed, view, 16, 2).bool()
    random = uniform(index, seed, view, 17)
    share = torch.where(pasted, _beta(random, settings.cutmix), _beta(random, settings.mixup))
    box = torch.zeros(len(index), 4, dtype=torch.int64, device=index.device)
    if settings.cutmix:
        box = _boxes(index, share, shape[-2:], seed, view) * pasted[:, None]
        area = (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2])
        share = torch.where(pasted, 1 - area / (shape[-2] * shape[-1]), share)
    return Pairs(other, share.float(), box, pasted)


def blend(x: Tensor, other: Tensor, pair: Pairs) -> Tensor:
    """x (B, ...) with `other` mixed in, in the memory format of x.

    mixup: share x + (1 - share) other, Zhang et al. 2018, equation 1. CutMix: x outside of the box
    and `other` in it, Yun et al. 2019, equation 1.
    """
    share = pair.share.view(-1, *(1,) * (x.ndim - 1))
    mixed = share * x + (1 - share) * other
    if not pair.pasted.any():
        return mixed
    top, bottom, left, right = (edge[:, None] for edge in pair.box.T)
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape[2:])
    inside = ((rows >= top) & (rows < bottom))[:, None, :, None]
    inside = inside & ((columns >= left) & (columns < right))[:, None, None, :]
    return torch.where(pair.pasted[:, None, None, None], torch.where(inside, other, x), mixed)


def _beta(random: Tensor, alpha: float) -> Tensor:
    """Uniform numbers as numbers from Beta(alpha, alpha), by the inverse of its distribution."""
    if alpha in (0.0, 1.0):
        return random
    from scipy.special import betaincinv

    drawn = betaincinv(alpha, alpha, random.cpu().numpy())
    return torch.from_numpy(np.asarray(drawn)).to(random.device)


def _boxes(index: Tensor, share: Tensor, size: tuple[int, ...], seed: int, view: int) -> Tensor:
    """Rectangles (B, 4) of 1 - share of the area with the image's proportions; the middle lies
    anywhere, and what would lie outside is cut off (Yun et al. 2019, equation 2).
    """
    edges = []
    for stream, length in zip((18, 19), size, strict=True):
        extent = (length * torch.sqrt(1 - share)).long()
        middle = draw(index, seed, view, stream, length)
        edges += [
            (middle - extent // 2).clamp(0, length),
            (middle - extent // 2 + extent).clamp(0, length),
        ]
    return torch.stack(edges, 1)
