"""What a channel is worth: one number for each weight, and their sum over all that belongs to it.

The numbers of a weight w lie in its `grad`, which pruning cuts together with the weight:

    magnitude   w²                                         (Li et al. 2017, with L2 for L1)
    bn_scale    |γ| of batch normalisation, nothing else   (Liu et al. 2017, network slimming)
    taylor      |w g|, mean over batches                   (Molchanov et al. 2019)
    hessian     ½ w² g², mean over samples                 (LeCun et al. 1989, optimal brain damage)

g is the gradient of the task's loss with the labels, in evaluation mode; its square stands for the
diagonal of the Hessian (the empirical Fisher information).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from edgekd import inputs
from edgekd.config.pruning import Importance
from edgekd.spec import Task
from edgekd.tasks.losses import label_loss

NEED_SAMPLES = ("taylor", "hessian")
BATCH = 64
"""Samples of a gradient of `taylor`."""


@dataclass(frozen=True)
class Labelled:
    """Training samples that gradients are taken of."""

    x: Any
    """(N, *shape), normalised; of several inputs, by name."""
    y: Tensor
    """(N,), or what else the task's targets are; a regression's are standardised."""
    task: Task = "classification"


def weights_worth(
    model: nn.Module, importance: Importance, samples: Labelled | None
) -> dict[str, Tensor]:
    """Each parameter's numbers by name, in its shape; those that do not count are left out.

    Args:
        model: in evaluation mode; its `grad` is None before and afterwards.
        samples: for `taylor` and `hessian`, on the network's device.
    """
    if importance == "magnitude":
        return {name: p.detach().square() for name, p in model.named_parameters()}
    if importance == "bn_scale":
        return {
            f"{name}.weight" if name else "weight": layer.weight.detach().abs()
            for name, layer in model.named_modules()
            if isinstance(layer, _BatchNorm) and layer.affine
        }
    assert samples is not None
    size = BATCH if importance == "taylor" else 1
    found: dict[str, Tensor] = {}
    count = 0
    for x, y in zip(inputs.split(samples.x, size), samples.y.split(size), strict=True):
        loss = label_loss(samples.task, inputs.call(model, x).float(), y).mean()
        parameters = dict(model.named_parameters())
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        for (name, weight), gradient in zip(parameters.items(), gradients, strict=True):
            if gradient is None:
                continue
            change = weight.detach() * gradient
            worth = change.abs() if importance == "taylor" else change.square() / 2
            found[name] = found[name] + worth if name in found else worth
        count += 1
    return {name: worth / count for name, worth in found.items()}


def attach(model: nn.Module, worth: Mapping[str, Tensor]) -> None:
    """Puts the numbers where pruning cuts them with their weights."""
    for name, parameter in model.named_parameters():
        parameter.grad = worth[name].to(parameter) if name in worth else None


def detach(model: nn.Module) -> None:
    """Takes them away again."""
    for parameter in model.parameters():
        parameter.grad = None


def group_scores(group: Any, width: int) -> Tensor | None:
    """What each channel of a Torch-Pruning group is worth, (width,): the mean over the layers of
    the sums over their weights. None where no layer has any.

    Args:
        group: of all channels.
    """
    found, layers = torch.zeros(width), 0
    for item in group:
        dependency, indices = item
        local = layer_scores(
            dependency.target.module,
            is_output=group._DG.is_out_channel_pruning_fn(dependency.handler),
        )
        if local is None or any(root is None for root in item.root_idxs):
            continue
        roots = torch.tensor(item.root_idxs)
        found.scatter_add_(0, roots, local.to(found)[torch.tensor(indices)])
        layers += 1
    return found / layers if layers else None


def layer_scores(layer: Any, *, is_output: bool) -> Tensor | None:
    """The sum of each output or input channel of a layer's weight, without the bias."""
    if isinstance(layer, nn.Parameter) or not isinstance(
        getattr(layer, "weight", None), nn.Parameter
    ):
        return None
    worth = layer.weight.grad
    if worth is None:
        return None
    if not isinstance(layer, _ConvNd | nn.Linear):
        return worth.flatten()
    axis = 0 if is_output or getattr(layer, "groups", 1) > 1 else 1
    if getattr(layer, "transposed", False):
        axis = 1 - axis
    return worth.transpose(0, axis).flatten(1).sum(1)
