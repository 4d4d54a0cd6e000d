"""Where data comes from: one function for every source."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from edgekd.config.data import DataSettings
from edgekd.data.check_augment import check_augment
from edgekd.data.dataset import Dataset

SOURCES = {
    "digits": "digits",
    "npz": "npz",
    "image_folder": "folders",
    "audio_folder": "folders",
    "table": "table",
    "series": "series",
    "huggingface": "huggingface",
    "torchvision": "torchvision_sets",
    "webdataset": "webdataset",
    "python": "own_function",
}
"""`data.source` and the module of `edgekd.data` that reads it: each has `load` and
`source_fingerprint`, which take the settings and the folder that relative paths start at. They are
imported by name, so that the code of one source is in no other source's key.
"""


def source_module(settings: DataSettings) -> str:
    """The name of the module that reads the data."""
    return f"edgekd.data.{SOURCES[settings.source]}"


def load_source(settings: DataSettings, base: Path) -> Dataset:
    """The data set that the settings name; relative paths start at `base`.

    Raises:
        DataError: the data cannot be used, or `augment` does not suit it.
    """
    reader: Any = import_module(source_module(settings))
    dataset: Dataset = reader.load(settings, base)
    check_augment(settings.augment, dataset.spec)
    return dataset


def source_fingerprint(settings: DataSettings, base: Path) -> str:
    """SHA-256 of what the data is made from, hexadecimal, without reading it as data.

    Raises:
        DataError: the file is missing.
    """
    reader: Any = import_module(source_module(settings))
    return str(reader.source_fingerprint(settings, base))
