"""Bootstrap intervals of metrics that are no plain shares: every metric of all resamples at once.

A resample of N samples with replacement is a row of N whole weights that sum up to N; a metric of
weighted samples is a few sums and matrix products. See Efron and Tibshirani 1993, chapter 13 (the
percentile interval) for the method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Key = tuple[str, str]
"""A metric's name and its label or target, "" for all of them together."""
Replicate = Callable[[Floats], Mapping[Key, Floats]]
"""From weights (B, N) to each metric of each resample, (B,); NaN where it is not defined."""

RESAMPLES = 1000
MOST_NUMBERS = 2_000_000
"""Weights that are held at a time."""
MOST_WORK = 40_000_000
"""Weights that are drawn in all; larger test sets get fewer resamples, and need fewer ..."""
LEAST_RESAMPLES = 200
"""... but so many."""


def intervals(
    replicate: Replicate, n: int, *, seed: int = 0, resamples: int | None = None
) -> dict[Key, tuple[float, float]]:
    """The 95 % percentile interval of each metric.

    Resamples in which a metric is not defined, such as an AUC without positive samples, are left
    out of it; where none defines it, the ends are NaN.

    Args:
        n: samples, at least 1.
        resamples: 1000 of up to 40,000 samples and fewer of more, if left out.
    """
    count = resamples or max(LEAST_RESAMPLES, min(RESAMPLES, MOST_WORK // n))
    found: dict[Key, list[Floats]] = {}
    for weights in weight_chunks(n, count, seed):
        for key, values in replicate(weights).items():
            found.setdefault(key, []).append(values)
    return {key: _ends(np.concatenate(parts)) for key, parts in found.items()}


def differences(
    first: Replicate,
    second: Replicate,
    key: Key,
    n: int,
    *,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """The percentile interval of what a metric is more in `first` than in `second`, both of
    the same resamples: paired by sample.
    """
    count = max(LEAST_RESAMPLES, min(RESAMPLES, MOST_WORK // n))
    found = [first(w)[key] - second(w)[key] for w in weight_chunks(n, count, seed)]
    return _ends(np.concatenate(found), confidence)


def weight_chunks(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Weights (B, n) of `resamples` resamples in all, a chunk at a time."""
    generator = np.random.default_rng(seed)
    rows = max(1, MOST_NUMBERS // n)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = generator.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _ends(values: Floats, confidence: float = 0.95) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, (50 * (1 - confidence), 50 * (1 + confidence)))
    return float(low), float(high)


def ratio(above: Floats, below: Floats) -> Floats:
    """above / below, NaN where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    good = ~np.isnan(values)
    return ratio(np.where(good, values, 0).sum(-1), good.sum(-1))


def ranked(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision of weighted samples, (B,) each.

    Samples of one score are one threshold: they count half in the area (Mann and Whitney 1947),
    and make one step of the precision-recall curve, as in scikit-learn.

    Args:
        scores: (N,), higher for the positive class.
        positive: (N,).
        weights: (B, N).
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    weighted = weights[:, order]
    chosen = weighted * positive[order]
    here_p = np.add.reduceat(chosen, starts, axis=1)
    here_n = np.add.reduceat(weighted - chosen, starts, axis=1)
    above_p, above_n = here_p.cumsum(1), here_n.cumsum(1)
    positives, negatives = above_p[:, -1], above_n[:, -1]
    area = (here_n * (above_p - here_p / 2)).sum(1)
    precision = above_p / np.maximum(above_p + above_n, 1)
    step = (here_p * precision).sum(1)
    return ratio(area, positives * negatives), ratio(step, positives)
