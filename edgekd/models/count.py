"""How large a network is, and how much it computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from edgekd.spec import InputSpec


def parameters(model: nn.Module) -> int:
    """Trainable numbers of the network; those that layers share count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, spec: InputSpec) -> int:
    """Multiply-accumulates of one inference (batch 1) in convolutions and linear layers.

    As in the literature, biases, normalisation, activations, additions and pooling are left out:
    a layer counts its outputs times the inputs that each of them sums. What a network of your own
    computes outside of layers, such as `torch.nn.functional.conv2d`, is not seen.
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, Tensor)
        spread = inputs[0] if getattr(layer, "transposed", False) else output
        total += spread.numel() * weight[0].numel()

    layers = [layer for layer in model.modules() if isinstance(layer, _ConvNd | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    modes = [(module, module.training) for module in model.modules()]
    example = torch.zeros(1, *spec.shape)
    parameter = next(model.parameters(), None)
    if parameter is not None:
        example = example.to(parameter.device)
    model.eval()
    try:
        with torch.no_grad():
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return total
