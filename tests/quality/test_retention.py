"""Retention and gain: against counts by hand, and against intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import rel_entr, softmax
from sklearn.metrics import f1_score, r2_score

from edgekd.quality.retention import change, divergence, gain, information, retention
from edgekd.spec import InputSpec, ModelSpec
from edgekd.statistics import paired_share_interval

RNG = np.random.default_rng(0)
ABOUT = {"stage": "distill", "seed": 0, "precision": "float32"}


def spec(task: str, labels: int, **more: tuple[float, ...]) -> ModelSpec:
    names = tuple(f"c{i}" for i in range(labels))
    row = InputSpec(kind="row", shape=(3,), mean=(0.0,) * 3, std=(1.0,) * 3)
    return ModelSpec(name="m", input=row, labels=names, task=task, **more)


def answering(answers: list[int], classes: int = 3) -> np.ndarray:
    return 4.0 * np.eye(classes)[answers]


def test_retention_by_hand():
    y = np.array([0, 0, 1, 1, 2, 2])
    teacher, student = answering([0, 0, 1, 1, 2, 0]), answering([0, 1, 1, 1, 0, 0])
    row = retention(student, teacher, y, spec("classification", 3), **ABOUT)
    assert row.score.value == pytest.approx(3 / 6)
    assert row.retention == pytest.approx(3 / 5)
    assert row.agreement == pytest.approx(4 / 6)
    assert row.agreement_low < 4 / 6 < row.agreement_high
    assert row.per_class == [0.5, 1.0, 0.0]
    sure = np.exp(4) / (np.exp(4) + 2)
    assert row.ece == pytest.approx(sure - 0.5, abs=1e-9)


def test_divergence_is_scipys():
    teacher, student = RNG.normal(0, 3, (50, 7)), RNG.normal(0, 2, (50, 7))
    p, q = softmax(teacher / 2, 1), softmax(student / 2, 1)
    assert divergence(teacher, student, 2.0) == pytest.approx(rel_entr(p, q).sum(1).mean())
    assert divergence(teacher, teacher) == 0


def test_in_parts_it_is_the_same(monkeypatch):
    teacher, student = RNG.normal(0, 3, (50, 7)), RNG.normal(0, 2, (50, 7))
    y, about = RNG.integers(0, 7, 50), spec("classification", 7)
    whole = retention(student, teacher, y, about, **ABOUT)
    monkeypatch.setattr("edgekd.quality.retention.PART", 16)
    monkeypatch.setattr("edgekd.quality.calibration.PART", 16)
    assert retention(student, teacher, y, about, **ABOUT) == whole


def test_a_class_without_test_samples_has_no_recall():
    y = np.array([0, 0, 1])
    row = retention(
        answering([0, 0, 1]), answering([0, 0, 1]), y, spec("classification", 3), **ABOUT
    )
    assert row.per_class == [1.0, 1.0, None]
    assert (row.agreement, row.divergence) == (1.0, 0.0)


def test_several_labels_count_decisions():
    y = RNG.integers(0, 2, (80, 4)).astype(np.float32)
    teacher = (2 * y - 1) * 3 + RNG.normal(0, 2, y.shape)
    student = teacher + RNG.normal(0, 2, y.shape)
    row = retention(student, teacher, y, spec("multilabel", 4), **ABOUT)
    assert row.agreement == pytest.approx(((student > 0) == (teacher > 0)).mean())
    assert row.per_class == pytest.approx(list(f1_score(y, student > 0, average=None)), abs=1e-6)
    assert row.ece is None
    assert row.divergence is None


def test_a_regression_keeps_of_its_r2():
    y = RNG.normal(5, 2, (60, 1)).astype(np.float32)
    regression = spec("regression", 1, target_mean=(5.0,), target_std=(2.0,))
    teacher = (y - 5) / 2 + RNG.normal(0, 0.1, y.shape)
    student = (y - 5) / 2 + RNG.normal(0, 0.4, y.shape)
    row = retention(student, teacher, y, regression, **ABOUT)
    wanted = r2_score(y, student * 2 + 5) / r2_score(y, teacher * 2 + 5)
    assert row.retention == pytest.approx(wanted, abs=1e-5)
    assert (row.agreement, row.per_class) == (None, [])
    found = gain(teacher, student, y, regression, **ABOUT)
    assert found.verdict == "gain"
    assert found.low < found.gain < found.high


def test_the_gain_is_paired_by_sample():
    """Few samples that change give a narrow interval, however many both have wrong."""
    y = np.zeros(400, np.int64)
    control = np.where(np.arange(400) < 200, 0, 1)
    student = control.copy()
    student[200:212] = 0
    found = gain(
        answering(list(student)), answering(list(control)), y, spec("classification", 3), **ABOUT
    )
    assert found.gain == pytest.approx(12 / 400)
    assert found.verdict == "gain"
    assert found.high - found.low < 0.06
    same = gain(
        answering(list(control)), answering(list(control)), y, spec("classification", 3), **ABOUT
    )
    assert (same.gain, same.verdict) == (0.0, "none")


def test_newcombes_own_example():
    """Newcombe 1998, table II: 36, 12, 2 and 0 of 50 pairs, method 10."""
    assert paired_share_interval(36, 12, 50 - 48, 50) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_the_interval_holds_the_difference_19_times_of_20():
    chances = np.array([0.75, 0.1, 0.05, 0.1])  # both, first, second, neither
    counts = RNG.multinomial(150, chances, 2000)
    held = 0
    for both, first, second, _ in counts.tolist():
        low, high = paired_share_interval(both, first, second, 150)
        held += low <= 0.05 <= high
    assert 0.935 < held / len(counts) < 0.975


@pytest.mark.parametrize("counts", [(1, 1, 1, 2), (-1, 0, 0, 3), (0, 0, 0, 0)])
def test_counts_that_do_not_fit(counts):
    with pytest.raises(ValueError, match="pairs"):
        paired_share_interval(*counts)


def test_information_is_what_a_constant_answer_misses():
    """No constant answer has a smaller mean divergence than the mean one, which it is."""
    teacher = RNG.normal(0, 3, (40, 5))
    p = softmax(teacher, 1)
    constant = np.log(np.broadcast_to(p.mean(0), p.shape))
    assert information(teacher) == pytest.approx(divergence(teacher, constant))
    assert information(np.broadcast_to(teacher[:1], teacher.shape)) == pytest.approx(0)


def test_a_change_is_paired_as_a_gain_is():
    y = np.arange(300) % 3
    before, after = y.copy(), y.copy()
    before[:30] = (y[:30] + 1) % 3
    after[:20] = (y[:20] + 1) % 3
    row = change(answering(list(after)), answering(list(before)), y, spec("classification", 3))
    assert row.value == pytest.approx(10 / 300)
    assert 0 < row.low < row.value < row.high


def test_more_confidence_is_a_wider_interval_of_every_task():
    y = RNG.integers(0, 3, 200)
    numbers = RNG.normal(0, 1, (200, 1))
    several = RNG.integers(0, 2, (200, 3)).astype(np.float32)
    for task, targets, classes in (
        ("classification", y, 3),
        ("multilabel", several, 3),
        ("regression", numbers, 1),
    ):
        exact = np.eye(3)[y] if task == "classification" else targets * 2 - (task == "multilabel")
        first, second = (exact + RNG.normal(0, 1, exact.shape) for _ in range(2))
        scale = {"target_mean": (0.0,), "target_std": (1.0,)} if task == "regression" else {}
        wide, narrow = (
            change(first, second, targets, spec(task, classes, **scale), confidence)
            for confidence in (0.95, 0.6)
        )
        assert wide.low < narrow.low < narrow.high < wide.high
        assert wide.value == narrow.value
