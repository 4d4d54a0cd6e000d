"""CIFAR-10 (JPEG): the zip of pictures as an .npz that edgekd reads, and as a data set."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from edgekd.config.data import NpzData
from edgekd.data import dataset, npz

SIDE = 32
VALIDATION = 0.1


def as_dataset(source: Path, folder: Path) -> Path:
    """A folder with the data set of the zip, which `edgekd.data.dataset.load` reads at once.

    A tenth of the training samples becomes the validation split.
    """
    saved = folder / f"{source.stem}-data"
    settings = NpzData(path=as_npz(source, folder), validation=VALIDATION)
    dataset.save(npz.load(settings, folder), saved)
    return saved


def as_npz(source: Path, folder: Path) -> Path:
    """The pictures `train/CLASS/N.jpg` and `test/CLASS/N.jpg` of a zip as arrays in a file.

    Its path is absolute: a pipeline takes others from its own folder on.

    The file has x_train, x_test (N, 32, 32, 3) uint8 and y_train, y_test (N,) strings, and is made
    once for a zip of this name and size.
    """
    path = folder.absolute() / f"{source.stem}-{source.stat().st_size}.npz"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(source) as pictures:
        for part in ("train", "test"):
            names = sorted(n for n in pictures.namelist() if _is_picture(n, part))
            x = np.empty((len(names), SIDE, SIDE, 3), np.uint8)
            for row, name in zip(x, names, strict=True):
                row[:] = np.asarray(Image.open(io.BytesIO(pictures.read(name))).convert("RGB"))
            arrays[f"x_{part}"] = x
            arrays[f"y_{part}"] = np.array([name.split("/")[1] for name in names])
    beside = path.with_name(f".{path.name}.{os.getpid()}.npz")
    np.savez(beside, allow_pickle=False, **arrays)
    os.replace(beside, path)
    return path


def _is_picture(name: str, part: str) -> bool:
    return name.startswith(f"{part}/") and name.endswith(".jpg")
