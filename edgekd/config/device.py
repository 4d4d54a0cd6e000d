"""A device profile: where benchmarks run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgekd.config.base import Settings


class DeviceSettings(Settings):
    """A device file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Names the device in pipelines and results."""
    kind: Literal["local"] = "local"
    """How it is reached: `local` is the machine that runs edgekd."""
    description: str = ""
    """What it is, for the report."""
