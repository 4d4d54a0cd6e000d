"""Networks of timm and of torchvision."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.library import Found, Normalisation, check_fresh, failed, require
from edgekd.spec import InputSpec

COLOURS = 3


def from_timm(
    name: str,
    settings: ModelSettings,
    spec: InputSpec,
    classes: int,
    base: Path | None,
    saved: Mapping[str, Any] | None,
) -> Found:
    """timm.create_model: classes, channels and, where the network has a fixed size, the size.

    Pretrained weights come from the Hugging Face Hub.
    """
    timm = require("timm")
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise _unknown(f"timm:{name}", architecture, timm.list_models())
    arguments = {
        "num_classes": classes,
        "in_chans": COLOURS if settings.pretrained else spec.shape[0],
        "pretrained": settings.pretrained and saved is None,
        **settings.arguments,
    }
    known = timm.get_pretrained_cfg(name)
    if known is not None and known.fixed_input_size:
        arguments.setdefault("img_size", spec.shape[1:])
    try:
        network = timm.create_model(name, **arguments)
    except Exception as error:  # a library's factory may raise anything
        raise failed(f"timm:{name}", error, "`arguments` go to timm.create_model") from error
    config = network.pretrained_cfg
    trained = settings.pretrained and saved is None
    return Found(network, Normalisation(config["mean"], config["std"]) if trained else None)


def from_torchvision(
    name: str,
    settings: ModelSettings,
    spec: InputSpec,
    classes: int,
    base: Path | None,
    saved: Mapping[str, Any] | None,
) -> Found:
    """torchvision.models.get_model, its first convolution for the data's channels.

    torchvision keeps its weights as pickles: they are fetched from the address that it states,
    their hash is checked, and torch reads them in the mode that makes nothing but tensors.
    """
    models = require("torchvision").models
    if name not in models.list_models(module=models):
        raise _unknown(f"torchvision:{name}", name, models.list_models(module=models))
    arguments = dict(settings.arguments)
    if name.startswith("vit_"):
        arguments.setdefault("image_size", spec.shape[1])
    try:
        network = models.get_model(name, weights=None, num_classes=classes, **arguments)
    except Exception as error:  # a library's factory may raise anything
        raise failed(f"torchvision:{name}", error, "`arguments` go to its factory") from error
    if not settings.pretrained:
        _take_channels(network, spec.shape[0])
    if not settings.pretrained or saved is not None:
        return Found(network)
    weights = models.get_model_weights(name).DEFAULT
    try:
        stored = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # no connection, no space, a wrong hash
        raise failed(f"torchvision:{name}", error, "its weights are downloaded once") from error
    fill(network, stored, f"torchvision:{name}", classes)
    preset = weights.transforms()
    return Found(network, Normalisation(tuple(preset.mean), tuple(preset.std)))


def fill(network: nn.Module, stored: Mapping[str, Tensor], name: str, classes: int) -> None:
    """Loads the pretrained tensors; only a classifier of other classes may stay fresh.

    Raises:
        StageError: other tensors do not fit.
    """
    own = network.state_dict()
    fits = {k: v for k, v in stored.items() if k in own and own[k].shape == v.shape}
    check_fresh(name, {k: tuple(v.shape) for k, v in own.items() if k not in fits}, classes)
    network.load_state_dict(fits, strict=False)


def _take_channels(network: nn.Module, channels: int) -> None:
    """Replaces the first convolution by one for so many channels, if it has others."""
    for owner in network.modules():
        for name, layer in owner.named_children():
            if not isinstance(layer, nn.Conv2d):
                continue
            if layer.in_channels != channels:
                fresh = nn.Conv2d(
                    channels,
                    layer.out_channels,
                    layer.kernel_size,  # type: ignore[arg-type]
                    layer.stride,  # type: ignore[arg-type]
                    layer.padding,  # type: ignore[arg-type]
                    bias=layer.bias is not None,
                )
                setattr(owner, name, fresh)
            return


def _unknown(name: str, given: str, known: Iterable[str]) -> StageError:
    near = difflib.get_close_matches(given, list(known), n=3)
    library = name.partition(":")[0]
    return StageError(
        f"{library} has no network {given}.",
        where=f"model {name}",
        fix=f"did you mean {', '.join(near)}?" if near else f"see {library}'s list of models",
    )
