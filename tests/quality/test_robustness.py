"""Means over shifts, their intervals, and when a warning is given."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.quality import calibration, robustness
from edgekd.quality.robustness import Shifted
from edgekd.quality.shifts import Shift
from edgekd.results import Accuracy, QualityFigures
from edgekd.statistics import wilson_interval

SHIFTS = [
    Shift("noise", 0.1, "range"), Shift("noise", 0.2, "range"), Shift("blur", 1.0, "px"),
]  # fmt: skip
N = 400
Y = np.arange(N) % 4


def answering(shares: list[float], clean: float = 1.0, seed: int = 0, sure: float = 3.0) -> Shifted:
    """A model that is right on a share of the samples, clean and under each shift."""
    rng = np.random.default_rng(seed)

    def outputs(share: float) -> np.ndarray:
        answer = np.where(rng.random(N) < share, Y, (Y + 1) % 4)
        return (np.eye(4)[answer] * sure).astype(np.float32)

    return Shifted(outputs(clean), {s: outputs(p) for s, p in zip(SHIFTS, shares, strict=True)})


def score(outputs: np.ndarray, runtime: str) -> Accuracy:
    right = int((outputs.argmax(1) == Y).sum())
    low, high = wilson_interval(right, N)
    return Accuracy(value=right / N, low=low, high=high, n=N, runtime=runtime, split="test")


def figures(shifted: Shifted, reference: Shifted | None = None) -> QualityFigures:
    return QualityFigures(
        model="m",
        stage="student",
        seed=0,
        precision="int8",
        runtime="litert",
        clean=score(shifted.clean, "litert"),
        calibration=calibration.calibration(shifted.clean, Y, None, 0),
        shifts=robustness.shift_figures(shifted, score, "litert", Y, reference),
    )


def test_every_shift_counts_the_same_however_many_severities_it_has():
    shifted = answering([0.9, 0.7, 0.4])
    share = [right.mean() for right in shifted.right(Y).values()]
    expected = ((share[0] + share[1]) / 2 + share[2]) / 2
    found = robustness.mean_accuracy(shifted.right(Y))
    assert found is not None and found.value == pytest.approx(expected)
    wide = robustness.mean_score(robustness.shift_figures(shifted, score, "litert", Y, None))
    assert wide is not None and wide.value == pytest.approx(expected)
    assert wide.low < found.low < found.value < found.high < wide.high
    assert robustness.mean_accuracy({}) is None and robustness.mean_score([]) is None


def test_a_sample_counts_once():
    """Ten times the same shift tells no more than once."""
    right = np.random.default_rng(0).random(N) < 0.8
    many = {Shift("noise", s / 10, "range"): right for s in range(1, 11)}
    ten = robustness.mean_accuracy(many)
    one = robustness.mean_accuracy({SHIFTS[0]: right})
    assert ten is not None and one is not None
    assert (ten.low, ten.high) == pytest.approx((one.low, one.high))
    assert one.low == pytest.approx(wilson_interval(int(right.sum()), N)[0], abs=0.01)


def test_rows_tell_agreement_and_calibration_error():
    ours, theirs = answering([0.9, 0.7, 0.4], seed=1), answering([0.9, 0.8, 0.5], seed=2)
    rows = robustness.shift_figures(ours, score, "litert", Y, theirs)
    for row, shift in zip(rows, SHIFTS, strict=True):
        a, b = ours.under[shift], theirs.under[shift]
        assert (row.shift, row.severity, row.unit) == (shift.name, shift.severity, shift.unit)
        assert row.agreement == pytest.approx((a.argmax(1) == b.argmax(1)).mean())
        confidence = np.exp(3) / (np.exp(3) + 3)
        assert row.ece == pytest.approx(abs((a.argmax(1) == Y).mean() - confidence), abs=1e-6)
    alone = robustness.shift_figures(ours, score, "litert", None, theirs)
    assert {(row.ece, row.agreement) for row in alone} == {(None, None)}


def test_an_int8_file_that_loses_more_is_warned_of():
    teacher, student = answering([0.95] * 3), answering([0.95] * 3)
    worse = answering([0.95, 0.95, 0.7], seed=5)
    shifted = {"teacher": teacher, "float32": student, "int8": worse}
    found = robustness.warn({r: figures(s) for r, s in shifted.items()}, shifted, Y)
    (text,) = found
    assert text.startswith("The int8 file loses")
    assert "most at blur 1 px" in text
    lost = robustness.lost_more(worse, student, Y)
    assert lost.low < 0.125 < lost.high


def test_chance_is_not_warned_of():
    shifted = {
        "teacher": answering([0.9] * 3, seed=1),
        "float32": answering([0.9] * 3, seed=2),
        "int8": answering([0.9] * 3, seed=3),
    }
    assert robustness.warn({r: figures(s) for r, s in shifted.items()}, shifted, Y) == []


def test_a_student_that_loses_more_than_its_teacher_is_warned_of():
    shifted = {"teacher": answering([0.95] * 3), "float32": answering([0.6] * 3, seed=4)}
    (text,) = robustness.warn({r: figures(s) for r, s in shifted.items()}, shifted, Y)
    assert text.startswith("The student loses") and "the teacher" in text


def test_a_doubled_calibration_error_is_warned_of():
    good = answering([0.9] * 3, clean=0.88, sure=3.0)
    bad = answering([0.9] * 3, clean=0.88, sure=9.0)
    shifted = {"float32": good, "int8": bad}
    (text,) = robustness.warn({r: figures(s) for r, s in shifted.items()}, shifted, Y)
    assert text.startswith("The probabilities of the int8 file")
    assert robustness.warn({"float32": figures(bad), "int8": figures(bad)},
                           {"float32": bad, "int8": bad}, Y) == []  # fmt: skip
