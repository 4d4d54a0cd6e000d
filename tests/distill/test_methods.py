"""DKD, DIST, NKD and logit standardization against NumPy, and their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import pearsonr, zscore

from edgekd.config.load import validate
from edgekd.config.methods import DISTSettings, DKDSettings, KDSettings, NKDSettings
from edgekd.config.pipeline import Pipeline
from edgekd.distill.dist import dist_loss
from edgekd.distill.dkd import dkd_loss
from edgekd.distill.logits import others, standardized
from edgekd.distill.losses import kd_loss, make_objective
from edgekd.distill.nkd import nkd_loss
from edgekd.errors import ConfigError, StageError
from edgekd.train.batches import Batch

SHAPE = (6, 5)
LOGITS = arrays(np.float64, SHAPE, elements=st.floats(-8, 8))
TARGETS = arrays(np.int64, SHAPE[:1], elements=st.integers(0, SHAPE[1] - 1))
TEMPERATURES = st.floats(0.5, 10)
EXTREME = [
    torch.tensor([[1e4, -1e4, 0, 3, 5]]),
    torch.tensor([[-1e4, 1e4, 7, 0, 0]]),
    torch.zeros(1, 5),
]


def dkd_by_hand(s: np.ndarray, t: np.ndarray, y: np.ndarray, temperature: float) -> tuple:
    """Both divergences, sample by sample, from probabilities as the paper writes them."""
    target, rest = [], []
    for a, b, k in zip(s / temperature, t / temperature, y, strict=True):
        p, q = softmax(b), softmax(a)
        # Of a network that is sure, 1 - p[k] has lost its digits: the others are summed instead.
        p_rest, q_rest = np.delete(p, k).sum(), np.delete(q, k).sum()
        target.append(rel_entr([p[k], p_rest], [q[k], q_rest]).sum())
        p, q = softmax(np.delete(b, k)), softmax(np.delete(a, k))
        rest.append(rel_entr(p, q).sum())
    return np.mean(target) * temperature**2, np.mean(rest) * temperature**2


@given(LOGITS, LOGITS, TARGETS, TEMPERATURES)
def test_dkd_is_equation_7(s, t, y, temperature):
    binary, rest = dkd_by_hand(s, t, y, temperature)
    found = dkd_loss(*map(torch.from_numpy, (s, t, y)), temperature, alpha=0.7, beta=3.0)
    assert float(found) == pytest.approx(0.7 * binary + 3.0 * rest, rel=1e-6, abs=1e-6)


@given(LOGITS, LOGITS, TARGETS, TEMPERATURES)
def test_the_parts_of_dkd_make_kd(s, t, y, temperature):
    """Equation 6: KD is the binary part and the rest's, weighted by the rest's probability."""
    probability = softmax(t / temperature, axis=1)
    total = 0.0
    for i in range(len(s)):
        one = [torch.from_numpy(part[i : i + 1]) for part in (s, t, y)]
        binary = float(dkd_loss(*one, temperature, alpha=1, beta=0))
        rest = float(dkd_loss(*one, temperature, alpha=0, beta=1))
        total += binary + (1 - probability[i, y[i]]) * rest
    whole = kd_loss(torch.from_numpy(s), torch.from_numpy(t), temperature)
    assert total / len(s) == pytest.approx(float(whole), rel=1e-6, abs=1e-6)


def test_dist_is_pearsons_correlation():
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=(2, *SHAPE)) * 3
    p, q = softmax(s / 2, axis=1), softmax(t / 2, axis=1)
    rows = 1 - np.mean([pearsonr(a, b).statistic for a, b in zip(p, q, strict=True)])
    columns = 1 - np.mean([pearsonr(a, b).statistic for a, b in zip(p.T, q.T, strict=True)])
    found = dist_loss(torch.from_numpy(s), torch.from_numpy(t), 2.0, beta=0.6, gamma=1.7)
    assert float(found) == pytest.approx(4 * (0.6 * rows + 1.7 * columns), rel=1e-6)


@given(LOGITS, LOGITS, TARGETS, TEMPERATURES)
def test_nkd_is_equation_5_less_the_cross_entropy(s, t, y, temperature):
    expected = []
    for a, b, k in zip(s, t, y, strict=True):
        own = -softmax(b)[k] * log_softmax(a)[k]
        p = softmax(np.delete(b, k) / temperature)
        q = log_softmax(np.delete(a, k) / temperature)
        expected.append(own - 1.5 * temperature**2 * (p * q).sum())
    found = nkd_loss(*map(torch.from_numpy, (s, t, y)), temperature, gamma=1.5)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-6, abs=1e-6)


@given(LOGITS.filter(lambda z: z.std(1).min() > 0.1))
def test_standardized_logits_are_z_scores(z):
    assert standardized(torch.from_numpy(z)).numpy() == pytest.approx(zscore(z, axis=1), abs=1e-5)


@given(LOGITS.filter(lambda z: z.std(1).min() > 0.1), st.floats(0.5, 4), st.floats(-5, 5))
def test_standardization_forgets_scale_and_shift(z, scale, shift):
    plain, moved = (standardized(torch.from_numpy(part)) for part in (z, scale * z + shift))
    assert torch.allclose(plain, moved, atol=1e-5)


@given(LOGITS, TARGETS)
def test_others_drop_the_target(z, y):
    found = others(torch.from_numpy(z), torch.from_numpy(y)).numpy()
    assert np.array_equal(found, [np.delete(row, k) for row, k in zip(z, y, strict=True)])


@given(LOGITS, TARGETS, TEMPERATURES)
def test_a_student_like_its_teacher_is_at_the_minimum(z, y, temperature):
    same, wanted = torch.from_numpy(z).requires_grad_(), torch.from_numpy(y)
    divergence = dkd_loss(same, same.detach(), wanted, temperature)
    assert float(divergence.detach()) == pytest.approx(0, abs=1e-9)
    (gradient,) = torch.autograd.grad(divergence, same)
    assert float(gradient.abs().max()) < 1e-6


def test_a_student_like_its_teacher_correlates_fully():
    same = torch.randn(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(dist_loss(same, same.clone())) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("student", EXTREME)
@pytest.mark.parametrize("teacher", EXTREME)
@pytest.mark.parametrize("name", ["dkd", "dist", "nkd", "kd of standardized"])
def test_values_and_gradients_are_finite(student, teacher, name):
    z, y = student.clone().requires_grad_(), torch.tensor([1])
    loss = {
        "dkd": lambda: dkd_loss(z, teacher, y),
        "dist": lambda: dist_loss(z, teacher),
        "nkd": lambda: nkd_loss(z, teacher, y),
        "kd of standardized": lambda: kd_loss(standardized(z), standardized(teacher)),
    }[name]()
    loss.backward()
    assert math.isfinite(float(loss.detach())) and bool(z.grad.isfinite().all())


@pytest.mark.parametrize("loss", ["dkd", "dist", "nkd"])
def test_gradients_are_those_of_finite_differences(loss):
    generator = torch.Generator().manual_seed(0)
    z, t = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 4, 2, 2])
    functions = {
        "dkd": lambda s: dkd_loss(s, t, y, 3.0, 1.0, 2.0),
        "dist": lambda s: dist_loss(s, t, 3.0),
        "nkd": lambda s: nkd_loss(s, t, y, 2.0),
    }
    assert torch.autograd.gradcheck(functions[loss], z.requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_wrong_temperatures_and_shapes(temperature):
    z, y = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    for call in (
        lambda: dkd_loss(z, z, y, temperature),
        lambda: dist_loss(z, z, temperature),
        lambda: nkd_loss(z, z, y, temperature),
        lambda: dkd_loss(z, z[:, :2], y),
    ):
        with pytest.raises(ValueError, match=r"temperature|student"):
            call()


def batch(teacher: torch.Tensor, y: torch.Tensor, **more: torch.Tensor) -> Batch:
    return Batch(torch.zeros(len(y), 1), y, torch.arange(len(y)), teacher, **more)


@pytest.mark.parametrize("standardize", [False, True])
def test_the_objective_weighs_and_warms_up(standardize):
    generator = torch.Generator().manual_seed(0)
    s, t = torch.randn(2, 4, 5, generator=generator)
    y = torch.tensor([0, 4, 2, 2])
    settings = DKDSettings(
        ce_weight=0.5, weight=2, warmup_epochs=4, beta=2, standardize=standardize
    )
    objective = make_objective(settings)
    a, b = (standardized(s), standardized(t)) if standardize else (s, t)
    soft = float(dkd_loss(a, b, y, 4.0, 1.0, 2.0))
    hard = float(torch.nn.functional.cross_entropy(s, y))
    for epoch, share in ((0, 0.25), (2, 0.75), (3, 1.0), (30, 1.0)):
        total, parts = objective(s, batch(t, y), epoch)
        assert float(total) == pytest.approx(0.5 * hard + 2 * share * soft, rel=1e-5)
        assert float(parts["dkd"]) == pytest.approx(soft, rel=1e-5)


@pytest.mark.parametrize("settings", [DKDSettings(), NKDSettings()])
def test_mixed_samples_have_no_target(settings):
    z, y = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    mixed = batch(z, y, partner=y, share=torch.ones(2))
    with pytest.raises(StageError, match="two targets"):
        make_objective(settings)(z, mixed, 0)
    pipeline = {"name": "p", "distill": {"method": settings.name}}
    with pytest.raises(ConfigError, match="two"):
        validate(Pipeline, {**pipeline, "data": {"source": "digits", "augment": {"mixup": 0.2}}})


@pytest.mark.parametrize(
    "settings", [DKDSettings(), DISTSettings(), NKDSettings(), KDSettings(standardize=True)]
)
@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_methods_of_classes_refuse_other_tasks(settings, task):
    with pytest.raises(StageError, match="classes"):
        make_objective(settings, task=task)
