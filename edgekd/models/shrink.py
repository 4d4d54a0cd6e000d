"""Layers cut to the shapes of stored tensors, as structured pruning left them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from edgekd.errors import StageError
from edgekd.models.attention import heads_of


def shrink_to(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> list[str]:
    """Cuts convolutions, linear layers and batch normalisations to the shapes of `tensors`.

    Their values are left undefined, to be filled by `load_state_dict`.

    Args:
        tensors: by the names of the network's `state_dict`, all of them.
        where: the file that they come from, for errors.

    Returns:
        Names of the layers that were cut.

    Raises:
        StageError: a tensor has a shape that pruning cannot make of the network's; names the layer.
    """
    cut = []
    heads = [found for found in map(heads_of, model.modules()) if found is not None]
    sizes = [found.size for found in heads]
    for name, layer in model.named_modules():
        own = {
            key: tensor
            for key, tensor in layer.state_dict(keep_vars=True).items()
            if "." not in key
        }
        new = {key: tensors[f"{name}.{key}" if name else key] for key in own}
        if all(own[key].shape == new[key].shape for key in own):
            continue
        if not _possible(layer, own, new):
            shapes = ", ".join(
                f"{key} {tuple(new[key].shape)} for {tuple(own[key].shape)}"
                for key in own
                if own[key].shape != new[key].shape
            )
            raise StageError(
                f"The stored tensors of layer {name} do not fit the network: {shapes}.",
                where=str(where),
                fix="model.json and model.safetensors belong together; save the model again",
            )
        _cut(layer, own, new)
        cut.append(name)
    for found, size in zip(heads, sizes, strict=True):
        if found.size != size:  # whole heads went; what does not divide fails its forward pass
            found.resize(found.output.in_features // size)
    return cut


def _possible(layer: nn.Module, own: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> bool:
    """Whether the new shapes are those of the same kind of layer with fewer channels."""
    for key, tensor in own.items():
        sizes = new[key].shape
        if len(sizes) != tensor.ndim:
            return False
        if any(not 0 < size <= before for size, before in zip(sizes, tensor.shape, strict=True)):
            return False
    outputs = 1 if getattr(layer, "transposed", False) else 0
    lengths = {len(new[key]) for key in own if new[key].ndim == 1}
    if isinstance(layer, nn.Linear):
        return lengths <= {len(new["weight"])}
    if isinstance(layer, _BatchNorm):
        return len(lengths) == 1
    if isinstance(layer, _ConvNd) and not outputs:
        same_kernel = new["weight"].shape[2:] == own["weight"].shape[2:]
        return same_kernel and lengths <= {len(new["weight"])} and _groups(layer, new["weight"]) > 0
    return False


def _groups(layer: _ConvNd, weight: Tensor) -> int:
    """Groups of the cut convolution; 0 where there is no whole number of them.

    A depthwise convolution loses groups with its channels, any other keeps its groups.
    """
    if layer.groups == 1:
        return 1
    if layer.groups == layer.in_channels:
        multiplier = layer.out_channels // layer.in_channels
        return len(weight) // multiplier if len(weight) % multiplier == 0 else 0
    return layer.groups if len(weight) % layer.groups == 0 else 0


def _cut(layer: nn.Module, own: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> None:
    weight = new.get("weight")
    if isinstance(layer, _ConvNd) and weight is not None:
        layer.groups = _groups(layer, weight)
        layer.out_channels, layer.in_channels = len(weight), weight.shape[1] * layer.groups
    elif isinstance(layer, nn.Linear) and weight is not None:
        layer.out_features, layer.in_features = weight.shape
    elif isinstance(layer, _BatchNorm):
        layer.num_features = max(len(tensor) for tensor in new.values() if tensor.ndim == 1)
    for key, tensor in own.items():
        fresh = torch.empty_like(new[key], dtype=tensor.dtype, device=tensor.device)
        if isinstance(tensor, nn.Parameter):
            setattr(layer, key, nn.Parameter(fresh, requires_grad=tensor.requires_grad))
        else:
            setattr(layer, key, fresh)
