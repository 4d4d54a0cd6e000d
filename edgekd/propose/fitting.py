"""The largest network of each family that keeps the limits, by measurement, and their order.

Within a family size and time grow with the width, so a few measurements from a guess on find the
largest member that fits. The families take turns. Of those that fit, those that compute most come
first: at equal cost, more work means more capacity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgekd.config.budget import BudgetSettings
from edgekd.errors import StageError
from edgekd.propose.candidates import COPY, Candidate, Family, TooSmall
from edgekd.propose.measure import Measured, misses

WEIGHTS_LEFT = 0.9
"""Share of the parameters that certainly stands in a file: normalisation is folded away."""
MACS_PER_US = 5000.0
"""Guess of a processor's int8 speed until something has been measured."""
OVERHEAD = 8000
"""Guess of what a file holds beside a byte for each parameter: its structure, scales, metadata."""


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate."""

    candidate: Candidate
    measured: Measured | None
    """None where there is no such file."""
    reasons: tuple[str, ...]
    """Why it is out; empty if it fits."""
    by_weights: bool = False
    """Its weights alone are too large, so that it was not measured."""
    too_small: bool = False
    """There is no such network; a larger one of the family may be."""

    @property
    def fits(self) -> bool:
        """Whether it keeps every limit."""
        return self.measured is not None and not self.reasons


def propose(
    families: Sequence[Family],
    budget: BudgetSettings,
    measure: Callable[[Candidate, Family], Measured],
    may_go_on: Callable[[bool], bool],
    told: Callable[[Outcome], None] = lambda _: None,
) -> tuple[list[Outcome], list[str]]:
    """Measures candidates until the largest of each family that fits is known.

    The families take turns, so that each is seen early: copies first, then those whose guess
    computes most.

    Args:
        measure: the file of a candidate; StageError puts it out.
        may_go_on: asked before each measurement but the first, with whether anything fits yet;
            once it says no, what is known is the answer. If that is nothing, the smallest network
            that is left has a last chance.
        told: hears what became of each as it is measured.

    Returns:
        Every outcome, those that fit first, in the order of `rank`; and families of which it is
        not known whether any would fit.
    """
    possible, outcomes = _by_weights(families, budget)
    walks = [Walk(family, budget) for family in possible]
    walks.sort(key=lambda walk: (walk.family.name != COPY, -walk.guessed_macs(Rates())))
    rates, measured_any = Rates(), False

    def take(walk: Walk) -> None:
        nonlocal rates, measured_any
        outcome = walk.step(rates, measure)
        outcomes.append(outcome)
        told(outcome)
        measured_any = True
        if outcome.measured is not None:
            rates = Rates.of(outcome.measured)

    while active := [walk for walk in walks if not walk.over]:
        for walk in active:
            if measured_any and not may_go_on(any(o.fits for o in outcomes)):
                if not any(o.fits for o in outcomes):
                    take(min((w for w in walks if not w.over), key=Walk.jump_to_smallest))
                return rank(outcomes), [w.family.name for w in walks if w.unknown]
            take(walk)
    return rank(outcomes), []


def _by_weights(
    families: Sequence[Family], budget: BudgetSettings
) -> tuple[list[Family], list[Outcome]]:
    """Those that may keep the size, and what to say of those whose weights alone are too large at
    a byte each. If that is all of them, the smallest is measured nevertheless, to have a figure.
    """
    if budget.size is None or not families:
        return list(families), []
    large = [f for f in families if WEIGHTS_LEFT * f.parameters[0] > budget.size]
    if len(large) == len(families):
        large.remove(min(large, key=lambda family: family.parameters[0]))
    reason = "weights of {:,} bytes and more"
    return [f for f in families if f not in large], [
        Outcome(f.members[0], None, (reason.format(f.parameters[0]),), by_weights=True)
        for f in large
    ]


@dataclass(frozen=True)
class Rates:
    """How a file follows from a network: a guess until one has been measured."""

    macs_per_us: float = MACS_PER_US
    overhead: int = OVERHEAD
    """Bytes of the file beside one for each parameter."""

    @classmethod
    def of(cls, measured: Measured) -> Rates:
        """Of the last candidate."""
        return cls(measured.macs / measured.p50, measured.bytes - measured.parameters)


def first_guess(family: Family, budget: BudgetSettings, rates: Rates) -> int:
    """The largest member that would keep the limits at such rates; the smallest if none would."""
    longest = min(
        (t for limit in budget.latency for t in (limit.p50, limit.p90) if t), default=None
    )
    best = 0
    for place, (size, work) in enumerate(zip(family.parameters, family.macs, strict=True)):
        small = budget.size is None or size + rates.overhead <= budget.size
        quick = longest is None or work <= longest * rates.macs_per_us
        if small and quick:
            best = place
    return best


class Walk:
    """The search for the largest member of a family that fits.

    Size and time grow with the place, so every measurement halves or bounds what is left; the next
    is where the last one's figures, scaled by parameters and multiplications, just keep the limits.
    """

    def __init__(self, family: Family, budget: BudgetSettings) -> None:
        self.family, self.budget = family, budget
        self.low, self.high = -1, len(family.members)
        """The largest place that fits, the smallest that does not."""
        self.fits = False
        self._last: tuple[int, Measured] | None = None

    @property
    def over(self) -> bool:
        """Whether the largest that fits, or that none does, is known."""
        return self.low + 1 >= self.high

    @property
    def unknown(self) -> bool:
        """Whether one may fit that was not measured, and none is known to."""
        return not self.over and not self.fits

    def guessed_macs(self, rates: Rates) -> int:
        """Multiplications of the first guess."""
        return self.family.macs[first_guess(self.family, self.budget, rates)]

    def jump_to_smallest(self) -> int:
        """Parameters of the smallest member that is left, which is measured next."""
        self.high = self.low + 2
        return self.family.parameters[self.low + 1]

    def step(self, rates: Rates, measure: Callable[[Candidate, Family], Measured]) -> Outcome:
        """Measures the next member.

        Args:
            rates: of the network that was measured last, where this family has not been yet.
        """
        place = min(max(self._guess(rates), self.low + 1), self.high - 1)
        outcome = _outcome(self.family.members[place], self.family, self.budget, measure)
        if outcome.fits:
            self.low, self.fits = place, True
        elif outcome.measured is not None:
            self.high = place
        elif outcome.too_small:
            self.low = place
        else:
            self.high = self.low + 1  # no other could be exported either
        if outcome.measured is not None:
            self._last = (place, outcome.measured)
        return outcome

    def _guess(self, rates: Rates) -> int:
        if self._last is None:
            return first_guess(self.family, self.budget, rates)
        at, measured = self._last
        sizes, work = self.family.parameters, self.family.macs

        def keeps(place: int) -> bool:
            by_size = sizes[place] / max(1, sizes[at])
            by_work = work[place] / max(1, work[at])
            latency = tuple(
                (limit, p50 * by_work, None if p90 is None else p90 * by_work)
                for limit, p50, p90 in measured.latency
            )
            return not misses(
                replace(measured, bytes=int(measured.bytes * by_size), latency=latency),
                self.budget,
            )

        return max((place for place in range(len(sizes)) if keeps(place)), default=0)


def _outcome(
    candidate: Candidate,
    family: Family,
    budget: BudgetSettings,
    measure: Callable[[Candidate, Family], Measured],
) -> Outcome:
    try:
        measured = measure(candidate, family)
    except TooSmall as error:
        return Outcome(candidate, None, (error.what,), too_small=True)
    except StageError as error:
        return Outcome(candidate, None, (error.what,))
    return Outcome(candidate, measured, tuple(misses(measured, budget)))


def survey(
    families: Sequence[Family],
    budget: BudgetSettings,
    measure: Callable[[Candidate, Family], Measured],
    told: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """What becomes of every member of every family: where all that fit are wanted, and not the
    largest alone. Those whose weights alone are too large are not measured, unless all are.
    """
    possible, outcomes = _by_weights(families, budget)
    for family in possible:
        for place, candidate in enumerate(family.members):
            size = family.parameters[place]
            if place and budget.size is not None and size * WEIGHTS_LEFT > budget.size:
                reason = f"weights of {size:,} bytes"
                outcome = Outcome(candidate, None, (reason,), by_weights=True)
            else:
                outcome = _outcome(candidate, family, budget, measure)
            outcomes.append(outcome)
            told(outcome)
    return rank(outcomes)


def rank(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that fit first, by multiplications and then parameters from many to few; then those
    that do not, from the smallest file on.
    """

    def order(outcome: Outcome) -> tuple[int, int, int]:
        if outcome.measured is None:
            return (2, 0, 0)
        if outcome.fits:
            return (0, -outcome.measured.macs, -outcome.measured.parameters)
        return (1, outcome.measured.bytes, 0)

    return sorted(outcomes, key=order)


def best_of_families(outcomes: Sequence[Outcome]) -> list[Measured]:
    """Of ranked outcomes the first that fits of each family, in their order."""
    found: dict[str, Measured] = {}
    for outcome in outcomes:
        if outcome.fits and outcome.measured is not None:
            found.setdefault(outcome.candidate.family, outcome.measured)
    return list(found.values())
