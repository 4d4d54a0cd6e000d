"""Multiply-accumulates by hand, as published, and against torch's own counter."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from edgekd.config.stages import ModelSettings
from edgekd.models.build import build, names
from edgekd.models.count import macs, parameters
from edgekd.spec import InputSpec


def image(*shape: int) -> InputSpec:
    return InputSpec(kind="image", shape=shape, mean=(0,) * shape[0], std=(1,) * shape[0])


def torchs_count(model: nn.Module, spec: InputSpec) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, *spec.shape))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", [name for name in names() if name not in ("tablemlp", "cnn1d")])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 19, 40)])
def test_zoo_agrees_with_torchs_counter(name, shape):
    model = build(ModelSettings(name=name), image(*shape), 10)
    assert macs(model, image(*shape)) == torchs_count(model, image(*shape))


def test_resnet20_by_hand():
    """40.55 M with option A, as is published for CIFAR-10; 1 x 1 shortcuts add 0.26 M."""
    stem = 32 * 32 * 27 * 16
    first = 6 * 32 * 32 * 9 * 16 * 16
    second = 16 * 16 * 9 * 32 * (16 + 5 * 32)
    third = 8 * 8 * 9 * 64 * (32 + 5 * 64)
    option_a = stem + first + second + third + 640
    assert option_a == 40_551_040
    shortcuts = 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64
    model = build(ModelSettings(name="resnet20"), image(3, 32, 32), 10)
    assert macs(model, image(3, 32, 32)) == option_a + shortcuts


class Unusual(nn.Module):
    """Groups, dilation, a transposed and a 1-D convolution, a layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, stride=2, dilation=2, groups=2)
        self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, groups=2)
        self.line = nn.Conv1d(6, 5, 3, padding=1)
        self.twice = nn.Linear(5, 5)

    def forward(self, x):
        x = self.line(self.up(self.grouped(x)).flatten(2)).mean(2)
        return self.twice(self.twice(x))


def test_unusual_layers_agree_with_torchs_counter():
    model, spec = Unusual(), image(4, 11, 9)
    assert macs(model, spec) == torchs_count(model, spec)


class Functions(nn.Module):
    """What is computed outside of layers counts as well."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(6, 4, 3, 3))
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        x = F.conv2d(x, self.kernel).flatten(2).transpose(1, 2)
        x = self.attention(x, x, x, need_weights=False)[0]
        return F.scaled_dot_product_attention(x, x @ x.transpose(1, 2) @ x, x)


def test_functions_agree_with_torchs_counter():
    model, spec = Functions(), image(4, 11, 9)
    assert macs(model, spec) == torchs_count(model, spec)


def test_counting_leaves_the_network_as_it_was():
    model = build(ModelSettings(name="resnet8"), image(1, 8, 8), 10).train()
    model.stem.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    macs(model, image(1, 8, 8))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_counting_cleans_up_after_a_failure():
    model = build(ModelSettings(name="mlp"), image(1, 8, 8), 10).train()
    with pytest.raises(RuntimeError):
        macs(model, image(1, 9, 9))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_shared_parameters_count_once_and_a_network_may_have_none():
    layer = nn.Linear(3, 3)
    assert parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 12
    assert macs(nn.Sequential(layer, nn.ReLU(), layer), image(1, 1, 3)) == 18
    assert (parameters(nn.ReLU()), macs(nn.ReLU(), image(1, 2, 2))) == (0, 0)
