"""Folds batch normalisation into the weights before it, in exported graphs.

torchao can do it by matching 24 exported patterns, which takes 13 s a model and knows only
eps = 1e-5; walking the graph takes milliseconds.
"""

from __future__ import annotations

import torch
import torchao.quantization.pt2e.quantize_pt2e  # noqa: F401  (registers quantized_decomposed)
from torch import Tensor, nn
from torch.fx import GraphModule, Node

aten = torch.ops.aten

WEIGHTED = (aten.conv1d.default, aten.conv2d.default, aten.linear.default)
TRANSPOSED = (aten.conv_transpose1d.default, aten.conv_transpose2d.input)
DEQUANTIZE = torch.ops.quantized_decomposed.dequantize_per_tensor.default
DEQUANTIZE_CHANNELS = torch.ops.quantized_decomposed.dequantize_per_channel.default


def tensor_of(graph_module: GraphModule, node: object) -> Tensor | None:
    """The parameter or buffer that a get_attr node stands for; None for None."""
    if node is None:
        return None
    assert isinstance(node, Node) and node.op == "get_attr", node
    value = graph_module
    for part in str(node.target).split("."):
        value = getattr(value, part)
    assert isinstance(value, Tensor)
    return value


def batch_norms(graph_module: GraphModule) -> list[Node]:
    """The batch normalisation nodes of a graph."""
    return [n for n in graph_module.graph.nodes if n.target is aten.batch_norm.default]


def fold_qat(graph_module: GraphModule) -> None:
    """Folds each conv and batch norm that `prepare_qat_pt2e` rewrote, in place.

    It computes conv(x, fq(W s)) / s (+ b), then the batch norm, with s = gamma / sqrt(var + eps)
    (Jacob et al. 2018, section 3.2). In eval mode this equals conv(x, fq(W s), (b - mean) s +
    beta), and that is what stays, with the quantizer's view of W s kept bit by bit.
    """
    for norm in batch_norms(graph_module):
        divided, conv_bias = norm.args[0], None
        if isinstance(divided, Node) and divided.target is aten.add.Tensor:
            reshaped = divided.args[1]
            assert isinstance(reshaped, Node)
            conv_bias = tensor_of(graph_module, reshaped.args[0])
            divided = divided.args[0]
        if not isinstance(divided, Node) or divided.target is not aten.div.Tensor:
            continue
        conv = divided.args[0]
        assert isinstance(conv, Node)
        given = conv.args[1]  # a fake quantizer, but for a layer that stays float
        assert isinstance(given, Node) and isinstance(given.args[0], Node)
        scaled = given if given.target is aten.mul.Tensor else given.args[0]
        assert isinstance(scaled, Node)
        weight = tensor_of(graph_module, scaled.args[0])
        assert weight is not None
        axis = 1 if conv.target in TRANSPOSED else 0
        folded, bias = _folded(graph_module, norm, weight, conv_bias, axis)
        with graph_module.graph.inserting_before(given):
            new_weight = _parameter(graph_module, f"{conv.name}_weight", folded, scaled)
        with graph_module.graph.inserting_before(conv):
            new_bias = _parameter(graph_module, f"{conv.name}_bias", bias, norm)
        if given is not scaled:
            given.args = (new_weight,)
        quantized = new_weight if given is scaled else given
        conv.args = (conv.args[0], quantized, new_bias, *conv.args[3:])
        norm.replace_all_uses_with(conv)
        graph_module.graph.erase_node(norm)
    graph_module.graph.eliminate_dead_code()
    graph_module.graph.lint()
    graph_module.recompile()


def _folded(
    graph_module: GraphModule, norm: Node, weight: Tensor, bias: Tensor | None, axis: int = 0
) -> tuple[Tensor, Tensor]:
    """Weight and bias of both as one.

    Args:
        axis: of the weight's output channels.
    """
    gamma, beta, mean, var = (tensor_of(graph_module, node) for node in norm.args[1:5])
    assert gamma is not None and beta is not None and mean is not None and var is not None
    eps = norm.args[7]
    assert isinstance(eps, float)
    with torch.no_grad():
        factor = gamma / torch.sqrt(var + eps)
        shape = [1] * weight.ndim
        shape[axis] = -1
        start = torch.zeros_like(mean) if bias is None else bias
        return weight * factor.reshape(shape), (start - mean) * factor + beta


def round_biases(graph_module: GraphModule) -> None:
    """Rounds each bias of an int8 layer to what the runtimes hold, in a converted graph, in place.

    They add an int32 bias with the scale input x weight of each channel ("LiteRT 8-bit quantization
    specification"). The float bias differs by up to half of such a step, which turns about one
    activation in a thousand, and a deep network multiplies that by layers and again by fan-out.
    """
    limits = torch.iinfo(torch.int32)
    for node in list(graph_module.graph.nodes):
        if node.target not in WEIGHTED or len(node.args) < 3 or node.args[2] is None:
            continue
        source, weight = node.args[:2]
        quantized = (source.target, weight.target) == (DEQUANTIZE, DEQUANTIZE_CHANNELS)
        if not quantized:
            continue
        bias, weight_scale = (tensor_of(graph_module, n) for n in (node.args[2], weight.args[1]))
        assert bias is not None and weight_scale is not None
        scale = weight_scale.double() * float(source.args[1])
        steps = torch.round(bias.detach().double() / scale).clamp(limits.min, limits.max)
        with graph_module.graph.inserting_before(node):
            rounded = _parameter(
                graph_module, f"{node.name}_rounded_bias", (steps * scale).float(), node.args[2]
            )
        node.update_arg(2, rounded)
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()


def _parameter(graph_module: GraphModule, name: str, value: Tensor, like: Node) -> Node:
    graph_module.register_parameter(name, nn.Parameter(value.detach().clone()))
    node = graph_module.graph.get_attr(name)
    fake_mode = like.meta["val"].fake_mode if "val" in like.meta else None
    if fake_mode is not None:
        node.meta["val"] = fake_mode.from_tensor(value.detach(), static_shapes=True)
    return node


def fold_linear(graph_module: GraphModule) -> dict[str, str]:
    """Folds each batch norm after a linear layer, in place, before a graph is prepared for QAT.

    torchao's QAT knows batch norm after convolutions only. Statistics are those of the network.

    Returns:
        The names of the folded batch norms and of their linear layers.
    """
    names: dict[str, str] = {}
    for norm in batch_norms(graph_module):
        linear = norm.args[0]
        if not isinstance(linear, Node) or linear.target is not aten.linear.default:
            continue
        if len(linear.users) > 1 or linear.meta["val"].ndim != 2:
            continue
        weight = tensor_of(graph_module, linear.args[1])
        bias = tensor_of(graph_module, linear.args[2]) if len(linear.args) > 2 else None
        assert weight is not None
        folded, new_bias = _folded(graph_module, norm, weight, bias)
        linear_name = str(linear.args[1].target).rpartition(".")[0]  # type: ignore[union-attr]
        module = graph_module.get_submodule(linear_name)
        module.weight = nn.Parameter(folded)
        module.bias = nn.Parameter(new_bias)
        with graph_module.graph.inserting_before(linear):
            bias_node = graph_module.graph.get_attr(f"{linear_name}.bias")
        bias_node.meta["val"] = linear.meta["val"].fake_mode.from_tensor(
            new_bias, static_shapes=True
        )
        linear.args = (*linear.args[:2], bias_node)
        norm_name = str(norm.args[3].target).rpartition(".")[0]  # type: ignore[union-attr]
        names[norm_name] = linear_name
        norm.replace_all_uses_with(linear)
        graph_module.graph.erase_node(norm)
    graph_module.graph.eliminate_dead_code()
    for norm_name in names:
        for attribute in ("weight", "bias", "running_mean", "running_var"):
            delattr(graph_module.get_submodule(norm_name), attribute)
    graph_module.recompile()
    return names
