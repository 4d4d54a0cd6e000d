"""Methods on feature maps against torchdistill's losses and NumPy, value and gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feature_nets import SPEC, Net, pair
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax
from torch import Tensor

from edgekd.config.feature_methods import (
    ATSettings,
    CRDSettings,
    FitNetSettings,
    PKTSettings,
    ReviewKDSettings,
    RKDSettings,
    SPSettings,
    VIDSettings,
)
from edgekd.distill.at import at_loss
from edgekd.distill.crd import contrastive_loss
from edgekd.distill.features import layer_pairs
from edgekd.distill.fitnet import hint_loss
from edgekd.distill.losses import make_objective
from edgekd.distill.pkt import pkt_loss
from edgekd.distill.regressor import Regressor
from edgekd.distill.reviewkd import pyramid_loss
from edgekd.distill.rkd import rkd_angle_loss, rkd_distance_loss
from edgekd.distill.sp import sp_loss
from edgekd.distill.vid import Expectation, vid_loss
from edgekd.errors import StageError
from edgekd.train.batches import Batch

ALL = [
    FitNetSettings,
    ATSettings,
    SPSettings,
    PKTSettings,
    RKDSettings,
    VIDSettings,
    CRDSettings,
    ReviewKDSettings,
]


def maps(*shape: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def same(mine, reference, student: Tensor) -> None:
    """Value and gradient equal to 1e-6."""
    (ours,) = torch.autograd.grad(mine, student, retain_graph=True)
    (theirs,) = torch.autograd.grad(reference, student)
    assert mine.item() == pytest.approx(reference.item(), rel=1e-6, abs=1e-9)
    assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    assert ours.abs().sum() > 0


def peers():
    return pytest.importorskip("torchdistill.losses.mid_level")


def io(x: Tensor) -> dict:
    return {"m": {"output": x}}


AS = {"student_module_path": "m", "student_module_io": "output",
      "teacher_module_path": "m", "teacher_module_io": "output"}  # fmt: skip


def test_attention_is_torchdistills():
    s, t = maps(5, 3, 4, 6), maps(5, 7, 4, 6, seed=1)
    layer = {"io": "output", "path": "m"}
    reference = peers().ATLoss({"one": {"student": layer, "teacher": layer}})
    same(at_loss(s, t), reference(io(s), io(t)), s)


def test_similarity_is_the_papers():
    s, t = maps(5, 3, 4, 4), maps(5, 6, 2, 2, seed=1)
    loss = sp_loss(s, t)  # torchdistill's rows have the sum 1, and the paper's the length 1
    rows = []
    for x in (s, t):
        flat = x.detach().numpy().reshape(5, -1)
        alike = flat @ flat.T
        rows.append(alike / np.linalg.norm(alike, axis=1)[:, None])
    assert loss.item() == pytest.approx(((rows[0] - rows[1]) ** 2).sum() / 25, rel=1e-6)
    assert torch.autograd.gradcheck(lambda x: sp_loss(x, t.detach()), (s,))


def test_probabilistic_transfer_is_torchdistills():
    s, t = maps(6, 5), maps(6, 8, seed=1)
    same(pkt_loss(s, t), peers().PKTLoss(**AS)(io(s), io(t)), s)


@pytest.mark.parametrize(("distance", "angle"), [(1.0, 0.0), (0.0, 1.0), (25.0, 50.0)])
def test_relations_are_torchdistills(distance, angle):
    s, t = maps(6, 5), maps(6, 8, seed=1)
    reference = peers().RKDLoss("m", "m", distance, angle, "mean")(io(s), io(t))
    same(distance * rkd_distance_loss(s, t) + angle * rkd_angle_loss(s, t), reference, s)


def test_the_likelihood_is_torchdistills():
    torch.manual_seed(0)
    expectation = Expectation((3, 4, 4), (5, 4, 4)).double()
    s, t = maps(6, 3, 4, 4), maps(6, 5, 4, 4, seed=1)
    mean, variance = expectation.mean(s), expectation.variance
    assert torch.allclose(variance, torch.tensor(5.0).double(), atol=1e-4)
    layer = {"io": "output", "path": "m"}
    reference = peers().VIDLoss({"one": {"student": layer, "teacher": layer}})
    told = reference({"m": {"output": (mean, variance.view(1, -1, 1, 1))}}, io(t))
    same(vid_loss(mean, variance, t), told, expectation.scale)


def test_the_pyramid_is_torchdistills():
    s, t = maps(2, 3, 8, 8), maps(2, 3, 8, 8, seed=1)
    reference = peers().HierarchicalContextLoss(**AS)
    same(pyramid_loss(s, t), reference({"m": {"output": (s, None)}}, io(t)), s)


def test_hints_are_the_mean_squared_difference():
    s, t = maps(4, 3, 2, 2), maps(4, 3, 2, 2, seed=1)
    difference = (s - t).detach().numpy()
    loss = hint_loss(s, t)
    (gradient,) = torch.autograd.grad(loss, s)
    assert loss.item() == pytest.approx((difference**2).mean(), rel=1e-6)
    assert np.allclose(gradient, 2 * difference / difference.size, rtol=1e-6)


@pytest.mark.parametrize("labelled", [False, True])
def test_contrast_is_that_of_the_formula(labelled):
    s, t = maps(6, 4), maps(6, 4, seed=1)
    y = torch.tensor([0, 0, 1, 1, 2, 0])
    a, b = (
        x.detach().numpy() / np.linalg.norm(x.detach().numpy(), axis=1)[:, None] for x in (s, t)
    )
    alike = a @ b.T / 0.1
    if labelled:
        alike[(y[:, None] == y[None]).numpy() & ~np.eye(6, dtype=bool)] = -np.inf
    both = log_softmax(alike, axis=1), log_softmax(alike, axis=0)
    expected = -sum(np.diag(x).mean() for x in both)
    loss = contrastive_loss(s, t, y if labelled else None, 0.1)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert torch.autograd.gradcheck(
        lambda x: contrastive_loss(x, t.detach(), y if labelled else None, 0.1), (s,)
    )


EMBEDDINGS = arrays(np.float64, (5, 4), elements=st.floats(-1e3, 1e3))
RELATIONS = [sp_loss, pkt_loss, rkd_distance_loss, rkd_angle_loss]


@pytest.mark.parametrize("loss", RELATIONS)
@given(x=EMBEDDINGS, y=EMBEDDINGS)
def test_relations_are_zero_at_equality_and_always_finite(loss, x, y):
    student = torch.from_numpy(x.copy()).requires_grad_()
    assert loss(student, torch.from_numpy(x)).item() == pytest.approx(0, abs=1e-6)
    found = loss(student, torch.from_numpy(y))
    (gradient,) = torch.autograd.grad(found, student)
    assert torch.isfinite(found) and torch.isfinite(gradient).all()


@pytest.mark.parametrize("loss", [*RELATIONS, contrastive_loss])
@pytest.mark.parametrize("samples", [1, 4])
def test_one_sample_or_collapsed_features_stay_finite(loss, samples):
    student = torch.zeros(samples, 3, requires_grad=True)
    found = loss(student, torch.randn(samples, 3))
    (gradient,) = torch.autograd.grad(found, student)
    assert torch.isfinite(found) and torch.isfinite(gradient).all()
    assert gradient.abs().max() < 1e8


@given(arrays(np.float64, (3, 2, 8, 8), elements=st.floats(-1e3, 1e3)))
def test_maps_equal_to_the_teachers_cost_nothing(x):
    map_ = torch.from_numpy(x)
    for loss in (hint_loss, at_loss, pyramid_loss):
        assert loss(map_, map_).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    "loss", [hint_loss, at_loss, pkt_loss, rkd_angle_loss, pyramid_loss, sp_loss]
)
def test_shapes_that_do_not_belong_together_are_refused(loss):
    with pytest.raises(ValueError, match="student"):
        loss(torch.zeros(3, 2, 4, 4), torch.zeros(2, 2))


@pytest.mark.parametrize(
    ("student", "teacher"),
    [((3, 8, 8), (5, 8, 8)), ((3, 8, 8), (5, 4, 4)), ((3, 4, 4), (5, 8, 8)),
     ((3, 9, 7), (5, 4, 4)), ((3, 12), (5, 6)), ((3,), (5,))],
)  # fmt: skip
def test_regressors_give_the_teachers_shape(student, teacher):
    regressor = Regressor(student, teacher)
    assert regressor(torch.randn(2, *student)).shape == (2, *teacher)


@pytest.mark.parametrize("settings", ALL)
@pytest.mark.parametrize("samples", [1, 6])
def test_every_method_trains_the_student_and_what_it_learns_itself(settings, samples):
    networks = pair()
    networks.student.eval()  # of one sample there is no batch normalisation
    objective = make_objective(settings(ce_weight=0), pair=networks).eval()
    y = torch.arange(samples) % 3
    shown = Batch(torch.randn(samples, 1, 8, 8), y, torch.arange(samples))
    with objective.watching(networks.student):
        total, parts = objective(networks.student(shown.x), shown, 3)
    total.backward()
    assert torch.isfinite(total)
    assert set(parts) == {"ce", settings().name}
    if samples > 1:
        assert networks.student.layer1[0].weight.grad.abs().sum() > 0
        assert all(p.grad is not None for p in objective.parameters())
        assert total.item() == pytest.approx(
            parts[settings().name].item() * objective.parts[0].weight(3), rel=1e-5
        )


def test_the_last_map_of_each_size_is_what_several_layers_mean_by_default():
    networks = pair()
    assert layer_pairs(None, networks, every_size=True) == [
        ("layer1", "layer1"), ("layer2", "layer2")
    ]  # fmt: skip


def test_a_review_goes_from_deep_to_shallow_and_warms_up():
    networks = pair()
    (part,) = make_objective(ReviewKDSettings(), pair=networks).parts
    assert [fusion.attend is None for fusion in part.fusions] == [False, True]
    assert part.weight(0) == pytest.approx(5 / 20)
    assert part.weight(40) == 5
    with pytest.raises(StageError, match="positions"):
        make_objective(ReviewKDSettings(layers="classifier"), pair=networks)


def test_regressors_are_made_for_a_pruned_student_too():
    from edgekd.compress.prune import prune
    from edgekd.config.pruning import PruneSettings
    from edgekd.inputs import zeros

    pruned = prune(Net(16), zeros(SPEC, 2), PruneSettings(keep=0.5))
    networks = pair(student=pruned)
    objective = make_objective(FitNetSettings(layers="layer*"), pair=networks)
    shown = Batch(torch.randn(4, 1, 8, 8), torch.arange(4) % 3, torch.arange(4))
    assert objective.parts[0].shapes[1][0][0] < 32
    with objective.watching(pruned):
        assert torch.isfinite(objective(pruned(shown.x), shown, 0)[0])
