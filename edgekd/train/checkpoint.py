"""The state of a training between two epochs, as safetensors and JSON, replaced atomically.

    checkpoint.safetensors   weights, EMA, optimiser, random state, best weights so far; in its
                             header the epoch, the history and the fingerprint of the training
One file, so that a kill between two writes cannot leave halves that do not belong together.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from edgekd.store import parse_json, write_atomic

FILE = "checkpoint.safetensors"


@dataclass
class Checkpoint:
    """What a training needs to go on as if nothing had happened."""

    tensors: dict[str, Tensor]
    """Flat names: "model.conv.weight", "optimizer.3.exp_avg", "best.conv.weight", ..."""
    facts: dict[str, Any] = field(default_factory=dict)
    """JSON values: epoch, history, optimiser scalars, fingerprint."""


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Replaces the checkpoint of `folder` in one step."""
    tensors = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in checkpoint.tensors.items()
    }
    facts = json.dumps(checkpoint.facts)
    header = {"edgekd": facts, "sha256": _sha256(facts, tensors)}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / FILE, save(tensors, metadata=header))


def read(folder: Path, fingerprint: str) -> Checkpoint | None:
    """The checkpoint of `folder`, or None if there is none of this training.

    A checkpoint with another `fingerprint` (other data, settings or network) or one that is
    broken is of no use and is passed over: the training starts from the beginning.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
            facts = parse_json(told.get("edgekd", "{}"))
            if facts.get("fingerprint") != fingerprint:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            whole = told.get("sha256") == _sha256(told["edgekd"], tensors)
            return Checkpoint(tensors, facts) if whole else None
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError):
        return None


def _sha256(facts: str, tensors: dict[str, Tensor]) -> str:
    """Of everything that a checkpoint holds: a wrong bit would go on in all that follows."""
    whole = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The optimiser's tensors by flat name, and its scalars."""
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                scalars[f"{index}.{name}"] = value
    return tensors, scalars


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], scalars: dict[str, Any]
) -> None:
    """Puts back what `optimizer_state` took."""
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *scalars.items()]:
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    whole["state"] = state
    optimizer.load_state_dict(whole)


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under "prefix.name"."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with "prefix.", without it."""
    start = f"{prefix}."
    return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}
