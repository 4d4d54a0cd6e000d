"""Variations of images: whole batches at once, the same for a sample whatever its batch.

Which way a sample is moved comes from a hash of (seed, view, index), not from a generator's state:
the soft-label cache and the training loop see the same view of a sample in any order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.config.data import Augment

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def view(x: Tensor, index: Tensor, settings: Augment, seed: int, view: int) -> Tensor:
    """View `view` of normalised images.

    View 0 is the samples as they are. Every other view mirrors half of the images (with `flip`),
    then moves each by -shift to shift pixels down and right; what is uncovered is 0, the mean
    colour. Features of recordings, whose rows are frames, are varied by `vary_sound`.

    Args:
        x: (B, C, H, W), normalised.
        index: (B,), int64, where the samples stand in their split.
        seed: chooses another family of views.
        view: from 0.

    Returns:
        (B, C, H, W), in the memory format of `x`.

    Raises:
        ValueError: x is no batch of images.
    """
    if view == 0 or not settings.active:
        return x
    if x.ndim != 4 or index.shape != x.shape[:1]:
        raise ValueError(f"x {tuple(x.shape)} and index {tuple(index.shape)} are not B images")
    if settings.of_audio:
        return vary_sound(x, index.to(x.device), settings, seed, view)
    down, right, mirrored = moves(index.to(x.device), settings, seed, view)
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device) - down[:, None]
    columns = torch.arange(width, device=x.device) - right[:, None]
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    return _gather(x, rows, columns)


def moves(index: Tensor, settings: Augment, seed: int, view: int) -> tuple[Tensor, Tensor, Tensor]:
    """How each sample is moved: pixels down, pixels right (int64), and whether it is mirrored.

    All are (B,).
    """
    bits = _hash(index, seed, view)
    choices = 2 * settings.shift + 1
    down = (bits & 0xFFFFFF) % choices - settings.shift
    right = ((bits >> 24) & 0xFFFFFF) % choices - settings.shift
    mirrored = ((bits >> 48) & 1).bool() & settings.flip
    return down, right, mirrored


def vary_sound(x: Tensor, index: Tensor, settings: Augment, seed: int, view: int) -> Tensor:
    """Features (B, 1, frames, mels) moved in time, with noise, then with a stretch of frames and a
    band of frequencies masked; what is uncovered or masked is 0, the mean.
    """
    frames, mels = x.shape[2:]
    down = _draw(index, seed, view, 1, 2 * settings.time_shift + 1) - settings.time_shift
    rows = torch.arange(frames, device=x.device) - down[:, None]
    columns = torch.arange(mels, device=x.device).expand(len(x), -1)
    x = _gather(x, rows, columns)
    if settings.noise:
        x = x + settings.noise * _gauss(x, index, seed, view)
    time = _mask(index, seed, view, 2, settings.mask_time, frames)
    frequency = _mask(index, seed, view, 4, settings.mask_frequency, mels)
    hidden = time[:, None, :, None] | frequency[:, None, None, :]
    return x.masked_fill(hidden, 0)


def _draw(index: Tensor, seed: int, view: int, stream: int, choices: int | Tensor) -> Tensor:
    """Whole numbers (B,) from 0 to choices - 1; each stream of a sample is independent."""
    return (_hash(index, _mix(seed & _MASK) + stream, view) & 0xFFFFFFFF) % choices


def _mask(index: Tensor, seed: int, view: int, stream: int, most: int, length: int) -> Tensor:
    """(B, length): a run of 0 to `most` true values somewhere, each length as likely."""
    width = _draw(index, seed, view, stream, min(most, length) + 1)
    start = _draw(index, seed, view, stream + 1, length - width + 1)
    place = torch.arange(length, device=index.device)
    return (place >= start[:, None]) & (place < (start + width)[:, None])


def _gauss(x: Tensor, index: Tensor, seed: int, view: int) -> Tensor:
    """Standard normal numbers of x's shape, of one channel (Box and Muller 1958)."""
    size = x[0].numel()
    places = index[:, None] * size + torch.arange(size, device=x.device)
    bits = _hash(places.flatten(), _mix(seed & _MASK) + 6, view)
    first = ((bits & 0xFFFFFF) + 1).to(torch.float32) / (1 << 24)
    second = (_shifted(bits, 32) & 0xFFFFFF).to(torch.float32) / (1 << 24)
    drawn = torch.sqrt(-2 * torch.log(first)) * torch.cos(2 * torch.pi * second)
    return drawn.view(x.shape).to(x.dtype)


def _gather(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """x (B, C, H, W) read at rows (B, H) and columns (B, W); 0 where they lie outside."""
    batch, channels, height, width = x.shape
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None
    ]
    place = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]
    if x.is_contiguous(memory_format=torch.channels_last):
        start = torch.arange(batch, device=x.device)[:, None, None] * (height * width)
        pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
        moved = pixels.index_select(0, (place + start).flatten()).mul_(
            inside.flatten()[:, None].to(x.dtype)
        )
        return moved.view(batch, height, width, channels).permute(0, 3, 1, 2)
    flat = place.view(batch, 1, -1).expand(-1, channels, -1)
    moved = x.flatten(2).gather(2, flat).view(x.shape)
    return moved.mul_(inside[:, None].to(x.dtype))


def _hash(index: Tensor, seed: int, view: int) -> Tensor:
    """64 mixed bits for each index, int64 (SplitMix64: Steele, Lea and Flood 2014)."""
    key = _mix(_mix(seed & _MASK) ^ (view & _MASK))
    z = index.to(torch.int64) * _signed(_GOLDEN) + _signed(key)
    z = (z ^ _shifted(z, 30)) * _signed(_FIRST)
    z = (z ^ _shifted(z, 27)) * _signed(_SECOND)
    return z ^ _shifted(z, 31)


def _mix(z: int) -> int:
    z = (z + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)


def _shifted(z: Tensor, by: int) -> Tensor:
    """A logical shift to the right: torch shifts the sign in."""
    return (z >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
