"""Brightness, contrast, saturation: pixels blended with black, their mean, their grey.

The formulas are those of PIL's ImageEnhance and of torchvision's ColorJitter, without rounding to
whole levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgekd.config.data import Augment
from edgekd.data.hashing import uniform
from edgekd.spec import InputSpec

GREY = (19595 / 65536, 38470 / 65536, 7471 / 65536)
"""Weights of red, green and blue in grey: ITU-R 601-2, as Pillow has them."""
FINE = 1 << 20
"""Steps of a pixel's range in which a mean is summed: whole numbers add up to the same in any
order, so that an image has the same mean in any batch."""


@dataclass(frozen=True)
class Scale:
    """How normalised values become pixels from 0 to 1, and back."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    peak: float

    def unit(self, x: Tensor) -> Tensor:
        """Pixels from 0 to 1 of normalised ones (B, C, H, W)."""
        mean, std = self._channels(x)
        return ((x * std + mean) / self.peak).clamp(0, 1)

    def normalised(self, pixels: Tensor) -> Tensor:
        """The other way."""
        mean, std = self._channels(pixels)
        return (pixels * self.peak - mean) / std

    def _channels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (
            torch.tensor(values, dtype=x.dtype, device=x.device).view(1, -1, 1, 1)
            for values in (self.mean, self.std)
        )
        return mean, std


def to_unit(x: Tensor, spec: InputSpec | None) -> tuple[Tensor, Scale]:
    """Pixels from 0 to 1, and the scale that leads back.

    Raises:
        ValueError: the scale is not known.
    """
    if spec is None or spec.peak is None:
        raise ValueError("colours can only be varied where the pixels' peak is known")
    scale = Scale(spec.mean, spec.std, spec.peak)
    return scale.unit(x), scale


def vary_colours(p: Tensor, index: Tensor, settings: Augment, seed: int, view: int) -> Tensor:
    """Pixels (B, C, H, W) from 0 to 1 with another brightness, then contrast, then saturation."""
    for stream, strength, change in (
        (12, settings.brightness, brightness),
        (13, settings.contrast, contrast),
        (14, settings.saturation, saturation),
    ):
        if strength:
            p = change(p, 1 + strength * (2 * uniform(index, seed, view, stream) - 1))
    return p


def brightness(p: Tensor, factor: Tensor) -> Tensor:
    """Pixels (B, C, H, W) times a factor (B,): 0 is black, 1 changes nothing."""
    return _blend(p, torch.zeros_like(p), factor)


def contrast(p: Tensor, factor: Tensor) -> Tensor:
    """The distance from the image's mean grey times a factor (B,)."""
    total = (grey(p) * FINE).round().to(torch.int64).sum((1, 2, 3), keepdim=True)
    mean = total.double() / (FINE * p.shape[2] * p.shape[3])
    return _blend(p, mean.to(p.dtype).expand_as(p), factor)


def saturation(p: Tensor, factor: Tensor) -> Tensor:
    """The distance from the pixel's grey times a factor (B,)."""
    return _blend(p, grey(p).expand_as(p), factor)


def grey(p: Tensor) -> Tensor:
    """(B, 1, H, W), the luminance of colour images; grey images as they are."""
    if p.shape[1] != len(GREY):
        return p[:, :1]
    red, green, blue = (weight * p[:, i : i + 1] for i, weight in enumerate(GREY))
    return red + green + blue


def _blend(p: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    factor = factor.to(p.dtype)[:, None, None, None]
    return (factor * p + (1 - factor) * other).clamp(0, 1)
