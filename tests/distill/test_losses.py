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

from edgekd.config.methods import KDSettings, LabelsSettings
from edgekd.distill.losses import (
    binary_kd_loss,
    bounded_loss,
    kd_loss,
    make_objective,
    mimic_loss,
)
from edgekd.errors import StageError
from edgekd.train.batches import Batch
from edgekd.train.labels import Labels, LabelsOnly

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
    settings = KDSettings(temperature=3, ce_weight=0.25, weight=2)
    total, parts = make_objective(settings, 0.1)(student, batch(teacher, y), 0)
    ce = F.cross_entropy(student, y, label_smoothing=0.1)
    assert float(parts["ce"]) == pytest.approx(float(ce))
    assert float(total) == pytest.approx(0.25 * float(ce) + 2 * float(parts["kd"]))


def test_labels_alone_are_cross_entropy():
    student, y = torch.randn(6, 4), torch.randint(4, (6,))
    total, _ = make_objective(LabelsSettings())(student, batch(None, y), 0)
    assert torch.equal(total, LabelsOnly(Labels())(student, batch(None, y), 0)[0])
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
    for settings in (LabelsSettings(), KDSettings(ce_weight=1, weight=0)):
        shown = replace(mixed, teacher=torch.randn(6, 4))
        total, parts = make_objective(settings, smoothing)(logits, shown, 0)
        assert float(total) == pytest.approx(expected, rel=1e-5)
        assert float(parts["ce"]) == pytest.approx(expected, rel=1e-5)


def test_labels_are_distilled_one_by_one():
    student, teacher = torch.randn(9, 4).double() * 3, torch.randn(9, 4).double() * 3
    for temperature in (1.0, 3.0):
        p, q = (1 / (1 + np.exp(-x.numpy() / temperature)) for x in (teacher, student))
        kl = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
        mine = float(binary_kd_loss(student, teacher, temperature))
        assert mine == pytest.approx(temperature**2 * kl.mean(), rel=1e-4)
    # a label is a pair of classes whose logits differ by its own
    pair = [torch.stack([torch.zeros(9), x[:, 0].float()], 1) for x in (student, teacher)]
    own = float(binary_kd_loss(student[:, :1], teacher[:, :1], 2.0))
    assert own == pytest.approx(float(kd_loss(*pair, 2.0)), rel=1e-4)
    assert float(binary_kd_loss(teacher, teacher)) == pytest.approx(0, abs=1e-6)


def test_a_regression_is_bounded_by_its_teacher():
    y = torch.zeros(4, 2)
    teacher = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.1, 0.1], [2.0, 0.0]])
    student = torch.tensor([[2.0, 0.0], [0.5, 0.5], [0.5, 0.5], [1.0, 1.7]])
    own, bound = np.array([2, 0.25, 0.25, 1.945]), np.array([1, 1, 0.01, 2])
    for margin in (0.0, 0.1, 1.0):
        expected = np.where(own + margin > bound, own, 0).mean()
        assert float(bounded_loss(student, teacher, y, margin)) == pytest.approx(expected)
    with pytest.raises(ValueError, match="negative"):
        bounded_loss(student, teacher, y, -1)
    with pytest.raises(ValueError, match="teacher"):
        bounded_loss(student, teacher[:2], y)


def test_the_bound_gives_no_gradient_where_the_student_is_better():
    student = torch.tensor([[0.1], [3.0]], requires_grad=True)
    bounded_loss(student, torch.tensor([[1.0], [1.0]]), torch.zeros(2, 1)).backward()
    assert student.grad is not None
    np.testing.assert_allclose(student.grad.numpy(), [[0], [3]])


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_each_task_has_its_own_objective(task):
    student, teacher = torch.randn(6, 3), torch.randn(6, 3)
    y = (torch.randn(6, 3) > 0).float()
    settings = KDSettings(temperature=3, ce_weight=0.25, weight=2, margin=0.1)
    total, parts = make_objective(settings, task=task)(student, batch(teacher, y), 0)
    if task == "multilabel":
        hard = F.binary_cross_entropy_with_logits(student, y)
        soft = binary_kd_loss(student, teacher, 3)
    else:
        hard, soft = F.mse_loss(student, y), bounded_loss(student, teacher, y, 0.1)
    assert float(total) == pytest.approx(0.25 * float(hard) + 2 * float(soft), rel=1e-5)
    assert set(parts) == {"bce" if task == "multilabel" else "mse", "kd"}
    with pytest.raises(StageError, match="has none"):
        make_objective(settings, 0.1, task)


def test_a_regression_may_mimic_its_teacher_and_mind_outliers_less():
    student, teacher, y = torch.randn(6, 2), torch.randn(6, 2), torch.randn(6, 2) * 3
    settings = KDSettings(regression="mimic", ce_weight=1, weight=1)
    objective = make_objective(settings, task="regression", regression="smooth_l1")
    total, parts = objective(student, batch(teacher, y), 0)
    assert float(parts["kd"]) == pytest.approx(float(((student - teacher) ** 2).mean()))
    assert float(parts["smooth_l1"]) == pytest.approx(float(F.smooth_l1_loss(student, y)))
    assert float(total) == pytest.approx(float(parts["kd"] + parts["smooth_l1"]))
    assert float(mimic_loss(teacher, teacher)) == 0


def test_mixed_targets_bound_a_regression():
    student, teacher = torch.randn(6, 2), torch.randn(6, 2)
    y, other, share = torch.randn(6, 2), torch.randn(6, 2), torch.rand(6)
    mixed = replace(batch(teacher, y), partner=other, share=share)
    _, parts = make_objective(KDSettings(), task="regression")(student, mixed, 0)
    target = share[:, None] * y + (1 - share[:, None]) * other
    assert float(parts["kd"]) == pytest.approx(float(bounded_loss(student, teacher, target)))
