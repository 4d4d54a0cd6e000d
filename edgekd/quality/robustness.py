"""What shifts cost each deployed file, and when that is worth a warning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekd.quality.calibration import Answers, calibration_error, equal_width
from edgekd.quality.shifts import Shift
from edgekd.results import Accuracy, Estimate, QualityFigures, ShiftFigures
from edgekd.statistics import Z95

VISIBLE = 0.01
"""Points that a warning starts from, where the interval excludes 0 as well."""
CALIBRATION_VISIBLE = 0.02
"""Points of calibration error likewise, where it has doubled as well."""

Outputs = NDArray[np.float32]
"""(N, C), a model's answers to the same samples."""
Score = Callable[[Outputs, str], Accuracy]
"""The task's headline score of outputs that a runtime computed."""


@dataclass(frozen=True)
class Shifted:
    """A model's outputs for samples as they are and under every shift."""

    clean: Outputs
    under: Mapping[Shift, Outputs]

    def right(self, y: NDArray[np.integer]) -> dict[Shift, NDArray[np.bool_]]:
        """Of a classifier: which answers (N,) are right, under each shift."""
        return {shift: outputs.argmax(1) == y for shift, outputs in self.under.items()}


def shift_figures(
    shifted: Shifted,
    score: Score,
    runtime: str,
    y: NDArray[np.integer] | None,
    reference: Shifted | None,
) -> list[ShiftFigures]:
    """A row for every shift.

    Args:
        score: the task's headline score.
        y: the classes (N,), for a classifier.
        reference: the model whose answers are compared, also for a classifier only.
    """
    rows = []
    for shift, outputs in shifted.under.items():
        answers = None if y is None else Answers.of(outputs, y)
        same = None
        if y is not None and reference is not None:
            same = float((outputs.argmax(1) == reference.under[shift].argmax(1)).mean())
        rows.append(
            ShiftFigures(
                shift=shift.name,
                severity=shift.severity,
                unit=shift.unit,
                score=score(outputs, runtime),
                ece=answers
                and calibration_error(
                    answers.confidence, answers.right, equal_width(answers.confidence)
                ),
                agreement=same,
            )
        )
    return rows


def mean_score(rows: Sequence[ShiftFigures]) -> Estimate | None:
    """The mean over shifts of the means over severities, of any score; None without shifts.

    Its interval is the mean of the intervals: as the samples are the same in all of them, it is
    too wide rather than too narrow.
    """
    if not rows:
        return None
    weights = _weights([(row.shift, row.unit) for row in rows])
    ends = np.array([(row.score.value, row.score.low, row.score.high) for row in rows])
    value, low, high = (weights @ ends).tolist()
    return Estimate(value=value, low=low, high=high)


def mean_accuracy(right: Mapping[Shift, NDArray[np.bool_]]) -> Estimate | None:
    """The same of a classifier, with the interval of a mean over samples: a sample counts once,
    with its mean over the shifts, however many of them it went through.
    """
    return estimate(per_sample(right)) if right else None


def per_sample(right: Mapping[Shift, NDArray[np.bool_]]) -> NDArray[np.float64]:
    """The mean (N,) of each sample over the shifts, each of which is the mean over severities."""
    weights = _weights([(shift.name, shift.unit) for shift in right])
    return weights @ np.array(list(right.values()), np.float64)


def estimate(values: NDArray[np.float64]) -> Estimate:
    """Mean of independent values (N,) with its normal interval."""
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    half = Z95 * spread / math.sqrt(len(values))
    return Estimate(value=mean, low=mean - half, high=mean + half)


def lost_more(ours: Shifted, theirs: Shifted, y: NDArray[np.integer]) -> Estimate:
    """Points that `ours` loses under shift beyond what `theirs` loses, paired by sample, 0 to 1."""

    def lost(shifted: Shifted) -> NDArray[np.float64]:
        return (shifted.clean.argmax(1) == y) - per_sample(shifted.right(y))

    return estimate(lost(ours) - lost(theirs))


def _weights(shifts: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """Weights that add up to 1: every kind of shift the same, and its severities in it."""
    kinds = list(dict.fromkeys(shifts))
    return np.array([1 / len(kinds) / shifts.count(shift) for shift in shifts])


def warn(
    files: Mapping[str, QualityFigures], shifted: Mapping[str, Shifted], y: NDArray[np.integer]
) -> list[str]:
    """What the user of a classifier should know.

    Args:
        files: figures by role: "teacher", "float32", "int8".
        shifted: outputs by role.
        y: the classes (N,) of the shifted samples.
    """
    found = []
    for role, other, ours, theirs in (
        ("int8", "float32", "The int8 file", "its float32 file"),
        ("float32", "teacher", "The student", "the teacher"),
    ):
        if role not in files or other not in files or not shifted[role].under:
            continue
        more = lost_more(shifted[role], shifted[other], y)
        if more.value > VISIBLE and more.low > 0:
            found.append(
                f"{ours} loses {100 * more.value:.1f} points more than {theirs} under shift "
                f"(95 % interval {100 * more.low:.1f} to {100 * more.high:.1f}): "
                f"{_worst(files[role], files[other])}."
            )
    for role, other, ours, theirs in (
        ("int8", "float32", "the int8 file", "the float32 one"),
        ("float32", "teacher", "the student", "the teacher"),
    ):
        after, before = (files[r].calibration if r in files else None for r in (role, other))
        if after is None or before is None:
            continue
        rise = after.ece.value - before.ece.value
        chance = after.ece_by_chance
        doubled = after.ece.value > 2 * before.ece.value and rise > CALIBRATION_VISIBLE
        if doubled and after.ece.value > chance:
            found.append(
                f"The probabilities of {ours} are less to be trusted than those of {theirs}: "
                f"calibration error {after.ece.value:.1%}, and there {before.ece.value:.1%}."
            )
    return found


def _worst(ours: QualityFigures, theirs: QualityFigures) -> str:
    """Where two files differ most, in words."""
    pairs = [
        (b.score.value - a.score.value, a, b)
        for a, b in zip(ours.shifts, theirs.shifts, strict=True)
    ]
    _, a, b = max(pairs, key=lambda pair: pair[0])
    return (
        f"most at {a.shift} {a.extent}, where {a.score.value:.1%} are right against "
        f"{b.score.value:.1%}"
    )
