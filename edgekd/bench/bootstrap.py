"""Intervals of medians, and whether one file is faster than another: over processes, then runs.

Every start of a program has a speed of its own: where its memory lies, which pages are warm, what
the clock does just then. Runs of one process share it, so that more runs tell nothing about it. The
unit that is resampled is therefore the process first, and only then its runs (the hierarchical
bootstrap; Kalibera and Jones 2013, "Rigorous Benchmarking in Reasonable Time", say why).

Few processes are measured, and the percentiles of so small a bootstrap lie too near together. So
the bootstrap gives the standard error, its variance widened by n / (n - 1), and Student's t the
interval (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", on small samples). All
is done on the logarithm: ratios are what is compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekd.statistics import t_factor

DRAWS = 2000
SHARES = np.linspace(0, 1, 1001)


@dataclass(frozen=True)
class ProcessTimes:
    """The measured times of one process."""

    round: int
    """Processes of one round were measured close in time, one a file."""
    n: int
    """Runs."""
    quantiles: ArrayLike
    """The times in microseconds at evenly spaced shares from 0 to 1."""

    @property
    def median(self) -> float:
        """In microseconds."""
        return float(self.at(np.array([0.5]))[0])

    def at(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """The times below which these shares of the runs lie."""
        values = np.asarray(self.quantiles, np.float64)
        return np.interp(shares, np.linspace(0, 1, len(values)), values)


@dataclass(frozen=True)
class Comparison:
    """The second file's median by the first's."""

    ratio: float
    """Above 1, the second is slower."""
    low: float
    """Lower end of the interval; 0 where it is not known."""
    high: float
    """Upper end; infinite where it is not known."""
    confidence: float
    """Of the interval, such as 0.95."""
    pairs: int
    """Rounds that measured both; 0 where the two were measured apart."""
    blocks: int = 0
    """Blocks of runs of each that were neighbours within one process; 0 where only processes took
    turns."""

    @property
    def verdict(self) -> str:
        """faster, slower, or "no difference shown" where the interval holds 1."""
        if self.low > 1:
            return "slower"
        return "faster" if self.high < 1 else "no difference shown"


def median_interval(
    p50: float, processes: Sequence[ProcessTimes], confidence: float = 0.95
) -> tuple[float, float]:
    """The interval around a median: of several processes with their variation, of one of its runs
    alone.

    Args:
        p50: the median of all runs.
    """
    generator = np.random.default_rng(0)
    if len(processes) == 1:
        tails = (50 * (1 - confidence), 50 * (1 + confidence))
        medians = resampled_medians(processes, np.zeros(DRAWS, np.int64), generator)
        low, high = np.exp(np.percentile(medians, tails))
        return min(float(low), p50), max(float(high), p50)
    error = math.sqrt(_variance(_means(processes, generator), len(processes)))
    half = t_factor(confidence, len(processes) - 1) * error
    return p50 * math.exp(-half), p50 * math.exp(half)


def compare(
    first: Sequence[ProcessTimes],
    second: Sequence[ProcessTimes],
    *,
    confidence: float = 0.95,
    paired: bool = False,
) -> Comparison:
    """The ratio of the geometric means of the processes' medians, with its interval.

    Args:
        paired: both were measured in one session, taking turns: rounds are resampled, so that what
            hits both files of a round alike, such as a warm machine, cancels out.
    """
    generator = np.random.default_rng(0)
    if paired:
        rounds = {process.round: process for process in second}
        pairs = [(one, rounds[one.round]) for one in first if one.round in rounds]
        if len(pairs) > 1:
            return _paired(pairs, confidence, generator)
    centre = _centre(second) - _centre(first)
    counts = [len(first), len(second)]
    if min(counts) < 2:
        return Comparison(math.exp(centre), 0.0, math.inf, confidence, 0)
    parts = [
        _variance(_means(side, generator), n)
        for side, n in zip((first, second), counts, strict=True)
    ]
    total = sum(parts)
    freedom = total**2 / sum(v**2 / (n - 1) for v, n in zip(parts, counts, strict=True))
    return _interval(centre, math.sqrt(total), freedom, confidence, 0)


def _paired(
    pairs: list[tuple[ProcessTimes, ProcessTimes]],
    confidence: float,
    generator: np.random.Generator,
) -> Comparison:
    one, other = ([pair[side] for pair in pairs] for side in (0, 1))
    chosen = generator.integers(0, len(pairs), (DRAWS, len(pairs)))
    means = _means(other, generator, chosen) - _means(one, generator, chosen)
    error = math.sqrt(_variance(means, len(pairs)))
    return _interval(_centre(other) - _centre(one), error, len(pairs) - 1, confidence, len(pairs))


def _interval(
    centre: float, error: float, freedom: float, confidence: float, pairs: int
) -> Comparison:
    half = t_factor(confidence, freedom) * error
    low, high = math.exp(centre - half), math.exp(centre + half)
    return Comparison(math.exp(centre), low, high, confidence, pairs)


def _centre(processes: Sequence[ProcessTimes]) -> float:
    return math.fsum(math.log(process.median) for process in processes) / len(processes)


def _means(
    processes: Sequence[ProcessTimes],
    generator: np.random.Generator,
    chosen: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The mean logarithm of the medians of resampled processes, their runs resampled, (DRAWS,).

    Args:
        chosen: which processes, (DRAWS, processes); drawn if left out.
    """
    if chosen is None:
        chosen = generator.integers(0, len(processes), (DRAWS, len(processes)))
    return resampled_medians(processes, chosen, generator).mean(axis=1)


def resampled_medians(
    processes: Sequence[ProcessTimes], chosen: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Logarithms of medians of resampled runs, one for each process in `chosen`, in its shape.

    The median of n draws with replacement is the run at a place that has a Beta distribution, so
    that nothing needs to be drawn but that place (Efron 1979, section 3).
    """
    middle = (np.array([process.n for process in processes]) + 1) / 2
    logs = np.log(np.stack([process.at(SHARES) for process in processes]))
    place = generator.beta(middle[chosen], middle[chosen]) * (len(SHARES) - 1)
    left = np.minimum(place.astype(np.int64), len(SHARES) - 2)
    step = place - left
    return (1 - step) * logs[chosen, left] + step * logs[chosen, left + 1]


def _variance(means: NDArray[np.float64], n: int) -> float:
    """Of the mean; a bootstrap of n things sees only (n - 1) / n of it."""
    return max(float(means.var()) * n / (n - 1), 1e-18)
