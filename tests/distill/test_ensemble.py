"""Several teachers: weights and mixtures against the papers' equations, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit, softmax
from torch.nn import functional as F

from edgekd.distill.ensemble import combine, confidence_weights, score_weights

RNG = np.random.default_rng(0)
TEACHERS = [RNG.normal(0, 3, (20, 5)) for _ in range(3)]
Y = RNG.integers(0, 5, 20)


def test_confidence_weights_are_equation_4():
    for i in range(20):
        losses = [-np.log(softmax(z[i])[Y[i]]) for z in TEACHERS]
        whole = sum(np.exp(loss) for loss in losses)
        expected = [(1 - np.exp(loss) / whole) / 2 for loss in losses]
        np.testing.assert_allclose(confidence_weights(TEACHERS, Y)[i], expected, atol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("kind", ["equal", "confidence"])
def test_the_mixture_teaches_what_all_teachers_teach(temperature: float, kind: str):
    """The gradient of KL with the mixture is that of the weighted sum of the teachers' KL."""
    weights = confidence_weights(TEACHERS, Y) if kind == "confidence" else np.full((20, 3), 1 / 3)
    mixture = combine(TEACHERS, weights, temperature)
    p = sum(
        w[:, None] * softmax(z / temperature, 1) for w, z in zip(weights.T, TEACHERS, strict=True)
    )
    np.testing.assert_allclose(softmax(mixture / temperature, 1), p, atol=1e-12)
    student = torch.tensor(RNG.normal(0, 2, (20, 5)), requires_grad=True)
    logged = F.log_softmax(student / temperature, 1)
    each = torch.zeros(20, dtype=torch.float64)
    for w, z in zip(weights.T, TEACHERS, strict=True):
        target = torch.tensor(softmax(z / temperature, 1))
        each = each + torch.tensor(w) * F.kl_div(logged, target, reduction="none").sum(1)
    (wanted,) = torch.autograd.grad(each.mean(), student, retain_graph=True)
    target = torch.tensor(softmax(mixture / temperature, 1))
    ours = F.kl_div(logged, target, reduction="none").sum(1).mean()
    (found,) = torch.autograd.grad(ours, student)
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


def test_labels_are_mixed_one_by_one_and_numbers_are_averaged():
    weights = np.array([0.5, 0.3, 0.2])
    mixture = combine(TEACHERS, weights, 2.0, "multilabel")
    p = sum(w * expit(z / 2) for w, z in zip(weights, TEACHERS, strict=True))
    np.testing.assert_allclose(expit(mixture / 2), p, atol=1e-12)
    mean = sum(w * z for w, z in zip(weights, TEACHERS, strict=True))
    np.testing.assert_allclose(combine(TEACHERS, weights, 2.0, "regression"), mean, atol=1e-12)


def test_scores_weigh_and_those_below_zero_do_not():
    np.testing.assert_allclose(score_weights([0.9, 0.6]), [0.6, 0.4])
    np.testing.assert_allclose(score_weights([0.5, -3.0]), [1, 0])
    np.testing.assert_allclose(score_weights([-1.0, -3.0]), [0.5, 0.5])


def test_one_teacher_is_itself():
    (one,) = TEACHERS[:1]
    assert (confidence_weights([one], Y) == 1).all()
    found = combine([one], np.ones(1), 4.0)
    np.testing.assert_allclose(softmax(found / 4, 1), softmax(one / 4, 1), atol=1e-12)


@given(
    arrays.arrays(np.float64, (3, 4, 5), elements=st.floats(-1e4, 1e4)),
    st.floats(0.5, 20),
)
def test_extreme_answers_stay_finite_and_weights_sum_up(z: np.ndarray, temperature: float):
    weights = confidence_weights(list(z), np.array([0, 1, 2, 3]))
    assert np.isfinite(weights).all() and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-9)
    mixture = combine(list(z), weights, temperature)
    assert np.isfinite(mixture).all()
    np.testing.assert_allclose(softmax(mixture / temperature, 1).sum(1), 1, atol=1e-9)
    same = combine([z[0]] * 3, weights, temperature)
    np.testing.assert_allclose(
        softmax(same / temperature, 1), softmax(z[0] / temperature, 1), atol=1e-9
    )
