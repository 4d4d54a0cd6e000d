"""What a stage depends on beside its settings and its inputs: sources, files, the precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.config.methods import Method, MutualSettings, parts_of
from edgekd.config.networks import ModelSettings
from edgekd.errors import ConfigError
from edgekd.keys import code_key


def of_training(
    model: ModelSettings, precision: str, base: Path, method: Method | None = None
) -> dict[str, Any]:
    """What a training of a network depends on: the effective precision, the code of its methods,
    and what builds it and its peers.

    Args:
        base: the folder that relative paths of the pipeline file start from.
    """
    from edgekd.train.precision import effective_precision

    outside: dict[str, Any] = {"precision": effective_precision(precision)}
    modules = {getattr(part, "module", None) for part in parts_of(method or ())} - {None}
    if modules:
        outside["methods"] = {module: code_key(module) for module in sorted(map(str, modules))}
    outside |= _builder(model, base)
    cohort = (part for part in parts_of(method or ()) if isinstance(part, MutualSettings))
    peers = [_builder(peer, base) for part in cohort for peer in part.networks(model)]
    if any(peers):
        outside["peers"] = peers
    return outside


def _builder(model: ModelSettings, base: Path) -> dict[str, Any]:
    """What builds a network that is not of the zoo."""
    if model.python is not None:
        from edgekd.models.python_source import python_source

        return {"python": python_source(model, base)}
    if ":" in str(model.name):
        from edgekd.models.library_key import library_source

        return {"library": library_source(model, base)}
    return {}


def weights_fingerprint(path: Path, field: str) -> str:
    """SHA-256 of a teacher's file, or of the weights in a saved model folder.

    Args:
        field: of the pipeline file, for the error.

    Raises:
        ConfigError: there is no such file.
    """
    import hashlib

    file = path / "model.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise ConfigError("The teacher's file is not there.", where=f"{field}: {file}")
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
