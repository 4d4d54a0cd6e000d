"""Structured pruning."""

from __future__ import annotations

import copy

import pytest
import torch
from edge_nets import inputs, make
from torch import nn

from edgekd.compress.prune import prune
from edgekd.config.pruning import PruneSettings
from edgekd.errors import StageError
from edgekd.models.count import macs, parameters
from edgekd.models.shrink import shrink_to
from edgekd.spec import InputSpec

SPEC = InputSpec(kind="image", shape=(1, 8, 8), mean=(0.0,), std=(1.0,))
COST = {"macs": lambda model: macs(model, SPEC), "parameters": parameters}


@pytest.mark.parametrize("target", ["macs", "parameters"])
@pytest.mark.parametrize("name", ["residual", "padded", "separable", "perceptron", "mobile"])
def test_budget_is_kept_and_shapes_are_right(name, target, tmp_path):
    model = make(name)
    before = copy.deepcopy(model.state_dict())
    settings = PruneSettings(target=target, keep=0.6, round_to=4)
    pruned = prune(model, inputs(2), settings)
    cost = COST[target]
    assert 0.3 * cost(model) < cost(pruned) <= 0.6 * cost(model)
    assert pruned(inputs(3)).shape == (3, 10)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert [n for n, _ in pruned.named_modules()] == [n for n, _ in model.named_modules()]
    for layer in pruned.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.out_channels % 4 == 0
            assert layer.groups in (1, layer.out_channels)
    # the saved form cuts a fresh network to the stored shapes
    again = make(name, seed=3)
    shrink_to(again, pruned.state_dict(), tmp_path)
    again.load_state_dict(pruned.state_dict())
    assert torch.equal(again(inputs()), pruned(inputs()))


def test_pruned_network_trains():
    pruned = prune(make("mobile"), inputs(2), PruneSettings(keep=0.5, round_to=4))
    pruned.train()(inputs()).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in pruned.parameters())


def test_channels_that_do_nothing_go_first():
    torch.manual_seed(0)
    first, second = nn.Linear(8, 16), nn.Linear(16, 3)
    model = nn.Sequential(first, nn.ReLU(), second)
    dead = [1, 4, 5, 7, 8, 11, 12, 15]
    with torch.no_grad():
        first.weight[dead] = first.bias[dead] = 0
        second.weight[:, dead] = 0
    x = torch.randn(20, 8)
    pruned = prune(model, x[:2], PruneSettings(keep=0.5, target="macs"))
    assert pruned[0].out_features == 8
    torch.testing.assert_close(pruned(x), model(x))


def test_padded_shortcut_leaves_the_residual_stream_alone():
    pruned = prune(make("padded"), inputs(2), PruneSettings(keep=0.6, round_to=4))
    assert pruned.stem[0].out_channels == 16
    assert pruned.blocks[1].first[0].out_channels < 32


def test_target_out_of_reach_names_the_rounding():
    with pytest.raises(StageError, match=r"down to 1%") as caught:
        prune(make("separable"), inputs(2), PruneSettings(keep=0.01, round_to=8))
    assert "8 channels that prune.round_to keeps" in caught.value.where
    assert "prune.round_to" in caught.value.fix
