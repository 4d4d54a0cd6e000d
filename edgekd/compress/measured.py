"""Pruning to a size or a time that only a file can tell, by few measurements.

Both grow with what can be counted (parameters, multiply-accumulates), nearly in a straight line
that does not start at zero: a line through what was measured guesses the next count, and ends when
a network that keeps the limit is close to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from edgekd.errors import StageError

CLOSE = 0.98
"""A file with this share of the limit is near enough."""
REFINEMENTS = 4
"""Measurements, at most, after the first network that keeps the limit."""
LEAST_STEP = 0.05
"""Share of the count that each next network is smaller, at least, until one keeps the limit."""
SHOWN = {
    "bytes": lambda value: f"{value / 1000:.1f} kB",
    "latency": lambda us: f"{us / 1000:.3f} ms",
}


@dataclass(frozen=True)
class Cut:
    """A pruned network."""

    model: nn.Module
    count: float
    """Its parameters or multiply-accumulates."""


def down_to(
    limit: float,
    before: float,
    count: float,
    cut: Callable[[float], Cut],
    measure: Callable[[nn.Module], float],
    target: str,
) -> nn.Module:
    """The largest network found whose measured size or time is at most `limit`.

    Args:
        before: measured of the whole network.
        count: of the whole network.
        cut: the network with a count of at most this; or as small as it gets.
        measure: in the unit of `limit`.
        target: `bytes` or `latency`, for the error.

    Raises:
        StageError: the smallest network does not keep the limit.
    """
    best: tuple[Cut, float] | None = None
    if before <= limit:
        return cut(count).model
    over = [(count, before)]
    wanted, left = count * limit / before, REFINEMENTS
    while left:
        found = cut(wanted)
        if best is not None and found.count <= best[0].count:
            break  # no network lies between the two
        reached = measure(found.model)
        if reached <= limit:
            best = (found, reached)
            if reached >= CLOSE * limit:
                break
        else:
            over.append((found.count, reached))
            if found.count > wanted:
                raise _unreachable(target, limit, before, reached)
        left -= best is not None
        wanted = _next(limit, over, best and (best[0].count, best[1]))
    assert best is not None
    return best[0].model


def _next(
    limit: float, over: list[tuple[float, float]], under: tuple[float, float] | None
) -> float:
    """The count at which a line through two measurements keeps the limit."""
    nearest = min(over)
    other = under or (max(over[:-1] or over))
    rise = (nearest[1] - other[1]) / (nearest[0] - other[0]) if nearest[0] != other[0] else 0.0
    guess = nearest[0] + (limit - nearest[1]) / rise if rise > 0 else 0.0
    if under is None:
        return min(guess, (1 - LEAST_STEP) * nearest[0]) if guess > 0 else nearest[0] / 2
    margin = (nearest[0] - under[0]) / 10
    return min(max(guess, under[0] + margin), nearest[0] - margin)


def _unreachable(target: str, limit: float, before: float, reached: float) -> StageError:
    show = SHOWN[target]
    return StageError(
        f"Pruning cannot bring the {target} of the file down to {show(limit)}.",
        where=f"the whole network's file has {show(before)}, the smallest that pruning makes of it "
        f"{show(reached)}",
        fix="lower prune.round_to, allow more, or start from another network",
    )
