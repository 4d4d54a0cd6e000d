"""Where data comes from: one function for every source."""

from __future__ import annotations

from pathlib import Path

from edgekd.config.data import (
    DataSettings,
    DigitsData,
    HuggingFaceData,
    NpzData,
    PythonData,
    SeriesData,
    TableData,
    TorchvisionData,
)
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


def load_source(settings: DataSettings, base: Path) -> Dataset:
    """The data set that the settings name; relative paths start at `base`.

    Raises:
        DataError: the data cannot be used, or `augment` does not suit it.
    """
    if isinstance(settings, DigitsData):
        dataset = digits.load()
    elif isinstance(settings, NpzData):
        dataset = npz.load(settings, base)
    elif isinstance(settings, PythonData):
        dataset = own_function.load(settings, base)
    elif isinstance(settings, HuggingFaceData):
        dataset = huggingface.load(settings, base)
    elif isinstance(settings, TorchvisionData):
        dataset = torchvision_sets.load(settings)
    elif isinstance(settings, TableData):
        dataset = table.load(settings, base)
    elif isinstance(settings, SeriesData):
        dataset = series.load(settings, base)
    else:
        dataset = folders.load(settings, base)
    check_augment(settings.augment, dataset.spec)
    return dataset


def source_fingerprint(settings: DataSettings, base: Path) -> str:
    """SHA-256 of what the data is made from, hexadecimal, without reading it as data.

    Raises:
        DataError: the file is missing.
    """
    if isinstance(settings, DigitsData):
        found = digits.source_fingerprint()
    elif isinstance(settings, NpzData):
        found = npz.source_fingerprint(settings, base)
    elif isinstance(settings, PythonData):
        found = own_function.source_fingerprint(settings, base)
    elif isinstance(settings, HuggingFaceData):
        found = huggingface.source_fingerprint(settings, base)
    elif isinstance(settings, TorchvisionData):
        found = torchvision_sets.source_fingerprint(settings)
    elif isinstance(settings, TableData):
        found = table.source_fingerprint(settings, base)
    elif isinstance(settings, SeriesData):
        found = series.source_fingerprint(settings, base)
    else:
        found = folders.source_fingerprint(settings, base)
    return found
