"""Structured pruning."""

from __future__ import annotations

import copy

import pytest
import torch
from edge_nets import inputs, make
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgekd.compress.groups import may_prune, prunable
from edgekd.compress.importance import Labelled
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
    pruned = prune(model, inputs(2), PruneSettings(target=target, keep=0.6, round_to=4))
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


@pytest.mark.parametrize("importance", ["bn_scale", "taylor", "hessian"])
def test_every_importance_keeps_the_budget(importance):
    model = make("mobile")
    samples = Labelled(inputs(32), torch.arange(32) % 10)
    pruned = prune(
        model,
        inputs(2),
        PruneSettings(keep=0.6, round_to=4, importance=importance),
        samples=samples,
    )
    assert macs(pruned, SPEC) <= 0.6 * macs(model, SPEC)
    assert pruned(inputs(3)).shape == (3, 10)
    assert all(p.grad is None and p.requires_grad for p in pruned.parameters())
    assert all(p.grad is None for p in model.parameters())


def test_gradients_need_samples_and_bn_scale_batch_normalisation():
    with pytest.raises(StageError, match="needs samples"):
        prune(make("mobile"), inputs(2), PruneSettings(importance="taylor"))
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    with pytest.raises(StageError, match="bn_scale") as caught:
        prune(plain, inputs(2), PruneSettings(importance="bn_scale"))
    assert "magnitude" in caught.value.fix


@given(
    keep=st.floats(0.3, 0.95),
    name=st.sampled_from(["residual", "separable", "perceptron", "mobile"]),
    scope=st.sampled_from(["global", "layer"]),
    target=st.sampled_from(["macs", "parameters"]),
)
@settings(max_examples=6, deadline=None)
def test_never_more_remains_than_asked(keep, name, scope, target):
    model = make(name)
    cost = COST[target]
    asked = PruneSettings(target=target, keep=keep, scope=scope, round_to=2)
    assert cost(prune(model, inputs(2), asked)) <= keep * cost(model)


def test_by_layers_every_layer_loses_alike():
    model = make("residual")
    pruned = prune(model, inputs(2), PruneSettings(keep=0.3, round_to=2, scope="layer"))
    shares = [
        layer.out_channels / model.get_submodule(name).out_channels
        for name, layer in pruned.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert max(shares) - min(shares) <= 2 / 16 and max(shares) < 0.8


def test_ignored_layers_stay_as_they_are():
    model = make("residual")
    pruned = prune(
        model, inputs(2), PruneSettings(keep=0.7, round_to=4, ignored_layers=("blocks.0",))
    )
    for name, tensor in model.blocks[0].state_dict().items():
        assert torch.equal(tensor, pruned.blocks[0].state_dict()[name])
    assert macs(pruned, SPEC) <= 0.7 * macs(model, SPEC)
    with pytest.raises(StageError, match="no layer blokcs") as caught:
        prune(model, inputs(2), PruneSettings(ignored_layers=("blokcs.*",)))
    assert "blocks" in caught.value.fix and caught.value.where == "prune.ignored_layers"


def test_a_limit_is_absolute():
    model = make("mobile")
    asked = PruneSettings(target="parameters", limit=1000, round_to=2)
    assert parameters(prune(model, inputs(2), asked)) <= 1000
    assert parameters(prune(model, inputs(2), asked, limit=800)) <= 800


def test_trying_a_group_changes_nothing():
    model, x = make("mobile"), inputs(8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wanted = model(x)
    tried = [may_prune(part, model, inputs(2)) for part in prunable(model, inputs(2), 4)]
    assert any(tried) and not all(tried)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(model(x), wanted)


def test_a_small_step_is_taken_where_a_large_one_goes_too_far():
    """Of the two groups, the one whose channels are worth least holds nearly everything."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 3)
    )
    with torch.no_grad():
        model[1].weight[8:] *= 1e-3
    pruned = prune(model, inputs(2), PruneSettings(target="parameters", keep=0.9))
    assert pruned[1].out_features == 16 and pruned[3].out_features < 64
    assert 0.8 * parameters(model) < parameters(pruned) <= 0.9 * parameters(model)
