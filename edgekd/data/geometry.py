"""Images moved and mirrored: whole batches read at other places."""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.config.data import Augment
from edgekd.data.hashing import draw, hashed


def moves(index: Tensor, settings: Augment, seed: int, view: int) -> tuple[Tensor, Tensor, Tensor]:
    """How each sample is moved: pixels down, pixels right (int64), and whether it is mirrored.

    All are (B,).
    """
    bits = hashed(index, seed, view)
    choices = 2 * settings.shift + 1
    down = (bits & 0xFFFFFF) % choices - settings.shift
    right = ((bits >> 24) & 0xFFFFFF) % choices - settings.shift
    mirrored = ((bits >> 48) & 1).bool() & settings.flip
    return down, right, mirrored


def upside_down(index: Tensor, seed: int, view: int) -> Tensor:
    """Which samples (B,) are turned upside down: half of them."""
    return ((hashed(index, seed, view) >> 49) & 1).bool()


def square(
    index: Tensor, side: int, size: tuple[int, ...] | torch.Size, seed: int, view: int
) -> Tensor:
    """A square (B, H, W) of true values; its middle lies anywhere in the image, and what would lie
    outside is cut off (DeVries and Taylor 2017, section 3.2).
    """
    height, width = size
    hidden = []
    for stream, length in ((10, height), (11, width)):
        start = draw(index, seed, view, stream, length) - side // 2
        place = torch.arange(length, device=index.device)
        hidden.append((place >= start[:, None]) & (place < (start + side)[:, None]))
    return hidden[0][:, :, None] & hidden[1][:, None]


def gather(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
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
