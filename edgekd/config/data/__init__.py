"""Settings of the data stage: where samples come from and how they are varied."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekd.config.data.arrays import Arrays, DigitsData, NpzData, PythonData
from edgekd.config.data.augment import Augment
from edgekd.config.data.folders import AudioFolderData, Features, FolderData, ImageFolderData
from edgekd.config.data.located import Located

__all__ = [
    "Arrays",
    "AudioFolderData",
    "Augment",
    "DataSettings",
    "DigitsData",
    "Features",
    "FolderData",
    "ImageFolderData",
    "Located",
    "NpzData",
    "PythonData",
]

DataSettings = Annotated[
    DigitsData | NpzData | ImageFolderData | AudioFolderData | PythonData,
    Field(discriminator="source"),
]
