"""The largest network of each family that keeps the limits, by measurement, and their order.

Within a family size and time grow with the width, so a walk from a guess finds the largest member
that fits: up while it fits, down until it does. Of several families those that compute most come
first: at equal cost, more work means more capacity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekd.config.stages import BudgetSettings
from edgekd.errors import StageError
from edgekd.propose.candidates import Candidate, Family
from edgekd.propose.measure import Measured, misses

WEIGHTS_LEFT = 0.9
"""Share of the parameters that certainly stands in a file: normalisation is folded away."""
MACS_PER_US = 5000.0
"""Guess of a processor's int8 speed until something has been measured."""


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate."""

    candidate: Candidate
    measured: Measured | None
    """None where there is no such file."""
    reasons: tuple[str, ...]
    """Why it is out; empty if it fits."""

    @property
    def fits(self) -> bool:
        """Whether it keeps every limit."""
        return self.measured is not None and not self.reasons


def propose(
    families: Sequence[Family],
    budget: BudgetSettings,
    measure: Callable[[Candidate, Family], Measured],
    may_go_on: Callable[[bool], bool],
) -> tuple[list[Outcome], list[str]]:
    """Measures candidates until the largest of each family that fits is known.

    Args:
        measure: the file of a candidate; StageError puts it out.
        may_go_on: asked before each measurement, with whether anything fits yet; once it says no,
            what is known is the answer.

    Returns:
        Every outcome, those that fit first, in the order of `rank`; and families left unmeasured.
    """
    outcomes: list[Outcome] = []
    left: list[str] = []
    speed = MACS_PER_US
    possible, too_large = _by_weights(families, budget)
    outcomes += too_large
    guesses = [(family, first_guess(family, budget, speed)) for family in possible]
    guesses.sort(key=lambda pair: -pair[0].macs[pair[1]])
    for family, _ in guesses:
        if not may_go_on(any(o.fits for o in outcomes)):
            left.append(family.name)
            continue
        start = first_guess(family, budget, speed)
        found = walk(family, start, budget, measure, may_go_on)
        outcomes += found
        rates = [o.measured.macs / o.measured.p50 for o in found if o.measured]
        speed = max(rates, default=speed)
    return rank(outcomes), left


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
        Outcome(f.members[0], None, (reason.format(f.parameters[0]),)) for f in large
    ]


def first_guess(family: Family, budget: BudgetSettings, macs_per_us: float) -> int:
    """The largest member whose parameters and multiplications alone would keep the limits."""
    longest = min(
        (t for limit in budget.latency for t in (limit.p50, limit.p90) if t), default=None
    )
    best = 0
    for place, (size, work) in enumerate(zip(family.parameters, family.macs, strict=True)):
        small = budget.size is None or size <= budget.size
        quick = longest is None or work <= longest * macs_per_us
        if small and quick:
            best = place
    return best


def walk(
    family: Family,
    start: int,
    budget: BudgetSettings,
    measure: Callable[[Candidate, Family], Measured],
    may_go_on: Callable[[bool], bool],
) -> list[Outcome]:
    """Measures members from `start`: up while they fit, or down until one does."""
    outcomes: list[Outcome] = []
    place, direction = start, 0
    while 0 <= place < len(family.members) and (
        not outcomes or may_go_on(any(o.fits for o in outcomes))
    ):
        outcome = _outcome(family.members[place], family, budget, measure)
        outcomes.append(outcome)
        if outcome.fits:
            if direction < 0:
                break
            direction = 1
        else:
            if direction > 0 or outcome.measured is None:
                break  # a smaller one could not be built or exported either
            direction = -1
        place += direction
    return outcomes


def _outcome(
    candidate: Candidate,
    family: Family,
    budget: BudgetSettings,
    measure: Callable[[Candidate, Family], Measured],
) -> Outcome:
    try:
        measured = measure(candidate, family)
    except StageError as error:
        return Outcome(candidate, None, (error.what,))
    return Outcome(candidate, measured, tuple(misses(measured, budget)))


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
