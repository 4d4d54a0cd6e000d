"""Rewrites of an exported graph, so that it has only operators that can be int8."""

from __future__ import annotations

import sys

import torch
from torch.fx import GraphModule, Node

from edgekd.compress import operators
from edgekd.compress.unfold import unfold


def rewrite(model: GraphModule) -> None:
    """Makes the graph functional, without dropout, its scalar operands tensors; in place."""
    for node in list(model.graph.nodes):
        if node.op != "call_function":
            continue
        if node.target is torch.ops.aten.add_.Tensor and not node.users:
            # A batch norm counting its batches: only needed for momentum None.
            model.graph.erase_node(node)
        elif node.target in operators.DROPOUTS or _keeps_all(node):
            # Its scaling in training would tear the shared ranges apart.
            node.replace_all_uses_with(node.args[0])
            model.graph.erase_node(node)
        elif node.target in operators.FUNCTIONAL:
            node.target = operators.FUNCTIONAL[node.target]
    unfold(model)
    _scalars_to_tensors(model)
    model.graph.lint()
    model.recompile()


def is_float(node: Node) -> bool:
    """Whether the value of `node` is a tensor of floating-point numbers."""
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _keeps_all(node: Node) -> bool:
    """Whether `node` is one of the whole-axis slices that export makes of `x[:, :, ::2]`."""
    if node.target is not torch.ops.aten.slice.Tensor or len(node.args) < 4:
        return False
    start, end, step = node.args[2], node.args[3], node.args[4:]
    return (start, end) == (0, sys.maxsize) and step in ((), (1,))


def _scalars_to_tensors(model: GraphModule) -> None:
    """Makes `x + 3` an addition of two tensors: only tensors can be int8."""
    for node in list(model.graph.nodes):
        if node.target not in operators.TAKES_SCALARS:
            continue
        if not is_float(node) or not isinstance(node.args[1], int | float):
            continue
        name = f"_scalar_of_{node.name}"
        constant = torch.tensor(float(node.args[1]), device=node.meta["val"].device)
        model.register_buffer(name, constant)
        with model.graph.inserting_before(node):
            operand = model.graph.get_attr(name)
        operand.meta["val"] = node.meta["val"].fake_mode.from_tensor(constant, static_shapes=True)
        node.args = (node.args[0], operand, *node.args[2:])
