"""Hinton's loss against scipy, and its properties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, rel_entr, softmax
from torch.nn import functional as F

from edgekd.config.stages import KDSettings, LabelsSettings
from edgekd.distill.losses import kd_loss, labels_objective, make_objective
from edgekd.errors import StageError
from edgekd.train.batches import Batch

LOGITS = arrays(np.float64, (5, 7), elements=st.floats(-30, 30))
TEMPERATURES = st.floats(0.5, 20)


def batch(teacher: torch.Tensor | None, y: torch.Tensor) -> Batch:
    return Batch(torch.zeros(len(y), 1), y, torch.arange(len(y)), teacher)


@given(LOGITS, LOGITS, TEMPERATURES)
def test_kd_is_the_divergence_of_the_paper(student, teacher, temperature):
    p, q = softmax(teacher / temperature, axis=1), softmax(student / temperature, axis=1)
    expected = temperature**2 * rel_entr(p, q).sum(1).mean()
    found = kd_loss(torch.from_numpy(student), torch.from_numpy(teacher), temperature)
    assert float(found) == pytest.approx(expected, rel=1e-4, abs=1e-3)


@given(LOGITS, TEMPERATURES)
def test_kd_of_a_perfect_student_is_zero(logits, temperature):
    same = torch.from_numpy(logits)
    assert float(kd_loss(same, same, temperature)) == pytest.approx(0, abs=1e-4)


@given(LOGITS, LOGITS, st.floats(-10, 10))
def test_kd_ignores_what_softmax_ignores(student, teacher, constant):
    s, t = torch.from_numpy(student), torch.from_numpy(teacher)
    assert float(kd_loss(s + constant, t)) == pytest.approx(float(kd_loss(s, t)), abs=1e-2)


def test_the_gradient_keeps_its_size_when_the_temperature_changes():
    """Section 2.1 of the paper: for high T the gradient is (z_i - v_i) / N, mean-free logits."""
    student = torch.randn(3, 6, dtype=torch.float64)
    student -= student.mean(1, keepdim=True)
    teacher = torch.randn(3, 6, dtype=torch.float64)
    teacher -= teacher.mean(1, keepdim=True)
    student.requires_grad_()
    kd_loss(student, teacher, 1000.0).backward()
    assert student.grad is not None
    expected = (student - teacher).detach() / 6 / 3
    assert torch.allclose(student.grad, expected, atol=1e-3)


def test_gradients_are_finite_for_a_sure_student_in_half_precision():
    student = torch.tensor([[200.0, -200.0, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    kd_loss(student, torch.tensor([[0.0, 5.0, 1.0]])).backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize(("shape", "temperature"), [((2, 3), 4.0), ((2, 4), 0.0), ((2, 4), -1.0)])
def test_wrong_arguments_are_refused(shape, temperature):
    with pytest.raises(ValueError, match=r"teacher|temperature"):
        kd_loss(torch.zeros(2, 4), torch.zeros(shape), temperature)


def test_the_objective_weighs_its_parts():
    student, teacher, y = torch.randn(6, 4), torch.randn(6, 4), torch.randint(4, (6,))
    settings = KDSettings(temperature=3, ce_weight=0.25, kd_weight=2)
    total, parts = make_objective(settings, 0.1)(student, batch(teacher, y), 0)
    ce = F.cross_entropy(student, y, label_smoothing=0.1)
    assert float(parts["ce"]) == pytest.approx(float(ce))
    assert float(total) == pytest.approx(0.25 * float(ce) + 2 * float(parts["kd"]))


def test_labels_alone_are_cross_entropy():
    student, y = torch.randn(6, 4), torch.randint(4, (6,))
    total, _ = make_objective(LabelsSettings())(student, batch(None, y), 0)
    assert torch.equal(total, labels_objective()(student, batch(None, y), 0)[0])
    assert float(total) == pytest.approx(float(F.cross_entropy(student, y)))


def test_kd_without_a_teacher_is_an_error():
    with pytest.raises(StageError, match="teacher"):
        make_objective(KDSettings())(torch.zeros(2, 3), batch(None, torch.zeros(2).long()), 0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_samples_are_judged_by_the_mixed_target(smoothing):
    logits, y, other = torch.randn(6, 4), torch.randint(4, (6,)), torch.randint(4, (6,))
    share = torch.rand(6)
    mixed = replace(batch(None, y), partner=other, share=share)
    one_hot, others = np.eye(4)[y], np.eye(4)[other]
    target = share.numpy()[:, None] * one_hot + (1 - share.numpy())[:, None] * others
    target = (1 - smoothing) * target + smoothing / 4
    expected = -(target * log_softmax(logits.double().numpy(), axis=1)).sum(1).mean()
    for settings in (LabelsSettings(), KDSettings(ce_weight=1, kd_weight=0)):
        shown = replace(mixed, teacher=torch.randn(6, 4))
        total, parts = make_objective(settings, smoothing)(logits, shown, 0)
        assert float(total) == pytest.approx(expected, rel=1e-5)
        assert float(parts["ce"]) == pytest.approx(expected, rel=1e-5)
