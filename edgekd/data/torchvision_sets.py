"""Data sets of torchvision, downloaded into the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgekd.config.data import TorchvisionData
from edgekd.data.arrays import from_arrays
from edgekd.data.cache import cache_folder
from edgekd.data.dataset import Dataset
from edgekd.data.pictures import as_array
from edgekd.errors import DataError


def load(settings: TorchvisionData, _base: Path | None = None) -> Dataset:
    """The data set as arrays.

    Raises:
        DataError: torchvision is not there, or the data cannot be downloaded.
    """
    try:
        from torchvision import datasets  # type: ignore[import-not-found]
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise DataError(
            "torchvision cannot be imported.",
            where=f"data.source: torchvision; {error}",
            fix="pip install torchvision, of the release that belongs to the installed torch",
        ) from error
    arrays: dict[str, NDArray[Any]] = {}
    labels = settings.labels
    for suffix, train in (("_train", True), ("_test", False)):
        try:
            part = getattr(datasets, settings.name)(
                str(cache_folder() / "torchvision"), train=train, download=True
            )
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{settings.name} cannot be downloaded: {error}", where="data.name"
            ) from error
        arrays[f"x{suffix}"] = pictures(np.asarray(part.data), settings)
        arrays[f"y{suffix}"] = np.asarray(part.targets)
        labels = labels or tuple(part.classes)
    settings = settings.model_copy(update={"labels": labels, "layout": "NHWC"})
    return from_arrays(arrays, settings, settings.name, settings.name)


def source_fingerprint(settings: TorchvisionData, _base: Path | None = None) -> str:
    """SHA-256 of the name: torchvision checks the files against sums of its own."""
    return hashlib.sha256(settings.name.encode()).hexdigest()


def pictures(x: NDArray[Any], settings: TorchvisionData) -> NDArray[Any]:
    """Pictures (N, H, W) or (N, H, W, C) in the settings' size."""
    if settings.size is None:
        return x
    return np.stack([as_array(Image.fromarray(one), settings.size, settings.resize) for one in x])
