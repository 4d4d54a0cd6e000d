"""A float network whose weights are those of an int8 file, and what it computes when activations
are rounded while it runs: what the files `int8-weights`, `int8-dynamic`, `int16x8` must answer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter, Node
from torch.nn.utils.fusion import fuse_conv_bn_weights

from edgekd.compress.capture import exported
from edgekd.compress.fold import batch_norms, fold_linear, tensor_of

aten = torch.ops.aten

CONVOLUTIONS = (
    aten.conv1d.default,
    aten.conv1d.padding,
    aten.conv2d.default,
    aten.conv2d.padding,
)
WEIGHTED = (*CONVOLUTIONS, aten.linear.default)
"""Operators whose second argument is a weight with its output channels first."""
LARGEST = 127
"""Of an int8 weight: -128 is not used."""
LEVELS = 255
"""Steps between the least and the largest of a tensor that is rounded while the network runs."""


def round_weights(model: nn.Module, example: Any) -> GraphModule:
    """A copy of `model` as a graph, batch norms folded, whose weights are multiples of a scale.

    Each output channel of a convolution or a linear layer has the scale max |w| / 127 ("LiteRT
    8-bit quantization specification"), so that an exporter can store the weight as int8 without
    any further error. Biases, embeddings and all else stay float32.

    Args:
        model: float network in evaluation mode; not changed.
        example: inputs (at least 2, *shape), or several by name; only shapes and types matter.

    Raises:
        StageError: torch.export cannot capture the network.
    """
    graph_module = exported(model, example, training=False)
    fold_linear(graph_module)
    _fold_convolutions(graph_module)
    for node in graph_module.graph.nodes:
        if node.target not in WEIGHTED:
            continue
        weight = tensor_of(graph_module, node.args[1])
        assert weight is not None
        with torch.no_grad():
            weight.copy_(rounded(weight))
    for name in ("train", "eval"):  # which torch.export replaces by methods that raise
        graph_module.__dict__.pop(name, None)
    return graph_module.eval()


def rounded(weight: Tensor) -> Tensor:
    """The nearest int8 weights, as floats: (C, ...) with one scale a channel, max |w| / 127."""
    scale = weight.abs().flatten(1).amax(1) / LARGEST
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return torch.round(weight / scale).clamp(-LARGEST, LARGEST) * scale


class DynamicallyQuantized(nn.Module):
    """A graph of `round_weights` whose convolutions and linear layers see rounded inputs.

    The input of each is rounded to 256 levels between its least and its largest value, 0 among
    them, sample by sample: `DynamicQuantizeLinear` of the ONNX operator specification, which
    LiteRT's dynamic-range kernels do as well.
    """

    def __init__(self, graph_module: GraphModule) -> None:
        super().__init__()
        self.graph_module = graph_module

    def forward(self, *x: Tensor) -> Tensor:
        """Inputs (N, *shape) to logits (N, C)."""
        return _Dynamic(self.graph_module).run(*x)


class _Dynamic(Interpreter):
    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target in WEIGHTED:
            args = (rounded_by_sample(args[0]), *args[1:])
        return super().call_function(target, args, kwargs)


def rounded_by_sample(x: Tensor) -> Tensor:
    """(N, ...) rounded to 256 levels between the least and the largest value of each sample."""
    flat = x.flatten(1)
    low, high = flat.amin(1).clamp(max=0), flat.amax(1).clamp(min=0)
    scale = (high - low) / LEVELS
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = torch.round(-low / scale).clamp(0, LEVELS)
    scale, zero = (part.reshape(-1, *[1] * (x.ndim - 1)) for part in (scale, zero))
    return ((torch.round(x / scale) + zero).clamp(0, LEVELS) - zero) * scale


def _fold_convolutions(graph_module: GraphModule) -> None:
    """Folds each batch norm into the convolution before it, in place."""
    for norm in batch_norms(graph_module):
        node = norm.args[0]
        if not isinstance(node, Node) or node.target not in CONVOLUTIONS or len(node.users) > 1:
            continue
        weight = tensor_of(graph_module, node.args[1])
        bias = tensor_of(graph_module, node.args[2]) if len(node.args) > 2 else None
        gamma, beta, mean, var = (tensor_of(graph_module, part) for part in norm.args[1:5])
        assert weight is not None and mean is not None and var is not None
        folded = fuse_conv_bn_weights(
            weight,  # type: ignore[arg-type]
            bias,  # type: ignore[arg-type]
            mean,
            var,
            norm.args[7],  # type: ignore[arg-type]
            gamma,  # type: ignore[arg-type]
            beta,  # type: ignore[arg-type]
        )
        arguments = []
        for name, value in zip(("weight", "bias"), folded, strict=True):
            graph_module.register_parameter(f"{node.name}_{name}", value)
            with graph_module.graph.inserting_before(node):
                argument = graph_module.graph.get_attr(f"{node.name}_{name}")
            mode = norm.meta["val"].fake_mode
            argument.meta["val"] = mode.from_tensor(value.detach(), static_shapes=True)
            arguments.append(argument)
        node.args = (*node.args[:1], *arguments, *node.args[3:])
        norm.replace_all_uses_with(node)
        graph_module.graph.erase_node(norm)
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()
