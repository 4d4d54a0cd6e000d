"""Settings of the data stage: where samples come from and how they are varied."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekd.config.data.arrays import Arrays, DigitsData, NpzData, PythonData
from edgekd.config.data.augment import Augment
from edgekd.config.data.collections import (
    HuggingFaceData,
    Pictured,
    TorchvisionData,
    WebDatasetData,
)
from edgekd.config.data.folders import AudioFolderData, Features, FolderData, ImageFolderData
from edgekd.config.data.located import Located
from edgekd.config.data.series import SeriesData
from edgekd.config.data.tables import TableData

__all__ = [
    "Arrays",
    "AudioFolderData",
    "Augment",
    "DataSettings",
    "DigitsData",
    "Features",
    "FolderData",
    "HuggingFaceData",
    "ImageFolderData",
    "Located",
    "NpzData",
    "Pictured",
    "PythonData",
    "SeriesData",
    "TableData",
    "TorchvisionData",
    "WebDatasetData",
]

DataSettings = Annotated[
    DigitsData
    | NpzData
    | ImageFolderData
    | AudioFolderData
    | PythonData
    | TableData
    | SeriesData
    | HuggingFaceData
    | TorchvisionData
    | WebDatasetData,
    Field(discriminator="source"),
]
