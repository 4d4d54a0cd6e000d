"""What a teacher is worth as a teacher: how good and how sure it is, what its soft targets say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekd.quality.calibration import (
    Answers,
    by_chance,
    calibration_error,
    equal_width,
    log_softmax,
)
from edgekd.results import TeacherFigures

POOR = 0.5
"""A teacher that closes less of the way from always giving the commonest class to perfection."""
OVERCONFIDENT = 0.02
"""Confidence above the accuracy by so much, and by more than chance, is worth a warning."""
SAYS_LITTLE = 0.02
"""Soft targets with less probability outside the top class hardly differ from the labels."""
EPSILON = 1e-7


@dataclass(frozen=True)
class SoftTargets:
    """What the soft targets of training samples say beyond the labels."""

    entropy: float
    """Mean entropy, as a share of log(classes)."""
    outside: float
    """Mean probability outside the top class."""
    wrong: float
    """Share of samples whose top class is not their label."""


def soft_targets(
    chunks: Iterable[tuple[NDArray[np.floating], NDArray[np.integer]]],
    temperature: float,
    *,
    standardize: bool = False,
    rest: bool = False,
) -> SoftTargets:
    """What softmax(logits / temperature) says, mean over the samples.

    Args:
        chunks: logits (n, C) and the labels' columns (n,) of some samples each, at least one in
            all; a column of -1 is none of them.
        standardize: logits are standardized first, as the method does (Sun et al. 2024).
        rest: the last column is that of all classes which have none of their own.
    """
    entropy = outside = wrong = 0.0
    samples = classes = 0
    for raw, y in chunks:
        logits = np.asarray(raw, np.float64)
        if standardize:
            deviation = logits.std(1, keepdims=True) + EPSILON
            logits = (logits - logits.mean(1, keepdims=True)) / deviation
        logged = log_softmax(logits, temperature)
        p = np.exp(logged)
        entropy -= float((p * logged).sum())
        named = p[:, :-1] if rest else p
        outside += float((1 - named.max(1)).sum())
        wrong += float((named.argmax(1) != y).sum())
        samples, classes = samples + len(y), logits.shape[1]
    entropy /= max(np.log(classes), EPSILON)
    return SoftTargets(entropy / samples, outside / samples, wrong / samples)


def with_calibration(
    figures: TeacherFigures,
    logits: NDArray[np.floating],
    y: NDArray[np.integer],
    seed: int,
) -> TeacherFigures:
    """The figures with the calibration of validation logits (N, C) of classes y (N,)."""
    answers = Answers.of(logits, y)
    bins = equal_width(answers.confidence)
    return figures.model_copy(
        update={
            "ece": calibration_error(answers.confidence, answers.right, bins),
            "ece_by_chance": by_chance(answers.confidence, bins, np.random.default_rng(seed)),
            "confidence": float(answers.confidence.mean()),
        }
    )


def warn(figures: TeacherFigures, y: NDArray[np.integer], classes: int) -> list[str]:
    """What the user should know before anything is learned from this teacher, in plain words.

    Args:
        figures: of a classifier.
        y: classes (N,) of the validation samples.
        classes: how many there are.
    """
    found = []
    score = figures.validation
    commonest = float(np.bincount(y, minlength=classes).max() / len(y))
    if score is not None and score.value - commonest < POOR * (1 - commonest):
        found.append(
            f"The teacher is poor: {score.value:.1%} of its answers on validation are right, and "
            f"always giving the commonest class makes {commonest:.1%}. Check the labels' order and "
            "the teacher's input, or train it longer."
        )
    if _overconfident(figures):
        assert score is not None
        found.append(
            f"The teacher is overconfident: {figures.confidence:.1%} sure, {score.value:.1%} right "
            "on validation. A higher temperature softens its targets; label smoothing in its "
            "training (teacher.train.label_smoothing) mends it."
        )
    if figures.outside is not None and figures.outside < SAYS_LITTLE:
        found.append(
            f"The teacher's soft targets say little: at temperature {figures.temperature:g} only "
            f"{figures.outside:.2%} of their probability lies outside the top class. Raise "
            "distill.method.temperature, or take a teacher that is trained for fewer epochs."
        )
    return found


def _overconfident(figures: TeacherFigures) -> bool:
    score = figures.validation
    if score is None or figures.confidence is None or figures.ece is None:
        return False
    gap = figures.confidence - score.value
    return gap > OVERCONFIDENT and figures.ece > (figures.ece_by_chance or 0.0)
