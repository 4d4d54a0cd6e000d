"""What a student kept of its teacher, and what the teacher brought, from test answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.quality.calibration import (
    PART,
    Answers,
    calibration_error,
    equal_width,
    log_softmax,
)
from edgekd.results import Accuracy, Estimate, GainFigures, RetentionFigures
from edgekd.spec import HEADLINE, ModelSpec
from edgekd.statistics import normal_quantile, paired_share_interval, wilson_interval
from edgekd.tasks import metrics, replicates
from edgekd.tasks.bootstrap import Floats, differences

CLASSIFIERS = ("classification", "binary")


def retention(
    outputs: Floats,
    teacher: Floats,
    y: NDArray[Any],
    spec: ModelSpec,
    *,
    stage: str,
    seed: int,
    precision: str,
) -> RetentionFigures:
    """A network's figures beside the teacher's.

    Args:
        outputs: logits (N, C), or a regression's standardised answers (N, T).
        teacher: the teacher's, likewise; the same array where it is the teacher itself.
        y: targets of the N samples; a regression's in raw units.
        spec: of the task.
    """
    score = metrics.score(spec, outputs, y, runtime="torch", split="test")
    before = metrics.score(spec, teacher, y, runtime="torch", split="test").value
    figures = RetentionFigures(
        stage=stage,
        seed=seed,
        precision=precision,
        score=score,
        retention=score.value / before if before > 0 else None,
    )
    if spec.task == "regression":
        return figures
    if spec.task == "multilabel":
        same = (outputs > 0) == (teacher > 0)
        figures.per_class = _label_f1(outputs, y)
    else:
        same = outputs.argmax(1) == teacher.argmax(1)
        figures.per_class = _recall(outputs, y)
        figures.divergence = divergence(teacher, outputs)
        answers = Answers.of(outputs, y)
        bins = equal_width(answers.confidence)
        figures.ece = calibration_error(answers.confidence, answers.right, bins)
    figures.agreement = float(same.mean())
    # Decisions about one sample hang together: the interval counts samples, not decisions.
    figures.agreement_low, figures.agreement_high = wilson_interval(
        round(figures.agreement * len(same)), len(same)
    )
    return figures


def divergence(teacher: Floats, student: Floats, temperature: float = 1.0) -> float:
    """Mean over samples of KL(softmax(teacher / T) ‖ softmax(student / T)) in nats, without T²."""
    parts = []
    for start in range(0, len(teacher), PART):
        rows = slice(start, start + PART)
        p, q = log_softmax(teacher[rows], temperature), log_softmax(student[rows], temperature)
        parts.append((np.exp(p) * (p - q)).sum(1))
    return float(np.concatenate(parts).mean())


def information(teacher: Floats) -> float:
    """Mean over samples of KL(softmax(teacher) ‖ mean of all softmax(teacher)) in nats."""
    logged = log_softmax(teacher)
    p = np.exp(logged)
    return float((p * (logged - np.log(p.mean(0)))).sum(1).mean())


def _recall(outputs: Floats, y: NDArray[Any]) -> list[float | None]:
    classes = outputs.shape[1]
    n = np.bincount(y, minlength=classes)
    right = np.bincount(y[outputs.argmax(1) == y], minlength=classes)
    return [round(float(r / m), 6) if m else None for r, m in zip(right, n, strict=True)]


def _label_f1(outputs: Floats, y: NDArray[Any]) -> list[float | None]:
    given, true = outputs > 0, y > 0
    hits, both = (given & true).sum(0), given.sum(0) + true.sum(0)
    return [
        round(float(2 * h / b), 6) if t else None
        for h, b, t in zip(hits, both, true.sum(0), strict=True)
    ]


def gain(
    student: Floats,
    control: Floats,
    y: NDArray[Any],
    spec: ModelSpec,
    *,
    stage: str,
    seed: int,
    precision: str,
) -> GainFigures:
    """How much better a student is than the same student without the teacher.

    The 95 % interval is paired by test sample: Newcombe's (1998) of the accuracy, the bootstrap's
    of macro F1 and R².

    Args:
        student: logits (N, C), or a regression's standardised answers (N, T).
        control: likewise.
        y: targets of the N samples; a regression's in raw units.
    """
    of = [metrics.score(spec, o, y, runtime="torch", split="test") for o in (student, control)]
    found = change(student, control, y, spec)
    return GainFigures(
        stage=stage,
        seed=seed,
        precision=precision,
        metric=HEADLINE[spec.task],
        student=of[0].value,
        control=of[1].value,
        gain=found.value,
        low=found.low,
        high=found.high,
        n=len(y),
        over="samples",
    )


def change(
    after: Floats, before: Floats, y: NDArray[Any], spec: ModelSpec, confidence: float = 0.95
) -> Estimate:
    """What the score of one network is above another's, with its interval paired by sample."""
    of = [metrics.score(spec, o, y, runtime="torch", split="test") for o in (after, before)]
    low, high = _paired(after, before, y, spec, of, confidence)
    return Estimate(value=of[0].value - of[1].value, low=low, high=high)


def _paired(
    student: Floats,
    control: Floats,
    y: NDArray[Any],
    spec: ModelSpec,
    of: list[Accuracy],
    confidence: float,
) -> tuple[float, float]:
    if spec.task in CLASSIFIERS:
        a, b = student.argmax(1) == y, control.argmax(1) == y
        counts = int((a & b).sum()), int((a & ~b).sum()), int((b & ~a).sum())
        return paired_share_interval(*counts, len(y), normal_quantile(confidence))
    if spec.task == "multilabel":
        first, second = (replicates.of_labels(o, y) for o in (student, control))
    else:
        raw = [spec.raw_targets(o) for o in (student, control)]
        first, second = (replicates.of_numbers(o, y, spec.labels) for o in raw)
    low, high = differences(first, second, (HEADLINE[spec.task], ""), len(y), confidence=confidence)
    if not np.isfinite(low):  # the metric is defined in no resample
        value = of[0].value - of[1].value
        return value, value
    return low, high
