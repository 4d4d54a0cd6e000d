"""Where data comes from: one function for every source."""

from __future__ import annotations

from pathlib import Path

from edgekd.config.data import DataSettings, DigitsData, NpzData, PythonData
from edgekd.data import digits, folders, npz, own_function
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
        return digits.source_fingerprint()
    if isinstance(settings, NpzData):
        return npz.source_fingerprint(settings, base)
    if isinstance(settings, PythonData):
        return own_function.source_fingerprint(settings, base)
    return folders.source_fingerprint(settings, base)
