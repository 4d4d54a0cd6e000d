"""A network of torch from a list of steps, as `keras_plan` reads them from a Keras model.

The steps are JSON, so that a saved network is built again without Keras. Images are channels first,
as everywhere in edgekd; only `flatten` and `reshape` put the channels last for a moment, because
the weights behind them are in that order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUT = "input"
Step = Mapping[str, Any]
"""`name`, `kind` (of `KINDS`), `inputs` (names of steps, or "input"), `arguments`."""


class Affine(nn.Module):
    """x * factor + offset, one number a channel."""

    def __init__(self, factor: Sequence[float], offset: Sequence[float], rank: int) -> None:
        super().__init__()
        shape = (1, -1) + (1,) * (rank - 2)
        self.factor: Tensor
        self.offset: Tensor
        self.register_buffer("factor", torch.tensor(factor).reshape(shape))
        self.register_buffer("offset", torch.tensor(offset).reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C, ...)."""
        return x * self.factor + self.offset


class ChannelsLast(nn.Module):
    """Reshapes (N, C, H, W) as Keras does, whose arrays are (N, H, W, C)."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) or (N, F) to (N, *shape), channels first again."""
        if x.ndim == 4:
            if x.shape[2:] == (1, 1) and len(self.shape) == 1:
                return x.flatten(1)
            x = x.permute(0, 2, 3, 1)
        x = x.reshape(x.shape[0], *self.shape)
        return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


class Together(nn.Module):
    """Several tensors become one."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, *parts: Tensor) -> Tensor:
        """Parts of one shape; of `concat`, of one apart from the channels."""
        if self.how == "concat":
            return torch.cat(parts, 1)
        made = parts[0]
        for part in parts[1:]:
            made = {"add": made.add, "multiply": made.mul, "subtract": made.sub}[self.how](part)
        return made


class GlobalPool(nn.Module):
    """Mean or maximum over height and width."""

    def __init__(self, how: str, keep: bool) -> None:
        super().__init__()
        self.how, self.keep = how, keep

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C), or (N, C, 1, 1)."""
        if self.how == "mean":
            return x.mean((2, 3), keepdim=self.keep)
        return x.amax((2, 3), keepdim=self.keep)


class HardSigmoid(nn.Module):
    """Keras 3: relu6(x + 3) / 6, as torch's."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.hardsigmoid(x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "hard_sigmoid": HardSigmoid,
    "hard_silu": nn.Hardswish,
    "hard_swish": nn.Hardswish,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "softmax": lambda: nn.Softmax(1),
}
KINDS: dict[str, Callable[..., nn.Module]] = {
    "conv": nn.Conv2d,
    "dense": nn.Linear,
    "batch_norm": nn.BatchNorm2d,
    "batch_norm_rows": nn.BatchNorm1d,
    "activation": lambda name: ACTIVATIONS[name](),
    "leaky_relu": nn.LeakyReLU,
    "max_pool": nn.MaxPool2d,
    "mean_pool": nn.AvgPool2d,
    "global_pool": GlobalPool,
    "pad": nn.ZeroPad2d,
    "reshape": ChannelsLast,
    "dropout": nn.Dropout,
    "together": Together,
    "affine": Affine,
}


class KerasNetwork(nn.Module):
    """(N, C, H, W) or (N, F) to (N, C), step by step.

    Args:
        steps: in an order in which each finds its inputs made; the last one's result is returned.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self.steps = [dict(step) for step in steps]
        self.layers = nn.ModuleDict({key_of(s["name"]): made(s) for s in self.steps})

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer."""
        values = {INPUT: x}
        result = x
        for step in self.steps:
            parts = [values[name] for name in step["inputs"]]
            result = values[step["name"]] = self.layers[key_of(step["name"])](*parts)
        return result


def made(step: Step) -> nn.Module:
    """The module of a step, its weights fresh."""
    return KINDS[step["kind"]](**step["arguments"])


def key_of(name: str) -> str:
    """A step's name as that of a module, which has no dots."""
    return re.sub(r"\W", "_", name)
