"""Folders and .zip files of pictures or recordings: listed, decoded once, split, cached."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import FolderData
from edgekd.data.archive import Files
from edgekd.data.assemble import assemble
from edgekd.data.cache import file_fingerprint
from edgekd.data.checks import some
from edgekd.data.dataset import Dataset, Split
from edgekd.data.decode import DECODED, Decoder, rows
from edgekd.data.decoded_once import decoded_once
from edgekd.data.listing import Item, list_items
from edgekd.data.parts import split_items
from edgekd.data.unlabelled_folder import read_unlabelled
from edgekd.errors import DataError
from edgekd.store import digest

CACHE_VERSION = 3
"""Raise it when decoding, features or splits change."""


def load(settings: FolderData, base: Path) -> Dataset:
    """The data set of a folder or .zip, memory-mapped from the cache; made if it is not there.

    Raises:
        DataError: files cannot be used; names them.
    """
    path = settings.location(base)
    known = settings.model_dump(mode="json", exclude={"root", "path", "unlabelled", "augment"})
    key = digest(
        {
            "version": CACHE_VERSION,
            "content": source_fingerprint(settings, base),
            "name": path.stem,
            "settings": known,
        }
    )
    unlabelled = settings.unlabelled_location(base)
    return decoded_once(
        f"{path.stem}-{key}", lambda folder: read(settings, path, folder, unlabelled)
    )


def source_fingerprint(settings: FolderData, base: Path) -> str:
    """SHA-256 of the .zip's content, or of all names and contents, hexadecimal.

    Raises:
        DataError: there is nothing there.
    """
    found = _fingerprint(settings.location(base))
    beside = settings.unlabelled_location(base)
    return found if beside is None else digest([found, _fingerprint(beside)])


def _fingerprint(path: Path) -> str:
    if path.is_file():  # listing a large .zip takes longer than reading it
        return file_fingerprint(path)
    with Files(path) as files:
        return files.fingerprint()


def read(settings: FolderData, path: Path, folder: Path, unlabelled: Path | None = None) -> Dataset:
    """The data set, decoded, without the cache; its arrays are files in `folder`.

    Args:
        unlabelled: the folder or .zip of samples without classes.
    """
    with Files(path) as files:
        items, notes = list_items(files, settings)
        decoder = Decoder(settings, files, folder)
        decoded = decoder.decode(items)
    items = [items[row] for row in decoded.kept]
    notes += decoded.notes
    notes += _duplicates(items, decoder.contents, settings, path)
    labels = tuple(sorted({item.label for item in items}))
    if len(labels) < 2:
        raise DataError("Fewer than two classes are left.", where=str(path))
    y = np.array([labels.index(item.label) for item in items], np.int64)
    ids = np.array([item.name for item in items], np.str_)
    parts = split_items(items, settings, str(path))
    _check_training(y[parts["train"]], labels, path)
    splits = {
        part: Split(
            rows(decoded, decoded.kept[index], folder / f"{part}_x.npy"), y[index], ids[index]
        )
        for part, index in parts.items()
    }
    (folder / DECODED).unlink()
    more, names = None, None
    if unlabelled is not None:
        held = {decoder.contents[item.name] for item in items if item.part != "train"}
        held |= {decoder.contents[items[i].name] for p in ("validation", "test") for i in parts[p]}
        more, names, told = read_unlabelled(settings, unlabelled, folder, decoded, held)
        notes += told
    return assemble(
        path.stem,
        splits,
        labels,
        tuple(notes),
        decoded.sound,
        unlabelled=more,
        unlabelled_ids=names,
    )


def _check_training(y: NDArray[np.int64], labels: tuple[str, ...], path: Path) -> None:
    missing = [label for i, label in enumerate(labels) if not (y == i).any()]
    if missing:
        raise DataError(
            f"No training sample is left of class {some(missing)}.",
            where=str(path),
            fix="add samples, or lower data.validation and data.test",
        )


def _duplicates(
    items: list[Item], contents: dict[str, bytes], settings: FolderData, path: Path
) -> list[str]:
    """A note on files of the training part that are in the test or validation part, too.

    Raises:
        DataError: there are some, and they are not allowed.
    """
    train = {contents[item.name]: item.name for item in items if item.part == "train"}
    twice = [
        f"{train[contents[item.name]]} = {item.name}"
        for item in items
        if item.part != "train" and contents[item.name] in train
    ]
    if not twice:
        return []
    if settings.allow_duplicates:
        return [f"{len(twice)} files stand in two parts: {some(twice, 3)}"]
    files = "1 file stands" if len(twice) == 1 else f"{len(twice)} files stand"
    raise DataError(
        f"{files} in the training part and again in the test or validation part.",
        where=f"{path}: {some(twice)}",
        fix="remove them from one part, or set data.allow_duplicates: true",
    )
