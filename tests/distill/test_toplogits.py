"""The top classes and the rest: exact probabilities, and the loss against numpy and autograd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from edgekd.config.data import Augment
from edgekd.config.methods import DISTSettings, KDSettings
from edgekd.config.pipeline import Pipeline
from edgekd.data.dataset import Split
from edgekd.distill.kd import kd_loss
from edgekd.distill.losses import make_objective
from edgekd.distill.softlabels import Kept, load_soft_labels, write_soft_labels
from edgekd.distill.topkd import bucketed, top_kd_loss
from edgekd.distill.toplogits import compact
from edgekd.errors import StageError
from edgekd.train.batches import Batch

RNG = np.random.default_rng(0)
TEACHER, STUDENT = RNG.normal(0, 3, (8, 30)), RNG.normal(0, 2, (8, 30))


def reference(student: np.ndarray, teacher: np.ndarray, k: int, t: float) -> float:
    """T² KL over the teacher's k likeliest classes and the sum of the others, sample by sample."""
    total = 0.0
    for q_logits, p_logits in zip(student, teacher, strict=True):
        p, q = softmax(p_logits / t), softmax(q_logits / t)
        top = sorted(range(len(p)), key=lambda c: -p[c])[:k]
        ps = [*(p[c] for c in top), 1 - sum(p[c] for c in top)]
        qs = [*(q[c] for c in top), 1 - sum(q[c] for c in top)]
        total += sum(a * np.log(a / b) for a, b in zip(ps, qs, strict=True))
    return t * t * total / len(student)


def ours(student: torch.Tensor, teacher: np.ndarray, k: int, t: float) -> torch.Tensor:
    top, values = compact(teacher, k, t)
    return top_kd_loss(student, torch.from_numpy(values), torch.from_numpy(top.astype(int)), t)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("k", [1, 5, 29])
def test_probabilities_are_exact(k: int, temperature: float):
    top, values = compact(TEACHER, k, temperature)
    p, short = softmax(TEACHER / temperature, 1), softmax(values / temperature, 1)
    assert top.dtype == np.uint16
    np.testing.assert_array_equal(top, np.argsort(-TEACHER, 1)[:, :k])
    np.testing.assert_allclose(short[:, :k], np.take_along_axis(p, top.astype(int), 1), atol=1e-12)
    np.testing.assert_allclose(short[:, k], 1 - short[:, :k].sum(1), atol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("k", [1, 5, 29])
def test_the_loss_and_its_gradient_are_the_equations(k: int, temperature: float):
    student = torch.tensor(STUDENT, requires_grad=True)
    loss = ours(student, TEACHER, k, temperature)
    assert loss.item() == pytest.approx(reference(STUDENT, TEACHER, k, temperature), abs=1e-10)
    (gradient,) = torch.autograd.grad(loss, student)
    step = 1e-6
    for place in [(0, 0), (3, 17), (7, 29)]:
        moved = [STUDENT.copy(), STUDENT.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        ends = [reference(each, TEACHER, k, temperature) for each in moved]
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float(gradient[place]) == pytest.approx(slope, abs=1e-6)


def test_all_but_one_class_is_the_whole_loss_and_fewer_are_less():
    student, teacher = torch.tensor(STUDENT), torch.tensor(TEACHER)
    whole = float(kd_loss(student, teacher, 2.0))
    found = [float(ours(student, TEACHER, k, 2.0)) for k in (1, 5, 20, 29)]
    assert found[-1] == pytest.approx(whole, abs=1e-10)
    assert found == sorted(found)


@given(st.integers(1, 9), st.floats(0.5, 20), st.floats(0, 1e4), st.integers(0, 99))
def test_equal_networks_have_no_loss_and_extreme_ones_a_finite_one(k, temperature, scale, seed):
    z = np.random.default_rng(seed).normal(0, 1, (4, 10)) * scale
    student = torch.tensor(z, requires_grad=True)
    assert float(ours(student, z, k, temperature).detach()) == pytest.approx(0, abs=1e-6)
    other = torch.tensor(z[::-1].copy(), requires_grad=True)
    loss = ours(other, z, k, temperature)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(other.grad).all()
    assert torch.isfinite(bucketed(other, torch.zeros(4, 1, dtype=torch.int64), temperature)).all()


def test_a_cache_of_the_top_classes_is_small_and_teaches_nearly_the_same(tmp_path: Path):
    train = Split(np.zeros((8, 4), np.float32), np.zeros(8, np.int64))
    chunks = [(0, 0, TEACHER[:5]), (0, 5, TEACHER[5:])]
    write_soft_labels(tmp_path, chunks, (1, 8), Augment(), 0, "print", Kept(5, 4.0))
    assert np.load(tmp_path / "values.npy").dtype == np.float16
    answers = load_soft_labels(tmp_path, train, "print", Augment(), 0, 4.0)
    assert isinstance(answers.values, np.memmap) and isinstance(answers.top, np.memmap)
    index = torch.tensor([6, 1])
    teacher, top = answers.at(0, index)
    batch = Batch(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64), index, teacher, top)
    student = torch.tensor(STUDENT[[6, 1]])
    settings = KDSettings(ce_weight=0, weight=1, temperature=4)
    loss, _ = make_objective(settings)(student, batch, 0)
    wanted = reference(STUDENT[[6, 1]], TEACHER[[6, 1]], 5, 4.0)
    assert float(loss) == pytest.approx(wanted, rel=1e-2)
    with pytest.raises(StageError, match="another temperature"):
        load_soft_labels(tmp_path, train, "print", Augment(), 0, 2.0)
    with pytest.raises(StageError, match="needs all logits"):
        make_objective(DISTSettings())(student, batch, 0)


def test_fewer_classes_than_kept_are_all_kept(tmp_path: Path):
    write_soft_labels(tmp_path, [(0, 0, TEACHER)], (1, 8), Augment(), 0, "print", Kept(30, 4.0))
    train = Split(np.zeros((8, 4), np.float32), np.zeros(8, np.int64))
    assert load_soft_labels(tmp_path, train, "print", Augment(), 0, 7.0).top is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"distill": "dist"}, "dist needs all logits"),
        ({"distill": {"method": {"name": "kd", "standardize": True}}}, "needs all logits"),
        ({"distill": {"method": [{"name": "kd"}, {"name": "nkd"}]}}, "nkd needs all logits"),
        ({"finetune": {"method": {"name": "kd", "temperature": 2}}}, "at one temperature"),
    ],
)
def test_what_needs_all_logits_is_refused_at_once(more, words):
    with pytest.raises(ValueError, match=words):
        Pipeline.model_validate({"name": "a", "softlabels": {"top": 5}} | more)
    Pipeline.model_validate({"name": "a", "softlabels": {"top": 5}, "finetune": "labels"})
