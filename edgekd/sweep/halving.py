"""Which trainings end early: asynchronous successive halving (Li et al. 2020, "A System for
Massively Parallel Hyperparameter Tuning", algorithm 2) on validation, among trials that cost no
more.

The rule of one objective would end every small network, as a larger one is mostly more accurate.
Here a trial is compared with those alone that are as cheap or cheaper in every other objective:
only they can push it off the front. At a ninth and at a third of its epochs it must be among their
better third.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.distill.tuning import FACTOR

RUNGS = (1 / FACTOR**2, 1 / FACTOR)
"""Shares of a trial's epochs at which it is judged."""
FEWEST = FACTOR
"""So many trials must have come to a rung before one ends there."""


@dataclass(frozen=True)
class Curve:
    """How a trial's training went so far."""

    scores: tuple[float, ...]
    """On validation, after each epoch."""
    epochs: int
    """Of the whole training."""
    costs: tuple[float, ...]
    """In the other objectives: less is better. Only trials with as many are compared."""

    def at(self, share: float) -> float | None:
        """The best score up to a share of the epochs; None if it has not come so far."""
        epoch = at_epoch(share, self.epochs)
        return max(self.scores[:epoch]) if len(self.scores) >= epoch else None


def at_epoch(share: float, epochs: int) -> int:
    """The epoch, from 1, with which a share of all epochs is over."""
    return max(1, math.ceil(share * epochs))


def is_behind(now: Curve, others: Sequence[Curve]) -> bool:
    """Whether a trial whose last epoch is a rung should end there.

    Args:
        others: all other trials, finished, ended or under way.
    """
    shares = [s for s in RUNGS if at_epoch(s, now.epochs) == len(now.scores) < now.epochs]
    cheap = [
        o
        for o in others
        if len(o.costs) == len(now.costs)
        and all(a <= b for a, b in zip(o.costs, now.costs, strict=True))
    ]
    for share in shares:
        own = now.at(share)
        rivals = [score for o in cheap if (score := o.at(share)) is not None]
        if own is None or len(rivals) + 1 < FEWEST:
            continue
        places = max(1, (len(rivals) + 1) // FACTOR)
        if sum(score > own for score in rivals) >= places:
            return True
    return False
