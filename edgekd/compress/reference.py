"""What an int8 network answers on any device: its layers with weights in integers, as kernels are.

The converted network multiplies and adds in float32. Sums of many products are rounded there, which
turns a few activations in a million by a step. Rare as that is, what follows multiplies it: of a
network with SiLU and squeeze-excite, one sample in forty had outputs more than a step away from
both runtimes'. What else is int8 (sigmoid, products, means, pooling) needs no such care.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from edgekd.compress.fold import DEQUANTIZE, DEQUANTIZE_CHANNELS, WEIGHTED, tensor_of
from edgekd.compress.operators import CLAMPS

aten = torch.ops.aten

QUANTIZE = torch.ops.quantized_decomposed.quantize_per_tensor.default
EXACT_IN_FLOAT32 = 2**24
"""Below it every integer is a float32, and so sums are exact in any order."""


class IntegerLayer(nn.Module):
    """A convolution or linear layer on int8, (N, ...) to (N, ...), with the clamp after it.

    The sum of (x - zero point) x weight and the int32 bias is exact. It becomes a float32, is
    multiplied by the float32 input scale x weight scale / output scale, and rounded half to even:
    so do ONNX Runtime (`MlasRequantizeOutput`) and XNNPACK, LiteRT's kernels (its `fp32`
    requantization, with the scale of `xnn_create_convolution2d_nhwc_qs8_qc8w`). TFLite's reference
    kernels have a fixed-point factor of 31 bits instead ("LiteRT 8-bit quantization specification";
    tensorflow/lite/kernels/internal/common.h, `MultiplyByQuantizedMultiplier`), whose results
    differ where a float32's 24 bits tell two neighbours no longer apart.

    Args:
        operator: conv1d, conv2d or linear of aten.
        weight: int8, (O, ...), zero point 0.
        bias: integers at scale input x weight, (O,), or None.
        multiplier: input scale x weight scale / output scale, float32, (O,).
        ends: zero points of input and output, smallest and largest output.
        rest: the operator's arguments after the bias.
    """

    weight: Tensor
    bias: Tensor | None
    multiplier: Tensor

    def __init__(
        self,
        operator: Any,
        weight: Tensor,
        bias: Tensor | None,
        multiplier: Tensor,
        ends: tuple[int, int, int, int],
        rest: tuple[Any, ...],
    ) -> None:
        super().__init__()
        self.operator = operator
        largest = weight.double().abs().flatten(1).sum(1) * 255
        largest = largest if bias is None else largest + bias.abs()
        exact = float(largest.max()) < EXACT_IN_FLOAT32
        self.kind = torch.float32 if exact else torch.float64
        wide = [1] * (weight.ndim - 2)  # an output has the weight's axes, but for the channels
        self.register_buffer("weight", weight.to(self.kind))
        self.register_buffer("bias", None if bias is None else bias.to(self.kind))
        self.register_buffer("multiplier", multiplier.reshape(-1, *wide))
        self.ends = ends
        self.rest = rest

    def forward(self, x: Tensor) -> Tensor:
        """Int8 to int8."""
        input_zero, output_zero, low, high = self.ends
        total = self.operator(x.to(self.kind) - input_zero, self.weight, self.bias, *self.rest)
        steps = torch.round(total.float() * self.multiplier) + output_zero
        return steps.clamp(low, high).to(torch.int8)


def reference(converted: GraphModule) -> GraphModule:
    """A copy of the network whose convolutions and linear layers are `IntegerLayer`.

    Args:
        converted: what `convert(prepared, fold=True)` gives; float inputs to float outputs. Layers
            that stay float in it do so here.
    """
    work = copy.deepcopy(converted)
    for node in list(work.graph.nodes):
        quantize = _quantizer_after(node)
        if quantize is None or not _in_int8(node):
            continue
        name = f"{node.name}_in_integers"
        work.add_submodule(name, _layer(work, node, quantize))
        with work.graph.inserting_before(quantize):
            integers = work.graph.call_module(name, (node.args[0].args[0],))
        quantize.replace_all_uses_with(integers)
        work.graph.erase_node(quantize)
    work.graph.eliminate_dead_code()
    work.graph.lint()
    work.recompile()
    return work


def _in_int8(node: Node) -> bool:
    source, weight = node.args[:2]
    assert isinstance(source, Node) and isinstance(weight, Node)
    if (source.target, weight.target) != (DEQUANTIZE, DEQUANTIZE_CHANNELS):
        return False
    assert isinstance(weight.args[0], Node)
    return weight.args[0].op == "get_attr"  # else its weight is still float


def _quantizer_after(node: Node) -> Node | None:
    """What rounds the output of a layer with a weight, after the clamps that are part of it."""
    if node.target not in WEIGHTED:
        return None
    while len(node.users) == 1:
        (node,) = node.users
        if node.target is QUANTIZE:
            return node
        if node.target not in CLAMPS:
            break
    return None


def _layer(graph_module: GraphModule, node: Node, quantize: Node) -> IntegerLayer:
    source, weights = node.args[:2]
    assert isinstance(source, Node) and isinstance(weights, Node)
    weight, weight_scale = (tensor_of(graph_module, part) for part in weights.args[:2])
    bias = tensor_of(graph_module, node.args[2] if len(node.args) > 2 else None)
    assert weight is not None and weight_scale is not None
    input_scale, output_scale = (
        torch.tensor(float(each.args[1]), dtype=torch.float32)  # type: ignore[arg-type]
        for each in (source, quantize)
    )
    if bias is not None:  # `fold.round_biases` left whole steps
        step = weight_scale.double() * float(input_scale)
        bias = torch.round(bias.detach().double() / step)
    input_zero, output_zero = (int(each.args[2]) for each in (source, quantize))  # type: ignore[arg-type]
    return IntegerLayer(
        node.target,
        weight.detach(),
        bias,
        input_scale * weight_scale.float() / output_scale,
        (input_zero, output_zero, *_limits(node, quantize)),
        node.args[3:],
    )


def _limits(node: Node, quantize: Node) -> tuple[int, int]:
    """The smallest and the largest integer that come out of the clamps after `node`."""
    scale, zero_point, low, high = (float(each) for each in quantize.args[1:5])  # type: ignore[arg-type]
    while (node := next(iter(node.users))) is not quantize:
        least, most = _clamp(node)
        if math.isfinite(least):
            low = max(low, round(least / scale) + zero_point)
        if math.isfinite(most):
            high = min(high, round(most / scale) + zero_point)
    return int(low), int(high)


def _clamp(node: Node) -> tuple[float, float]:
    """The real numbers between which a clamp keeps its input."""
    if node.target is aten.relu.default:
        return 0.0, math.inf
    if node.target is aten.relu6.default:
        return 0.0, 6.0
    usual = [-1.0, 1.0] if node.target is aten.hardtanh.default else [None, None]
    low, high = [*node.args[1:], *usual[len(node.args) - 1 :]]
    low, high = node.kwargs.get("min", low), node.kwargs.get("max", high)
    return (
        -math.inf if low is None else float(low),  # type: ignore[arg-type]
        math.inf if high is None else float(high),  # type: ignore[arg-type]
    )
