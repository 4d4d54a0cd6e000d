"""RandAugment (Cubuk, Zoph, Shlens and Le 2020), on whole batches.

The fourteen operations of the paper's table 6 and their ranges as in torchvision; the sign of an
operation that has two directions is drawn. Each image draws its own operations, and those that drew
the same are computed together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from edgekd.config.data import Augment
from edgekd.data.colours import brightness, contrast, saturation
from edgekd.data.hashing import draw

ROTATE, SHEAR, TRANSLATE, ENHANCE, BITS = math.radians(30), 0.3, 150 / 331, 0.9, 4
"""At magnitude 1: an angle, a slope, a share of the side, a change of a factor from 1, and bits."""
LEVELS = 255


def rand_augment(
    p: Tensor, index: Tensor, settings: Augment, seed: int, view: int, fill: Tensor
) -> Tensor:
    """Pixels (B, C, H, W) from 0 to 1 after `settings.rand_augment` operations each.

    Args:
        fill: (C,), the colour of what is uncovered.
    """
    for layer in range(settings.rand_augment):
        chosen = draw(index, seed, view, 20 + 2 * layer, len(OPERATIONS))
        sign = 1.0 - 2.0 * draw(index, seed, view, 21 + 2 * layer, 2).double()
        changed = p.clone(memory_format=torch.contiguous_format)
        for number, operation in enumerate(OPERATIONS.values()):
            which = (chosen == number).nonzero()[:, 0]
            if len(which) and operation is not None:
                amount = settings.magnitude * sign[which]
                changed[which] = operation(p[which].contiguous(), amount, fill)
        p = changed
    return p


def warp(p: Tensor, matrix: Tensor, fill: Tensor) -> Tensor:
    """Each output pixel read from the nearest input pixel; outside of the image, `fill` (C,).

    Args:
        matrix: (B, 2, 3), float64, from (x, y, 1) of the output to (x, y) of the input, in pixels
            from the image's middle.
    """
    batch, channels, height, width = p.shape
    y = torch.arange(height, device=p.device, dtype=torch.float64)[:, None] + 0.5 - height / 2
    x = torch.arange(width, device=p.device, dtype=torch.float64)[None] + 0.5 - width / 2
    a, b, c, d, e, f = matrix.flatten(1).T[:, :, None, None]
    column = torch.floor(a * x + b * y + c + width / 2).long()
    row = torch.floor(d * x + e * y + f + height / 2).long()
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    flat = place.view(batch, 1, -1).expand(-1, channels, -1)
    moved = p.flatten(2).gather(2, flat).view(p.shape)
    return torch.where(inside[:, None], moved, fill.to(p.dtype).view(1, -1, 1, 1))


def rotate(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Turned about the middle by `amount` (B,) times 30 degrees."""
    cos, sin = torch.cos(amount * ROTATE), torch.sin(amount * ROTATE)
    zero = torch.zeros_like(cos)
    return warp(p, _matrix(cos, sin, zero, -sin, cos, zero), fill)


def shear_x(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Rows moved by up to 0.3 pixels a row."""
    one, zero = torch.ones_like(amount), torch.zeros_like(amount)
    return warp(p, _matrix(one, amount * SHEAR, zero, zero, one, zero), fill)


def shear_y(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Columns moved by up to 0.3 pixels a column."""
    one, zero = torch.ones_like(amount), torch.zeros_like(amount)
    return warp(p, _matrix(one, zero, zero, amount * SHEAR, one, zero), fill)


def translate_x(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Moved sideways by whole pixels, up to 0.45 of the width."""
    one, zero = torch.ones_like(amount), torch.zeros_like(amount)
    by = torch.round(amount * TRANSLATE * p.shape[3])
    return warp(p, _matrix(one, zero, by, zero, one, zero), fill)


def translate_y(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Moved up or down by whole pixels, up to 0.45 of the height."""
    one, zero = torch.ones_like(amount), torch.zeros_like(amount)
    by = torch.round(amount * TRANSLATE * p.shape[2])
    return warp(p, _matrix(one, zero, zero, zero, one, by), fill)


def sharpness(p: Tensor, factor: Tensor) -> Tensor:
    """The distance from a smoothed image times a factor (B,); the border stays as it is.

    The smoothing is PIL's: (1 1 1; 1 5 1; 1 1 1) / 13.
    """
    height, width = p.shape[2:]
    if min(height, width) < 3:
        return p
    near = [p[:, :, i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    smooth = p.clone()
    smooth[:, :, 1:-1, 1:-1] = (sum(near[1:], near[0]) + 4 * near[4]) / 13
    by = factor.to(p.dtype)[:, None, None, None]
    return (by * p + (1 - by) * smooth).clamp(0, 1)


def posterize(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """8-bit levels with 8 - round(4 |amount|) bits left; `fill` is not used."""
    gone = torch.round(BITS * amount.abs()).long()[:, None, None, None]
    return ((_levels(p) >> gone) << gone).to(p.dtype) / LEVELS


def solarize(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Pixels from 1 - |amount| on are inverted; `fill` is not used."""
    threshold = (1 - amount.abs()).to(p.dtype)[:, None, None, None]
    return torch.where(p < threshold, p, 1 - p)


def autocontrast(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Each channel stretched from 0 to 1; neither `amount` nor `fill` is used."""
    low, high = p.amin((2, 3), keepdim=True), p.amax((2, 3), keepdim=True)
    flat = high <= low
    return torch.where(flat, p, (p - low) / torch.where(flat, 1, high - low))


def equalize(p: Tensor, amount: Tensor, fill: Tensor) -> Tensor:
    """Each channel with a flat histogram of 8-bit levels, as PIL's ImageOps.equalize computes it;
    neither `amount` nor `fill` is used.
    """
    levels = _levels(p).flatten(2)
    counts = torch.zeros(*levels.shape[:2], LEVELS + 1, dtype=torch.int64, device=p.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    last = levels.amax(2, keepdim=True)
    step = (levels.shape[2] - counts.gather(2, last)) // LEVELS
    before = counts.cumsum(2) - counts
    table = (step // 2 + before) // step.clamp(min=1)
    table = torch.where(step > 0, table.clamp(max=LEVELS), torch.arange(LEVELS + 1).to(p.device))
    return (table.gather(2, levels).to(p.dtype) / LEVELS).view(p.shape)


def _levels(p: Tensor) -> Tensor:
    return (p * LEVELS).round().long()


def _matrix(*numbers: Tensor) -> Tensor:
    return torch.stack(numbers, 1).view(-1, 2, 3)


def _enhanced(change: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda p, amount, fill: change(p, 1 + ENHANCE * amount)


Operation = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From pixels, signed amounts (B,) and the fill colour to pixels."""
OPERATIONS: dict[str, Operation | None] = {
    "identity": None,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
    "brightness": _enhanced(brightness),
    "saturation": _enhanced(saturation),
    "contrast": _enhanced(contrast),
    "sharpness": _enhanced(sharpness),
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}
"""By name; `saturation`, the paper's Color, changes nothing in grey images."""
