"""Settings of the bundles that a run ends with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgekd.config.base import Settings


class PackageSettings(Settings):
    """Bundles for apps."""

    targets: Annotated[
        tuple[Literal["android", "apple", "linux", "web"], ...], Field(min_length=1)
    ] = ("android", "apple", "linux", "web")
    """What bundles are made for."""
    version: Annotated[str, Field(pattern=r"^(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){2}$")] = "0.1.0"
    """Of the bundles: MAJOR.MINOR.PATCH. Another model needs another version."""
