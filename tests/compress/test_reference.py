"""The integer reference against integer arithmetic written in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from edge_nets import inputs, make
from torch import nn

from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.compress.reference import IntegerLayer, reference

aten = torch.ops.aten


def windows(x: np.ndarray, kernel: int, stride: int, padding: int) -> np.ndarray:
    """(N, C, H, W) to what a kernel sees at each place, (N, C, H', W', k, k)."""
    wide = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    seen = np.lib.stride_tricks.sliding_window_view(wide, (kernel, kernel), (2, 3))
    return seen[:, :, ::stride, ::stride]


def summed(x, weight, stride: int, padding: int, groups: int) -> np.ndarray:
    """A convolution in int64."""
    seen = windows(x.astype(np.int64), weight.shape[-1], stride, padding)
    inputs, outputs = weight.shape[1], len(weight) // groups
    parts = [
        np.einsum(
            "nchwij,ocij->nohw",
            seen[:, group * inputs : (group + 1) * inputs],
            weight[group * outputs : (group + 1) * outputs].astype(np.int64),
        )
        for group in range(groups)
    ]
    return np.concatenate(parts, 1)


def requantized(total: np.ndarray, multiplier: np.ndarray, zero: int, low: int, high: int):
    """As XNNPACK's and ONNX Runtime's kernels: int32 to float32, times float32, half to even."""
    assert np.abs(total).max() < 2**31
    steps = np.rint(total.astype(np.int32).astype(np.float32) * multiplier) + zero
    return np.clip(steps, low, high).astype(np.int8)


def numbers(seed: int, *shape: int, least: int = -128) -> np.ndarray:
    return np.random.default_rng(seed).integers(least, 128, shape, dtype=np.int8)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "stride", "padding", "groups"),
    [(8, 16, 3, 1, 1, 1), (8, 8, 3, 2, 1, 8), (640, 4, 1, 1, 0, 1), (128, 6, 3, 2, 0, 2)],
)
def test_convolution_is_exact(inputs, outputs, kernel, stride, padding, groups):
    weight = numbers(0, outputs, inputs // groups, kernel, kernel, least=-127)
    bias = np.random.default_rng(1).integers(-(2**20), 2**20, outputs)
    x = numbers(2, 3, inputs, 6, 6)
    total = summed(x.astype(np.int64) + 5, weight, stride, padding, groups) + bias[:, None, None]
    multiplier = np.float32(60) / np.abs(total).max((0, 2, 3)).astype(np.float32)
    layer = IntegerLayer(
        aten.conv2d.default,
        torch.from_numpy(weight),
        torch.from_numpy(bias.astype(np.float64)),
        torch.from_numpy(multiplier),
        (-5, 11, -100, 70),
        ([stride] * 2, [padding] * 2, [1, 1], groups),
    )
    got = layer(torch.from_numpy(x)).numpy()
    wanted = requantized(total, multiplier[:, None, None], 11, -100, 70)
    assert got.dtype == np.int8 and np.array_equal(got, wanted)


def test_a_sum_beyond_24_bits_is_exact():
    """In float32 it is not, and the 1 that is left below would be lost."""
    count = 4096
    weight = np.full((1, count), 127, np.int8)
    x = np.full((1, count), 127, np.int8)
    weight[0, -1] = 2
    total = int((x.astype(np.int64) * weight).sum())
    assert total > 2**24 and total % 2
    bias = np.array([1 - total], np.float64)
    layer = IntegerLayer(
        aten.linear.default,
        torch.from_numpy(weight),
        torch.from_numpy(bias),
        torch.tensor([100.0]),
        (0, 0, -128, 127),
        (),
    )
    assert layer(torch.from_numpy(x)).tolist() == [[100]]


@pytest.mark.parametrize("name", ["perceptron", "mobile"])
def test_layers_of_a_network_follow_its_scales(name):
    """Every layer's output, recomputed from the converted network's own constants."""
    prepared = prepare_ptq(make(name), inputs()[:2])
    calibrate(prepared, [inputs()])
    converted = convert(prepared, fold=True)
    integers = reference(converted)
    layers = [m for m in integers.modules() if isinstance(m, IntegerLayer)]
    weighted = {aten.conv2d.default, aten.linear.default}
    assert len(layers) == sum(node.target in weighted for node in converted.graph.nodes)
    assert not any(node.target in weighted for node in integers.graph.nodes)
    x = inputs(seed=7)
    with torch.no_grad():
        differ = (integers(x) - converted(x)).abs()
    step = next(float(n.args[1]) for n in reversed(converted.graph.nodes) if len(n.args) > 4)
    assert (differ < 1.01 * step).float().mean() > 0.99


class Clamped(nn.Module):
    """A convolution whose clamp is narrower than what its output can hold."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.clamp = nn.Hardtanh(low, high)

    def forward(self, x):
        return self.clamp(self.conv(x)).flatten(1)


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-0.25, 2.0)])
def test_a_clamp_is_part_of_its_layer(low, high):
    torch.manual_seed(0)
    model, x = Clamped(low, high).eval(), 4 * inputs()
    prepared = prepare_ptq(model, x[:2])
    calibrate(prepared, [x])
    integers = reference(convert(prepared, fold=True))
    assert aten.hardtanh.default not in {node.target for node in integers.graph.nodes}
    got, wanted = integers(x), model(x)
    assert (got - wanted).abs().max() < (high - low) / 20
    assert low - 0.02 <= float(got.min()) and float(got.max()) <= high + 0.02
