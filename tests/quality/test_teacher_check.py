"""The teacher check: entropy and mass against scipy, calibration against torchmetrics, warnings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy
from torchmetrics.functional.classification import multiclass_calibration_error

from edgekd.quality.teacher import SoftTargets, soft_targets, warn, with_calibration
from edgekd.results import Accuracy, TeacherFigures


def answers(n: int, classes: int, scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes that are the top one three times of four."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (n, classes))
    y = np.where(rng.random(n) < 0.75, logits.argmax(1), rng.integers(0, classes, n))
    return logits, y


def figures(value: float, **more: float) -> TeacherFigures:
    score = Accuracy(
        value=value, low=value - 0.01, high=value, n=1000, runtime="torch", split="validation"
    )
    return TeacherFigures(stage="teacher", seed=0, validation=score, temperature=4.0, **more)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_targets_are_scipys(temperature: float, standardize: bool):
    logits, y = answers(500, 7, 3.0)
    chunks = [(logits[i : i + 130].astype(np.float16), y[i : i + 130]) for i in range(0, 500, 130)]
    found = soft_targets(chunks, temperature, standardize=standardize)
    z = logits.astype(np.float16).astype(np.float64)
    if standardize:
        z = (z - z.mean(1, keepdims=True)) / (z.std(1, keepdims=True) + 1e-7)
    p = softmax(z / temperature, axis=1)
    assert found.entropy == pytest.approx(entropy(p, axis=1).mean() / np.log(7), abs=1e-9)
    assert found.outside == pytest.approx(1 - p.max(1).mean(), abs=1e-9)
    assert found.wrong == (z.argmax(1) != y).mean()


@given(st.integers(2, 9), st.floats(0, 1e4), st.integers(0, 99))
def test_soft_targets_stay_within_their_limits(classes: int, scale: float, seed: int):
    found = soft_targets([answers(20, classes, scale, seed)], 2.0)
    for share in (found.entropy, found.outside, found.wrong):
        assert -1e-9 <= share <= 1 + 1e-9


def test_equal_logits_say_nothing_and_extreme_ones_only_the_label():
    y = np.zeros(5, int)
    assert soft_targets([(np.zeros((5, 4)), y)], 1.0) == SoftTargets(pytest.approx(1), 0.75, 0)
    sure = soft_targets([(np.eye(4)[y] * 1e5, y)], 4.0)
    assert sure.entropy == pytest.approx(0, abs=1e-9) and sure.outside == 0


def test_calibration_is_torchmetrics():
    logits, y = answers(800, 5, 2.0)
    found = with_calibration(figures(0.7), logits, y, 0)
    p = torch.from_numpy(softmax(logits, axis=1))
    theirs = multiclass_calibration_error(p, torch.from_numpy(y), num_classes=5, n_bins=15)
    assert found.ece == pytest.approx(float(theirs), abs=1e-6)
    assert found.confidence == pytest.approx(float(p.max(1).values.mean()))


EVEN = np.arange(1000) % 10
GOOD = {"ece": 0.01, "ece_by_chance": 0.02, "confidence": 0.95, "outside": 0.3}


@pytest.mark.parametrize(
    ("score", "more", "y", "words"),
    [
        (0.95, GOOD, EVEN, []),
        (0.50, GOOD | {"confidence": 0.5}, EVEN, ["is poor"]),
        # 95 % is little where 94 % is the commonest class
        (0.95, GOOD, (np.arange(1000) >= 940).astype(int), ["is poor"]),
        (0.90, GOOD | {"ece": 0.05}, EVEN, ["overconfident: 95.0% sure, 90.0% right"]),
        (0.90, GOOD | {"ece": 0.015}, EVEN, []),  # no more than chance
        (0.95, GOOD | {"outside": 0.004}, EVEN, ["at temperature 4 only 0.40%"]),
    ],
)
def test_warnings_are_plain_and_only_where_they_are_due(score, more, y, words):
    found = warn(figures(score, **more), y, 10)
    assert len(found) == len(words)
    for text, word in zip(found, words, strict=True):
        assert word in text
