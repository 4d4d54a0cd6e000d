"""Temperatures and weights that change: by plan, by the gap, by the gradients."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import softmax
from torch import nn

from edgekd.config.feature_methods import CRDSettings
from edgekd.config.methods import (
    ATSettings,
    DISTSettings,
    KDSettings,
    Method,
    after_training,
    temperature_of,
)
from edgekd.config.pipeline import Pipeline
from edgekd.config.schedules import TemperatureSchedule, WeightSchedule, value_at
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.distill.dynamic import LARGEST, SMOOTHING, Drive
from edgekd.distill.kd import kd_loss
from edgekd.distill.losses import make_objective
from edgekd.errors import StageError
from edgekd.spec import InputSpec
from edgekd.train.batches import Batch
from edgekd.train.loop import fit

RNG = np.random.default_rng(0)


def kd(**settings: object) -> KDSettings:
    return KDSettings.model_validate(settings)


def batch(teacher: np.ndarray, y: np.ndarray) -> Batch:
    index = torch.arange(len(y))
    return Batch(None, torch.from_numpy(y), index, torch.from_numpy(teacher))


def test_schedules_by_hand():
    cosine = TemperatureSchedule.model_validate({"from": 8, "to": 1})
    linear = TemperatureSchedule.model_validate({"from": 8, "to": 1, "schedule": "linear"})
    assert [value_at(linear, epoch, 8) for epoch in range(8)] == pytest.approx(
        [8, 7, 6, 5, 4, 3, 2, 1]
    )
    assert value_at(cosine, 0, 11) == 8
    assert value_at(cosine, 5, 11) == pytest.approx(4.5)
    assert value_at(cosine, 10, 11) == pytest.approx(1)
    assert value_at(cosine, 3, 11) == pytest.approx(1 + 7 * (1 + math.cos(0.3 * math.pi)) / 2)
    assert value_at(linear, 0, 1) == 8
    assert value_at(linear, 20, 8) == pytest.approx(1)  # a training that goes on


@given(
    st.floats(0.1, 50),
    st.floats(0.1, 50),
    st.integers(2, 50),
    st.sampled_from(["cosine", "linear"]),
)
def test_a_schedule_stays_between_its_ends_and_never_turns(start, end, epochs, kind):
    schedule = TemperatureSchedule(start=start, end=end, schedule=kind)
    values = [value_at(schedule, epoch, epochs) for epoch in range(epochs)]
    steps = np.diff(values) * np.sign(end - start)
    assert (steps >= -1e-9).all()
    assert min(values) >= min(start, end) - 1e-9
    assert max(values) <= max(start, end) + 1e-9


def test_the_epoch_decides_the_temperature():
    method = kd(temperature={"from": 8, "to": 2, "schedule": "linear"}, ce_weight=0, weight=1)
    objective = make_objective(method, epochs=4)
    s, t, y = torch.randn(5, 3), RNG.normal(0, 2, (5, 3)).astype(np.float32), np.zeros(5, np.int64)
    for epoch, temperature in enumerate((8.0, 6.0, 4.0, 2.0)):
        loss, _ = objective(s, batch(t, y), epoch)
        assert loss.item() == pytest.approx(kd_loss(s, torch.from_numpy(t), temperature).item())


@pytest.mark.parametrize(("until", "last"), [(0.5, 5), (3, 3)])
def test_early_stopped_distillation(until, last):
    method = kd(weight={"from": 0.9, "until": until})
    objective = make_objective(method, epochs=10)
    s, t, y = torch.randn(5, 3), RNG.normal(0, 2, (5, 3)).astype(np.float32), np.zeros(5, np.int64)
    both, parts = objective(s, batch(t, y), last - 1)
    assert both.item() == pytest.approx(0.1 * parts["ce"].item() + 0.9 * parts["kd"].item())
    assert parts["kd weight"].item() == pytest.approx(0.9)
    alone, parts = objective(s, batch(t, y), last)
    assert alone.item() == pytest.approx(parts["ce"].item())
    assert parts["kd weight"].item() == 0


def test_the_weight_by_the_gap():
    drive = Drive(WeightSchedule(start=2.0, by="gap"), 10, goal=0.9)
    assert drive.at(0) == 2
    drive.judged(0.5)
    assert drive.at(1) == 2
    drive.judged(0.8)
    assert drive.at(2) == pytest.approx(2 * 0.1 / 0.4)
    drive.judged(0.95)
    assert drive.at(3) == 0
    drive.judged(0.3)
    assert drive.at(4) == 2  # never more than at the start


def test_a_student_that_starts_above_its_teacher_learns_from_labels():
    drive = Drive(WeightSchedule(start=1.0, by="gap"), 10, goal=0.9)
    drive.judged(0.95)
    assert drive.at(1) == 0


def test_the_gap_needs_the_teachers_score():
    with pytest.raises(StageError, match="score on validation"):
        make_objective(kd(weight={"from": 1, "by": "gap"}), epochs=3)


def gradient_norms(s: np.ndarray, t: np.ndarray, y: np.ndarray, T: float) -> tuple[float, float]:
    """Of cross-entropy and of T² KL by the logits, from their closed forms."""
    one = np.eye(s.shape[1])[y]
    hard = (softmax(s, 1) - one) / len(s)
    soft = T * (softmax(s / T, 1) - softmax(t / T, 1)) / len(s)
    return float(np.linalg.norm(hard)), float(np.linalg.norm(soft))


def test_the_weight_by_the_gradients_is_the_ratio_of_their_norms():
    objective = make_objective(kd(weight={"from": 0.7, "by": "gradient"}, ce_weight=1.0))
    y = np.array([0, 2, 1, 1])
    ratio = None
    for scale in (1.0, 3.0):
        s, t = RNG.normal(0, scale, (4, 3)), RNG.normal(0, 4, (4, 3))
        loss, parts = objective(torch.tensor(s, requires_grad=True), batch(t, y), 0)
        hard, soft = gradient_norms(s, t, y, 4.0)
        now = hard / soft
        ratio = now if ratio is None else SMOOTHING * ratio + (1 - SMOOTHING) * now
        assert parts["kd weight"].item() == pytest.approx(0.7 * ratio, rel=1e-5)
        wanted = parts["ce"].item() + 0.7 * ratio * parts["kd"].item()
        assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_by_the_gradients_a_methods_scale_does_not_matter():
    """DIST's loss at another beta and gamma: ten times the loss, the same pull."""
    y, s, t = np.array([0, 2, 1, 1]), RNG.normal(0, 1, (4, 3)), RNG.normal(0, 4, (4, 3))
    found = []
    for size in (1.0, 10.0):
        method = DISTSettings.model_validate(
            {"weight": {"from": 1, "by": "gradient"}, "beta": size, "gamma": size}
        )
        student = torch.tensor(s, requires_grad=True)
        loss, _ = make_objective(method)(student, batch(t, y), 0)
        found.append(torch.autograd.grad(loss, student)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-7)


def test_a_method_that_has_nothing_more_to_say_does_not_explode():
    objective = make_objective(kd(weight={"from": 1, "by": "gradient"}))
    t, y = RNG.normal(0, 4, (4, 3)), np.array([0, 2, 1, 1])
    loss, parts = objective(torch.tensor(t, requires_grad=True), batch(t, y), 0)
    assert math.isfinite(loss.item())
    assert parts["kd weight"].item() <= LARGEST
    assert loss.item() == pytest.approx(parts["ce"].item() * 0.1, rel=1e-3)


def test_later_stages_keep_the_end():
    method = kd(temperature={"from": 8, "to": 1}, weight={"from": 0.9, "to": 0.3})
    kept = after_training(method)
    assert isinstance(kept, KDSettings)
    assert (kept.temperature, kept.weight, kept.ce_weight) == (1, 0.3, 0.1)
    off = after_training(kd(weight={"from": 0.9, "until": 0.5}))
    assert isinstance(off, KDSettings)
    assert off.weight == 0
    plain: Method = KDSettings()
    assert after_training(plain) == plain
    assert temperature_of(method) == 8


def test_a_contrast_of_feature_maps_is_no_temperature_of_soft_targets():
    assert temperature_of((CRDSettings(), KDSettings(temperature=4))) == 4


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"name": "kd", "temperature": {"from": 8, "to": 0}}, "greater than 0"),
        ({"name": "kd", "temperature": 0}, "greater than 0"),
        ({"name": "kd", "temperature": {"from": 8, "to": 1, "schedule": "cubic"}}, "cosine"),
        ({"name": "kd", "weight": {"from": 1, "until": 0}}, "greater than 0"),
        ({"name": "kd", "weight": {"to": 1}}, "from"),
        ({"name": "at", "weight": {"from": 1, "by": "gradient"}}, "methods on logits"),
    ],
)
def test_schedules_that_are_refused(method, message):
    with pytest.raises(ValidationError, match=message):
        Pipeline.model_validate({"name": "p", "distill": {"method": method}})


def test_a_gap_in_finetune_and_a_schedule_beside_top_are_refused():
    gap = {"name": "kd", "weight": {"from": 1, "by": "gap"}}
    with pytest.raises(ValidationError, match="by gap is for `distill`"):
        Pipeline.model_validate({"name": "p", "finetune": {"method": gap}})
    falling = {"name": "kd", "temperature": {"from": 8, "to": 1}}
    with pytest.raises(ValidationError, match="no schedule"):
        Pipeline.model_validate(
            {"name": "p", "distill": {"method": falling}, "softlabels": {"top": 5}}
        )


def test_the_settings_can_be_read_again():
    """As the report reads them from summary.json."""
    raw = {"name": "p", "distill": {"method": kd(temperature={"from": 8, "to": 1}).model_dump()}}
    once = Pipeline.model_validate(raw)
    assert Pipeline.model_validate(once.model_dump(mode="json")) == once


def trained(folder: Path | None, method: Method, stop: int | None = None) -> nn.Module:
    rng = np.random.default_rng(1)
    y = np.arange(60) % 3
    x = rng.normal(0, 1, (60, 4)).astype(np.float32)
    x[np.arange(60), y] += 2
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    spec = InputSpec(kind="row", shape=(4,), mean=(0.0,) * 4, std=(1.0,) * 4)
    settings = TrainSettings(epochs=4, batch_size=16, precision="float32", stop_after=stop)
    teacher = torch.from_numpy(rng.normal(0, 3, (1, 60, 3)).astype(np.float32))
    split = Split(x, y)
    objective = make_objective(method, epochs=4, goal=0.99)
    fit(model, split, split, spec, settings, objective, seed=0, teacher_logits=teacher,
        checkpoint=folder)  # fmt: skip
    return model


@pytest.mark.parametrize("by", ["gradient", "gap"])
def test_a_killed_training_goes_on_with_its_weights(tmp_path, by):
    method = kd(weight={"from": 0.9, "to": 0.5, "by": by}, temperature={"from": 6, "to": 2})
    whole = trained(None, method).state_dict()
    trained(tmp_path, method, stop=2)
    again = trained(tmp_path, method).state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_methods_on_features_take_a_schedule():
    method = ATSettings.model_validate({"weight": {"from": 100, "to": 0, "schedule": "linear"}})
    assert value_at(method.weight, 1, 3) == pytest.approx(50)
