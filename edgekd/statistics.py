"""Intervals and percentiles, for figures that are never alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def normal_quantile(confidence: float) -> float:
    """How many standard errors an interval of this confidence reaches to either side."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson_interval(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927, JASA 22), of 95 % with z = 1.96.

    Unlike the normal approximation it stays inside [0, 1] and is not empty at 0 or n.

    Args:
        z: `normal_quantile` of the confidence.

    Raises:
        ValueError: n is 0, or successes lie outside 0 to n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a share")
    p, z2 = successes / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def paired_share_interval(
    both: int, first: int, second: int, n: int, z: float = Z95
) -> tuple[float, float]:
    """The interval of a difference of two shares of the same n samples, of 95 % with z = 1.96.

    Newcombe 1998 ("Improved confidence intervals for the difference between binomial proportions
    based on paired data", Statistics in Medicine 17), method 10: Wilson's intervals of the two,
    joined by their correlation with a correction for continuity.

    Args:
        both: samples that both have right.
        first: samples that only the first has right.
        second: samples that only the second has right.
        n: all samples.
        z: `normal_quantile` of the confidence.

    Raises:
        ValueError: the counts do not fit n.
    """
    neither = n - both - first - second
    if n < 1 or min(both, first, second, neither) < 0:
        raise ValueError(f"{both}, {first} and {second} of {n} are no counts of pairs")
    p, q = (both + first) / n, (both + second) / n
    p_low, p_high = wilson_interval(both + first, n, z)
    q_low, q_high = wilson_interval(both + second, n, z)
    below = (both + first) * (second + neither) * (both + second) * (first + neither)
    cross = both * neither - first * second
    if cross > 0:
        cross = max(cross - n / 2, 0)
    phi = cross / math.sqrt(below) if below else 0.0

    def joined(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))

    difference = p - q
    return (
        max(-1.0, difference - joined(p - p_low, q_high - q)),
        min(1.0, difference + joined(p_high - p, q - q_low)),
    )


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean and interval of Student's t; the interval of a single value is infinite.

    Raises:
        ValueError: there are no values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no values")
    mean = math.fsum(values) / n
    if n == 1:
        return mean, -math.inf, math.inf
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    half = t_factor(confidence, n - 1) * math.sqrt(variance / n)
    return mean, mean - half, mean + half


def t_factor(confidence: float, freedom: float) -> float:
    """Half the width of Student's two-sided interval, in standard errors."""
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, freedom))
