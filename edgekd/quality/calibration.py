"""Calibration of a classifier: of the answers given with 80 % confidence, are 80 % right?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekd.results import CalibrationFigures, Estimate, ReliabilityBin

BINS = 15
"""As in Guo et al. 2017."""
RESAMPLES = 1000
CHUNK = 1_000_000
"""Drawn numbers that a bootstrap holds at a time."""
PART = 4096
"""Samples whose probabilities are computed at a time: of all of them, with a thousand classes, they
would take gigabytes."""
COLDEST, HOTTEST = 0.05, 20.0
"""Limits of a fitted temperature; one that reaches them is no advice."""


@dataclass(frozen=True)
class Answers:
    """A classifier's answers to labelled samples, ready to be judged."""

    confidence: NDArray[np.float64]
    """(N,), the probability of the answer."""
    right: NDArray[np.bool_]
    """(N,), whether the answer is right."""
    loss: NDArray[np.float64]
    """(N,), the negative logarithm of the true class' probability."""
    brier: NDArray[np.float64]
    """(N,), sum over the classes of (probability - [true class])^2, 0 to 2 (Brier 1950)."""

    @classmethod
    def of(
        cls, logits: NDArray[np.floating], y: NDArray[np.integer], temperature: float = 1.0
    ) -> Answers:
        """From logits (N, C), divided by `temperature`, and true classes (N,)."""
        starts = range(0, max(1, len(y)), PART)
        parts = [
            cls._of_part(logits[start : start + PART], y[start : start + PART], temperature)
            for start in starts
        ]
        return cls(
            confidence=np.concatenate([part.confidence for part in parts]),
            right=np.concatenate([part.right for part in parts]),
            loss=np.concatenate([part.loss for part in parts]),
            brier=np.concatenate([part.brier for part in parts]),
        )

    @classmethod
    def _of_part(
        cls, logits: NDArray[np.floating], y: NDArray[np.integer], temperature: float
    ) -> Answers:
        logged = log_softmax(logits, temperature)
        probabilities = np.exp(logged)
        answers, rows = probabilities.argmax(1), np.arange(len(y))
        true = np.zeros_like(probabilities)
        true[rows, y] = 1
        return cls(
            confidence=probabilities[rows, answers],
            right=answers == y,
            loss=-logged[rows, y],
            brier=np.square(probabilities - true).sum(1),
        )


def log_softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Logarithms (N, C) of the probabilities of logits (N, C) divided by a temperature."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = scaled - scaled.max(1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(1, keepdims=True))


def equal_width(confidence: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """The bin (N,) of each confidence: bin m of M holds ((m - 1) / M, m / M], as of Guo et al.
    2017, section 2; 0 is in the first.
    """
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def equal_mass(confidence: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """The bin (N,) of each confidence, where all bins have as many samples (Nguyen and O'Connor
    2015). Equal confidences share a bin, the first that one of them falls in.
    """
    ordered = np.sort(confidence)
    ranks = np.searchsorted(ordered, confidence, side="left")
    return (ranks * bins) // max(1, len(confidence))


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bin_of: NDArray[np.int64]
) -> float:
    """Expected calibration error: the sum over bins of |B| / n |acc(B) - conf(B)| (Guo et al. 2017,
    equation 3), 0 to 1.

    Raises:
        ValueError: there is no sample.
    """
    if not len(confidence):
        raise ValueError("no samples")
    gaps = np.bincount(bin_of, right - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def reliability(answers: Answers, bins: int = BINS) -> list[ReliabilityBin]:
    """The reliability diagram (Guo et al. 2017, equations 1 and 2): bins of equal width that are
    not empty, from low to high.
    """
    bin_of = equal_width(answers.confidence, bins)
    counts = np.bincount(bin_of, minlength=bins)
    confidence = np.bincount(bin_of, answers.confidence, bins)
    right = np.bincount(bin_of, answers.right, bins)
    return [
        ReliabilityBin(
            low=m / bins,
            high=(m + 1) / bins,
            n=int(counts[m]),
            confidence=float(confidence[m] / counts[m]),
            accuracy=float(right[m] / counts[m]),
        )
        for m in np.flatnonzero(counts).tolist()
    ]


def by_chance(
    confidence: NDArray[np.float64], bin_of: NDArray[np.int64], rng: np.random.Generator
) -> float:
    """The calibration error that a perfectly calibrated model with these confidences stays below
    19 times of 20: what is beneath is no evidence of anything.

    Answers are drawn to be right with their confidence, as in the consistency bars of Bröcker and
    Smith 2007.
    """
    n, found = len(confidence), []
    for rows in _chunks(n):
        right = rng.random((rows, n)) < confidence
        found.append(_errors(right - confidence, np.broadcast_to(bin_of, right.shape)))
    return float(np.quantile(np.concatenate(found), 0.95))


def fit_temperature(logits: NDArray[np.floating], y: NDArray[np.integer]) -> float | None:
    """The temperature by which logits (N, C) are to be divided so that the negative log-likelihood
    of the classes (N,) is least (Guo et al. 2017, section 4.2).

    None where it would be below 0.05 or above 20, or where every answer is right: the colder then
    the better, and that says nothing about other samples.
    """
    from scipy.optimize import minimize_scalar

    if (logits.argmax(1) == y).all():
        return None
    rows = np.arange(len(y))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits, np.exp(log_temperature))[rows, y].mean())

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    temperature = float(np.exp(found.x))
    return temperature if 1.01 * COLDEST < temperature < HOTTEST / 1.01 else None


def calibration(
    logits: NDArray[np.floating],
    y: NDArray[np.integer],
    fitted_on: tuple[NDArray[np.floating], NDArray[np.integer]] | None,
    seed: int,
) -> CalibrationFigures:
    """All figures of a classifier's calibration, with 95 % bootstrap intervals over the samples.

    Args:
        logits: (N, C) of the test set.
        y: (N,), its classes.
        fitted_on: logits and classes of the validation set, to which a temperature is fitted.
        seed: of the bootstrap.

    Raises:
        ValueError: there is no sample.
    """
    answers, rng = Answers.of(logits, y), np.random.default_rng(seed)
    width, mass = equal_width(answers.confidence), equal_mass(answers.confidence)
    temperature = fit_temperature(*fitted_on) if fitted_on is not None else None
    mended = None if temperature is None else Answers.of(logits, y, temperature)
    return CalibrationFigures(
        n=len(answers.right),
        ece=_error_estimate(answers, width, rng),
        ece_by_chance=by_chance(answers.confidence, width, rng),
        ece_equal_mass=_error_estimate(answers, mass, rng),
        brier=_mean_estimate(answers.brier, rng),
        nll=_mean_estimate(answers.loss, rng),
        confidence=float(answers.confidence.mean()),
        accuracy=float(answers.right.mean()),
        temperature=temperature,
        ece_at_temperature=mended
        and calibration_error(mended.confidence, mended.right, equal_width(mended.confidence)),
        bins=reliability(answers),
    )


def _error_estimate(
    answers: Answers, bin_of: NDArray[np.int64], rng: np.random.Generator
) -> Estimate:
    """The calibration error; its interval has the spread of the bootstrap around the estimate.

    The bootstrap's own centre is not used: resampling adds noise to every bin, and an absolute
    value turns noise into error, so that the resamples lie too high.
    """
    value = calibration_error(answers.confidence, answers.right, bin_of)
    gap = answers.right - answers.confidence
    found = np.concatenate(
        [_errors(gap[index], bin_of[index]) for index in _resamples(len(gap), rng)]
    )
    low, high = np.quantile(found - found.mean() + value, [0.025, 0.975])
    return Estimate(value=value, low=max(0.0, float(low)), high=min(1.0, float(high)))


def _mean_estimate(values: NDArray[np.float64], rng: np.random.Generator) -> Estimate:
    found = np.concatenate([values[index].mean(1) for index in _resamples(len(values), rng)])
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(value=float(values.mean()), low=float(low), high=float(high))


def _errors(gap: NDArray[np.float64], bin_of: NDArray[np.int64]) -> NDArray[np.float64]:
    """Calibration errors (R,) of R resamples: gaps right - confidence (R, n) and bins (R, n)."""
    rows, n = gap.shape
    bins = int(bin_of.max()) + 1
    place = bin_of + bins * np.arange(rows)[:, None]
    sums = np.bincount(place.ravel(), gap.ravel(), rows * bins)
    return np.abs(sums.reshape(rows, bins)).sum(1) / n


def _chunks(n: int) -> list[int]:
    """How many resamples of n to draw at a time, `RESAMPLES` in all."""
    rows = max(1, min(RESAMPLES, CHUNK // n))
    return [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]


def _resamples(n: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    return (rng.integers(0, n, (rows, n)) for rows in _chunks(n))
