"""`edgekd data`: what a source holds, told before anything is trained on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgekd.config.data import AudioFolderData, ImageFolderData, NpzData
from edgekd.data import folders, npz, sound
from edgekd.data.archive import Files
from edgekd.data.dataset import Dataset

COLUMNS = 10
"""Samples of each class on the sheet."""
TILE = 64
"""Pixels of a sample on the sheet."""


def inspect(
    path: Path,
    *,
    label: str | None = None,
    size: tuple[int, int] | None = None,
    sheet: Path | None = None,
) -> Iterator[str]:
    """Lines about a folder, .zip or .npz file; files that are broken or twice there are notes.

    Args:
        label: expression that finds a recording's class in its name.
        size: height and width that pictures are brought to.
        sheet: a .png file for a contact sheet, a row a class.

    Raises:
        DataError: the source cannot be used at all; says why.
    """
    path = path.absolute()
    with tempfile.TemporaryDirectory(prefix="edgekd-") as work:
        yield from _told(_read(path, label, size, Path(work)), sheet)


def _told(dataset: Dataset, sheet: Path | None) -> Iterator[str]:
    spec = dataset.spec
    yield f"{dataset.name}: {dataset.classes} classes, {spec.kind} samples of shape {spec.shape}"
    if spec.sound is not None:
        seconds = spec.sound.samples / spec.sound.rate
        yield f"recordings are cut or padded to {seconds:g} s at {spec.sound.rate} Hz"
    splits = dataset.splits
    yield f"{'class':20} " + " ".join(f"{name:>10}" for name in splits)
    for number, name in enumerate(dataset.labels):
        counts = [int((split.y == number).sum()) for split in splits.values()]
        yield f"{name:20} " + " ".join(f"{count:10}" for count in counts)
    for warning in dataset.warnings:
        yield f"note: {warning}"
    if sheet is not None:
        write_sheet(dataset, sheet)
        yield f"sheet: {sheet}"


def write_sheet(dataset: Dataset, path: Path) -> None:
    """A picture with the first training samples of each class, a row a class; of recordings, the
    features, low frequencies below. Rows of numbers are drawn as stripes.
    """
    from PIL import Image

    x, y = dataset.train.x, dataset.train.y
    page = Image.new("RGB", (COLUMNS * TILE, dataset.classes * TILE), "white")
    low, high = float(x.min()), float(x.max())
    for number in range(dataset.classes):
        for column, index in enumerate(np.flatnonzero(y == number)[:COLUMNS]):
            sample = np.asarray(x[index], np.float32).reshape(
                (*(1,) * (3 - x[0].ndim), *x[0].shape)
            )
            if dataset.spec.kind == "audio":
                sample = sample.transpose(0, 2, 1)[:, ::-1]
            scaled = ((sample[:3] - low) / max(high - low, 1e-9) * 255).astype(np.uint8)
            colours = scaled if len(scaled) == 3 else np.repeat(scaled[:1], 3, 0)
            tile = Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0)))
            page.paste(tile.resize((TILE - 2, TILE - 2)), (column * TILE, number * TILE))
    page.save(path, "PNG")


def _read(path: Path, label: str | None, size: tuple[int, int] | None, work: Path) -> Dataset:
    if path.suffix.lower() == ".npz":
        return npz.load(NpzData(path=path), path.parent)
    with Files(path) as files:
        names = [name.lower() for name in files.names]
    if sum(name.endswith((*sound.WAV, *sound.OTHERS)) for name in names) * 2 > len(names):
        settings = AudioFolderData(path=path, label=label, skip_broken=True, allow_duplicates=True)
    else:
        settings = ImageFolderData(path=path, size=size, skip_broken=True, allow_duplicates=True)
    return folders.read(settings, path, work)
