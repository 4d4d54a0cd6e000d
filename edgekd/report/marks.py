"""Labels beside the bubbles of a plot, each where it covers least."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox, BboxBase

NEIGHBOUR = 30.0
"""Marks of one text that are nearer than this, in pixels, share a label."""


@dataclass(frozen=True)
class Mark:
    """A bubble with its whisker; positions in the axes' units, `radius` in pixels."""

    text: str
    colour: str
    x: float
    y: float
    low: float
    high: float
    radius: float


def label_marks(axes: Axes, marks: list[Mark]) -> None:
    """Writes each mark's text beside it, away from bubbles, whiskers and other labels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = cast("Figure", axes.figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()  # settles the layout, on which pixel positions depend
    taken = [box for mark in marks for box in _boxes(axes, mark)]
    frame = axes.get_window_extent(renderer)
    labelled: list[tuple[str, float, float]] = []
    for mark in sorted(marks, key=lambda mark: -mark.y):
        x, y = axes.transData.transform((mark.x, mark.y))
        if any(t == mark.text and math.hypot(x - u, y - v) < NEIGHBOUR for t, u, v in labelled):
            continue
        labelled.append((mark.text, x, y))
        best: tuple[float, Text, Bbox] | None = None
        for place in _places(mark.radius + 4):
            text = _write(axes, mark, place)
            box = text.get_window_extent(renderer)
            outside = box.width * box.height - _overlap(box, frame)
            cost = outside + sum(_overlap(box, other) for other in taken)
            if best is not None and cost > best[0] - 1:
                text.remove()
                continue
            if best is not None:
                best[1].remove()
            best = (cost, text, box)
        if best is not None:
            taken.append(best[2])


def _boxes(axes: Axes, mark: Mark) -> list[Bbox]:
    """What the mark covers, in pixels: its bubble and its whisker."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((mark.x, mark.y))
    ends = [axes.transData.transform((mark.x, end))[1] for end in (mark.low, mark.high)]
    r = mark.radius
    return [
        Bbox.from_extents(x - r, y - r, x + r, y + r),
        Bbox.from_extents(x - 3, min(ends) - 2, x + 3, max(ends) + 2),
    ]


def _write(axes: Axes, mark: Mark, place: tuple[float, float, str]) -> Text:
    dx, dy, side = place
    return axes.annotate(
        mark.text,
        (mark.x, mark.y),
        (dx, dy),
        textcoords="offset points",
        ha=side,
        va="center",
        color=mark.colour,
        fontsize=11,
    )


def _places(gap: float) -> list[tuple[float, float, str]]:
    """Offsets and alignments to try, the nearest first."""
    near = [(gap, 0.0, "left"), (-gap, 0.0, "right")]
    for height in (gap + 4, gap + 18, gap + 32):
        for dy in (height, -height):
            near += [(5, dy, "left"), (-5, dy, "right")]
    return near


def _overlap(one: BboxBase, other: BboxBase) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(0.0, width) * max(0.0, height)
