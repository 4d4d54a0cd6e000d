"""Intervals at any confidence, of the figures that a summary keeps with their 95 % intervals."""

from __future__ import annotations

import math

from edgekd.results import Accuracy, BenchFigures
from edgekd.statistics import Z95, normal_quantile, wilson_interval

Interval = tuple[float, float]
NOTHING: Interval = (-math.inf, math.inf)
"""Where nothing is known."""


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
    if row.latency_us is None or row.processes < 2:
        return NOTHING
    half = _t(confidence, row.processes - 1) * _error(row)
    return row.latency_us.p50 * math.exp(-half), row.latency_us.p50 * math.exp(half)


def ratio(new: BenchFigures, old: BenchFigures, confidence: float) -> tuple[float, Interval]:
    """The new median by the old one, measured apart: Welch's interval on the logarithm, as
    `edgekd compare` has it of two results.

    One process tells nothing about how starts of a program differ, so that nothing is known of a
    side with only one.
    """
    assert new.latency_us is not None and old.latency_us is not None
    centre = math.log(new.latency_us.p50 / old.latency_us.p50)
    counts = new.processes, old.processes
    if min(counts) < 2:
        return math.exp(centre), (0.0, math.inf)
    parts = _error(new) ** 2, _error(old) ** 2
    total = sum(parts)
    freedom = total**2 / sum(v**2 / (n - 1) for v, n in zip(parts, counts, strict=True))
    half = _t(confidence, freedom) * math.sqrt(total)
    return math.exp(centre), (math.exp(centre - half), math.exp(centre + half))


def _error(row: BenchFigures) -> float:
    """The standard error of the median's logarithm, which the 95 % interval was made of."""
    assert row.latency_us is not None
    low, high = row.latency_us.p50_low, row.latency_us.p50_high
    if not low or not high:
        return math.inf
    return max(math.log(high / low) / 2 / _t(0.95, row.processes - 1), 1e-9)


def _t(confidence: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, freedom))
