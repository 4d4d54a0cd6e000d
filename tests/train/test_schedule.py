"""Learning-rate schedules against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgekd.config.training import TrainSettings
from edgekd.train.schedule import make_optimizer, rate_factor, set_rate


def factors(settings: TrainSettings, steps: int) -> list[float]:
    return [rate_factor(settings, i, steps) for i in range(settings.epochs * steps)]


def torch_factors(make, count: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_cosine_is_torchs():
    settings = TrainSettings(epochs=5, warmup_epochs=0)
    expected = torch_factors(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=35), 35)
    assert factors(settings, 7) == pytest.approx(expected, abs=1e-6)


def test_step_is_torchs():
    settings = TrainSettings(
        epochs=6, schedule="step", warmup_epochs=0, step_epochs=(2, 4), step_factor=0.5
    )
    expected = torch_factors(
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2 * 3, 4 * 3], gamma=0.5), 18
    )
    assert factors(settings, 3) == pytest.approx(expected)


def test_warm_up_is_torchs_linear_rise():
    settings = TrainSettings(epochs=4, schedule="step", warmup_epochs=2)
    expected = torch_factors(
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 1 / 11, 1.0, total_iters=10), 20
    )
    assert factors(settings, 5) == pytest.approx(expected, rel=1e-5)


def test_one_cycle_rises_and_falls():
    rates = factors(TrainSettings(epochs=10, schedule="one_cycle"), 10)
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1)
    assert 25 <= top <= 30
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 0.01


@given(
    st.sampled_from(["cosine", "one_cycle", "step"]),
    st.integers(1, 30),
    st.integers(0, 40),
    st.integers(1, 20),
)
def test_factors_stay_between_0_and_1(schedule, epochs, warmup, steps):
    settings = TrainSettings(
        epochs=epochs, schedule=schedule, warmup_epochs=warmup, step_epochs=(3, 5)
    )
    rates = factors(settings, steps)
    assert all(0 <= rate <= 1 + 1e-9 for rate in rates)
    assert max(rates) > 0


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_backbone_learns_slower_and_norms_do_not_decay(name):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    settings = TrainSettings(optimizer=name, backbone_rate=0.1, weight_decay=0.3)
    optimizer = make_optimizer(model, settings, {"3.weight", "3.bias"})
    set_rate(optimizer, settings, 0.5)
    by_tensor = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    rate = settings.learning_rate * 0.5
    assert by_tensor[id(model[3].weight)] == (pytest.approx(rate), 0.3)
    assert by_tensor[id(model[3].bias)] == (pytest.approx(rate), 0.0)
    assert by_tensor[id(model[0].weight)] == (pytest.approx(rate * 0.1), 0.3)
    assert by_tensor[id(model[1].weight)] == (pytest.approx(rate * 0.1), 0.0)
    assert len(by_tensor) == len(list(model.parameters()))
