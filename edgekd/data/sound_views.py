"""Variations of log-mel features: SpecAugment (Park et al. 2019), noise, loudness, time."""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.config.data import Augment
from edgekd.data.geometry import gather
from edgekd.data.hashing import draw, gauss, uniform
from edgekd.data.sound import LEAST_ENERGY
from edgekd.spec import InputSpec


def vary_sound(
    x: Tensor, index: Tensor, settings: Augment, seed: int, view: int, spec: InputSpec | None
) -> Tensor:
    """Features (B, 1, frames, mels) made louder or softer, moved in time, with noise, then with a
    stretch of frames and a band of frequencies masked; what is uncovered or masked is 0, the mean.

    Raises:
        ValueError: `gain` is asked for without `spec`.
    """
    frames, mels = x.shape[2:]
    if settings.gain:
        x = _louder(x, index, settings.gain, seed, view, spec)
    if settings.time_shift:
        down = draw(index, seed, view, 1, 2 * settings.time_shift + 1) - settings.time_shift
        rows = torch.arange(frames, device=x.device) - down[:, None]
        columns = torch.arange(mels, device=x.device).expand(len(x), -1)
        x = gather(x, rows, columns)
    if settings.noise:
        x = x + settings.noise * gauss(x, index, seed, view)
    time = run(index, seed, view, 2, settings.mask_time, frames)
    frequency = run(index, seed, view, 4, settings.mask_frequency, mels)
    hidden = time[:, None, :, None] | frequency[:, None, None, :]
    return x.masked_fill(hidden, 0)


def _louder(
    x: Tensor, index: Tensor, decibel: float, seed: int, view: int, spec: InputSpec | None
) -> Tensor:
    """The features that the recording would have at -decibel to decibel dB (but for clipping):
    mel energies, under the logarithm and above its floor, are multiplied.
    """
    if spec is None:
        raise ValueError("gain needs the spec of the features")
    mean, std = spec.mean[0], spec.std[0]
    drawn = decibel * (2 * uniform(index, seed, view, 7) - 1)
    factor = (10 ** (drawn / 10)).to(x.dtype)[:, None, None, None]
    energy = (torch.exp(x * std + mean) - LEAST_ENERGY).clamp(min=0)
    return (torch.log(LEAST_ENERGY + factor * energy) - mean) / std


def run(index: Tensor, seed: int, view: int, stream: int, most: int, length: int) -> Tensor:
    """(B, length): a run of 0 to `most` true values somewhere, each length as likely."""
    width = draw(index, seed, view, stream, min(most, length) + 1)
    start = draw(index, seed, view, stream + 1, length - width + 1)
    place = torch.arange(length, device=index.device)
    return (place >= start[:, None]) & (place < (start + width)[:, None])
