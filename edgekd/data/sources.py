"""Where data comes from: one function for every source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.config.data import DataSettings
from edgekd.data import (
    digits,
    folders,
    huggingface,
    npz,
    own_function,
    series,
    table,
    torchvision_sets,
)
from edgekd.data.check_augment import check_augment
from edgekd.data.dataset import Dataset

SOURCES: dict[str, Any] = {
    "digits": digits,
    "npz": npz,
    "image_folder": folders,
    "audio_folder": folders,
    "table": table,
    "series": series,
    "huggingface": huggingface,
    "torchvision": torchvision_sets,
    "python": own_function,
}
"""`data.source` and the module that reads it: each has `load` and `source_fingerprint`, which take
the settings and the folder that relative paths start at.
"""


def load_source(settings: DataSettings, base: Path) -> Dataset:
    """The data set that the settings name; relative paths start at `base`.

    Raises:
        DataError: the data cannot be used, or `augment` does not suit it.
    """
    dataset: Dataset = SOURCES[settings.source].load(settings, base)
    check_augment(settings.augment, dataset.spec)
    return dataset


def source_fingerprint(settings: DataSettings, base: Path) -> str:
    """SHA-256 of what the data is made from, hexadecimal, without reading it as data.

    Raises:
        DataError: the file is missing.
    """
    return str(SOURCES[settings.source].source_fingerprint(settings, base))
