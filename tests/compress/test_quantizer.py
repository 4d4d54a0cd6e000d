"""The converted graphs keep the rules of the TFLite 8-bit quantization specification."""

from __future__ import annotations

import pytest
import torch
from edge_nets import NETS, inputs, make
from torch import nn
from torch.nn import functional as F

from edgekd.compress.operators import RULES
from edgekd.compress.quantize import calibrate, convert, prepare_ptq, prepare_qat

q = torch.ops.quantized_decomposed
aten = torch.ops.aten
QUANTIZE, DEQUANTIZE = q.quantize_per_tensor.default, q.dequantize_per_tensor.default
PER_CHANNEL = q.dequantize_per_channel.default


def converted(model: nn.Module, mode: str = "ptq", shape: tuple[int, ...] = (1, 8, 8)):
    x = torch.randn(64, *shape, generator=torch.Generator().manual_seed(0))
    prepared = {"ptq": prepare_ptq, "qat": prepare_qat}[mode](model, x[:2])
    calibrate(prepared, [x])
    return convert(prepared, fold=True)


def nodes(graph_module, target):
    return [n for n in graph_module.graph.nodes if n.target is target]


def output_parameters(node):
    """Scale and zero point of a node's output, past a clamp that belongs to it."""
    user = next(iter(node.users))
    while user.target is not QUANTIZE:
        assert user.target in (aten.relu.default, aten.hardtanh.default, aten.relu6.default), user
        user = next(iter(user.users))
    return user.args[1:3]


def input_parameters(node):
    return [s.args[1:3] for s in node.all_input_nodes if s.target is DEQUANTIZE]


@pytest.mark.parametrize(
    ("name", "mode"),
    [*((name, "ptq") for name in sorted(NETS)), ("mobile", "qat"), ("residual", "qat")],
)
def test_every_operator_is_int8(name, mode):
    graph = converted(make(name), mode)
    computing = [
        n
        for n in graph.graph.nodes
        if n.op == "call_function" and "quantized_decomposed" not in str(n.target)
    ]
    computing = [n for n in computing if "pytree" not in str(n.target)]
    assert {n.target for n in computing} <= set(RULES)
    for node in computing:
        clamp = node.target in (aten.relu.default, aten.hardtanh.default, aten.relu6.default)
        for source in node.all_input_nodes:
            known = source.target in (DEQUANTIZE, PER_CHANNEL) or source.op == "get_attr"
            assert known or clamp, (source, node)


@pytest.mark.parametrize(("name", "mode"), [("separable", "qat"), ("perceptron", "ptq")])
def test_weights_are_symmetric_per_output_channel(name, mode):
    graph = converted(make(name), mode)
    weights = nodes(graph, PER_CHANNEL)
    assert len(weights) == sum(isinstance(m, nn.Conv2d | nn.Linear) for m in make(name).modules())
    for node in weights:
        stored = getattr(graph, node.args[0].target)
        scale, zero_point = (getattr(graph, a.target) for a in node.args[1:3])
        assert stored.dtype == torch.int8 and int(stored.min()) >= -127
        assert torch.equal(zero_point, torch.zeros_like(zero_point))
        assert scale.shape == (len(stored),) and node.args[3] == 0
        assert (stored.flatten(1).abs().amax(1) == 127).all()  # the whole range is used


def test_weight_scale_is_largest_weight_over_127():
    layer = nn.Linear(6, 3)
    graph = converted(nn.Sequential(layer), shape=(6,))
    (node,) = nodes(graph, PER_CHANNEL)
    scale = getattr(graph, node.args[1].target)
    torch.testing.assert_close(scale, layer.weight.detach().abs().amax(1) / 127)


@pytest.mark.parametrize(
    ("operator", "target"),
    [
        (lambda x: F.max_pool2d(x, 2), aten.max_pool2d.default),
        (lambda x: F.avg_pool2d(x, 2), aten.avg_pool2d.default),
        (lambda x: F.adaptive_avg_pool2d(x, 1), aten.adaptive_avg_pool2d.default),
        (lambda x: F.pad(x, (1, 1)), aten.pad.default),
        (lambda x: x[:, :, ::2], aten.slice.Tensor),
        (lambda x: x.reshape(x.shape[0], -1), aten.reshape.default),
        (lambda x: x.permute(0, 2, 3, 1), aten.permute.default),
        (lambda x: torch.cat([x, x * 3], 1), aten.cat.default),
    ],
)
def test_operators_that_share_their_input_scale(operator, target):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)

        def forward(self, x):
            return operator(self.conv(x))

    (node,) = nodes(converted(Net()), target)
    assert set(input_parameters(node)) == {output_parameters(node)}


@pytest.mark.parametrize(
    ("operator", "target"),
    [(torch.sigmoid, aten.sigmoid.default), (lambda x: x.softmax(1), aten.softmax.int)],
)
def test_outputs_between_0_and_1_have_the_fixed_scale(operator, target):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 5)

        def forward(self, x):
            return operator(self.linear(x)) * x

    graph = converted(Net(), shape=(5,))
    (node,) = nodes(graph, target)
    assert output_parameters(node) == (1 / 256, -128)
    (product,) = nodes(graph, aten.mul.Tensor)
    assert (1 / 256, -128) in input_parameters(product)  # not quantized a second time


def test_activations_after_relu_start_at_zero_and_conv_is_not_observed_before_it():
    graph = converted(make("residual"))
    for node in nodes(graph, aten.relu.default):
        assert node.args[0].target in (aten.conv2d.default, aten.add.Tensor)
        assert output_parameters(node)[1] == -128


@pytest.mark.parametrize("name", ["hardsigmoid", "hardswish"])
def test_hard_functions_are_unfolded_and_right(name):
    function = getattr(F, name)

    class Net(nn.Module):
        def forward(self, x):
            return function(x * 3)

    graph = converted(Net(), shape=(40,))
    assert not nodes(graph, getattr(aten, name).default)
    x = inputs(8).flatten(1)[:, :40].clamp(-2, 2)
    tolerance = {"hardsigmoid": 0.02, "hardswish": 0.1}[name]  # ranges of 1 and 6
    torch.testing.assert_close(graph(x), function(x * 3), atol=tolerance, rtol=0)
