"""Losses with labels and headline scores, against numpy, scikit-learn and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from edgekd.errors import StageError
from edgekd.tasks.losses import headline, label_loss, standardised

RNG = np.random.default_rng(0)
OUTPUTS = RNG.normal(size=(7, 3)) * 2
CLASSES = RNG.integers(0, 3, 7)
LABELS = (RNG.random((7, 3)) < 0.5).astype(float)
NUMBERS = RNG.normal(size=(7, 3))


def loss(task, y, **options):
    return label_loss(task, torch.tensor(OUTPUTS), torch.tensor(y), **options).numpy()


def test_classes_have_their_cross_entropy():
    exp = np.exp(OUTPUTS)
    log_p = np.log(exp / exp.sum(1, keepdims=True))
    expected = -log_p[np.arange(7), CLASSES]
    np.testing.assert_allclose(loss("classification", CLASSES), expected)
    smoothed = 0.9 * expected - 0.1 * log_p.mean(1)
    np.testing.assert_allclose(loss("binary", CLASSES, label_smoothing=0.1), smoothed)


def test_labels_have_their_binary_cross_entropy():
    p = 1 / (1 + np.exp(-OUTPUTS))
    expected = -(LABELS * np.log(p) + (1 - LABELS) * np.log(1 - p)).mean(1)
    np.testing.assert_allclose(loss("multilabel", LABELS), expected)


def test_numbers_have_their_squared_or_smoothed_error():
    error = np.abs(OUTPUTS - NUMBERS)
    assert error.min() < 1 < error.max()
    np.testing.assert_allclose(loss("regression", NUMBERS), (error**2).mean(1))
    smooth = np.where(error < 1, error**2 / 2, error - 0.5).mean(1)
    np.testing.assert_allclose(loss("regression", NUMBERS, regression="smooth_l1"), smooth)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_only_classes_are_smoothed(task):
    with pytest.raises(StageError, match=f"a {task} has none"):
        loss(task, LABELS, label_smoothing=0.1)


def test_headlines_are_scikit_learns():
    outputs = torch.tensor(OUTPUTS)
    expected = (OUTPUTS.argmax(1) == CLASSES).mean()
    assert headline("classification", outputs, torch.tensor(CLASSES)) == pytest.approx(expected)
    score = headline("multilabel", outputs, torch.tensor(LABELS))
    assert score == pytest.approx(sk.f1_score(LABELS, OUTPUTS > 0, average="macro"))
    score = headline("regression", outputs, torch.tensor(NUMBERS))
    assert score == pytest.approx(sk.r2_score(NUMBERS, OUTPUTS))
    assert score < 0


def test_what_does_not_vary_or_apply_does_not_break_a_headline():
    outputs = torch.tensor(OUTPUTS)
    constant = NUMBERS.copy()
    constant[:, 1] = 4
    expected = np.mean([sk.r2_score(NUMBERS[:, i], OUTPUTS[:, i]) for i in (0, 2)])
    assert headline("regression", outputs, torch.tensor(constant)) == pytest.approx(expected)
    assert headline("regression", outputs, torch.full((7, 3), 2.0)) == 0
    none = torch.full((7, 3), -1.0)
    assert headline("multilabel", none, torch.zeros(7, 3)) == 0


def test_standardised_targets_have_mean_0_and_deviation_1():
    y = RNG.normal(1000, 0.5, (50, 2)).astype(np.float32)
    mean, std = y.astype(float).mean(0), y.astype(float).std(0)
    seen = standardised(torch.from_numpy(y), tuple(mean), tuple(std)).numpy()
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.std(0), 1, atol=1e-6)
