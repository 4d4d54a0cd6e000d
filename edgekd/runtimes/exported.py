"""A file of a run's export, held against what was written beside it (`export.facts`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekd.errors import StageError
from edgekd.spec import DeployedSpec
from edgekd.store import parse_json

AGAIN = "run the pipeline again: what is finished is taken over"
FACTS = ("name", "description", "author", "license")


@dataclass(frozen=True)
class Exported:
    """A file that is the one which was exported."""

    path: Path
    content: bytes
    told: DeployedSpec
    facts: Mapping[str, str]
    """Name, description, author and license; empty texts where nobody said."""


def read_exported(folder: Path, name: str) -> Exported:
    """A file of a run folder.

    Args:
        name: its path from the folder on, as `summary.json` has it.

    Raises:
        StageError: it is missing, outside the folder, or not the one that was exported.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise StageError(
            "summary.json names a file outside: it is not in the run folder.", where=str(path)
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    about = _about(path)
    try:
        wanted, facts = str(about["sha256"]), {key: str(about[key]) for key in FACTS}
    except (KeyError, TypeError) as error:
        raise _unreadable(path, error) from error
    if hashlib.sha256(content).hexdigest() != wanted:
        raise StageError(
            "This file is not the one that was exported: its SHA-256 is another.",
            where=f"{path}, beside {beside(path).name}",
            fix=f"remove {path.parent.name} and {AGAIN}",
        )
    return Exported(path, content, _told(path, about), facts)


def told_of(path: Path) -> DeployedSpec | None:
    """What is told beside an exported file about its model; None where nothing lies there.

    Raises:
        StageError: it is damaged.
    """
    return _told(path, _about(path)) if beside(path).is_file() else None


def beside(path: Path) -> Path:
    """Where it is told what a file is."""
    return path.with_name(f"{path.name}.json")


def _about(path: Path) -> Any:
    try:
        return parse_json(beside(path).read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _told(path: Path, about: Any) -> DeployedSpec:
    try:
        return DeployedSpec.model_validate(about["edgekd"])
    except (KeyError, TypeError, ValidationError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StageError:
    return StageError(
        "An exported file, or what is told beside it, cannot be read.",
        where=f"{path}: {' '.join(str(error).split())[:200]}",
        fix=f"remove {path.parent.name} and {AGAIN}",
    )
