"""Intervals at any confidence, of the figures that a summary keeps with their 95 % intervals."""

from __future__ import annotations

import math

from edgekd.results import Accuracy, BenchFigures
from edgekd.statistics import Z95, normal_quantile, t_factor, wilson_interval

Interval = tuple[float, float]
NOTHING: Interval = (-math.inf, math.inf)
"""Where nothing is known."""
MOST = 100.0
"""Of a logarithm's interval to either side: a factor that no two times differ by."""


def of_score(score: Accuracy, confidence: float) -> Interval:
    """Of an accuracy, Wilson's (1927); of other scores, the 95 % interval stretched as a normal
    distribution's would be, each side by itself."""
    if score.metric == "accuracy":
        right = round(score.value * score.n)
        return wilson_interval(right, score.n, normal_quantile(confidence))
    return stretched(score.value, (score.low, score.high), confidence)


def stretched(value: float, interval: Interval, confidence: float) -> Interval:
    """A 95 % interval at another confidence, as if the error were normal."""
    factor = normal_quantile(confidence) / Z95
    return value - factor * (value - interval[0]), value + factor * (interval[1] - value)


def difference(
    first: float, first_interval: Interval, second: float, second_interval: Interval
) -> Interval:
    """Of first - second, two scores of different samples, by their own intervals: Newcombe 1998
    ("Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17), method 10.
    """
    below = math.hypot(first - first_interval[0], second_interval[1] - second)
    above = math.hypot(first_interval[1] - first, second - second_interval[0])
    return first - second - below, first - second + above


def of_median(row: BenchFigures, confidence: float) -> Interval:
    """Of the median time in µs; nothing is known of a single process, see `ratio`."""
    if row.p50_us is None or not _known(row):
        return NOTHING
    half = min(t_factor(confidence, row.processes - 1) * _error(row), MOST)
    return row.p50_us * math.exp(-half), row.p50_us * math.exp(half)


def ratio(new: BenchFigures, old: BenchFigures, confidence: float) -> tuple[float, Interval]:
    """The new median by the old one, measured apart: Welch's interval on the logarithm, as
    `edgekd compare` has it of two results.

    One process tells nothing about how starts of a program differ, so that nothing is known of a
    side with only one.

    Raises:
        ValueError: one of them has no times.
    """
    if new.p50_us is None or old.p50_us is None:
        raise ValueError("there are no times")
    centre = math.log(new.p50_us / old.p50_us)
    if not _known(new) or not _known(old):
        return math.exp(centre), (0.0, math.inf)
    counts = new.processes, old.processes
    parts = _error(new) ** 2, _error(old) ** 2
    total = sum(parts)
    freedom = total**2 / sum(v**2 / (n - 1) for v, n in zip(parts, counts, strict=True))
    half = min(t_factor(confidence, freedom) * math.sqrt(total), MOST)
    return math.exp(centre), (math.exp(centre - half), math.exp(centre + half))


def _known(row: BenchFigures) -> bool:
    """Whether the interval of the median tells how starts of the program differ."""
    times = row.latency_us
    return times is not None and row.processes > 1 and bool(times.p50_low and times.p50_high)


def _error(row: BenchFigures) -> float:
    """The standard error of the median's logarithm, which the 95 % interval was made of."""
    times = row.latency_us
    if times is None or not times.p50_low or not times.p50_high:
        return math.inf
    half = math.log(times.p50_high / times.p50_low) / 2
    return max(half / t_factor(0.95, row.processes - 1), 1e-9)
