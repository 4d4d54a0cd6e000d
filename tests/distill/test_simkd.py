"""SimKD's projector and its loss, and the student that ends in the teacher's classifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feature_nets import Net
from torch import nn

from edgekd.distill.simkd import Projector, simkd_loss


@pytest.mark.parametrize("student", [(3, 8, 8), (3, 4, 4), (3, 2, 2)])
def test_the_projector_fits_any_size(student):
    map_ = Projector(student, (6, 4, 4))(torch.randn(2, *student))
    assert map_.shape == (2, 6, min(4, student[1]), min(4, student[1]))
    assert simkd_loss(map_, torch.randn(2, 6, 4, 4)).ndim == 0


def test_the_loss_is_the_mean_squared_difference():
    s = torch.randn(3, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    t = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    difference = s.detach().numpy() - t.numpy()
    loss = simkd_loss(s, t)
    (gradient,) = torch.autograd.grad(loss, s)
    assert loss.item() == pytest.approx((difference**2).mean(), rel=1e-6)
    assert np.allclose(gradient, 2 * difference / difference.size, rtol=1e-6)
    assert simkd_loss(t, t).item() == 0


def test_a_perfect_projection_answers_as_the_teacher():
    teacher = Net(8).eval()
    x = torch.randn(5, 1, 8, 8)
    map_ = teacher.layer2(teacher.layer1(x))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), teacher.classifier)
    assert torch.allclose(head(map_), teacher(x), atol=1e-6)


def test_maps_without_positions_are_refused():
    with pytest.raises(ValueError, match="student"):
        Projector((3,), (6,))
    with pytest.raises(ValueError, match="student"):
        simkd_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 6, 4, 4))
