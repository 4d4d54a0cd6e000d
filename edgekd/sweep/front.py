"""The Pareto front of points, and the hypervolume that it dominates. All figures are costs: less is
better, so an accuracy counts as the share of wrong answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, ...]


def dominates(one: Point, other: Point) -> bool:
    """Whether `one` is nowhere worse than `other`, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front_of(points: Sequence[Point]) -> list[int]:
    """The places of the points that no other dominates; of equal ones, the first only."""
    return [
        place
        for place, point in enumerate(points)
        if not any(dominates(other, point) for other in points) and points.index(point) == place
    ]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume of what the points dominate up to a reference (Zitzler and Thiele 1998, "size of
    the space covered"), exactly, by slices along the last objective.

    Args:
        points: of any number of objectives, one or more.
        reference: a point that is worse; what is not better in every objective counts nothing.
    """
    inside = [p for p in points if all(a < b for a, b in zip(p, reference, strict=True))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(p[0] for p in inside)
    ordered = sorted(inside, key=lambda p: p[-1])
    ends = [p[-1] for p in ordered[1:]] + [reference[-1]]
    total = 0.0
    for count, (point, end) in enumerate(zip(ordered, ends, strict=True), start=1):
        if end > point[-1]:
            below = [p[:-1] for p in ordered[:count]]
            total += (end - point[-1]) * hypervolume(below, reference[:-1])
    return total


def covered(points: Sequence[Point], ideal: Point, reference: Point) -> float | None:
    """The hypervolume as a share of the box from the best figure of each objective to the
    reference, 0 to 1, so that units do not matter. Objectives that do not vary are left out.

    Returns:
        None where none varies.
    """
    varying = [k for k, (a, b) in enumerate(zip(ideal, reference, strict=True)) if a < b]
    if not varying:
        return None
    scaled = [
        tuple(max(0.0, (p[k] - ideal[k]) / (reference[k] - ideal[k])) for k in varying)
        for p in points
    ]
    return min(1.0, hypervolume(scaled, (1.0,) * len(varying)))


def corners(points: Sequence[Point]) -> tuple[Point, Point]:
    """The best and the worst figure of each objective.

    Raises:
        ValueError: there is no point.
    """
    if not points:
        raise ValueError("a front needs a point")
    finite = [p for p in points if all(math.isfinite(x) for x in p)]
    columns = list(zip(*(finite or points), strict=True))
    return tuple(map(min, columns)), tuple(map(max, columns))
