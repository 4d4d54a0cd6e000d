"""How large a network is, and how much it computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from edgekd import inputs
from edgekd.spec import Inputs


def parameters(model: nn.Module) -> int:
    """Trainable numbers of the network; those that layers share count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, spec: Inputs) -> int:
    """Multiply-accumulates of one inference (batch 1) of a network with inputs of the spec: see
    `macs_of`.
    """
    return macs_of(model, inputs.zeros(spec, 1))


def macs_of(model: nn.Module, example: Any) -> int:
    """Multiply-accumulates of the example's inference in convolutions and matrix products.

    As in the literature, biases, normalisation, activations, additions and pooling are left out:
    every output counts the products that it sums. Functions such as `torch.nn.functional.conv2d`
    and the two products of attention count like layers.
    """
    modes = [(module, module.training) for module in model.modules()]
    parameter = next(model.parameters(), None)
    if parameter is not None:
        example = inputs.apply(lambda part: part.to(parameter.device), example)
    model.eval()
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one function that would hide its products
    try:
        with torch.no_grad(), _Counter() as counter:
            inputs.call(model, example)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)
        for module, training in modes:
            module.training = training
    return counter.total


class _Counter(TorchFunctionMode):
    """Adds up the products of what is called while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d):
            self.total += _input(args, kwargs).numel() * _weight(args, kwargs)[0].numel()
        elif func in (F.conv1d, F.conv2d, F.conv3d, F.linear):
            self.total += result.numel() * _weight(args, kwargs)[0].numel()
        elif func in MATRIX_PRODUCTS:
            self.total += result.numel() * _input(args, kwargs).shape[-1]
        elif func is F.scaled_dot_product_attention:
            query, key, value = (
                args[i] if i < len(args) else kwargs[n] for i, n in enumerate(ATTENTION)
            )
            weights = query[..., 0].numel() * key.shape[-2]
            self.total += weights * (query.shape[-1] + value.shape[-1])
        return result


MATRIX_PRODUCTS = (
    torch.matmul,
    torch.bmm,
    torch.mm,
    Tensor.matmul,
    Tensor.__matmul__,
    Tensor.bmm,
    Tensor.mm,
)
ATTENTION = ("query", "key", "value")


def _input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    return args[0] if args else kwargs["input"]


def _weight(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    return args[1] if len(args) > 1 else kwargs["weight"]
