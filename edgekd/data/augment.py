"""Variations of samples: whole batches at once, the same for a sample whatever its batch.

How a sample is varied comes from a hash of (seed, view, index), not from a generator's state: the
soft-label cache and the training loop see the same view of a sample in any order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.config.data import Augment
from edgekd.data.colours import to_unit, vary_colours
from edgekd.data.geometry import gather, moves, square, upside_down
from edgekd.data.rand_augment import rand_augment
from edgekd.data.series_views import vary_series
from edgekd.data.sound_views import vary_sound
from edgekd.spec import InputSpec

__all__ = ["moves", "view"]


def view(
    x: Tensor,
    index: Tensor,
    settings: Augment,
    seed: int,
    view: int,
    spec: InputSpec | None = None,
) -> Tensor:
    """View `view` of normalised samples, before they are mixed with others (see `data.mixing`).

    View 0 is the samples as they are. In every other view half of the images are mirrored (with
    `flip`, `flip_vertical`), each is moved by -shift to shift pixels down and right, recoloured,
    and has a square erased; what is uncovered or erased is 0, the mean colour. Features of
    recordings, whose rows are frames, are varied by `vary_sound`, windows of a signal by
    `vary_series`.

    Args:
        x: (B, C, H, W), normalised, or windows (B, C, T); other shapes where only mixing is asked
            for.
        index: (B,), int64, where the samples stand in their split.
        seed: chooses another family of views.
        view: from 0.
        spec: mean, deviation and peak of x; needed for colours and a recording's `gain`.

    Returns:
        As x, in its memory format.

    Raises:
        ValueError: x is no batch of images or windows, or `spec` is missing.
    """
    if view == 0 or not (settings.of_images or settings.of_audio):
        return x
    windows = x.ndim == 3 and not settings.of_images
    if not (x.ndim == 4 or windows) or index.shape != x.shape[:1]:
        raise ValueError(f"x {tuple(x.shape)} and index {tuple(index.shape)} are not B images")
    index = index.to(x.device)
    if windows:
        return vary_series(x, index, settings, seed, view)
    if settings.of_audio:
        return vary_sound(x, index, settings, seed, view, spec)
    return _vary_image(x, index, settings, seed, view, spec)


def _vary_image(
    x: Tensor, index: Tensor, settings: Augment, seed: int, view: int, spec: InputSpec | None
) -> Tensor:
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    if settings.shift or settings.flip or settings.flip_vertical:
        x = _moved(x, index, settings, seed, view)
    if settings.colours:
        pixels, back = to_unit(x, spec)
        if settings.rand_augment:
            fill = torch.as_tensor(back.mean, device=x.device) / back.peak
            pixels = rand_augment(pixels, index, settings, seed, view, fill)
        x = back.normalised(vary_colours(pixels, index, settings, seed, view))
    if settings.erase:
        x = x.masked_fill(square(index, settings.erase, x.shape[2:], seed, view)[:, None], 0)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


def _moved(x: Tensor, index: Tensor, settings: Augment, seed: int, view: int) -> Tensor:
    down, right, mirrored = moves(index, settings, seed, view)
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device) - down[:, None]
    columns = torch.arange(width, device=x.device) - right[:, None]
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    if settings.flip_vertical:
        turned = upside_down(index, seed, view)
        rows = torch.where(turned[:, None], height - 1 - rows, rows)
    return gather(x, rows, columns)
