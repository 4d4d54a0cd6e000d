"""Where a registry lies: what every place can do, and the place of a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from edgekd.errors import ConfigError, EdgekdError

MLFLOW = "mlflow+"
"""Before a tracking URI of MLflow's."""


class Registry(Protocol):
    """Models by name and version. A version is there whole or not at all, and never changes."""

    place: str
    """For people."""

    def versions(self, name: str) -> list[str]:
        """Of a model, in no order; none if nobody knows it."""
        ...

    def put(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        """Adds a version; of several writers at once, one.

        Raises:
            ConfigError: it is there already.
            EdgekdError: the place cannot be written; then no part of it is to be seen.
        """
        ...

    def read(self, name: str, version: str, path: str) -> bytes | None:
        """A file of a version; None if there is none.

        Raises:
            EdgekdError: the place cannot be read.
        """
        ...


def unreachable(done: str, place: str, error: Exception) -> EdgekdError:
    """The error of a store, each of which has many of its own.

    Args:
        done: read or written.
    """
    return EdgekdError(f"The registry cannot be {done}.", where=f"{place}: {error!r}"[:300])


def registry_at(place: str) -> Registry:
    """The registry in a folder, at an fsspec URL such as `s3://bucket/models`, or in the MLflow of
    `mlflow+https://mlflow.example.com`: what follows the plus is MLflow's own tracking URI.

    Raises:
        ConfigError: it is no such place, or a library for it is missing.
    """
    from edgekd.registry.folder import FolderRegistry

    if place.startswith(MLFLOW):
        from edgekd.registry.mlflow import MlflowRegistry

        return MlflowRegistry(place)
    if "://" not in place:
        return FolderRegistry(Path(place).expanduser())
    if "::" in place:
        raise ConfigError(
            "A registry is reached by one URL, not by several in a row.",
            where=place,
            fix="give s3://..., gs://... or a folder",
        )
    parts = urlsplit(place)
    if parts.scheme in ("file", "local"):
        if parts.netloc:
            raise ConfigError(
                "A file URL has its path after three slashes.",
                where=place,
                fix=f"write {parts.scheme}:///{parts.netloc}{parts.path}, or the folder alone",
            )
        return FolderRegistry(Path(unquote(parts.path)))

    from edgekd.registry.url import UrlRegistry

    return UrlRegistry(place)


def taken(name: str, version: str, place: str) -> ConfigError:
    """The error of who wants to write a version that is there."""
    return ConfigError(
        f"{name} {version} is there already, and no version is ever changed.",
        where=place,
        fix="take another --version, or leave it out for the next one",
    )
