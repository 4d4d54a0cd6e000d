"""Captures a float network as a graph, and keeps its batch norms right through torchao."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule

from edgekd.compress.fold import batch_norms, tensor_of
from edgekd.errors import StageError
from edgekd.inputs import arguments, batch_axes

LEAST_GAMMA = 1e-6


def exported(model: nn.Module, example: Any, *, training: bool) -> GraphModule:
    """The graph of a copy of `model`, for any batch size, in training or evaluation mode.

    Raises:
        StageError: torch.export cannot capture the network, or several inputs have no names.
    """
    if isinstance(example, list | tuple):
        raise StageError(
            f"{len(example)} inputs have no names.",
            where="the example inputs of the network",
            fix="give a dictionary of them by name, in the order in which its forward takes them",
        )
    work = copy.deepcopy(model).train(training)
    batch = torch.export.Dim("batch", min=1)
    try:
        program = torch.export.export(
            work, arguments(example), dynamic_shapes=batch_axes(work, example, batch)
        )
    except Exception as error:
        raise StageError(
            "The network cannot be captured for quantization.",
            where=str(error).splitlines()[0],
            fix="keep Python control flow that depends on values out of its forward",
        ) from error
    return program.module(check_guards=False)  # type: ignore[return-value]


def settle_batch_norms(graph_module: GraphModule) -> None:
    """Moves gammas off zero: QAT divides by them (a zero gamma is a usual initial value)."""
    for node in batch_norms(graph_module):
        gamma = tensor_of(graph_module, node.args[1])
        if gamma is not None:
            with torch.no_grad():
                gamma[gamma.abs() < LEAST_GAMMA] = LEAST_GAMMA


def batch_norm_settings(graph_module: GraphModule) -> dict[str, tuple[Any, Any]]:
    """Momentum and eps of every batch norm, by the name of its running mean."""
    return {str(n.args[3].target): n.args[6:8] for n in batch_norms(graph_module)}  # type: ignore[union-attr]


def restore_batch_norm_settings(
    graph_module: GraphModule, settings: dict[str, tuple[Any, Any]]
) -> None:
    """Undoes that torchao's QAT rewriting writes momentum 0.1 and eps 1e-5 for every one."""
    for norm in batch_norms(graph_module):
        _, _, _, mean, var = norm.args[:5]
        momentum, eps = settings[str(mean.target)]  # type: ignore[union-attr]
        norm.args = (*norm.args[:6], momentum, eps, *norm.args[8:])
        for user in list(var.users):  # type: ignore[union-attr]
            if user.target is torch.ops.aten.add.Tensor:
                user.update_arg(1, eps)
    graph_module.recompile()
