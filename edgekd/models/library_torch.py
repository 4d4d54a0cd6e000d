"""Networks of timm and of torchvision, their weights from .safetensors files only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.library import (
    Found,
    Normalisation,
    check_fresh,
    failed,
    read_weights,
    require,
)
from edgekd.models.library_key import weights_file
from edgekd.spec import InputSpec

COLOURS = 3
SUFFIX = ".safetensors"
PICKLES = "edgekd reads no pickles, and these weights are published as nothing else."
SAFETENSORS_OF = {
    **{f"resnet{depth}": f"resnet{depth}.tv_in1k" for depth in (18, 34, 50, 101, 152)},
    "mobilenet_v2": "mobilenetv2_100.ra_in1k",
    "mobilenet_v3_large": "mobilenetv3_large_100.ra_in1k",
    "mobilenet_v3_small": "mobilenetv3_small_100.lamb_in1k",
    "efficientnet_b0": "efficientnet_b0.ra_in1k",
}
"""Of torchvision's networks the same ones of timm; `tv` are torchvision's own weights."""
CONVERT = (
    "convert them where you trust them: "
    "safetensors.torch.save_file({network}.state_dict(), 'weights.safetensors'), "
    "and give pretrained: weights.safetensors"
)


def from_timm(
    name: str,
    settings: ModelSettings,
    spec: InputSpec,
    classes: int,
    base: Path | None,
    saved: Mapping[str, Any] | None,
) -> Found:
    """timm.create_model: classes, channels and, where the network has a fixed size, the size.

    Pretrained weights come from the Hugging Face Hub, or from the file that `pretrained` names.
    """
    timm = require("timm")
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise _unknown(f"timm:{name}", architecture, timm.list_models())
    trained = bool(settings.pretrained) and saved is None
    arguments = {
        "num_classes": classes,
        "in_chans": COLOURS if settings.pretrained else spec.shape[0],
        "pretrained": trained,
        **settings.arguments,
    }
    if trained:
        arguments["pretrained_cfg_overlay"] = _only_safetensors(timm, name, settings, base)
    known = timm.get_pretrained_cfg(name)
    if known is not None and known.fixed_input_size:
        arguments.setdefault("img_size", spec.shape[1:])
    try:
        network = timm.create_model(name, **arguments)
    except Exception as error:  # a library's factory may raise anything
        raise failed(f"timm:{name}", error, "`arguments` go to timm.create_model") from error
    config = network.pretrained_cfg
    return Found(network, Normalisation(config["mean"], config["std"]) if trained else None)


def _only_safetensors(
    timm: Any, name: str, settings: ModelSettings, base: Path | None
) -> dict[str, Any]:
    """The part of timm's configuration that names a .safetensors file, fetched if need be.

    timm itself would fall back to a pickle where a network has nothing else.

    Raises:
        StageError: there is no such file.
    """
    overlay = dict(settings.arguments.get("pretrained_cfg_overlay") or {})
    own = weights_file(settings, base) or overlay.get("file")
    if own is None:
        own = _of_the_hub(timm, name)
    if not str(own).endswith(SUFFIX):
        raise _pickled(f"timm:{name}", f"timm.create_model('{name}', pretrained=True)")
    read_weights(Path(own), f"timm:{name}")
    kept = {k: v for k, v in overlay.items() if k not in ("state_dict", "url", "hf_hub_id")}
    return {**kept, "file": str(own), "source": "", "custom_load": False}


def _of_the_hub(timm: Any, name: str) -> str:
    """The .safetensors file of a network's own weights, from the Hugging Face Hub."""
    told = timm.get_pretrained_cfg(name)
    repository = getattr(told, "hf_hub_id", None)
    file = getattr(told, "hf_hub_filename", None) or f"model{SUFFIX}"
    pickled = _pickled(f"timm:{name}", f"timm.create_model('{name}', pretrained=True)")
    if not repository or not file.endswith(SUFFIX):
        raise pickled
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repository, _, revision = repository.partition("@")
    try:
        return hf_hub_download(repository, file, revision=revision or None)
    except LocalEntryNotFoundError as error:  # no connection
        raise failed(f"timm:{name}", error, "its weights are downloaded once") from error
    except EntryNotFoundError as error:
        raise pickled from error
    except Exception as error:  # no space, no such repository
        raise failed(f"timm:{name}", error, "its weights are downloaded once") from error


def _pickled(name: str, network: str, instead: str = "") -> StageError:
    return StageError(
        PICKLES, where=f"model {name}: pretrained", fix=instead + CONVERT.format(network=network)
    )


def from_torchvision(
    name: str,
    settings: ModelSettings,
    spec: InputSpec,
    classes: int,
    base: Path | None,
    saved: Mapping[str, Any] | None,
) -> Found:
    """torchvision.models.get_model, its first convolution for the data's channels.

    torchvision publishes its weights as pickles, which are refused: `pretrained` names a
    .safetensors file that the user made of them.
    """
    models = require("torchvision").models
    if name not in models.list_models(module=models):
        raise _unknown(f"torchvision:{name}", name, models.list_models(module=models))
    own = weights_file(settings, base) if saved is None else None
    if settings.pretrained is True and saved is None:
        equal = SAFETENSORS_OF.get(name)
        raise _pickled(
            f"torchvision:{name}",
            f"torchvision.models.get_model('{name}', weights='DEFAULT')",
            f"take timm:{equal}, which is published as safetensors; or "
            if equal
            else "see whether timm has it: its weights are safetensors; or ",
        )
    arguments = dict(settings.arguments)
    if name.startswith("vit_"):
        arguments.setdefault("image_size", spec.shape[1])
    try:
        network = models.get_model(name, weights=None, num_classes=classes, **arguments)
    except Exception as error:  # a library's factory may raise anything
        raise failed(f"torchvision:{name}", error, "`arguments` go to its factory") from error
    if not settings.pretrained:
        _take_channels(network, spec.shape[0])
    if own is None:
        return Found(network)
    fill(network, read_weights(own, f"torchvision:{name}"), f"torchvision:{name}", classes)
    weights = models.get_model_weights(name).DEFAULT
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
