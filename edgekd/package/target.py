"""Targets: what a bundle can be for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol

from edgekd.errors import ConfigError
from edgekd.package.deployable import Deployable, DeployedFile

TARGETS = ("android", "apple", "linux", "web")
"""Each is a module of this package with a `TARGET`."""


class Target(Protocol):
    """A kind of bundle."""

    def write(self, model: Deployable, out: Path) -> DeployedFile:
        """Writes what an app's build takes into `out`, an empty folder, and returns the file that
        it packed. The frame adds `manifest.json` and `MODEL_CARD.md` beside it.

        The same model gives the same bytes: no times, no random names, everything sorted.

        Raises:
            EdgekdError: the model cannot be packaged so.
        """
        ...


def target_of(name: str) -> Target:
    """The target of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in TARGETS:
        raise ConfigError(
            f"{name!r} is nothing that edgekd packages for.",
            where="--target",
            fix=f"take one of {', '.join(TARGETS)}",
        )
    return importlib.import_module(f"edgekd.package.{name}").TARGET
