"""Variations of a signal's windows: loudness, time, noise, a stretch that is missing."""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.config.data import Augment
from edgekd.data.geometry import gather
from edgekd.data.hashing import draw, gauss, uniform
from edgekd.data.sound_views import run


def vary_series(x: Tensor, index: Tensor, settings: Augment, seed: int, view: int) -> Tensor:
    """Normalised windows (B, C, T) with all channels scaled by one factor around their mean, moved
    in time together, with noise, then with a stretch of steps masked; what is uncovered or masked
    is 0, the mean.
    """
    if settings.gain:
        drawn = settings.gain * (2 * uniform(index, seed, view, 7) - 1)
        x = x * (10 ** (drawn / 20)).to(x.dtype)[:, None, None]
    if settings.time_shift:
        later = draw(index, seed, view, 1, 2 * settings.time_shift + 1) - settings.time_shift
        columns = torch.arange(x.shape[2], device=x.device) - later[:, None]
        x = gather(x[:, :, None], torch.zeros_like(columns[:, :1]), columns)[:, :, 0]
    if settings.noise:
        x = x + settings.noise * gauss(x, index, seed, view)
    hidden = run(index, seed, view, 2, settings.mask_time, x.shape[2])
    return x.masked_fill(hidden[:, None], 0)
