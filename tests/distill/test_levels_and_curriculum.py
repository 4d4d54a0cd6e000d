"""MLKD against the paper's sums in NumPy, and CTKD's temperature against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr, softmax

from edgekd.config.methods import CTKDSettings, MLKDSettings
from edgekd.distill.ctkd import Temperature, reversal
from edgekd.distill.kd import kd_loss
from edgekd.distill.losses import make_objective
from edgekd.distill.mlkd import mlkd_loss
from edgekd.errors import StageError
from edgekd.train.batches import Batch

LOGITS = arrays(np.float64, (4, 3), elements=st.floats(-1e3, 1e3))


def by_hand(s: np.ndarray, t: np.ndarray, temperatures: tuple[float, ...]) -> float:
    total = 0.0
    for T in temperatures:
        p, q = softmax(t / T, axis=1), softmax(s / T, axis=1)
        total += T**2 * rel_entr(p, q).sum(1).mean()
        total += ((p @ p.T - q @ q.T) ** 2).sum() / len(s)
        total += ((p.T @ p - q.T @ q) ** 2).sum() / s.shape[1]
    return total


def test_the_three_levels_are_the_papers():
    rng = np.random.default_rng(0)
    s, t = rng.normal(0, 3, (5, 4)), rng.normal(0, 3, (5, 4))
    student = torch.from_numpy(s).requires_grad_()
    loss = mlkd_loss(student, torch.from_numpy(t), (1.0, 4.0))
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == pytest.approx(by_hand(s, t, (1.0, 4.0)), rel=1e-6)
    for place in [(0, 0), (2, 3), (4, 1)]:
        step = np.zeros_like(s)
        step[place] = 1e-5
        slope = (by_hand(s + step, t, (1.0, 4.0)) - by_hand(s - step, t, (1.0, 4.0))) / 2e-5
        assert gradient[place].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


@given(LOGITS, LOGITS)
def test_levels_are_zero_at_equality_and_finite_at_the_extremes(s, t):
    student = torch.from_numpy(s).requires_grad_()
    assert mlkd_loss(student, torch.from_numpy(s)).item() == pytest.approx(0, abs=1e-6)
    loss = mlkd_loss(student, torch.from_numpy(t))
    (gradient,) = torch.autograd.grad(loss, student)
    assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_the_temperature_starts_as_the_authors_and_stays_in_its_bounds():
    temperature = Temperature()
    assert temperature().item() == pytest.approx(1 + 20 / (1 + np.exp(-1)))
    with torch.no_grad():
        temperature.theta.fill_(-100)
    assert temperature().item() >= 1


def test_the_gradient_of_the_temperature_is_reversed_by_and_by():
    assert [reversal(e) for e in (0, 5, 10, 50)] == pytest.approx([0, -0.5, -1, -1])
    student, teacher = torch.randn(6, 4), torch.randn(6, 4)
    gradients = {}
    for factor in (1.0, 0.0, -1.0):
        temperature = Temperature()
        kd_loss(student, teacher, temperature(factor)).sum().backward()
        gradients[factor] = temperature.theta.grad.item()
    assert gradients[0.0] == 0
    assert gradients[-1.0] == pytest.approx(-gradients[1.0]) != 0


def test_a_curriculum_makes_the_loss_larger_where_the_student_makes_it_smaller():
    torch.manual_seed(0)
    objective = make_objective(CTKDSettings(ce_weight=0))
    student = torch.randn(8, 4, requires_grad=True)
    batch = Batch(torch.zeros(8, 1), torch.arange(8) % 4, torch.arange(8), torch.randn(8, 4))
    (theta,) = objective.parameters()
    before = objective(student, batch, 20)[1]["ctkd"].item()
    objective(student, batch, 20)[0].backward()
    with torch.no_grad():
        theta -= 0.1 * theta.grad.sign()  # a step of an optimiser that minimises
    assert objective(student, batch, 20)[1]["ctkd"].item() > before
    assert "parts.0.temperature.theta" in objective.state_dict()


@pytest.mark.parametrize("settings", [MLKDSettings(), CTKDSettings()])
def test_they_compare_classes_and_need_the_teachers_logits(settings):
    with pytest.raises(StageError, match="compares classes"):
        make_objective(settings, task="regression")
    batch = Batch(torch.zeros(2, 1), torch.zeros(2).long(), torch.arange(2))
    with pytest.raises(StageError, match="needs the teacher's logits"):
        make_objective(settings)(torch.zeros(2, 3), batch, 0)


@pytest.mark.parametrize("settings", [MLKDSettings, CTKDSettings])
def test_standardized_logits_have_no_size(settings):
    z = torch.randn(6, 4, dtype=torch.float64)
    batch = Batch(torch.zeros(6, 1), torch.arange(6) % 4, torch.arange(6), 7 * z + 3)
    _, parts = make_objective(settings(standardize=True))(z, batch, 0)
    assert parts[settings().name].item() == pytest.approx(0, abs=1e-6)
