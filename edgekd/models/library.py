"""Networks of other libraries: "timm:NAME", "torchvision:NAME", "huggingface:NAME".

With pretrained weights, an affine map in front turns what edgekd feeds (standardised by the data's
own statistics) into what the weights were trained on, so that a pretrained teacher sees the
numbers that it knows. A grey picture becomes one of three equal channels in the same map.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.factory import try_out
from edgekd.models.library_key import LIBRARIES
from edgekd.spec import InputSpec

BYTE = 255.0


@dataclass(frozen=True)
class Normalisation:
    """What pretrained weights expect: (x * scale - mean) / std, x from 0 to 255, a channel each."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1 / BYTE

    def map_from(self, spec: InputSpec) -> tuple[Tensor, Tensor]:
        """Factor and offset, each (1, C, 1, 1), that turn an input as `spec` says into it.

        Raises:
            StageError: the data's scale is not known.
        """
        if spec.peak is None:
            raise StageError(
                "Pretrained weights expect pixels of a known scale, and these samples have "
                "negative values or another scale of their own.",
                where="model.pretrained: true",
                fix="give pixels from 0 to 1 or from 0 to 255, or take pretrained: false",
            )
        unit = BYTE / spec.peak * self.scale
        mean, std = torch.tensor(self.mean).double(), torch.tensor(self.std).double()
        own_mean, own_std = torch.tensor(spec.mean).double(), torch.tensor(spec.std).double()
        factor, offset = own_std * unit / std, (own_mean * unit - mean) / std
        shape = (1, -1, 1, 1)
        return factor.float().reshape(shape), offset.float().reshape(shape)


@dataclass(frozen=True)
class Rescaled:
    """What pretrained weights expect of features that are standardised already."""

    deviation: float

    def map_from(self, spec: InputSpec) -> tuple[Tensor, Tensor]:
        """Factor and offset, each (1, C, 1, 1)."""
        shape = (1, spec.shape[0], 1, 1)
        return torch.full(shape, self.deviation), torch.zeros(shape)


@dataclass(frozen=True)
class Found:
    """A library's network before it is adapted."""

    network: nn.Module
    """Takes (N, 3, H, W) if pretrained, else the data's own channels."""
    normalisation: Normalisation | Rescaled | None = None
    """Of pretrained weights; None for fresh ones, and where the network is only restored."""
    call: Callable[[nn.Module, Tensor], Tensor] | None = None
    """How to get logits from it; it is called plainly if left out."""
    facts: Mapping[str, Any] | None = None
    """JSON that builds the same architecture again, without a network connection."""


class Affine(nn.Module):
    """x * factor + offset, a channel each: (N, C or 1, H, W) to (N, C, H, W)."""

    def __init__(self, factor: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.factor: Tensor
        self.offset: Tensor
        self.register_buffer("factor", factor)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C or 1, H, W)."""
        return x * self.factor + self.offset


class Adapted(nn.Module):
    """A library's network from the data's own inputs to logits (N, classes)."""

    def __init__(self, found: Found, normalise: nn.Module) -> None:
        super().__init__()
        self.normalise = normalise
        self.network = found.network
        self.call = found.call
        self.facts = dict(found.facts or {})

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C, H, W)."""
        x = self.normalise(x)
        return self.network(x) if self.call is None else self.call(self.network, x)


def from_library(
    settings: ModelSettings,
    spec: InputSpec,
    classes: int,
    base: Path | None = None,
    saved: Mapping[str, Any] | None = None,
) -> nn.Module:
    """The network that `settings.name` names, its weights pretrained or fresh.

    Args:
        base: where the path of "huggingface:./folder" starts.
        saved: `Adapted.facts` of a saved network: only its architecture is then built, without a
            network connection, for the saved weights to fill.

    Raises:
        StageError: the library is missing or has no such network, or the input does not suit it.
    """
    library, _, name = str(settings.name).partition(":")
    if library == "keras":
        from edgekd.models.library_keras import from_keras

        return from_keras(settings, spec, classes, base, saved)
    if spec.kind not in ("image", "audio"):
        raise StageError(
            f"{settings.name} looks at images, and the samples are of kind {spec.kind}.",
            where=f"model {settings.name}",
            fix="model: mlp",
        )
    if settings.pretrained and spec.shape[0] not in (1, 3):
        raise StageError(
            f"Pretrained weights are for grey or colour, and the samples have {spec.shape[0]} "
            "channels.",
            where=f"model {settings.name}",
            fix="pretrained: false",
        )
    builder = _builder(library)
    found = builder(name, settings, spec, classes, base, saved)
    normalise: nn.Module = nn.Identity()
    if found.normalisation is not None:
        normalise = Affine(*found.normalisation.map_from(spec))
    elif settings.pretrained and saved is not None:
        shape = (1, saved["channels"], 1, 1)
        normalise = Affine(torch.ones(shape), torch.zeros(shape))
    network = Adapted(found, normalise)
    if isinstance(normalise, Affine):
        network.facts["channels"] = normalise.factor.shape[1]
    try_out(network, str(settings.name), spec, classes)
    return network


def _builder(library: str) -> Callable[..., Found]:
    from edgekd.models import library_huggingface, library_torch

    return {
        "timm": library_torch.from_timm,
        "torchvision": library_torch.from_torchvision,
        "huggingface": library_huggingface.from_huggingface,
    }[library]


def require(library: str) -> Any:
    """The library's module.

    Raises:
        StageError: it is not installed, or does not import.
    """
    distribution = LIBRARIES[library]
    where = f"model {library}:..."
    if importlib.util.find_spec(distribution) is None:
        raise StageError(
            f"{distribution} is not installed.", where=where, fix=f"pip install {distribution}"
        )
    try:
        return importlib.import_module(distribution)
    except Exception as error:  # such as torchvision built for another torch
        raise StageError(
            f"{distribution} is installed and cannot be imported: "
            f"{type(error).__name__}: {str(error).splitlines()[0]}",
            where=where,
            fix=f"install the {distribution} that belongs to torch {torch.__version__}",
        ) from error


def check_fresh(name: str, fresh: Mapping[str, tuple[int, ...] | None], classes: int) -> None:
    """Only the classifier may start fresh in a pretrained network.

    Args:
        fresh: shapes, in the network, of tensors that the pretrained weights lack or have in
            another shape; None where it is not known.

    Raises:
        StageError: another tensor would, and the network would be silently bad.
    """
    others = [key for key, shape in fresh.items() if shape is None or shape[:1] != (classes,)]
    if others:
        raise StageError(
            f"Pretrained tensors do not fit this network: {', '.join(others[:4])}"
            + (f" and {len(others) - 4} more." if len(others) > 4 else "."),
            where=f"model {name}",
            fix="give samples of the size that it was trained on, or take pretrained: false",
        )


def read_weights(path: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file.

    Raises:
        StageError: it is none, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StageError(
            f"{path} is not a readable .safetensors file: {error}",
            where=f"model {name}: pretrained",
            fix="write it with safetensors.torch.save_file",
        ) from error


def failed(name: str, error: Exception, fix: str = "") -> StageError:
    """What a library's error means for the user."""
    lines = str(error).strip().splitlines() or [""]
    return StageError(
        f"The network cannot be made: {type(error).__name__}: {lines[0]}",
        where=f"model {name}",
        fix=fix,
    )
