"""The data of an .npz file."""

from __future__ import annotations

from pathlib import Path

from edgekd.config.data import NpzData
from edgekd.data.arrays import UNLABELLED, find_arrays, from_arrays
from edgekd.data.cache import file_fingerprint
from edgekd.data.dataset import Dataset
from edgekd.data.npz_file import explained, read_arrays, read_headers


def load(settings: NpzData, base: Path) -> Dataset:
    """The data set of the file; its path starts at `data.root`, or `base`.

    Raises:
        DataError: the file or an array cannot be used; says which array and sample, and what to do.
    """
    path = settings.location(base)
    headers = read_headers(path)
    arrays = find_arrays(headers, str(path))
    names = [name for pair in arrays.values() for name in pair]
    raw = read_arrays(path, names + [UNLABELLED] * (UNLABELLED in headers))
    return from_arrays(raw, settings, path.stem, str(path))


def source_fingerprint(settings: NpzData, base: Path) -> str:
    """SHA-256 of the file's content, hexadecimal.

    Raises:
        DataError: there is no such file.
    """
    path = settings.location(base)
    read_headers(path)
    with explained(path):
        return file_fingerprint(path)
