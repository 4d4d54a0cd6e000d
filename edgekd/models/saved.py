"""A network's saved form: a folder with `model.safetensors` and `model.json`, never a pickle.

`model.json` holds the format's version, the settings that build the network and the `ModelSpec`.
A pruned network is the built one with smaller layers: the tensors' shapes say how small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekd import inputs
from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.build import build
from edgekd.models.library import Adapted
from edgekd.models.shrink import shrink_to
from edgekd.models.tensors import read_tensors, write_tensors
from edgekd.spec import ModelSpec
from edgekd.store import parse_json, write_json

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
COUNTERS = ".num_batches_tracked"


@dataclass(frozen=True)
class LoadedModel:
    """A network as it was saved."""

    model: nn.Module
    """In eval mode, on the CPU."""
    settings: ModelSettings
    """What built it, before any pruning."""
    spec: ModelSpec
    """Its input, output and labels."""
    pruned: tuple[str, ...]
    """Names of the layers that are smaller than built; empty if it was not pruned."""


def save(model: nn.Module, settings: ModelSettings, spec: ModelSpec, folder: Path) -> None:
    """Writes the network into `folder`, which is made; each file is written beside and renamed.

    Args:
        settings: what built the network, before any pruning.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, model.state_dict())
    description = {
        "format_version": FORMAT_VERSION,
        "settings": settings.model_dump(mode="json"),
        "spec": spec.model_dump(mode="json"),
    }
    if isinstance(model, Adapted):
        description["library"] = model.facts
    write_json(folder / DESCRIPTION, description)


def described(folder: Path) -> tuple[ModelSettings, ModelSpec]:
    """What built the network of a folder, and its spec; nothing is built, and no code is run.

    Raises:
        StageError: the file is missing or broken.
    """
    settings, spec, _ = _description(folder / DESCRIPTION)
    return settings, spec


def load(folder: Path, base: Path | None = None) -> LoadedModel:
    """The network of a folder: built, its layers cut to the stored shapes, its weights filled in.

    torch's random state is left as it was.

    Args:
        base: the folder that the path of a `python:` factory starts from.

    Raises:
        StageError: a file is missing or broken, or the tensors are not those of the network; names
            the tensor or the layer.
    """
    settings, spec, library = _description(folder / DESCRIPTION)
    weights = folder / WEIGHTS
    tensors = read_tensors(weights)
    with torch.random.fork_rng(devices=[]):
        model = build(settings, spec.input, len(spec.labels), base, library)
    _check_names(model, tensors, weights)
    pruned = shrink_to(model, tensors, weights)
    model.load_state_dict(dict(tensors), assign=False)
    model.eval()
    _try_out(model, spec, weights)
    return LoadedModel(model, settings, spec, tuple(pruned))


def load_weights(model: nn.Module, path: Path) -> list[str]:
    """Fills the network with the weights of a .safetensors file or a saved model folder.

    Tensors that the file lacks, or has in another shape, stay as they are.

    Returns:
        The names of those, in the network's order; counters of batch normalisation are not told.

    Raises:
        StageError: the file cannot be read, is no safetensors file, or no tensor of it fits.
    """
    path = path / WEIGHTS if path.is_dir() else path
    stored = read_tensors(path)
    own = model.state_dict()
    fits = {
        name: stored[name]
        for name, tensor in own.items()
        if name in stored and stored[name].shape == tensor.shape
    }
    if not any(own[name].ndim > 0 for name in fits):
        raise StageError(
            "No tensor of these weights fits the network.",
            where=f"{path} has {_some(stored)}; the network has {_some(own)}",
            fix="give the weights of the same network, or rename the tensors",
        )
    model.load_state_dict(fits, strict=False)
    return [name for name in own if name not in fits and not name.endswith(COUNTERS)]


def _description(path: Path) -> tuple[ModelSettings, ModelSpec, dict[str, Any] | None]:
    try:
        raw: Any = parse_json(path.read_text(encoding="utf-8"))
        if raw["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {raw['format_version']!r}, and this is {FORMAT_VERSION}")
        settings = ModelSettings.model_validate(raw["settings"])
        return settings, ModelSpec.model_validate(raw["spec"]), raw.get("library")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            "This is not a saved model, or not a whole one.",
            where=f"{path}: {type(error).__name__}: {error}",
            fix="name a folder with model.json and model.safetensors",
        ) from error


def _check_names(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    own = model.state_dict().keys()
    missing, unknown = own - tensors.keys(), tensors.keys() - own
    if missing or unknown:
        lacks = f"it lacks {_some(sorted(missing))}" if missing else ""
        more = f"it has {_some(sorted(unknown))}, which the network does not know"
        raise StageError(
            "The stored tensors are not those of the network: "
            + "; ".join(filter(None, (lacks, more if unknown else "")))
            + ".",
            where=str(where),
            fix="model.json and model.safetensors belong together; save the model again",
        )


def _try_out(model: nn.Module, spec: ModelSpec, where: Path) -> None:
    """Layers cut one by one may not fit each other: a forward pass tells which."""
    reached = "the network"
    names = {layer: name for name, layer in model.named_modules() if name}

    def remember(layer: nn.Module, _inputs: Any) -> None:
        nonlocal reached
        reached = names.get(layer, reached)

    hooks = [layer.register_forward_pre_hook(remember) for layer in names]
    expected = (1, len(spec.labels))
    try:
        with torch.no_grad():
            shape = tuple(inputs.call(model, inputs.zeros(spec.input, 1)).shape)
    except (RuntimeError, ValueError, IndexError) as error:
        raise StageError(
            f"The stored shapes do not make a network: layer {reached} fails: {error}",
            where=str(where),
            fix="model.json and model.safetensors belong together; save the model again",
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    if shape != expected:
        raise StageError(
            f"The stored network answers one sample with {shape}, and not with {expected}.",
            where=str(where),
        )


def _some(names: Mapping[str, Any] | list[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
