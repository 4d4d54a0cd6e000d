"""Batch normalisation over all processes' slices of a batch, on any processor.

torch's own `nn.SyncBatchNorm` runs on GPUs only, and is another module in the network's place.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.overrides import TorchFunctionMode

from edgekd.errors import StageError
from edgekd.train import processes


def synchronised() -> AbstractContextManager[Any]:
    """Within it, whatever calls `torch.nn.functional.batch_norm` in training sees the statistics of
    the whole batch. With one process it does nothing."""
    return _Synchronised() if processes.count() > 1 else nullcontext()


def refuse_hidden(model: nn.Module) -> None:
    """Exported graphs call the operator itself, where nobody can look in between.

    Raises:
        StageError: the network has such a batch normalisation, and there are several processes.
    """
    if processes.count() == 1:
        return
    for name, module in model.named_modules():
        graph = module.graph.nodes if isinstance(module, GraphModule) else ()
        hidden = next((node for node in graph if "batch_norm" in str(node.target)), None)
        if hidden is not None:
            raise StageError(
                "The batch normalisation of an exported graph cannot be synchronised.",
                where=f"{name or 'network'}: {hidden.name}",
                fix="train this network with one process",
            )


class _Synchronised(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is F.batch_norm:
            return batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `torch.nn.functional.batch_norm`, over the slices of all processes.

    Ioffe and Szegedy 2015, algorithm 1. The processes' means and sums of squared deviations are
    combined as by Chan, Golub and LeVeque 1983, without the cancellation of E[x²] - E[x]².

    Args:
        x: (n, C, ...), this process's slice, which may be empty.
    """
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    mean, var, number = statistics(x.detach())
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * (number / (number - 1).clamp(min=1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    return _Normalised.apply(x, weight, bias, mean, var, number, eps)  # type: ignore[return-value]


def statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,), biased variance (C,) and number of values (), float32, over all processes."""
    channels = x.shape[1]
    own = x.new_zeros(2 * channels + 1, dtype=torch.float32)
    if len(x):
        mean, var = torch.batch_norm_update_stats(x.float(), None, None, 0.0)  # type: ignore[attr-defined]
        number = x.numel() // channels
        own = torch.cat([mean, var * number, mean.new_tensor([number])])
    every = processes.from_all(own)
    means, squares, numbers = every[:, :channels], every[:, channels:-1], every[:, -1:]
    total = numbers.sum()
    mean = (numbers * means).sum(0) / total
    var = (squares + numbers * (means - mean).square()).sum(0) / total
    return mean, var, total


class _Normalised(torch.autograd.Function):
    """weight * (x - mean) / sqrt(var + eps) + bias, and its gradient through mean and var."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        var: Tensor,
        number: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, var, number)
        ctx.eps, ctx.with_bias = eps, bias is not None
        return F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps) if len(x) else x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """dx = weight / sqrt(var + eps) * (dy - mean(dy) - x̂ mean(dy x̂)), with means over all."""
        x, weight, mean, var, number = ctx.saved_tensors
        scale = (var + ctx.eps).rsqrt() * (1.0 if weight is None else weight)
        dx, of_weight, of_bias = x, torch.zeros_like(mean), torch.zeros_like(mean)
        if len(x):  # as if the statistics were given, which leaves the means out
            dx, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward.default(
                gradients[0], x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
            )
        of_all = processes.summed(torch.stack([of_weight, of_bias]).float()) / number
        if len(x):
            through = (-scale * of_all[0], -scale * of_all[1])
            dx = dx + F.batch_norm(x, mean, var, *through, False, 0.0, ctx.eps)
        of_weight = None if weight is None else of_weight
        return dx, of_weight, of_bias if ctx.with_bias else None, None, None, None, None
