"""Contact sheets: a picture with a row of samples for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 12
"""Samples of a class."""
TILE, GAP, MARGIN, TEXT = 72, 6, 16, 15
"""Pixels."""
MOST_ROWS = 100
"""Classes on a sheet."""
PAPER, INK, FAINT = (250, 250, 248), (30, 30, 34), (120, 120, 126)
WHITE = (255, 255, 255)
LINES = ((31, 90, 166), (204, 85, 0), (0, 125, 90), (150, 40, 130), (110, 110, 20))
"""Of channels, again from the first where there are more."""
HEAT = np.array(
    [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]], np.float64
)
"""From low to high: five colours of matplotlib's magma."""
Row = tuple[str, int, Sequence[Image.Image]]
"""A class, the number of its samples, and some of them."""


def draw_sheet(title: str, rows: Sequence[Row], path: Path) -> None:
    """Writes the sheet as a PNG file; tiles keep their proportions."""
    font, bold = ImageFont.load_default(TEXT), ImageFont.load_default(TEXT + 5)
    rows, left_out = rows[:MOST_ROWS], len(rows[MOST_ROWS:])
    label = max(font.getlength(_short(name)) for name, _, _ in rows)
    label = int(max(label, font.getlength("100,000"))) + 2 * GAP
    columns = max(1, *(len(tiles) for _, _, tiles in rows))
    head = MARGIN + 2 * TEXT
    width = max(2 * MARGIN + label + columns * (TILE + GAP), int(bold.getlength(title)) + 40)
    height = head + len(rows) * (TILE + GAP) + MARGIN + (TEXT + GAP) * bool(left_out)
    page = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN // 2), title, INK, bold)
    for number, (name, count, tiles) in enumerate(rows):
        top = head + number * (TILE + GAP)
        draw.text((MARGIN, top + TILE // 2 - TEXT), _short(name), INK, font)
        draw.text((MARGIN, top + TILE // 2 + 3), f"{count:,}", FAINT, font)
        for column, tile in enumerate(tiles):
            fitted = _fitted(tile)
            left = MARGIN + label + column * (TILE + GAP)
            page.paste(
                fitted, (left + (TILE - fitted.width) // 2, top + (TILE - fitted.height) // 2)
            )
    if left_out:
        draw.text((MARGIN, height - MARGIN - TEXT), f"and {left_out} more classes", FAINT, font)
    page.save(path, "PNG")


def spread(count: int) -> NDArray[np.int64]:
    """Which of so many samples are shown: up to `COLUMNS`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, COLUMNS)).round().astype(np.int64))


def heat(features: NDArray[Any]) -> Image.Image:
    """Features (frames, mels) as a picture, time to the right and low frequencies below."""
    shown = np.asarray(features, np.float64).T[::-1]
    low, high = np.percentile(shown, [5, 99.5])
    scaled = ((shown - low) / max(high - low, 1e-9)).clip(0, 1) * (len(HEAT) - 1)
    pixels = [np.interp(scaled, range(len(HEAT)), HEAT[:, colour]) for colour in range(3)]
    return Image.fromarray(np.stack(pixels, 2).astype(np.uint8))


def sample(values: NDArray[Any], low: float, high: float) -> Image.Image:
    """A sample of a data set: an image (C, H, W) with values from low to high, or a row of numbers
    as stripes.
    """
    image = np.asarray(values, np.float32).reshape((*(1,) * (3 - values.ndim), *values.shape))
    scaled = ((image[:3] - low) / max(high - low, 1e-9) * 255).clip(0, 255).astype(np.uint8)
    colours = scaled if len(scaled) == 3 else np.repeat(scaled[:1], 3, 0)
    return Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0)))


def waves(values: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> Image.Image:
    """A window (C, T) as lines over time, each channel in its own colour and scaled by its own
    range, `low` to `high` (C,).
    """
    side = 2 * TILE
    page = Image.new("RGB", (side, side), WHITE)
    draw = ImageDraw.Draw(page)
    span = np.maximum(np.asarray(high, np.float64) - low, 1e-9)[:, None]
    heights = side - 3 - (np.asarray(values, np.float64) - low[:, None]) / span * (side - 6)
    across = np.linspace(0, side - 1, values.shape[1])
    for number, line in enumerate(heights):
        points = np.stack([across, line], 1).ravel().tolist()
        draw.line(points, LINES[number % len(LINES)], 2)
    return page


def heard(mono: NDArray[Any], features: NDArray[Any]) -> Image.Image:
    """A recording: its waveform above its features."""
    side = 2 * TILE
    page = Image.new("RGB", (side, side), WHITE)
    peak = max(float(np.abs(mono).max()), 1e-9)
    columns = np.array_split(mono, side) if len(mono) >= side else [mono]
    draw, middle = ImageDraw.Draw(page), side // 6
    for place, part in enumerate(columns):
        top, bottom = (middle - middle * float(v) / peak for v in (part.max(), part.min()))
        draw.line((place, top, place, bottom), LINES[0])
    page.paste(heat(features).resize((side, side - side // 3)), (0, side // 3))
    return page


def _fitted(tile: Image.Image) -> Image.Image:
    """The tile in a square of `TILE`, small ones enlarged by whole pixels."""
    factor = TILE / max(tile.size)
    size = (max(1, round(tile.width * factor)), max(1, round(tile.height * factor)))
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    return tile.convert("RGB").resize(size, how)


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 3] + "..."
