"""Calibration against torchmetrics, numpy by hand, and what is known of calibrated models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from edgekd.quality import calibration as c


def drawn(n: int = 600, classes: int = 7, seed: int = 0, sharp: float = 2.0):
    """Logits and classes that belong together: calibrated at temperature 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, sharp, (n, classes))
    shares = np.exp(c.log_softmax(logits)).cumsum(1)
    y = (rng.random((n, 1)) > shares).sum(1).clip(0, classes - 1)
    return logits, y


def answers(logits, y):
    return c.Answers.of(logits, y)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bins", [5, 15])
def test_ece_is_torchmetrics(seed: int, bins: int):
    logits, y = drawn(seed=seed)
    logits *= 3  # overconfident
    found = answers(logits, y)
    ours = c.calibration_error(found.confidence, found.right, c.equal_width(found.confidence, bins))
    theirs = multiclass_calibration_error(
        torch.from_numpy(logits).softmax(1), torch.from_numpy(y), num_classes=7, n_bins=bins
    )
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_by_hand():
    """Two bins of ten: (0.7, 0.9] holds 3 answers of which 2 are right, (0.5, 0.6] one wrong."""
    confidence = np.array([0.80, 0.75, 0.79, 0.55])
    right = np.array([True, True, False, False])
    bin_of = c.equal_width(confidence, 10)
    assert bin_of.tolist() == [7, 7, 7, 5]
    expected = 3 / 4 * abs(2 / 3 - 0.78) + 1 / 4 * 0.55
    assert c.calibration_error(confidence, right, bin_of) == pytest.approx(expected)


def test_limits_of_bins():
    """(0, 1/4], (1/4, 2/4], ...: as Guo et al. have them, and 0 is in the first."""
    confidence = np.array([0.0, 0.25, 0.2500001, 0.5, 1.0])
    assert c.equal_width(confidence, 4).tolist() == [0, 0, 1, 1, 3]


def test_bins_of_equal_mass_are_of_equal_mass():
    confidence = np.random.default_rng(0).random(150)
    bin_of = c.equal_mass(confidence)
    assert np.bincount(bin_of).tolist() == [10] * 15
    for m in range(14):
        assert confidence[bin_of == m].max() < confidence[bin_of == m + 1].min()
    assert set(c.equal_mass(np.full(50, 0.3)).tolist()) == {0}, "equal confidences stay together"


def test_brier_and_nll_by_hand():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4]])
    found = answers(np.log(probabilities), np.array([0, 2]))
    assert found.brier == pytest.approx([0.09 + 0.04 + 0.01, 0.01 + 0.25 + 0.36])
    assert found.loss == pytest.approx(-np.log([0.7, 0.4]))
    assert found.confidence == pytest.approx([0.7, 0.5])
    assert found.right.tolist() == [True, False]


def test_nll_is_torchs():
    logits, y = drawn()
    theirs = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(y))
    assert answers(logits, y).loss.mean() == pytest.approx(float(theirs))


def test_the_reliability_diagram_holds_every_answer():
    logits, y = drawn()
    found = answers(logits, y)
    bins = c.reliability(found)
    assert sum(b.n for b in bins) == len(y)
    assert sum(b.n * b.accuracy for b in bins) == pytest.approx(found.right.sum())
    assert sum(b.n * b.confidence for b in bins) == pytest.approx(found.confidence.sum())
    assert all(b.low < b.confidence <= b.high and b.high - b.low == pytest.approx(1 / 15)
               for b in bins)  # fmt: skip
    gap = sum(b.n / len(y) * abs(b.accuracy - b.confidence) for b in bins)
    ece = c.calibration_error(found.confidence, found.right, c.equal_width(found.confidence))
    assert gap == pytest.approx(ece)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(50, 1500), sharp=st.floats(0.5, 5))
def test_a_calibrated_model_is_found_to_be_one(seed: int, n: int, sharp: float):
    """Within what chance alone gives: 3 times its 95th percentile is never reached."""
    logits, y = drawn(n, seed=seed, sharp=sharp)
    found = answers(logits, y)
    bin_of = c.equal_width(found.confidence)
    ece = c.calibration_error(found.confidence, found.right, bin_of)
    assert ece < 3 * c.by_chance(found.confidence, bin_of, np.random.default_rng(seed)) + 1e-9


def test_chance_is_exceeded_one_time_of_twenty():
    exceeded = 0
    for seed in range(150):
        logits, y = drawn(200, seed=seed)
        found = answers(logits, y)
        bin_of = c.equal_width(found.confidence)
        ece = c.calibration_error(found.confidence, found.right, bin_of)
        exceeded += ece > c.by_chance(found.confidence, bin_of, np.random.default_rng(seed))
    assert 0 < exceeded <= 17, "7.5 are expected, and 2.7 is their deviation"


@settings(max_examples=50, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    bins=st.integers(1, 20),
)
def test_bounds(pairs: list[tuple[float, bool]], bins: int):
    confidence = np.array([p for p, _ in pairs])
    right = np.array([r for _, r in pairs])
    for rule in (c.equal_width, c.equal_mass):
        bin_of = rule(confidence, bins)
        assert bin_of.min() >= 0 and bin_of.max() < bins
        ece = c.calibration_error(confidence, right, bin_of)
        overall = abs(right.mean() - confidence.mean())
        assert overall - 1e-12 <= ece <= np.abs(right - confidence).mean() + 1e-12


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(true: float):
    logits, y = drawn(4000)
    found = c.fit_temperature(logits * true, y)
    assert found is not None
    assert found == pytest.approx(true, rel=0.08)
    temperatures = np.geomspace(0.05, 20, 4000)
    losses = [c.Answers.of(logits * true, y, t).loss.mean() for t in temperatures[::40]]
    assert c.Answers.of(logits * true, y, found).loss.mean() <= min(losses) + 1e-9


def test_figures_of_an_overconfident_model():
    logits, y = drawn(1000)
    first, second = (logits[:500], y[:500]), (logits[500:], y[500:])
    figures = c.calibration(first[0] * 4, first[1], (second[0] * 4, second[1]), seed=0)
    assert figures.confidence > figures.accuracy + 0.1
    assert figures.temperature == pytest.approx(4, rel=0.15)
    assert figures.ece.value > figures.ece_by_chance
    assert figures.ece_at_temperature is not None
    assert figures.ece_at_temperature < figures.ece.value / 2
    for estimate in (figures.ece, figures.ece_equal_mass, figures.brier, figures.nll):
        assert estimate.low < estimate.value < estimate.high
    same = c.calibration(first[0] * 4, first[1], (second[0] * 4, second[1]), seed=0)
    assert figures == same


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).exponential(1, 800)
    found = c._mean_estimate(values, np.random.default_rng(1))
    half = 1.96 * values.std(ddof=1) / np.sqrt(800)
    assert found.high - found.value == pytest.approx(half, rel=0.15)
    assert found.value - found.low == pytest.approx(half, rel=0.15)


def test_the_interval_holds_the_error_of_many_samples():
    """19 times of 20, for an overconfident model; the true error is that of 200,000 samples."""
    logits, y = drawn(200_000, seed=99)
    many = answers(logits * 2, y)
    true = c.calibration_error(many.confidence, many.right, c.equal_width(many.confidence))
    held = 0
    for seed in range(30):
        logits, y = drawn(500, seed=seed)
        found = answers(logits * 2, y)
        interval = c._error_estimate(
            found, c.equal_width(found.confidence), np.random.default_rng(seed)
        )
        held += interval.low <= true <= interval.high
    assert held >= 25


def test_a_model_that_is_always_right_gets_no_temperature():
    logits, y = np.eye(3)[[0, 1, 2] * 20] * 9, np.array([0, 1, 2] * 20)
    figures = c.calibration(logits, y, (logits, y), seed=0)
    assert figures.temperature is None and figures.ece_at_temperature is None
    assert figures.accuracy == 1


def test_nothing_is_no_sample():
    with pytest.raises(ValueError, match="no samples"):
        c.calibration_error(np.array([]), np.array([], bool), np.array([], np.int64))
