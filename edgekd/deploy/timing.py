"""How a bound on time is spent. Everything here is arithmetic; the clock is somebody else's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgekd.propose.candidates import COPY, Candidate

T = TypeVar("T")

MEASURING, TRIALS, SOFT_LABELS = 0.2, 0.15, 0.12
"""Shares of the whole time: measuring candidates, trials, the teacher's soft labels."""
QUALITY = 0.05
"""Share that calibration and robustness of the files may take, up to their default."""
SEARCHING = 0.5
"""Share that measuring may take while nothing fits yet."""
QAT = 0.25
"""Share of the training time that quantization-aware training gets at most."""
MARGIN = 0.1
"""Share of what is left that stays unplanned: machines are not steady."""
MOST_EPOCHS, MOST_FINETUNE, MOST_QAT = 60, 40, 10
"""Epochs beyond which more time is left unused: from scratch, of a pruned copy, through the
quantizer."""
FEW_EPOCHS = 10
"""Where fewer fit, there are no trials, and the end is made shorter: only the file that the budget
judges."""
LEAST_QAT = 2
"""Fewer epochs through the quantizer are not worth it: the network is only calibrated then."""
MOST_ENTRANTS = 4
"""Candidates that are tried out by training."""


@dataclass(frozen=True)
class Caps:
    """Bounds on the work beside that on the time."""

    candidates: int | None = None
    """Measurements of candidates."""
    epochs: int | None = None
    """Epochs of any training."""

    def epochs_of(self, candidate: Candidate) -> int:
        """Most epochs of a candidate's training; 0 for a copy that is not pruned."""
        if candidate.family == COPY and not candidate.prune:
            return 0
        most = MOST_FINETUNE if candidate.family == COPY else MOST_EPOCHS
        return most if self.epochs is None else min(most, self.epochs)

    @property
    def qat(self) -> int:
        """Most epochs through the quantizer."""
        return MOST_QAT if self.epochs is None else min(MOST_QAT, self.epochs)


@dataclass(frozen=True)
class Costs:
    """Measured seconds of one candidate."""

    epoch: float
    """An epoch with its validation."""
    qat_epoch: float
    """The same through the quantizer."""
    finish: float
    """Export, parity, measurement, report."""

    def slower(self, factor: float) -> Costs:
        """The same on a machine that has become so many times slower; a faster one may not last."""
        by = max(1.0, factor)
        return Costs(self.epoch * by, self.qat_epoch * by, self.finish * by)


@dataclass(frozen=True)
class Epochs:
    """What the time allows."""

    train: int
    """At least 1; 0 where there is nothing to train."""
    qat: int
    """0 means calibration only."""


def plan_epochs(left: float, costs: Costs, most: int, most_qat: int = MOST_QAT) -> Epochs:
    """Epochs of training and of QAT for the seconds that are left.

    Args:
        most: epochs of training beyond which nothing is gained; 0 for a copy that is not pruned.
        most_qat: the same of QAT.
    """
    usable = max(0.0, (left - costs.finish) * (1 - MARGIN))
    share = min(usable * QAT, usable - costs.epoch) if most else usable
    qat = min(most_qat, math.floor(max(0.0, share) / costs.qat_epoch))
    if qat < min(LEAST_QAT, most_qat):
        qat = 0
    rest = usable - qat * costs.qat_epoch
    train = max(1, min(most, math.floor(rest / costs.epoch))) if most else 0
    return Epochs(train, qat)


def least_minutes(spent: float, epoch: float, end: float) -> int:
    """The shortest bound, in whole minutes, that holds what was spent, an epoch and the end."""
    return math.ceil((spent + (epoch + end) / (1 - MARGIN)) / 60)


def worth_trials(left: float, epoch: float) -> bool:
    """Whether the training can pay for trials: where it is left with few epochs, each of them
    brings more than the choice between candidates, and a trial of a part of one says nothing.

    Args:
        left: seconds for the training after the trials.
        epoch: seconds of an epoch of the slowest candidate.
    """
    return left * (1 - MARGIN) >= FEW_EPOCHS * epoch


def entrants(candidates: int, seconds: float, least: float) -> int:
    """How many candidates the trials can take, each for at least `least` seconds.

    Args:
        seconds: for all trials together.
    """
    count = min(candidates, MOST_ENTRANTS)
    while count > 1 and seconds / _trainings(count) < least:
        count -= 1
    return count


def _trainings(count: int) -> int:
    """Trainings of a successive halving of `count` candidates."""
    total = 0
    while count > 1:
        total += count
        count = math.ceil(count / 2)
    return max(1, total)


def halving(
    candidates: Sequence[T], seconds: float, run: Callable[[T, float], float]
) -> tuple[T, list[tuple[T, float, float]]]:
    """Successive halving (Jamieson and Talwalkar 2016): each round trains all that are left for
    equal times, and the better half goes on; rounds take equal times, so that those that go on
    train for longer.

    Args:
        run: trains a candidate for about so many seconds and returns its score.

    Returns:
        The winner, and every training: candidate, seconds, score. One candidate wins untried.
    """
    left = list(candidates)
    rounds = math.ceil(math.log2(len(left))) if len(left) > 1 else 0
    trials: list[tuple[T, float, float]] = []
    for _ in range(rounds):
        each = seconds / rounds / len(left)
        scores = [run(candidate, each) for candidate in left]
        trials += [(c, each, score) for c, score in zip(left, scores, strict=True)]
        order = sorted(range(len(left)), key=lambda place: -scores[place])
        left = [left[place] for place in sorted(order[: math.ceil(len(left) / 2)])]
    if rounds:
        last = {id(candidate): score for candidate, _, score in trials}
        left.sort(key=lambda candidate: -last[id(candidate)])
    return left[0], trials
