"""Sums of methods: the settings, the weights, the hooks, and what belongs to whom."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from feature_nets import SPEC, Net, pair
from pydantic import TypeAdapter, ValidationError
from torch import nn

from edgekd.config.methods import (
    ATSettings,
    FitNetSettings,
    KDSettings,
    LabelsSettings,
    Method,
    ce_weight,
    needs_features,
    needs_logits,
    without_features,
)
from edgekd.distill.at import at_loss
from edgekd.distill.features import layer_pairs
from edgekd.distill.losses import kd_loss, make_objective
from edgekd.distill.taps import Taps, all_maps
from edgekd.errors import StageError
from edgekd.models.layer_names import find_layers
from edgekd.train.batches import Batch

METHOD = TypeAdapter(Method)


def batch(n: int = 6) -> Batch:
    torch.manual_seed(1)
    y = torch.arange(n) % 3
    return Batch(torch.randn(n, 1, 8, 8), y, torch.arange(n), torch.randn(n, 3))


def test_one_method_and_a_list_of_one_are_the_same():
    one = METHOD.validate_python({"name": "kd", "kd_weight": 2})
    several = METHOD.validate_python([{"name": "kd", "weight": 2}])
    assert several == (one,)
    assert ce_weight(one) == ce_weight(several) == 0.1
    shown = batch()
    logits = torch.randn(6, 3)
    assert make_objective(one)(logits, shown, 0)[0] == make_objective(several)(logits, shown, 0)[0]


def test_a_list_survives_a_round_through_json():
    method = METHOD.validate_python([{"name": "at"}, {"name": "kd"}, {"name": "dkd"}])
    assert METHOD.validate_json(METHOD.dump_json(method)) == method
    assert ce_weight(method) == 1.0


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ([], "at least one"),
        ([{"name": "kd"}, {"name": "labels"}], "ce_weight"),
        ([{"name": "kd"}, {"name": "at", "ce_weight": 0.5}], "counts once"),
        ({"name": "kd", "weight": 1, "kd_weight": 1}, "another name"),
        ([{"name": "kd", "temperature": 0}], "greater than 0"),
    ],
)
def test_lists_that_mean_nothing_are_refused(method, says):
    with pytest.raises(ValidationError, match=says):
        METHOD.validate_python(method)


def test_what_a_method_needs_of_the_teacher():
    at, kd = ATSettings(ce_weight=0.7), KDSettings()
    assert needs_features((kd, at)) and needs_logits((kd, at))
    assert not needs_logits(at) and not needs_features(kd)
    assert without_features((at, kd)) == (kd.model_copy(update={"ce_weight": 0.7}),)
    assert without_features(at) == LabelsSettings()
    assert without_features(kd) == kd


def test_the_sum_is_of_its_weighted_parts():
    networks = pair()
    method = (KDSettings(ce_weight=0.3, weight=2), ATSettings(layers="layer2", weight=50))
    objective = make_objective(method, pair=networks)
    shown, student = batch(), networks.student
    with objective.watching(student):
        logits = student(shown.x)
        total, parts = objective(logits, shown, 0)
    assert list(parts) == ["ce", "kd", "at"]
    ours = student.layer2(student.layer1(shown.x))
    theirs = networks.teacher.layer2(networks.teacher.layer1(shown.x))
    assert float(parts["at"]) == pytest.approx(at_loss(ours, theirs).item(), rel=1e-5)
    assert float(parts["kd"]) == pytest.approx(kd_loss(logits, shown.teacher).item(), rel=1e-5)
    expected = 0.3 * parts["ce"] + 2 * parts["kd"] + 50 * parts["at"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_same_method_twice_has_two_names():
    method = (ATSettings(layers="layer1"), ATSettings(layers="layer2"))
    assert make_objective(method, pair=pair()).names == ["at", "at 2"]


def test_the_teacher_is_no_part_of_the_objective_and_regressors_are():
    networks = pair()
    objective = make_objective(FitNetSettings(layers=("layer1", "layer2")), pair=networks)
    own = {id(p) for p in objective.parameters()}
    for network in (networks.student, networks.teacher):
        assert not own & {id(p) for p in network.parameters()}
    assert own
    assert all(name.startswith("parts.0.regressors.") for name in objective.state_dict())
    again = make_objective(FitNetSettings(layers=("layer1", "layer2")), pair=networks)
    for name, value in objective.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_gradients_reach_student_and_regressors_and_not_the_teacher():
    networks = pair()
    objective = make_objective(FitNetSettings(layers="layer2", ce_weight=0), pair=networks)
    shown = batch()
    with objective.watching(networks.student):
        objective(networks.student(shown.x), shown, 0)[0].backward()
    assert networks.student.layer1[0].weight.grad.abs().sum() > 0
    assert all(p.grad is not None for p in objective.parameters())
    assert all(p.grad is None for p in networks.teacher.parameters())


def test_hooks_are_gone_afterwards_and_nothing_is_kept():
    networks = pair()
    objective = make_objective(ATSettings(layers="layer*"), pair=networks)
    shown = batch()
    with objective.watching(networks.student):
        logits = networks.student(shown.x)
        objective(logits, shown, 0)
        with pytest.raises(StageError, match="puts out nothing"):
            objective(logits, shown, 0)  # the maps were taken by the first call
    assert not networks.student.layer1._forward_hooks
    assert not networks.teacher.layer1._forward_hooks
    with pytest.raises(StageError, match="watching"):
        objective(logits, shown, 0)


def test_hooks_work_through_torch_compile():
    model = Net()
    with Taps(model, ["layer1", "layer2"]) as taps:
        compiled = torch.compile(model, backend="eager")
        x = torch.randn(5, 1, 8, 8)
        for _ in range(2):
            compiled(x)
            found = taps.take()
            assert torch.allclose(found["layer1"], model.layer1(x), atol=1e-6)
        assert find_layers(compiled, "layer1", "student") == ["_orig_mod.layer1"]


def test_layers_are_found_by_name_and_by_wildcard():
    model = Net()
    assert find_layers(model, "layer*", "student") == ["layer1", "layer2"]
    assert find_layers(model, "layer?.1", "student") == ["layer1.1", "layer2.1"]
    with pytest.raises(StageError, match="no layer layr2") as caught:
        find_layers(model, "layr2", "teacher")
    assert "layer2" in caught.value.fix


def test_the_last_map_is_the_default():
    assert layer_pairs(None, pair()) == [("layer2", "layer2")]
    assert list(all_maps(Net(), SPEC)) == [
        "layer1.0", "layer1.1", "layer1", "layer2.0", "layer2.1", "layer2"
    ]  # fmt: skip


def test_wildcards_must_pair_up():
    networks = pair()
    assert layer_pairs({"layer1": "layer2"}, networks) == [("layer1", "layer2")]
    with pytest.raises(StageError, match="2 layers of the student"):
        layer_pairs({"layer*": "layer1"}, networks)


def test_maps_that_cannot_be_compared_are_refused():
    with pytest.raises(StageError, match="smaller, and not half"):
        make_objective(FitNetSettings(layers={"s": "t"}), pair=pair(Small(3), Small(8)))
    with pytest.raises(StageError, match="positions"):
        make_objective(ATSettings(layers="classifier"), pair=pair())
    with pytest.raises(StageError, match="needs the teacher itself"):
        make_objective(ATSettings())


class Small(nn.Module):
    """A map of `side` x `side`, named s and t."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.s, self.t = nn.AdaptiveAvgPool2d(side), nn.AdaptiveAvgPool2d(side)
        self.classifier = nn.Linear(1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.t(self.s(x)).mean((2, 3)))


def test_a_transformers_tokens_are_positions():
    class Tokens(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.embed = nn.Linear(8, width)
            self.classifier = nn.Linear(width, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.classifier(self.embed(x[:, 0]).mean(1))

    networks = replace(pair(), student=Tokens(4), teacher=Tokens(6).eval())
    objective = make_objective(FitNetSettings(layers="embed"), pair=networks)
    assert objective.parts[0].shapes == [((4, 8), (6, 8))]
    shown = batch()
    with objective.watching(networks.student):
        total, _ = objective(networks.student(shown.x), shown, 0)
    assert torch.isfinite(total)


def test_tokens_of_a_transformer_have_one_size_and_its_patches_are_left_out():
    from edgekd.config.stages import ModelSettings
    from edgekd.models.build import build
    from edgekd.spec import InputSpec

    spec = InputSpec(kind="image", shape=(1, 8, 8), mean=(0.0,), std=(1.0,))
    vit = build(ModelSettings(name="vit", width=0.25), spec, 3)
    networks = replace(pair(), student=vit, teacher=vit)
    assert layer_pairs(None, networks, every_size=True) == [("norm", "norm")]
